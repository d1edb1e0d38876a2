"""Values that follow from others, for keys that a file leaves out.

This works on plain data, before it is checked: what is wrong is left as it is, for the check to
refuse it.
"""

from __future__ import annotations

from typing import Any, TypeGuard

DEFAULT_MAX_WORKERS = 2  # as in Ray

# The one node type of a file that names none. On AWS it is what Ray launches then.
_DEFAULT_NODE_TYPES: dict[str, dict[str, Any]] = {
    "aws": {"default": {"node_config": {"InstanceType": "m5.large"}}},
    "local": {"local": {}},
    "ssh": {"host": {}},
}
_ANY_NODE_TYPE: dict[str, Any] = {"default": {}}


def fill(data: Any) -> Any:
    """The data with what follows from it; the argument is not changed."""
    if not isinstance(data, dict):
        return data
    filled = dict(data)
    provider = as_map(filled.get("provider"))
    _fill_max_workers(filled, provider)
    _fill_node_types(filled, provider.get("type"))
    return filled


def default_node_types(kind: Any) -> dict[str, dict[str, Any]]:
    """The one node type of a file that names none, by the provider's type."""
    return _DEFAULT_NODE_TYPES.get(str(kind), _ANY_NODE_TYPE)


def as_map(value: Any) -> dict[str, Any]:
    """The value if it is a map, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def is_count(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number of at least 0; true and false are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _fill_max_workers(filled: dict[str, Any], provider: dict[str, Any]) -> None:
    hosts = provider.get("worker_ips")
    if provider.get("type") == "ssh" and isinstance(hosts, list):
        filled.setdefault("max_workers", len(hosts))
    filled.setdefault("max_workers", DEFAULT_MAX_WORKERS)


def _fill_node_types(filled: dict[str, Any], kind: Any) -> None:
    if "available_node_types" not in filled and "head_node_type" not in filled:
        types = default_node_types(kind)
        filled |= {"available_node_types": types, "head_node_type": next(iter(types))}
    written = filled.get("available_node_types")
    if isinstance(written, dict):
        filled["available_node_types"] = {
            name: _fill_node_type(one, kind) for name, one in written.items()
        }


def _fill_node_type(node_type: Any, kind: Any) -> Any:
    if not isinstance(node_type, dict):
        return node_type
    filled = dict(node_type)
    if kind == "local" and filled.get("resources", {}) == {}:
        filled["resources"] = {"CPU": 1}
    market = as_map(as_map(filled.get("node_config")).get("InstanceMarketOptions"))
    if kind == "aws" and market.get("MarketType") == "spot":  # EC2's words for it
        filled.setdefault("spot", True)
    return filled
