"""Whose hosts are a cluster's: where it was made, which does not change, and that there is one.

A name means one cluster of one owner. Region, account and whatever else a provider counts to its
home are noted before anything is made there; with other ones a cluster would seem to be gone while
it runs and costs.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_cluster.client.registry import HOST_FILE, Entry, entries
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import RegistryError
from jupyter_cluster.nodes.provisioning import host_provider
from jupyter_cluster.providers.base import HostProvider
from jupyter_cluster.trust import write_private

_CONFIG = "config.json"


def config_of(place: Entry) -> ClusterConfig:
    """What a cluster was last brought up with."""
    return place.configuration()


def write_config(place: Entry, config: ClusterConfig) -> None:
    """Note what it is brought up with."""
    write_private(place.folder / _CONFIG, config.as_json(with_secrets=True).encode())


def open_place(place: Entry, config: ClusterConfig) -> HostProvider:
    """The cluster's folder with its identity, and the provider of its hosts.

    Raises
    ------
    RegistryError
        The cluster is elsewhere.
    """
    for path in (place.folder, place.folder / "logs"):
        path.mkdir(mode=0o700, exist_ok=True)
    if "owner" not in place.identity():
        write_config(place, config)  # `down` looks where something is made
        hosts = host_provider(config, _identity(place))
        owner, home = hosts.owner() or getpass.getuser(), hosts.home()
        place.write("cluster.json", {**place.identity(), "owner": owner, "home": home})
    if not place.is_hosted:
        place.write(HOST_FILE, {})
    return hosts_of(place, config)


def hosts_of(place: Entry, config: ClusterConfig | None = None) -> HostProvider:
    """The provider of a cluster's hosts, where it was made; as it was last brought up by default.

    Raises
    ------
    RegistryError
        The configuration or the credentials are for elsewhere.
    ProviderError
        Nobody can be asked.
    """
    hosts = host_provider(config or config_of(place), _identity(place))
    if text := _moved(place, hosts):
        raise RegistryError(text)
    return hosts


def difference(place: Entry, config: ClusterConfig) -> str:
    """That a cluster was made elsewhere, as a sentence; empty where it was not.

    Raises
    ------
    ProviderError
        Nobody can be asked.
    """
    return _moved(place, host_provider(config, _identity(place)))


def _moved(place: Entry, hosts: HostProvider) -> str:
    known = place.identity().get("home")
    if known is None:  # of a cluster that was made before homes were noted
        known = host_provider(config_of(place), _identity(place)).home()
    return moved(place.name, known, hosts.home())


def regions() -> list[str]:
    """The regions of AWS in which clusters of the registry are."""
    clouds = [one for one in entries() if one.provider == "aws"]
    homes = [one.read("cluster.json").get("home") for one in clouds]
    found = [home.get("region") for home in homes if isinstance(home, dict)]
    return [region for region in found if isinstance(region, str)]


def moved(name: str, known: Mapping[str, str], now: Mapping[str, str]) -> str:
    """That a cluster is elsewhere, as a sentence; empty where it is not. Pure."""
    changed = [key for key in {**known, **now} if known.get(key) != now.get(key)]
    if not changed:
        return ""
    there, here = (
        ", ".join(f"{key} {home.get(key, 'unknown')}" for key in changed) for home in (known, now)
    )
    return (
        f"cluster {name!r} was made in {there}, and this is {here}: a cluster stays where it is."
        " Use what it was made with, take it down with that first, or use another cluster_name"
    )


def check_only_one(place: Entry, hosts: HostProvider, progress: Callable[[str], None]) -> None:
    """Make sure that its owner has no head of this name elsewhere that was there first.

    Where there is one, what has been made here is ended: of two that are started at once on two
    machines, the later gives way.

    Raises
    ------
    RegistryError
        There is one.
    """
    elder = hosts.elder_head()
    if elder is None:
        return
    progress("another machine has started it before: nothing is kept of what was made here")
    hosts.release(progress)
    place.remove()
    there = hosts.home().get("region", "")
    region = f" --region {there}" if there else ""
    raise RegistryError(
        f"you have a cluster {place.name!r} already, started from another machine: its head is"
        f" {elder.machine} ({elder.detail}). Use it from there; here it can be used with a copy of"
        f" {place.folder} from there, which has its keys. `jupyter-cluster down {place.name}"
        f"{region}` ends it from here. A second one needs another cluster_name"
    )


def _identity(place: Entry) -> dict[str, Any]:
    return {**place.identity(), "folder": str(place.folder)}
