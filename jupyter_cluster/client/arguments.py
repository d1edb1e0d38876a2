"""What people give as options: of the right type and within bounds, or one sentence that says so.

An option is checked where it is given: what the head or a node found wrong with it later would
reach nobody.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from numbers import Real
from typing import Any

from jupyter_cluster.client.refs import Ref
from jupyter_cluster.described import class_name
from jupyter_cluster.errors import UsageError, WrongTypeError

# Names are shown in tables and on bars.
MAX_NAME = 200
# About thirty years: longer than anything runs, and every clock can add it.
MAX_SECONDS = 1e9


def number(option: str, value: Any) -> float:
    """A real number; numpy's are numbers too, texts and bools are not.

    Raises
    ------
    UsageError
        It is something else, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{option} must be a number, not {shown(value)}")
    try:
        given = float(value)
    except OverflowError:
        given = math.inf
    if not math.isfinite(given):
        raise UsageError(f"{option} must be a finite number, not {shown(value)}")
    return given


def whole(option: str, value: Any, least: int, most: int = 2**31 - 1) -> int:
    """A whole number within bounds.

    Raises
    ------
    UsageError
        It is something else.
    """
    try:
        given = operator.index(value)
    except TypeError:
        given = None
    if given is None or isinstance(value, bool):
        raise UsageError(f"{option} must be a whole number, not {shown(value)}")
    if not least <= given <= most:
        bounds = f"at least {least}" if given < least else f"at most {most}"
        raise UsageError(f"{option} must be {bounds}, not {shown(value)}")
    return given


def flag(option: str, value: Any) -> bool:
    """True or False.

    Raises
    ------
    UsageError
        It is something else.
    """
    if type(value) is not bool:
        raise UsageError(f"{option} must be True or False, not {shown(value)}")
    return value


def limit(option: str, value: Any) -> float | None:
    """Seconds of work above 0; None for no limit.

    Raises
    ------
    UsageError
        It is something else.
    """
    if value is None:
        return None
    seconds = number(option, value)
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(
            f"{option} must be a number of seconds above 0 and at most {MAX_SECONDS:.0e}, not"
            f" {shown(value)}; None for no limit"
        )
    return seconds


def callback(option: str, value: Any) -> Any:
    """Something to be called; None where it is not given.

    Raises
    ------
    UsageError
        It cannot be called.
    """
    if value is not None and not callable(value):
        raise UsageError(f"{option} must be a function, not {shown(value)}")
    return value


def amounts(option: str, value: Any) -> dict[str, float]:
    """Amounts by name, e.g. of resources.

    Raises
    ------
    UsageError
        It is no mapping, or a name or an amount in it cannot be.
    """
    return {name: number(f"{name} in {option}", one) for name, one in _named(option, value)}


def counts(option: str, value: Any, most: int) -> dict[str, int]:
    """Whole numbers by name, from 0 on.

    Raises
    ------
    UsageError
        It is no mapping, or a name or a number in it cannot be.
    """
    return {name: whole(f"{name} in {option}", one, 0, most) for name, one in _named(option, value)}


def _named(option: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{option} must be a dict of numbers by name, not {shown(value)}")
    for name, one in value.items():
        yield text(f"a name in {option}", name), one


def patience(value: Any) -> float | None:
    """How long a call waits: None, or seconds; what is below 0 is 0, what is endless is None.

    Raises
    ------
    UsageError
        It is no number.
    """
    if value is None or (isinstance(value, float) and value == math.inf):
        return None
    return min(MAX_SECONDS, max(0.0, number("timeout", value)))


def text(option: str, value: Any, most: int = MAX_NAME) -> str:
    """A text for people: not empty, not long, without control characters.

    Raises
    ------
    UsageError
        It is something else.
    """
    if not isinstance(value, str):
        raise UsageError(f"{option} must be a text, not {shown(value)}")
    if not value.strip():
        raise UsageError(f"{option} must not be empty")
    if len(value) > most:
        raise UsageError(f"{option} has {len(value):,} characters; at most {most} are allowed")
    if not value.isprintable():
        odd = next(one for one in value if not one.isprintable())
        raise UsageError(f"{option} must not hold the character {odd!a}: {value!a}")
    return str(value)


def title(function: Any, otherwise: str = "call") -> str:
    """What a callable is called, whatever kind of object it is."""
    try:
        while isinstance(function, partial):
            function = function.func
        name = getattr(function, "__name__", None)
    except BaseException:  # of a callable's own attributes
        name = None
    said = name if isinstance(name, str) and name else class_name(function)
    return "".join(c for c in said[:MAX_NAME] if c.isprintable()) or otherwise


def refs(verb: str, given: Any, hint: str = "") -> list[Ref]:
    """One ref, or any number of them, as a list; `hint` says what to do with something else.

    Raises
    ------
    UsageError
        Something else is among them.
    """
    if isinstance(given, Ref):
        return [given]
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise WrongTypeError(
            f"{verb} takes a ref or a list of refs, not a {type(given).__name__}{hint}"
        )
    listed = list(given)
    for one in listed:
        if not isinstance(one, Ref):
            raise WrongTypeError(f"{verb} takes refs, not a {type(one).__name__}{hint}")
    return listed


def known(given: Iterable[str], allowed: Iterable[str]) -> None:
    """Make sure that there are options of these names.

    Raises
    ------
    UsageError
        There is none of a name; the nearest is named.
    """
    names = list(allowed)
    for name in given:
        if name not in names:
            # Of Ray's names some differ by this only.
            near = difflib.get_close_matches(name, names, 1) or difflib.get_close_matches(
                name.removeprefix("num_"), names, 1
            )
            meant = f" did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"there is no option {shown(name)};{meant} there are: {', '.join(names)}"
            )


def shown(value: Any) -> str:
    """A value within a sentence: short, on one line, whatever its `repr` does."""
    kind = type(value).__name__
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length():,} bits"
    if value is None or isinstance(value, (int, float, str, bytes)):
        plain = ascii(value)
        return plain if len(plain) <= 60 else f"{plain[:50]}… ({len(plain):,} characters)"
    return f"a {kind}"
