"""Files of other kinds among Ray's: of before it had node types, and of other clouds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._fill import as_map, default_node_types
from jupyter_cluster.config._problems import KeyPath, Problem, fail
from jupyter_cluster.config._sections import known_providers

# Where Ray launches nodes and we do not, by the provider's type.
_CLOUDS = {
    "aliyun": "Alibaba Cloud",
    "azure": "Azure",
    "fake_multinode": "Ray's test cluster",
    "fake_multinode_docker": "Ray's test cluster",
    "gcp": "Google Cloud",
    "gen2": "IBM Cloud",
    "ibm_gen2": "IBM Cloud",
    "kuberay": "Kubernetes",
    "kubernetes": "Kubernetes",
    "readonly": "Ray on nodes of others",
    "spark": "Spark",
    "staroid": "Staroid",
    "vsphere": "vSphere",
}

# The two sections of a file of before, and the node type that each becomes.
_SECTIONS = {"head_node": "head", "worker_nodes": "worker"}
_NODE_TYPES = {"available_node_types", "head_node_type"}
# What says nothing where it has this value.
_SAYS_NOTHING = {"min_workers": 0, "initial_workers": 0}
# The type of the head, where Ray's file does not say which it is.
_HEAD = "ray.head.default"


def refuse_other_kinds(document: Document) -> None:
    """Stop at a file that is no cluster of ours as a whole: its keys would each be a problem.

    Raises
    ------
    ConfigError
        It is for another cloud, or no cluster YAML.
    """
    provider = as_map(document.data.get("provider"))
    kind = provider.get("type")
    if {"apiVersion", "kind"} <= {*document.data}:
        message = "this is a manifest of Kubernetes, no cluster YAML"
        fail(document.problem((), message))
    if {"cluster_name", "provider"}.isdisjoint(document.data) and document.data:
        message = "this is no cluster YAML: it has neither cluster_name nor provider"
        fail(document.problem((), message))
    if kind == "local" and "coordinator_address" in provider:
        message = (
            "is refused: there is no coordinator server here; write type: ssh with head_ip and"
            " worker_ips, and leave available_node_types and head_node_type out"
        )
        fail(document.problem(("provider", "coordinator_address"), message, "key"))
    if isinstance(kind, str) and kind in _CLOUDS and kind not in known_providers():
        message = (
            f"{kind} ({_CLOUDS[kind]}) is not supported: nodes come from EC2 (type: aws), are hosts"
            " that you have (type: ssh) or processes here (type: local); change provider, and with"
            " it auth and each node_config"
        )
        fail(document.problem(("provider", "type"), message))


def modernized(document: Document) -> tuple[Document, list[Problem]]:
    """The document with node types where Ray had other keys, and a notice for each of those."""
    notices: list[Problem] = []
    for step in (
        _without_empty,
        _with_new_name,
        _with_node_types,
        _with_head_type,
        _with_implied_type,
        _without_defaults,
    ):
        document, more = step(document)
        notices += more
    return document, notices


def _without_empty(document: Document) -> tuple[Document, list[Problem]]:
    """Ray's own files end in ``head_node: {}`` and ``worker_nodes: {}``."""
    empty = [key for key in _SECTIONS if key in document.data and not document.data[key]]
    notices = [_notice(document, key, "is ignored: it is empty") for key in empty]
    return _without(document, empty), notices


def _with_new_name(document: Document) -> tuple[Document, list[Problem]]:
    """`docker.pull` is called `pull_before_run` since."""
    docker = as_map(document.data.get("docker"))
    if "pull" not in docker or "pull_before_run" in docker:
        return document, []
    renamed = {"pull_before_run" if key == "pull" else key: one for key, one in docker.items()}
    moved = replace(document, data={**document.data, "docker": renamed})
    moved = _moved(moved, ("docker", "pull"), ("docker", "pull_before_run"))
    message = "is taken as pull_before_run"
    notice = document.problem(("docker", "pull"), message, "key", "pull_before_run")
    return moved, [notice]


def _with_head_type(document: Document) -> tuple[Document, list[Problem]]:
    """Ray's head is of its type ``ray.head.default`` where the file names none."""
    types = as_map(document.data.get("available_node_types"))
    if "head_node_type" in document.data or _HEAD not in types:
        return document, []
    notice = _notice(document, "available_node_types", f"the head is taken to be a {_HEAD}")
    return replace(document, data={**document.data, "head_node_type": _HEAD}), [notice]


def _with_node_types(document: Document) -> tuple[Document, list[Problem]]:
    written = [key for key in _SECTIONS if isinstance(document.data.get(key), dict)]
    if not written or not _NODE_TYPES.isdisjoint(document.data):
        return document, []
    # Where there is a section for each, the head's type has no workers.
    types = {_SECTIONS[key]: {"node_config": document.data[key]} for key in written}
    if len(types) == len(_SECTIONS):
        types["head"]["max_workers"] = 0
    notices = [
        _notice(document, key, f"is taken as node_config of the node type {_SECTIONS[key]}")
        for key in written
    ]
    data = {"available_node_types": types, "head_node_type": next(iter(types))}
    moved = replace(document, data={**document.data, **data})
    for key in written:
        moved = _moved(moved, (key,), ("available_node_types", _SECTIONS[key], "node_config"))
    moved, more = _with_minimum(_without(moved, written))
    return moved, [*notices, *more]


def _with_implied_type(document: Document) -> tuple[Document, list[Problem]]:
    """Ray's on-premise files have a minimum and no node types."""
    data = document.data
    if not _NODE_TYPES.isdisjoint(data) or "min_workers" not in data:
        return document, []
    types = default_node_types(as_map(data.get("provider")).get("type"))
    more = {"available_node_types": types, "head_node_type": next(iter(types))}
    return _with_minimum(replace(document, data={**data, **more}))


def _with_minimum(document: Document) -> tuple[Document, list[Problem]]:
    """Ray's minimum of all workers is that of the last type, where no other is for workers."""
    if "min_workers" not in document.data:
        return document, []
    types = dict(document.data["available_node_types"])
    name = list(types)[-1]
    types[name] = {**types[name], "min_workers": document.data["min_workers"]}
    notice = _notice(document, "min_workers", f"is taken as that of the node type {name}")
    moved = replace(document, data={**document.data, "available_node_types": types})
    moved = _moved(moved, ("min_workers",), ("available_node_types", name, "min_workers"))
    return _without(moved, ["min_workers"]), [notice]


def _without_defaults(document: Document) -> tuple[Document, list[Problem]]:
    idle = [
        key
        for key, nothing in _SAYS_NOTHING.items()
        if key in document.data and _is_same(document.data[key], nothing)
    ]
    notices = [_notice(document, key, "is ignored: so it is without it") for key in idle]
    return _without(document, idle), notices


def _is_same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)


def _notice(document: Document, key: str, message: str) -> Problem:
    return document.problem((key,), message, "key")


def _without(document: Document, keys: list[str]) -> Document:
    data = {key: value for key, value in document.data.items() if key not in keys}
    words = {path: word for path, word in document.words.items() if path[:1] not in _paths(keys)}
    return replace(document, data=data, words=words)


def _paths(keys: list[str]) -> list[KeyPath]:
    return [(key,) for key in keys]


def _moved(document: Document, old: KeyPath, new: KeyPath) -> Document:
    """With the places and words of what stands at one path at another, too."""

    def at_both(places: Any) -> dict[KeyPath, Any]:
        moved = {(*new, *p[len(old) :]): v for p, v in places.items() if p[: len(old)] == old}
        return {**places, **moved}

    return replace(document, places=at_both(document.places), words=at_both(document.words))
