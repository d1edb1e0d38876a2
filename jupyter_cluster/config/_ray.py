"""Keys of Ray's cluster YAML that are not ours: ignored with a notice, or refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._fill import as_map
from jupyter_cluster.config._legacy import modernized, refuse_other_kinds
from jupyter_cluster.config._problems import KeyPath, Problem
from jupyter_cluster.config._sections import PROVIDERS

# Without meaning here and harmless. "*" stands for any name.
IGNORED: dict[KeyPath, str] = {
    ("head_start_ray_commands",): "jupyter_cluster starts its head by itself",
    ("worker_start_ray_commands",): "jupyter_cluster starts its workers by itself",
    ("autoscaling_mode",): "nodes are added as fast as the work needs, or as upscaling_speed says",
    (
        "target_utilization_fraction",
    ): "nodes are added as the work needs them, or as upscaling_speed says",
    ("worker_default_node_type",): "every node type may be a worker, but those with max_workers: 0",
    ("provider", "cloudwatch"): "no CloudWatch agent is set up; see the panel and `logs`",
    ("provider", "cache_stopped_nodes"): "workers are terminated, so none is billed while stopped",
    ("provider", "worker_liveness_check"): "the head always watches its workers",
    ("provider", "disable_launch_config_check"): "`up` shows what changed and asks",
    ("provider", "foreground_node_launch"): "launches never block one another",
    ("available_node_types", "*", "labels"): "tasks choose nodes by resources",
}

# On `local`, tasks run in processes of this machine as it is.
_IGNORED_ON_LOCAL = (
    "auth",
    "docker",
    "file_mounts",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
)

# Ignoring these would give the user something else than was asked for.
_REFUSED: dict[KeyPath, str] = {
    ("min_workers",): "is set for each node type: write "
    "available_node_types.<name>.min_workers instead",
    ("initial_workers",): "is gone: write available_node_types.<name>.min_workers instead, or "
    "call cluster.request_resources() once the cluster is up",
    ("head_node",): "is gone: write a type in available_node_types with this as its "
    "node_config, and its name as head_node_type",
    ("worker_nodes",): "is gone: write a type in available_node_types with this as its node_config",
    ("no_restart",): "is not a key of the file: use the option --no-restart of `up`",
    ("provider", "disable_node_updaters"): "is refused: nodes that are not set up run no tasks "
    "here; remove the key",
    ("provider", "available_instance_types"): "is gone: write a type in available_node_types for "
    "each of them",
    ("available_node_types", "*", "idle_timeout_s"): "is refused: one time-out holds for all "
    "types; write idle_timeout_minutes at the top level instead",
}

_CLOUD_KEYS = {
    "Ray's on-premise provider (type: ssh here)": ("head_ip", "worker_ips", "external_head_ip"),
    "Kubernetes": (
        "namespace",
        "services",
        "autoscaler_role",
        "autoscaler_role_binding",
        "autoscaler_service_account",
    ),
    "Azure": ("location", "resource_group", "subscription_id", "msi_name", "msi_resource_group"),
    "Google Cloud": ("project_id", "gcp_credentials"),
    "vSphere": ("vsphere_config",),
}
_CLOUD_OF = {key: cloud for cloud, keys in _CLOUD_KEYS.items() for key in keys}


def translate(document: Document) -> tuple[Document, tuple[Problem, ...]]:
    """The document without what has no meaning here, and a notice for each such key."""
    if not isinstance(document.data, dict):
        return document, ()
    refuse_other_kinds(document)
    notices = list(_notices_of_local(document))
    if _is_on_premise(as_map(document.data.get("provider"))):
        provider = {**document.data["provider"], "type": "ssh"}
        document = replace(document, data={**document.data, "provider": provider})
        message = "local with head_ip is taken as ssh"
        notices.append(document.problem(("provider", "type"), message, instead="ssh"))
    document, of_before = modernized(document)
    notices += of_before
    data = dict(document.data)
    words = dict(document.words)
    for path, reason in _ignored(data):
        data = _without(data, path)
        words.pop(path, None)
        notices.append(document.problem(path, f"is ignored: {reason}", "key"))
    return replace(document, data=data, words=words), tuple(notices)


def _ignored(data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    kind = as_map(data.get("provider")).get("type")
    # A plug-in's own keys may have such names too.
    patterns = [p for p in IGNORED if p[0] != "provider" or kind in list(PROVIDERS)]
    return [(path, IGNORED[pattern]) for pattern in patterns for path in _matches(data, pattern)]


def refusal(path: KeyPath, data: Any) -> str | None:
    """Why a key of Ray's that we do not know is refused; None where it is none of Ray's."""
    pattern = (path[0], "*", *path[2:]) if len(path) > 2 else path
    if pattern in _REFUSED:
        return _REFUSED[pattern]
    cloud = _CLOUD_OF.get(str(path[-1])) if path[0] == "provider" and len(path) == 2 else None
    kind = as_map(as_map(data).get("provider")).get("type")
    return (
        cloud
        and f"is a key of {cloud}; provider {kind} does not know it; remove it or change the type"
    )


def _is_on_premise(provider: dict[str, Any]) -> bool:
    return provider.get("type") == "local" and "head_ip" in provider


def _notices_of_local(document: Document) -> Iterator[Problem]:
    provider = as_map(document.data.get("provider"))
    if provider.get("type") != "local" or _is_on_premise(provider):
        return
    for key in _IGNORED_ON_LOCAL:
        if document.data.get(key):
            reason = "is not used on local: tasks run in processes of this machine as it is"
            yield document.problem((key,), reason, "key")


def _matches(data: Any, pattern: KeyPath) -> list[KeyPath]:
    """The paths in the data that fit a pattern."""
    if not pattern:
        return [()]
    here, names = as_map(data), list(as_map(data))
    found = [name for name in names if pattern[0] in ("*", name)]
    return [(name, *rest) for name in found for rest in _matches(here[name], pattern[1:])]


def _without(data: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """A copy of nested maps without one key."""
    first, *rest = path
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    return {**data, str(first): _without(data[str(first)], tuple(rest))}
