"""Where worker nodes come from: this machine, a cloud, hosts that exist already.

`Provider` is the contract. A provider is found by its name, the `provider.type` of the cluster
YAML, among those built in and those that other packages register as entry points in the group
``jupyter_cluster.providers``. None is imported before it is asked for.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from jupyter_cluster.errors import ProviderError, UsageError
from jupyter_cluster.providers.base import Instance, Provider

__all__ = ["Instance", "Provider", "provider_class", "provider_names"]

GROUP = "jupyter_cluster.providers"
BUILT_IN = {
    "aws": "jupyter_cluster.providers.aws:AwsProvider",
    "local": "jupyter_cluster.providers.local:LocalProvider",
    "memory": "jupyter_cluster.providers.memory:MemoryProvider",
    "ssh": "jupyter_cluster.nodes.existing:SshProvider",
}


def provider_names() -> tuple[str, ...]:
    """Names of all providers that can be had here, sorted."""
    return tuple(sorted(_found()))


def provider_class(name: str) -> type[Provider]:
    """The provider of this name, imported now.

    Raises
    ------
    UsageError
        There is no provider of this name.
    ProviderError
        There is one, but it cannot be imported or is not a `Provider`.
    """
    entry = _found().get(name)
    if entry is None:
        raise UsageError(_unknown(name))
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise ProviderError(
            f"provider {name}: {entry.value} cannot be imported ({error}); "
            f"install or mend the package that registers it"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Provider)):
        raise ProviderError(
            f"provider {name}: {entry.value} is not a subclass of jupyter_cluster.providers."
            f"Provider; mend the package that registers it"
        )
    return found


def _found() -> dict[str, EntryPoint]:
    """Entry points by name; those built in come last, so that nobody replaces them."""
    built_in = [EntryPoint(name, value, GROUP) for name, value in BUILT_IN.items()]
    return {entry.name: entry for entry in [*entry_points(group=GROUP), *built_in]}


def _unknown(name: str) -> str:
    known = ", ".join(provider_names())
    return (
        f"provider.type {name}: there is no such provider; there are {known}; another one comes "
        f"with a package that registers it under the entry point {GROUP}"
    )
