"""What EC2 takes in a node_config, and a cluster or its owner would suffer from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._fill import as_map
from jupyter_cluster.config._problems import KeyPath, Problem
from jupyter_cluster.formats import shortened

# EC2's limits of tags and of user data, of which the cluster needs some.
_MAX_KEY, _MAX_VALUE, _MAX_TAGS = 128, 256, 38
_MAX_USER_DATA = 12_000
_RESERVED = ("aws:", "jupyter-cluster:")


def rule_problems(
    config: dict[str, Any], path: KeyPath, document: Document, is_head: bool
) -> Iterator[Problem]:
    """The problems of one node_config."""
    for key in ("DisableApiTermination", "DisableApiStop"):
        if config.get(key) is True:
            message = "keeps the cluster from ending its nodes, which go on costing; remove it"
            yield document.problem((*path, key), message)
    options = as_map(as_map(config.get("InstanceMarketOptions")).get("SpotOptions"))
    inside: KeyPath = (*path, "InstanceMarketOptions", "SpotOptions")
    for key, only in (
        ("SpotInstanceType", "one-time"),
        ("InstanceInterruptionBehavior", "terminate"),
    ):
        if options.get(key, only) != only:
            message = f"must be {only}: others come back after the cluster has ended them"
            yield document.problem((*inside, key), message)
    if is_head and as_map(config.get("MetadataOptions")).get("HttpEndpoint") == "disabled":
        message = "must be enabled on the head, which has its AWS credentials from there"
        yield document.problem((*path, "MetadataOptions", "HttpEndpoint"), message)
    data = config.get("UserData")
    if isinstance(data, str) and len(data.encode(errors="replace")) > _MAX_USER_DATA:
        message = (
            f"has more than {_MAX_USER_DATA} bytes, which EC2 does not take with the cluster's"
        )
        yield document.problem((*path, "UserData"), f"{message} own; use initialization_commands")
    yield from _interfaces(config, path, document)
    yield from _tags(config, path, document)


def _interfaces(config: dict[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    written = config.get("NetworkInterfaces")
    for number, one in enumerate(written if isinstance(written, list) else ()):
        card = as_map(one)
        if card.get("DeleteOnTermination") is False and not card.get("NetworkInterfaceId"):
            message = "keeps an interface of each node that ends, and with it the cluster's"
            message += " security group; remove it, or name one of yours by NetworkInterfaceId"
            where: KeyPath = (*path, "NetworkInterfaces", number, "DeleteOnTermination")
            yield document.problem(where, message)


def _tags(config: dict[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    written = config.get("TagSpecifications")
    for number, one in enumerate(written if isinstance(written, list) else ()):
        tags = as_map(one).get("Tags")
        where: KeyPath = (*path, "TagSpecifications", number, "Tags")
        if not isinstance(tags, list):
            continue
        if len(tags) > _MAX_TAGS:
            message = f"has {len(tags)} tags; EC2 takes 50, of which the cluster needs some: write"
            yield document.problem(where, f"{message} {_MAX_TAGS} at most")
        for place, tag in enumerate(tags):
            key, value = str(as_map(tag).get("Key", "")), str(as_map(tag).get("Value", ""))
            if key.lower().startswith(_RESERVED):
                message = (
                    f"{shortened(repr(key))}: names that begin so are reserved; choose another"
                )
                yield document.problem((*where, place, "Key"), message)
            elif len(key) > _MAX_KEY or len(value) > _MAX_VALUE:
                message = (
                    f"EC2 takes {_MAX_KEY} characters in a tag's key, {_MAX_VALUE} in its value"
                )
                yield document.problem((*where, place), message)
