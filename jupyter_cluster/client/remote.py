"""`@remote`: functions whose calls run on the cluster."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from jupyter_cluster.client import arguments
from jupyter_cluster.client.refs import Ref
from jupyter_cluster.described import class_name
from jupyter_cluster.errors import UsageError, WrongTypeError
from jupyter_cluster.resources import CPU, GPU, MEMORY, Resources, on_type
from jupyter_cluster.wire import IN_TASK

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster


@dataclass(frozen=True)
class TaskOptions:
    """What each call of a function needs and how it is treated.

    Attributes
    ----------
    num_cpus, num_gpus : float
        Fractions are allowed; what runs on a node together never exceeds it.
    memory : float or None
        Bytes; a task that uses more is ended.
    resources : mapping
        Further resources by name, as declared in the cluster YAML.
    max_retries : int or None
        How often a call is run again after its process or its node died; None means 3.
    retry_exceptions : bool or list of exception classes
        Whether it is run again after an exception of its own, or after which.
    timeout : float or None
        Seconds a call may take; it is not run again after that unless `max_retries` was given.
    on : str
        The node type to run on; empty where any will do.

    None is as good as not given, of every option, as in Ray.
    """

    num_cpus: float | None = 1
    num_gpus: float | None = 0
    memory: float | None = None
    resources: Mapping[str, float] | None = None
    max_retries: int | None = None
    retry_exceptions: bool | Sequence[type[BaseException]] | None = False
    timeout: float | None = None
    on: str | None = ""

    def __post_init__(self) -> None:
        for option in fields(self):
            if getattr(self, option.name) is None:
                object.__setattr__(self, option.name, option.default)
        arguments.number("num_cpus", self.num_cpus)
        gpus = arguments.number("num_gpus", self.num_gpus)
        if gpus > 1 and gpus != int(gpus):
            raise UsageError(
                f"num_gpus must be a whole number or a fraction of one, not {self.num_gpus}"
            )
        if self.memory is not None:
            arguments.number("memory", self.memory)
        if not isinstance(self.on, str):
            raise UsageError(f"on must be the name of a node type, not {arguments.shown(self.on)}")
        _ = self.spec()

    @property
    def shape(self) -> Resources:
        """What a call needs.

        Raises
        ------
        UsageError
            An amount is negative, too large or no number.
        """
        amounts = _resources(self.resources)
        for name, option in _OPTION_OF.items():
            if (amount := getattr(self, option)) is not None:
                amounts[name] = amount
        try:
            shape = Resources.of(amounts)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return shape + on_type(arguments.text("on", self.on)) if self.on else shape

    @property
    def retried(self) -> tuple[type[BaseException], ...] | None:
        """The exceptions after which a call is run again, where only some are.

        Raises
        ------
        UsageError
            It is neither a bool nor a list of exception classes.
        """
        given = self.retry_exceptions
        if type(given) is bool:
            return None
        classes = tuple(given) if isinstance(given, (list, tuple, set, frozenset)) else (given,)
        for one in classes:
            if not (isinstance(one, type) and issubclass(one, BaseException)):
                raise UsageError(
                    "retry_exceptions must be True, False or a list of exception classes, not"
                    f" {arguments.shown(one)}"
                )
        return classes

    def spec(self) -> dict[str, Any]:
        """As a job carries them."""
        retries = self.max_retries
        return {
            "shape": [list(pair) for pair in self.shape.units],
            "timeout": arguments.limit("timeout", self.timeout),
            "max_retries": 3 if retries is None else arguments.whole("max_retries", retries, 0),
            "retry_exceptions": self.retry_exceptions is True or bool(self.retried),
            "retry_timeouts": retries is not None,
        }


# Resources that have an option of their own, which says them.
_OPTION_OF = {CPU: "num_cpus", GPU: "num_gpus", MEMORY: "memory"}


def _resources(given: Mapping[str, float] | None) -> dict[str, float]:
    if given is None:
        return {}
    amounts = arguments.amounts("resources", given)
    for name, option in _OPTION_OF.items():
        if name in amounts:
            raise UsageError(
                f"resources must not name {name}: the option {option} says how much of it"
            )
    return amounts


class RemoteFunction:
    """A function whose `.remote(…)` runs a call on the cluster and returns a `Ref` at once."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: TaskOptions,
        cluster_of: Callable[[], Cluster],
        origin: RemoteFunction | None = None,
    ) -> None:
        self.function = function
        self.options_ = options
        self._cluster_of = cluster_of
        self.name = arguments.title(function)
        self._origin = origin
        # Calls with equal options share a job. Asked for by each call, so it is made once.
        errors = [(error.__qualname__, id(error)) for error in options.retried or ()]
        self.options_key = str((options.spec(), errors))
        with contextlib.suppress(Exception):  # of a callable's own attributes
            functools.update_wrapper(self, function, updated=())

    @property
    def origin(self) -> RemoteFunction:
        """The function as it was decorated: it lives as long as a copy with other options."""
        return self._origin or self

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        name = self.name
        raise UsageError(
            f"{name} is a remote function: call {name}.remote(…) to run it on the cluster, or"
            f" {name}.function(…) to run it here"
        )

    def options(self, **changed: Any) -> RemoteFunction:
        """The same function with other options, e.g. ``f.options(num_cpus=2).remote(x)``."""
        options = replace(self.options_, **checked_options(changed))
        return RemoteFunction(self.function, options, self._cluster_of, self.origin)

    def remote(self, *args: Any, **kwargs: Any) -> Ref:
        """Run a call on the cluster; returns at once.

        Raises
        ------
        SerializationError
            The function or an argument cannot be sent; the message names which.
        """
        if os.environ.get(IN_TASK):
            raise UsageError(
                "a task cannot start tasks yet: return what is to be done next, and call .remote()"
                " on it where you called this one"
            )
        return self._cluster_of().call(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<remote function {self.name} {self.options_.shape}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # In a task it is the plain function's stand-in: `.remote()` says that it cannot.
        return _rebuild, (self.function, self.options_)


def _rebuild(function: Callable[..., Any], options: TaskOptions) -> RemoteFunction:
    def no_cluster() -> Cluster:
        raise UsageError("a task cannot start tasks yet")

    return RemoteFunction(function, options, no_cluster)


# What Ray programs say and what has no meaning here; it changes nothing that they get.
_IGNORED = {
    "num_returns": 1,
    "runtime_env": None,
    "scheduling_strategy": "DEFAULT",
    "name": None,
    "max_calls": 0,
    "accelerator_type": None,
    "label_selector": None,
}


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options by their names here.

    Raises
    ------
    UsageError
        There is no such option.
    """
    known = dict(options)
    for name, harmless in _IGNORED.items():
        given = known.pop(name, None)
        if given is not None and (type(given) is not type(harmless) or given != harmless):
            raise UsageError(f"remote: {name} is not supported")
    arguments.known(known, TaskOptions.__dataclass_fields__)
    return known


def make_remote(
    cluster_of: Callable[[], Cluster], args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """`remote` as a decorator, with and without options."""
    if len(args) == 1 and not options and callable(args[0]):
        return _wrap(args[0], TaskOptions(), cluster_of)
    if args:
        raise UsageError("use @remote, or @remote(num_cpus=…) with options by name")
    chosen = TaskOptions(**checked_options(options))
    return lambda function: _wrap(function, chosen, cluster_of)


def _wrap(
    function: Callable[..., Any], options: TaskOptions, cluster_of: Callable[[], Cluster]
) -> RemoteFunction:
    if isinstance(function, type) and function.__module__ != "builtins":
        name = arguments.title(function)
        raise UsageError(
            f"{name} is a class, and actors are not supported: put remote on a function that makes"
            f" an instance and uses it. cluster.map({name}, items) gives an instance for each item"
        )
    return RemoteFunction(checked_callable(function, "remote"), options, cluster_of)


def checked_callable(function: object, verb: str) -> Callable[..., Any]:
    """What `remote` and `map` take, by one rule: what can be called runs, and what it returns is
    the result. `map` calls a class too, which gives an instance; a coroutine is run to its end.

    Raises
    ------
    UsageError
        It cannot be called, or gives its results one by one.
    """
    if isinstance(function, RemoteFunction):
        return function.function
    if not callable(function):
        raise WrongTypeError(f"{verb} takes a function first, not a {class_name(function)}")
    if _generates(function) or _generates(inspect.getattr_static(type(function), "__call__", None)):
        raise UsageError(
            f"{arguments.title(function)} gives its results one by one (it has a yield), and a task"
            " returns one: have it return a list"
        )
    return function


def _generates(function: object) -> bool:
    try:
        return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    except Exception:  # of the callable's own attributes
        return False
