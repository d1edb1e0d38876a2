"""Exceptions and values whose classes do what they can to hurt whoever touches them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

# What must not come out where the object is touched.
RAISED: list[BaseException] = [
    ValueError("touched"),
    StopIteration("touched"),
    GeneratorExit(),
    SystemExit(5),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    RecursionError(),
]
BASES: list[type[BaseException]] = [
    Exception,
    ValueError,
    KeyError,
    OSError,
    UnicodeError,
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    BaseException,
]
METHODS = (
    "__str__",
    "__repr__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__setattr__",
    "__getattribute__",
    "__delattr__",
    "__bool__",
    "__len__",
    "__eq__",
    "__hash__",
    "__dir__",
    "__iter__",
    "add_note",
    "with_traceback",
)
PROPERTIES = (
    "__class__",
    "__cause__",
    "__context__",
    "__notes__",
    "__traceback__",
    "__suppress_context__",
    "__dict__",
    "args",
    "name",
)


def raising(error: BaseException) -> Callable[..., Any]:
    def method(*_args: Any, **_kwargs: Any) -> Any:
        raise type(error)(*error.args)

    return method


def exploding(error: BaseException) -> Any:
    """Something that raises when it is unpickled."""

    class Exploding:
        def __reduce__(self) -> Any:
            return _explode, (error,)

    return Exploding()


def _explode(error: BaseException) -> None:
    raise error


def nasty_class(rng: random.Random, bases: list[type]) -> type:
    """A class with a few members that raise, or give what nobody expects."""
    members: dict[str, Any] = {}
    for name in rng.sample(METHODS, rng.randint(0, 3)):
        members[name] = rng.choice([raising(rng.choice(RAISED)), _constant(rng)])
    for name in rng.sample(PROPERTIES, rng.randint(0, 2)):
        members[name] = property(rng.choice([raising(rng.choice(RAISED)), _constant(rng)]))
    if rng.random() < 0.3:
        members["__init__"] = lambda self, one, *, two: None
    if rng.random() < 0.1:
        members["__module__"] = rng.choice([None, 5, "nowhere", "\ud800"])
    return type(rng.choice(["Odd", "Été", "x" * 5000]), (rng.choice(bases),), members)


def _constant(rng: random.Random) -> Callable[..., Any]:
    value = rng.choice([None, 5, "text", "\ud800", "\x1b[31m", b"\xff", [], "m" * 1_000_000])
    return lambda *_args, **_kwargs: value


def nasty_error(rng: random.Random) -> BaseException:
    """An exception that was raised, with causes that may go in a circle."""
    errors = [_make_error(rng) for _ in range(rng.randint(1, 3))]
    for error in errors:
        chained = vars(BaseException)[rng.choice(["__cause__", "__context__"])]
        other = rng.choice(errors)
        if rng.random() < 0.5 and other is not error:
            chained.__set__(error, other)
    if rng.random() < 0.2:
        with contextlib.suppress(BaseException):  # a group looks at what it is made of
            return BaseExceptionGroup("several", errors)
    return errors[0]


def _make_error(rng: random.Random) -> BaseException:
    kind = nasty_class(rng, BASES)
    args = rng.choice([(), ("said",), ("\ud800",), (1, None), ("m" * 3_000_000,), (lambda: 0,)])
    error: BaseException = kind.__new__(kind, *args)
    if rng.random() < 0.3:
        own = vars(BaseException)["__dict__"].__get__(error)
        own[rng.choice(["lock", "__notes__"])] = rng.choice([(_ for _ in ()), 5, exploding(error)])
    try:
        raise error
    except BaseException as raised:
        return raised


class Liar:
    """Says nothing of its class but an exception; as proxies do outside their context."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise KeyboardInterrupt

    @__class__.setter
    def __class__(self, kind: Any) -> None: ...

    def __reduce__(self) -> Any:
        return Liar, ()


def nasty_value(rng: random.Random) -> Any:
    """A result that one can hardly look at."""
    if rng.random() < 0.3:
        return exploding(rng.choice(RAISED))
    kind = nasty_class(rng, [object, dict, str, int])
    value = kind.__new__(kind)
    return rng.choice([value, [value], {"key": value}, kind])
