"""Pickling of what people send: functions, arguments, results, errors.

Functions and classes of a notebook travel by value (cloudpickle), one pickle for each task, so
that a task can be run, retried and delivered on its own.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
import types
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar

import cloudpickle

from .by_value import REDUCERS, ByValuePickler
from .described import class_name, reason_of, repr_of, sentence_of
from .errors import SerializationError

_local = threading.local()

# Types that plain pickle writes just as cloudpickle would, in a third of the time.
PLAIN = frozenset({int, float, complex, str, bytes, bool, type(None)})


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    """As cloudpickle does, which forgets the file: tracebacks name it."""
    if (files := getattr(_local, "files", None)) is not None:
        files[code.co_filename] = None
    make, args = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return _make_code, (make, args, code.co_filename)


def _make_code(make: Callable[..., types.CodeType], args: Any, file: str) -> types.CodeType:
    return make(*args).replace(co_filename=file)


class Pickler(ByValuePickler):
    """Writes many values, one pickle each, into the same file.

    Making a pickler costs ten times what pickling a number does, so one serves for a whole batch.
    """

    dispatch_table: ClassVar = ChainMap(
        {types.CodeType: _reduce_code, **REDUCERS}, cloudpickle.Pickler.dispatch_table
    )

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)

    def dump_one(self, value: Any) -> None:
        """Append one value; it shares nothing with those before it."""
        self.clear_memo()
        self.globals_ref.clear()
        self.dump(value)


def dumps(value: Any, what: str) -> bytes:
    """Pickle a value.

    Raises
    ------
    SerializationError
        It cannot be pickled; the message names `what` and, where it can be found, the part of it
        that is to blame.
    """
    buffer = BytesIO()
    with refusing(value, what):
        Pickler(buffer).dump_one(value)
    return buffer.getvalue()


@contextlib.contextmanager
def refusing(value: Any, what: str, where: str = "function") -> Iterator[None]:
    """Whatever the value raises when it is pickled becomes a `SerializationError`; not Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise unpicklable(value, what, error, where) from error


class Bounded(BytesIO):
    """A file that refuses to grow beyond `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._limit:
            raise OverflowError(f"it takes more than {self._limit:,} bytes")
        return super().write(data)


def load_value(data: bytes | memoryview) -> Any:
    """Unpickle what came from a task.

    Raises
    ------
    SerializationError
        It cannot be unpickled here, whatever it raises.
    KeyboardInterrupt
        The user has pressed Ctrl-C.
    """
    try:
        return pickle.loads(data)
    except BaseException as error:
        if is_interrupt(error, data):
            raise
        raise SerializationError(sentence_of(error)) from error


def is_interrupt(error: BaseException, data: bytes | memoryview) -> bool:
    """Whether an exception from unpickling is the user's Ctrl-C, and not of what was unpickled.

    What is unpickled may raise `KeyboardInterrupt` too. That it does so again while nobody
    presses Ctrl-C tells one from the other.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False  # a signal interrupts the main thread only
    if signal.getsignal(signal.SIGINT) is None:
        return True  # somebody handles it outside Python: do not touch that
    pressed = False

    def note(_signal: int, _frame: types.FrameType | None) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, note)
    try:
        pickle.loads(data)
    except KeyboardInterrupt:
        return pressed
    except BaseException:
        return True
    finally:
        signal.signal(signal.SIGINT, before)
    return True


class _Namespace(dict):  # type: ignore[type-arg]
    """Stands for the globals of a notebook; unpickled it is the namespace that a cell runs in."""

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return _current_namespace, ()


def _current_namespace() -> dict[str, Any]:
    return _local.namespace  # type: ignore[no-any-return]


class IntoNamespace:
    """While it lasts, functions of a notebook that are unpickled have these globals."""

    # No generator: `contextlib` assigns to an exception of the user's, which may refuse.

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        _local.namespace = self._namespace

    def __exit__(self, *_exc: object) -> None:
        del _local.namespace


@dataclass(frozen=True)
class Names:
    """Variables of a notebook, pickled.

    Attributes
    ----------
    data : bytes
        For `load_names`.
    sizes : dict
        Bytes by name; what two names share counts for the first of them.
    refs : list of str
        Keys of the refs among the values.
    files : list of str
        Those that the code of functions among the values is from.
    """

    data: bytes
    sizes: dict[str, int]
    refs: list[str]
    files: list[str]


def dump_names(names: Mapping[str, Any], namespace: dict[str, Any], limit: int) -> Names:
    """Pickle variables so that what they share stays shared.

    Functions that were defined in `namespace` get the namespace that they are loaded into as their
    globals, as in a notebook: they see what a cell assigns.

    Raises
    ------
    SerializationError
        One cannot be pickled, or they are larger than `limit` bytes; the message names it.
    """
    buffer, sizes = BytesIO(), dict[str, int]()
    pickler = Pickler(buffer)
    pickler.globals_ref[id(namespace)] = _Namespace(__name__="__main__")
    with collecting() as refs, _noting_files() as files:
        for name, value in names.items():
            before = buffer.tell()
            with refusing(value, f"the variable {name!r}", "cell"):
                pickler.dump((name, value))
            sizes[name] = buffer.tell() - before
            if buffer.tell() > limit:
                raise _too_large(sizes, limit)
    return Names(buffer.getvalue(), sizes, list(dict.fromkeys(refs)), list(files))


@contextlib.contextmanager
def _noting_files() -> Iterator[dict[str, None]]:
    """While it lasts, code that is pickled notes the file that it is from."""
    _local.files = found = dict[str, None]()
    try:
        yield found
    finally:
        _local.files = None


def _too_large(sizes: Mapping[str, int], limit: int) -> SerializationError:
    largest = max(sizes, key=sizes.__getitem__)
    return SerializationError(
        f"the variables of the cell are larger than {limit / 1e6:.0f} MB, of which {largest!r} has"
        f" {sizes[largest] / 1e6:.0f} MB. Send it once with {largest} = jc.put({largest}), read it"
        " from a file on the nodes, or raise ClusterMagics.max_megabytes"
    )


def load_names(data: bytes) -> dict[str, Any]:
    """What `dump_names` has pickled, within `IntoNamespace`."""
    buffer = BytesIO(data)
    unpickler = pickle.Unpickler(buffer)
    names = {}
    while buffer.tell() < len(data):
        name, value = unpickler.load()
        names[name] = value
    return names


def unpicklable(
    value: Any, what: str, error: BaseException, where: str = "function"
) -> SerializationError:
    """The sentence for something that cannot be sent; `where` it should be created instead."""
    try:
        culprit = _find_culprit(value, 3)
    except Exception:  # of what the value is made of, and looked at for a message only
        culprit = ""
    blame = f" because of {culprit}" if culprit else ""
    said = f"{what} cannot be sent to the cluster{blame}: {reason_of(error).rstrip('.')}."
    if isinstance(error, SerializationError):  # it says what to do
        return SerializationError(said)
    return SerializationError(f"{said} Create such an object inside the {where} instead.")


def _find_culprit(value: Any, depth: int) -> str:
    """Which variable within a value cannot be pickled, as words; empty where not found."""
    for label, part in _parts(value):
        try:
            Pickler(BytesIO()).dump_one(part)
        except KeyboardInterrupt:
            raise
        except BaseException:
            deeper = _find_culprit(part, depth - 1) if depth else ""
            return f"{label}, a {class_name(part)}" + (f" ({deeper})" if deeper else "")
    return ""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with a name that its author knows."""
    code = getattr(value, "__code__", None)
    if code is not None:
        for name, cell in zip(code.co_freevars, value.__closure__ or (), strict=False):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield f"its variable {name!r}", cell.cell_contents
        for name in code.co_names:
            if name in value.__globals__:
                yield f"the global variable {name!r}", value.__globals__[name]
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"its entry {repr_of(key, 80)}", part
    elif isinstance(value, (list, tuple, set, frozenset)):
        for position, part in enumerate(value):
            yield f"its element {position}", part
    elif hasattr(value, "__dict__"):
        for name, part in vars(value).items():
            yield f"its attribute {name!r}", part


@contextlib.contextmanager
def collecting() -> Iterator[list[str]]:
    """While it lasts, pickled refs note themselves in the list, in the order they are met."""
    previous = getattr(_local, "refs", None)
    found: list[str] = []
    _local.refs = found
    try:
        yield found
    finally:
        _local.refs = previous


def note_ref(key: str) -> None:
    """Called by a ref that is being pickled.

    Raises
    ------
    SerializationError
        It is not being pickled as an argument.
    """
    refs = getattr(_local, "refs", None)
    if refs is None:
        raise SerializationError(
            "a ref can only be sent as an argument of .remote() or an item of map; "
            "call get() on it to have its value"
        )
    refs.append(key)


@contextlib.contextmanager
def resolving(paths: dict[str, str]) -> Iterator[None]:
    """While it lasts, refs that are unpickled become the values in these files."""
    _local.paths = paths
    try:
        yield
    finally:
        _local.paths = {}


def resolve_ref(key: str) -> Any:
    """What an unpickled ref turns into: a fresh copy of its value for each task."""
    with open(_local.paths[key], "rb") as file:
        return pickle.load(file)
