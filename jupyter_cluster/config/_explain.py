"""Every effective value of a configuration and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import KeyPath, show_path

DEFAULT = "default"


@dataclass(frozen=True)
class Explained:
    """One effective value.

    Attributes
    ----------
    key : str
        The key's path, ``provider.region``.
    value : object
        As the cluster uses it; secrets are hidden.
    origin : str
        ``cluster.yaml:12``, ``default``, ``from max_workers (cluster.yaml:3)``, ``merged: …``.
    """

    key: str
    value: Any
    origin: str


def explain(config: ClusterConfig) -> tuple[Explained, ...]:
    """Every effective value, in the order of the documentation, and where it came from."""
    return tuple(
        Explained(show_path(path), *_effective(config, path, value))
        for path, value in _leaves(config, ())
    )


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, BaseModel):
        # dict() has the keys of a plug-in provider too.
        value = dict(value)
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, str(value) if isinstance(value, SecretStr) else value


def _effective(config: ClusterConfig, path: KeyPath, value: Any) -> tuple[Any, str]:
    """A value as it holds, and its origin."""
    match path:
        case ("head_setup_commands",):
            return config.head_setup(), _joined(config, "setup_commands", "head_setup_commands")
        case ("worker_setup_commands",):
            commands = config.setup_commands + config.worker_setup_commands
            return commands, _joined(config, "setup_commands", "worker_setup_commands")
        case ("docker", "head_image" | "worker_image") if value is None:
            return config.docker.image, _from(config, "docker", "image")
        case ("available_node_types", _, "max_workers") if value is None:
            return config.max_workers, _from(config, "max_workers")
        case ("available_node_types", str(name), "initialization_commands") if value is None:
            return config.initialization(name), _from(config, "initialization_commands")
        case ("available_node_types", str(name), "worker_setup_commands") if value is None:
            origin = _joined(config, "setup_commands", "worker_setup_commands")
            return config.worker_setup(name), origin
        case ("available_node_types", str(name), "docker", str(key)) if value is None:
            inherited = getattr(config.worker_docker(name), key)
            return _effective(config, ("docker", key), inherited)
        case _:
            return value, _origin(config, path)


def _origin(config: ClusterConfig, path: KeyPath) -> str:
    match path:
        case ("available_node_types", _, "resources") if config.provider.type != "local":
            return "filled in from the machine"
        case _ if path in config._origins:
            return config._origins[path]
        case ("max_workers",) if config.provider.type == "ssh":
            return _from(config, "provider", "worker_ips")
        case ("provider", "availability_zone"):
            return f"all zones, {_from(config, 'provider', 'region')}"
        case _:
            return DEFAULT


def _from(config: ClusterConfig, *path: str) -> str:
    return f"from {show_path(path)} ({config._origins.get(path, DEFAULT)})"


def _joined(config: ClusterConfig, *keys: str) -> str:
    """The origin of lists that are appended to one another; empty ones add nothing."""
    used = [key for key in keys if getattr(config, key)]
    if used in ([], [keys[-1]]):
        return config._origins.get((keys[-1],), DEFAULT)
    parts = (f"{key} ({config._origins.get((key,), DEFAULT)})" for key in used)
    return "merged: " + " + ".join(parts)
