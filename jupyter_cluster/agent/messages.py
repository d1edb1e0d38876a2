"""What the head says, checked before any of it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_data(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _is_file_name(value: Any) -> bool:
    is_short = isinstance(value, str) and 0 < len(value) < 200 and value.isprintable()
    return is_short and "/" not in value and bool(value.strip("."))


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(map(_is_count, value))
        and value[0] <= value[1]
    )


def _list_of(test: Test) -> Test:
    return lambda value: isinstance(value, list | tuple) and all(map(test, value))


def _map_of(test: Test) -> Test:
    return lambda value: (
        isinstance(value, dict) and all(_is_text(key) and test(one) for key, one in value.items())
    )


def is_key(value: Any) -> bool:
    """Whether it can be the name of a bundle."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 4
        and _is_file_name(value[0])
        and all(map(_is_count, value[1:]))
        and value[1] < value[2] <= value[1] + 1_000_000
    )


def _is_timeout(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 < value < 1e11)


_MESSAGES: dict[str, dict[str, Test]] = {
    "jc-code": {"fn": _is_text, "code": _is_data},
    "jc-modules": {"digest": _is_file_name, "archive": _is_data},
    "jc-value": {"key": _is_file_name, "data": _is_data},
    "jc-run": {"bundles": _list_of(lambda bundle: isinstance(bundle, dict))},
    "jc-cancel": {"job": _is_text, "ranges": _list_of(_is_range)},
    "jc-recall": {"count": lambda value: value is None or _is_count(value)},
    "jc-ack": {"seqs": _list_of(_is_count)},
    "jc-forget": {"stored": _list_of(_is_file_name), "values": _list_of(_is_file_name)},
    "jc-drop-code": {"digests": _list_of(_is_file_name)},
    "jc-over": {"job": _is_text},
    "jc-end-session": {"session": _is_text},
    "jc-end": {},
}
_BUNDLE: dict[str, Test] = {
    "key": is_key,
    "kind": lambda value: value in ("map", "calls", "cell"),
    "fn": _is_text,
    "shape": _map_of(_is_count),
    "timeout": _is_timeout,
    "environment": _map_of(lambda value: isinstance(value, str)),
    "begins_session": lambda value: isinstance(value, bool),
    "refs": _list_of(_is_file_name),
    "blocks": _list_of(lambda value: isinstance(value, list | tuple)),
}
_MAY_LACK = {"count", "begins_session"}


def check(operation: str, message: Mapping[str, Any]) -> None:
    """Whether a message of the head can mean something.

    Raises
    ------
    ValueError
        It cannot; the text says why.
    """
    _check(_MESSAGES[operation], message)


def check_bundle(message: Mapping[str, Any]) -> None:
    """Whether a bundle can be run; raises as `check` does."""
    _check(_BUNDLE, message)


def _check(tests: Mapping[str, Test], message: Mapping[str, Any]) -> None:
    for name in message.keys() - tests.keys():
        raise ValueError(f"nobody here knows what {name!r} means")
    for name, test in tests.items():
        if name not in message:
            if name not in _MAY_LACK:
                raise ValueError(f"{name} is missing")
        elif not test(message[name]):
            raise ValueError(f"{name} cannot be {message[name]!r:.100}")
