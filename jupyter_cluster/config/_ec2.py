"""What EC2 would refuse, told before it is asked: botocore has EC2's own description of its calls.

A `node_config` is the arguments of RunInstances. boto3 refuses a key or a kind of value that it
does not know, EC2 a name of the wrong case; both when a node is launched, which may be at night.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._ec2_rules import rule_problems
from jupyter_cluster.config._fill import as_map
from jupyter_cluster.config._kinds import wrong_kind
from jupyter_cluster.config._problems import KeyPath, Problem, did_you_mean, nearest
from jupyter_cluster.config._scalars import spelt
from jupyter_cluster.config.images import is_image, known_images
from jupyter_cluster.formats import shortened

# botocore's kinds of value: the Python types that it takes, and what a person calls them. A boolean
# is an int to Python and to botocore, not to EC2.
_SCALARS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "text"),
    "blob": ((str,), "text"),
    "timestamp": ((str,), "text"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "long": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
}
# Of Ray's and ours, beside those of RunInstances: the subnets that nodes are spread over.
_MORE_KEYS = {"SubnetIds": "SubnetIdStringList"}


def ec2_problems(document: Document) -> Iterator[Problem]:
    """What is wrong with the arguments of EC2 in a document for `aws`."""
    provider = as_map(document.data.get("provider"))
    if provider.get("type") != "aws":
        return
    rules = as_map(provider.get("security_group")).get("IpPermissions")
    if isinstance(rules, list):
        shape = _arguments("AuthorizeSecurityGroupIngress").members["IpPermissions"]
        yield from _fits(rules, shape, ("provider", "security_group", "IpPermissions"), document)
    for name, one in as_map(document.data.get("available_node_types")).items():
        config = as_map(one).get("node_config", {})
        if isinstance(one, dict) and isinstance(config, dict):
            path: KeyPath = ("available_node_types", name, "node_config")
            yield from _node_config(config, path, document)
            is_head = name == document.data.get("head_node_type")
            yield from rule_problems(config, path, document, is_head)


def _node_config(config: dict[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    yield from _members(config, _run_instances(), path, document)
    if not (config.get("InstanceType") or config.get("LaunchTemplate")):
        message = "must name an InstanceType or a LaunchTemplate, e.g. {InstanceType: m5.large}"
        yield document.problem(path, message)
    elif _needs_key_name(document) and not config.get("KeyName"):
        message = "must name the KeyName that belongs to auth.ssh_private_key"
        message += ", unless auth.ssh_public_key gives the other half"
        yield document.problem(path, message)
    image = config.get("ImageId")
    if isinstance(image, str) and not is_image(image):
        message = f"{shortened(repr(image))} is neither an AMI's id (ami-…) nor a known name"
        near = nearest(image, known_images())
        message += f"{did_you_mean(near)} Known: {', '.join(known_images())}"
        yield document.problem((*path, "ImageId"), message, instead=spelt(near))


def _needs_key_name(document: Document) -> bool:
    """EC2 cannot tell which of its keys belongs to a private key of the user's."""
    auth = as_map(document.data.get("auth"))
    is_named = "key_pair" in as_map(document.data.get("provider"))
    return bool(auth.get("ssh_private_key")) and not auth.get("ssh_public_key") and not is_named


def _botocore() -> str:
    """Whose description of EC2 it is."""
    import botocore

    return str(botocore.__version__)


@cache
def _service() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


def _arguments(operation: str) -> Any:
    return _service().operation_model(operation).input_shape


@cache
def _run_instances() -> dict[str, Any]:
    """The shapes of a node_config's keys."""
    more = {key: _service().shape_for(shape) for key, shape in _MORE_KEYS.items()}
    return {**_arguments("RunInstances").members, **more}


def _fits(value: Any, shape: Any, path: KeyPath, document: Document) -> Iterator[Problem]:
    """The problems of a value that must have a shape of botocore's."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        yield from _members(value, shape.members, path, document)
    elif kind == "list" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _fits(item, shape.member, (*path, number), document)
    elif kind == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _fits(item, shape.value, (*path, key), document)
    else:
        types, meant = _SCALARS.get(kind, ((), _CONTAINERS.get(kind, kind)))
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            word = document.words.get(path)
            message, instead = wrong_kind(meant, value, word, path)
            yield document.problem(path, message, instead=instead)
        else:
            yield from _unknown_value(value, shape, path, document)


_CONTAINERS = {"structure": "a map (key: value)", "map": "a map (key: value)", "list": "a list"}


def _unknown_value(value: Any, shape: Any, path: KeyPath, document: Document) -> Iterator[Problem]:
    """That a value is none of those that EC2 knows."""
    known = getattr(shape, "enum", ())
    if not known or value in known:
        return
    near = next((one for one in known if one.lower() == str(value).lower()), None)
    if near:
        message = f"upper and lower case matter: write {near}"
    elif shape.name in _GROWING:
        return
    else:
        near = nearest(value, known)
        message = f"EC2 knows no such value, {shortened(repr(value))}{did_you_mean(near)}"
        if len(known) > _MOST_NAMED:
            message = message.removesuffix(".")
        else:
            message += f" As of botocore {_botocore()}: {', '.join(sorted(known))}"
    yield document.problem(path, message, instead=spelt(near))


def ec2_notices(document: Document) -> Iterator[Problem]:
    """What may be a slip, and may be newer than this botocore."""
    data = as_map(document.data)
    if as_map(data.get("provider")).get("type") != "aws":
        return
    known = _run_instances()["InstanceType"].enum
    suggestions = 0
    for name, one in as_map(data.get("available_node_types")).items():
        path: KeyPath = ("available_node_types", name, "node_config", "InstanceType")
        kind = as_map(as_map(one).get("node_config")).get("InstanceType")
        if isinstance(kind, str) and kind and kind not in known:
            message = f"botocore {_botocore()} knows no {shortened(repr(kind))}"
            near = nearest(kind, known) if suggestions < _MOST_SUGGESTIONS else None
            suggestions += 1
            message += f"{did_you_mean(near)} `up` asks EC2"
            yield document.problem(path, message, instead=spelt(near))


def _members(
    value: dict[str, Any], members: dict[str, Any], path: KeyPath, document: Document
) -> Iterator[Problem]:
    for key, item in value.items():
        if key in members:
            yield from _fits(item, members[key], (*path, key), document)
        else:
            near = nearest(key, members)
            message = f"EC2 knows no such key here{did_you_mean(near)}"
            if len(members) <= _MOST_NAMED:
                message += f" Allowed: {', '.join(members)}"
            yield document.problem((*path, key), message.removesuffix("."), "key", near)


# More names than these are no help; the suggestion is.
_MOST_NAMED = 15
# EC2 has a thousand types of instances: to find the nearest takes ten milliseconds.
_MOST_SUGGESTIONS = 20
# Types of instances come out each month, and `up` asks EC2 whether there is one.
_GROWING = ("InstanceType",)
