"""What one key cannot tell: names that must exist, amounts that must fit one another, paths.

The checks read plain data in which any value may still be of the wrong kind, so that all
problems of a file are found at once; what is of the wrong kind is left to the models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._ec2 import ec2_problems
from jupyter_cluster.config._fill import as_map, is_count
from jupyter_cluster.config._problems import KeyPath, Problem, did_you_mean, nearest
from jupyter_cluster.config._scalars import spelt
from jupyter_cluster.config._sections import PROVIDER_GROUP, PROVIDERS, known_providers
from jupyter_cluster.formats import shortened
from jupyter_cluster.resources import CPU, GPU, MEMORY, Resources


def check(document: Document) -> Iterator[Problem]:
    """All problems between the keys of a document whose left-out values are filled in."""
    if not isinstance(document.data, dict):
        return
    for rule in (_empty, _provider, _head_type, _counts, _sum, _resources, _docker, ec2_problems):
        yield from rule(document)


def _types(document: Document) -> dict[str, Any]:
    return as_map(document.data.get("available_node_types"))


def _empty(document: Document) -> Iterator[Problem]:
    """An empty key may be a slip: an empty budget is not meant as no budget."""
    for path, word in document.words.items():
        if word == "" and not _is_free(path):
            yield document.problem(path, "has no value; write one or leave the key out")


def _is_free(path: KeyPath) -> bool:
    """Whether it stands inside a map whose content is the user's own."""
    return path[:-1][:1] == ("metadata",) or path[:-1][2:3] == ("node_config",)


def _provider(document: Document) -> Iterator[Problem]:
    kind = as_map(document.data.get("provider")).get("type")
    # The installed packages are looked through only where ours do not suffice.
    if not isinstance(kind, str) or kind in PROVIDERS or kind in (known := known_providers()):
        return
    near = nearest(kind, known)
    yield document.problem(
        ("provider", "type"),
        f"unknown provider {kind!r}{did_you_mean(near)} Known: {', '.join(known)}; more "
        f"come with packages that register under {PROVIDER_GROUP}",
        instead=spelt(near),
    )


def _head_type(document: Document) -> Iterator[Problem]:
    head, known = document.data.get("head_node_type"), list(_types(document))
    if "available_node_types" not in document.data:
        message = "is required, since head_node_type names one of its types"
        yield document.problem(("available_node_types",), message)
    elif head is None and "head_node_type" not in document.data and known:
        message = f"is required with available_node_types: write one of {', '.join(known)}"
        yield document.problem(("head_node_type",), message)
    elif isinstance(head, str) and known and head not in known:
        near = nearest(head, known)
        message = f"no node type is named {head!r}{did_you_mean(near)} Known: {', '.join(known)}"
        yield document.problem(("head_node_type",), message, instead=spelt(near))


def _counts(document: Document) -> Iterator[Problem]:
    for name, one in _types(document).items():
        path: KeyPath = ("available_node_types", name)
        least, most = as_map(one).get("min_workers"), as_map(one).get("max_workers")
        # A maximum that was not written is the global one, which `_sum` looks at.
        if (*path, "max_workers") in document.places and is_count(least) and is_count(most):
            message = (
                f"{least} is more than this type's max_workers ({most}); lower it or raise that"
            )
            if least > most:
                yield document.problem((*path, "min_workers"), message)


def _sum(document: Document) -> Iterator[Problem]:
    most = document.data.get("max_workers")
    least = {name: as_map(one).get("min_workers", 0) for name, one in _types(document).items()}
    counts = {name: n for name, n in least.items() if is_count(n) and n}
    if is_count(most) and sum(counts.values()) > most:
        default = "" if ("max_workers",) in document.places else " (the default)"
        parts = " + ".join(f"{n} ({name})" for name, n in counts.items())
        message = f"{most}{default} is less than the min_workers of all types together, {parts}"
        yield document.problem(("max_workers",), f"{message}; raise it or lower those")


def _resources(document: Document) -> Iterator[Problem]:
    for name, one in _types(document).items():
        for resource, amount in as_map(as_map(one).get("resources")).items():
            path = ("available_node_types", name, "resources", resource)
            yield from _resource(document, path, resource, amount)


def _resource(document: Document, path: KeyPath, name: str, amount: Any) -> Iterator[Problem]:
    usual = {word.lower(): word for word in (CPU, GPU, MEMORY)}.get(name.lower(), name)
    if usual != name:
        yield document.problem(path, f"upper and lower case matter: write {usual}", "key", usual)
    if isinstance(amount, float) and 0 < amount < 1:
        try:
            Resources.of({name: amount})
        except ValueError as error:
            yield document.problem(path, str(error))


def _docker(document: Document) -> Iterator[Problem]:
    """Options of a container that nothing starts would be without effect, and unnoticed."""
    docker = as_map(document.data.get("docker"))
    if as_map(document.data.get("provider")).get("type") == "local":
        return
    node_types = map(as_map, _types(document).values())
    images = [docker.get(key) for key in ("image", "head_image", "worker_image")]
    images += [as_map(one.get("docker")).get("worker_image") for one in node_types]
    if any(images):
        return
    for key in ("container_name", "run_options", "head_run_options", "worker_run_options"):
        if docker.get(key):
            message = "is for a container, and no image is named: write docker.image, e.g."
            yield document.problem(("docker", key), f"{message} python:3.12, or leave {key} out")


def resolve_paths(document: Document, base: Path) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Absolute paths for the local paths in a document, and those that do not exist.

    A relative path is meant from the folder `base`; ``~`` is this machine's home.
    """
    resolved: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for path, written in _local_paths(as_map(document.data)):
        where = os.path.abspath(base / os.path.expanduser(written))
        resolved[path] = where
        if not written or not _exists(where):
            message = f"{shortened(repr(written))} does not exist here (looked for"
            message += f" {shortened(where, 200)})"
            problems.append(document.problem(path, message))
    return resolved, problems


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # no path at all, e.g. with a null byte
        return False


def _local_paths(data: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for remote, local in as_map(data.get("file_mounts")).items():
        if isinstance(local, str):
            yield ("file_mounts", remote), local
    for key in ("ssh_private_key", "ssh_public_key"):
        if isinstance(local := as_map(data.get("auth")).get(key), str):
            yield ("auth", key), local
