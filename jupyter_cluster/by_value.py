"""What pickle sends by a name that the other side does not have, sent by value instead.

Pickle writes many an object as "module and name, look it up there". For what was defined in a
notebook, a script or a module that was made in memory, nothing is there to look up. Functions and
classes of these cloudpickle sends by value; here are the others. What has no value that could be
sent is refused with a sentence.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _dynamic_class_reduce, dynamic_subimport

from .described import class_name, repr_of
from .errors import SerializationError

_Reduced = tuple[Any, ...]


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's, which leaves names to functions and classes that the other side has."""

    def reducer_override(self, value: Any) -> Any:
        """What pickle is to write for an object; `NotImplemented` where it knows best."""
        kind = type(value)
        if kind is types.FunctionType:
            return self._reduce_function(value)
        if issubclass(kind, type):
            reduced = super().reducer_override(value)
            if reduced is NotImplemented and _is_here_only(getattr(value, "__module__", None)):
                return _dynamic_class_reduce(value)
            return reduced
        if (widgets := sys.modules.get("ipywidgets.widgets.widget")) is not None and issubclass(
            kind, widgets.Widget
        ):
            return _reduce_widget(value)
        if kind.__reduce_ex__ is _REDUCE_EX and kind.__reduce__ is _REDUCE:
            return NotImplemented  # by its class and its attributes
        if any(kind in table for table in self.dispatch_table.maps):
            return NotImplemented
        reduced = value.__reduce_ex__(self.proto)
        return _not_by_name(value, reduced) if isinstance(reduced, str) else reduced

    def _reduce_function(self, function: Any) -> Any:
        if function.__code__ is _DISPATCHING and not _is_found(function, function.__qualname__):
            return _reduce_dispatching(function)
        reduced = super().reducer_override(function)
        if reduced is NotImplemented and _is_here_only(function.__module__):
            return self._dynamic_function_reduce(function)
        return reduced


def _not_by_name(value: Any, name: str) -> str | _Reduced:
    """What to write for an object that pickle would send as a name of its module."""
    if _is_found(value, name):
        return name
    if (reduce := _NAMED.get(type(value))) is not None:
        return reduce(value)
    raise SerializationError(
        f"{repr_of(value, 80)}, a {class_name(value)}, goes by its name alone, and the other side"
        f" has no {name!r} of {_module_of(value, name)}: define it in a module of its own, beside"
        " the notebook"
    )


def _module_of(value: Any, name: str) -> str:
    module = getattr(value, "__module__", None)
    if isinstance(module, str):
        return module
    return "__main__" if vars(sys.modules["__main__"]).get(name) is value else ""


def _is_found(value: Any, name: str) -> bool:
    """Whether the other side finds an object by its module and name; where nobody knows its
    module, pickle looks for it in all of them."""
    module = _module_of(value, name)
    if not module:
        return True
    found: Any = sys.modules.get(module)
    if found is None or _is_here_only(module):
        return False
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def _is_here_only(module: str | None) -> bool:
    """Whether a module that is loaded here cannot be imported on the other side."""
    if module in ("__main__", "__mp_main__"):  # each process has one of its own
        return True
    top = (module or "").partition(".")[0]
    return top in sys.modules and not _can_be_imported(top)


@functools.cache  # a look at the disk
def _can_be_imported(top: str) -> bool:
    """Whether a module has a source, which travels where it is not installed, or is found by
    those who import: one that was made in memory is not."""
    source = getattr(sys.modules[top], "__file__", None)
    if isinstance(source, str) and source.endswith(".py"):
        return True
    return any(finder.find_spec(top, None) is not None for finder in sys.meta_path)


def _reduce_module(module: types.ModuleType) -> _Reduced:
    name = module.__name__
    if name in ("__main__", "__mp_main__"):
        raise SerializationError(
            f"the module {name} is another one in each process: name what you need of it"
        )
    if name in sys.modules and _is_here_only(name):
        attributes = {key: value for key, value in vars(module).items() if key != "__builtins__"}
        return dynamic_subimport, (name, attributes)
    reduced: _Reduced = cloudpickle.Pickler.dispatch_table[types.ModuleType](module)
    return reduced


# -- functools ------------------------------------------------------------------------------------


def _reduce_cached(function: Any) -> _Reduced:
    """A function with `functools.cache` or `functools.lru_cache`; its cache stays where it is."""
    attributes = dict(vars(function))
    inner, parameters = attributes.pop("__wrapped__", None), attributes.pop("cache_parameters")
    if inner is None:
        raise SerializationError(f"{repr_of(function)} has lost the function that it caches")
    return _make_cached, (inner, parameters()), attributes


def _make_cached(inner: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(inner)


def _reduce_dispatching(function: Any) -> _Reduced:
    return _make_dispatching, (function.__wrapped__, dict(function.registry))


def _make_dispatching(inner: Callable[..., Any], registry: dict[type, Any]) -> Any:
    function = functools.singledispatch(inner)
    for kind, implementation in registry.items():
        if kind is not object:
            function.register(kind, implementation)
    return function


def _reduce_cached_property(member: Any) -> _Reduced:
    return _make_cached_property, (member.func, member.attrname)


def _make_cached_property(function: Callable[[Any], Any], name: str | None) -> Any:
    member = functools.cached_property(function)
    member.attrname = name
    return member


def _reduce_dispatching_method(member: Any) -> _Reduced:
    return _make_dispatching_method, (member.func, dict(member.dispatcher.registry))


def _make_dispatching_method(function: Any, registry: dict[type, Any]) -> Any:
    member = functools.singledispatchmethod(function)
    for kind, implementation in registry.items():
        if kind is not object:
            member.dispatcher.register(kind, implementation)
    return member


# -- typing ---------------------------------------------------------------------------------------


def _reduce_new_type(kind: Any) -> _Reduced:
    return _make_new_type, (kind.__name__, kind.__supertype__, kind.__module__)


def _make_new_type(name: str, base: Any, module: str) -> Any:
    make: Any = typing.NewType
    kind = make(name, base)
    kind.__module__ = module
    return kind


def _reduce_parameter(parameter: Any) -> _Reduced:
    return type(parameter), (parameter.__name__,)


def _reduce_alias(alias: Any) -> _Reduced:
    return _make_alias, (alias.__name__, alias.__value__, alias.__type_params__)


def _make_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    make: Any = vars(typing)["TypeAliasType"]
    return make(name, value, type_params=parameters)


# -- widgets --------------------------------------------------------------------------------------


def _reduce_widget(widget: Any) -> Any:
    """As a new widget of the same state: the model of one lives in the process that made it, so
    that a copy of its attributes would be a view of nothing. Who observes it is left behind."""
    if type(widget).__reduce__ is not _REDUCE or type(widget).__reduce_ex__ is not _REDUCE_EX:
        return NotImplemented  # a figure of plotly knows how
    state = {name: getattr(widget, name) for name in widget.keys if not name.startswith("_")}
    return _make_widget, (type(widget), state)


def _make_widget(kind: Callable[..., Any], state: dict[str, Any]) -> Any:
    return kind(**state)


# -- which ----------------------------------------------------------------------------------------

_REDUCE: Any = object.__reduce__
_REDUCE_EX: Any = object.__reduce_ex__
# All functions that `singledispatch` makes share their code.
_DISPATCHING = functools.singledispatch(lambda _value: None).__code__  # type: ignore[attr-defined]
# What goes by its name, and has a value all the same.
_NAMED: dict[type, Callable[[Any], _Reduced]] = {
    type(functools.cache(lambda: None)): _reduce_cached,
    typing.NewType: _reduce_new_type,
    typing.ParamSpec: _reduce_parameter,
    typing.TypeVarTuple: _reduce_parameter,
}
if (_alias := getattr(typing, "TypeAliasType", None)) is not None:  # since Python 3.12
    _NAMED[_alias] = _reduce_alias
# What has a lock or a weak reference in it, or is a module.
REDUCERS: dict[type, Callable[[Any], _Reduced]] = {
    functools.cached_property: _reduce_cached_property,
    functools.singledispatchmethod: _reduce_dispatching_method,
    types.ModuleType: _reduce_module,
}
