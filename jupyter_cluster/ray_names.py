"""Names that programs written for Ray call and that are not here, each with the nearest thing."""

from __future__ import annotations

_ACTORS = "actors are not supported: `@remote` takes functions, one of which may make an instance"
_LIBRARY = "Ray's libraries are not here: `cluster.map` and `@remote` run what they would"

# Name: what to use instead.
NEAREST = {
    "nodes": "`jc.connect().nodes()` has a row for each node",
    "cluster_resources": "`jc.connect().status()` has the nodes, their types and resources",
    "available_resources": "`jc.connect().nodes()` says what each node has and uses",
    "get_actor": _ACTORS,
    "kill": f"{_ACTORS}; `jc.cancel(ref)` ends a call",
    "method": _ACTORS,
    "actor": _ACTORS,
    "ObjectRef": "refs are of class `jc.Ref`",
    "ObjectID": "refs are of class `jc.Ref`",
    "ObjectRefGenerator": "a task returns one value: have it return a list",
    "exceptions": "errors are in `jupyter_cluster.errors`",
    "get_gpu_ids": "a task sees its GPUs alone: they are those of CUDA_VISIBLE_DEVICES",
    "get_runtime_context": "`cluster.jobs()` and `cluster.nodes()` say what runs where",
    "timeline": "`job.plot()` and `cluster.plot()` draw what ran when",
    "runtime_env": "modules beside the notebook travel by themselves; packages stand in the YAML",
    "job_submission": "`jupyter-cluster submit` runs a script on the head",
    "util": "`jc.progress(refs)`, `cluster.map` and `cluster.request_resources` are the nearest",
    "experimental": "`jc.progress(refs)` and `cluster.map` are the nearest",
    "ClientBuilder": "`jc.connect(name)` connects to a cluster, wherever it runs",
    "LOCAL_MODE": "`f.function(…)` runs a remote function here",
    "java_function": "functions are of Python",
    "cpp_function": "functions are of Python",
    "cross_language": "functions are of Python",
    "workflow": _LIBRARY,
    "data": _LIBRARY,
    "train": _LIBRARY,
    "tune": _LIBRARY,
    "serve": _LIBRARY,
    "rllib": _LIBRARY,
    "air": _LIBRARY,
    "dag": "refs as arguments of other calls make a graph of them",
}


def missing(name: str) -> str:
    """What to say of a name that this package does not have."""
    said = f"module 'jupyter_cluster' has no attribute {name!r}"
    nearest = NEAREST.get(name)
    return f"{said}, which is Ray's; {nearest}" if nearest else said
