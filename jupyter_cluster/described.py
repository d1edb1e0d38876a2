"""What is said of objects that are not ours, whatever they do when they are asked.

A user's exception, result or function may have a ``__str__``, ``__repr__``, metaclass or property
that raises, loops in itself or gives a gigabyte. Text that is made here is a plain `str` of bounded
length, and nothing but it comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import PicklingError
from typing import Any

# Of a message or a traceback so much is kept: enough to read, too little to hurt.
LIMIT = 100_000
# Where it stands within a sentence or a table.
SHORT = 300

# Ours, which knows this module and not the other way round.
_REFUSAL = "SerializationError"

_name_of_type = vars(type)["__name__"].__get__


def text_of(value: object, limit: int = LIMIT, how: Callable[[Any], str] = str) -> str:
    """``str(value)``, or what became of it, shortened to about `limit` characters."""
    try:
        # An instance of a subclass of str has methods of its own: a copy has not.
        text = str.__str__(how(value))
    except BaseException as error:
        text = f"<{how.__name__}() of this {class_name(value)} raised {class_name(error)}>"
    return shortened(text.encode(errors="backslashreplace").decode(), limit)


def repr_of(value: object, limit: int = SHORT) -> str:
    """``repr(value)``, or what became of it, shortened."""
    return text_of(value, limit, repr)


def class_name(value: object) -> str:
    """The name of a value's class, without its module."""
    return str.__str__(_name_of_type(type(value)))


def full_name(value: object) -> str:
    """The name of a value's class as a traceback has it: with its module, where that says more."""
    kind = type(value)
    try:
        module, name = kind.__module__, kind.__qualname__
        if type(module) is str and module not in ("builtins", "__main__"):
            return f"{module}.{str.__str__(name)}"
        return str.__str__(name)
    except BaseException:
        return class_name(value)


def sentence_of(error: BaseException, limit: int = SHORT) -> str:
    """An exception as the last line of a traceback has it."""
    message = text_of(error, limit)
    return f"{class_name(error)}: {message}" if message else class_name(error)


def reason_of(error: BaseException) -> str:
    """Why something could not be pickled: the first line of what was raised, and by which class
    where that is not one that pickle raises with a sentence."""
    lines = text_of(error, SHORT).strip().splitlines()
    if not lines:
        return class_name(error)
    is_sentence = type(error) in (TypeError, PicklingError) or class_name(error) == _REFUSAL
    return lines[0] if is_sentence else f"{class_name(error)}: {lines[0]}"


def shortened(text: str, limit: int) -> str:
    """A text whose middle is left out where it is longer than `limit`."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters left out …] {text[-half:]}"
