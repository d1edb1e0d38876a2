"""`@remote`: functions whose calls run on the cluster."""

from __future__ import annotations

import difflib
import functools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_cluster.client.refs import Ref
from jupyter_cluster.errors import UsageError
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
    retry_exceptions : bool
        Whether it is run again after an exception of its own.
    timeout : float or None
        Seconds a call may take; it is not run again after that unless `max_retries` was given.
    on : str
        The node type to run on; empty where any will do.
    """

    num_cpus: float = 1
    num_gpus: float = 0
    memory: float | None = None
    resources: Mapping[str, float] | None = None
    max_retries: int | None = None
    retry_exceptions: bool = False
    timeout: float | None = None
    on: str = ""

    def __post_init__(self) -> None:
        if self.timeout is not None and not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise UsageError(f"timeout must be a number of seconds above 0, not {self.timeout!r}")
        if self.max_retries is not None and self.max_retries < 0:
            raise UsageError(f"max_retries must be 0 or more, not {self.max_retries!r}")
        if self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise UsageError(
                f"num_gpus must be a whole number or a fraction of one, not {self.num_gpus}"
            )
        _ = self.shape

    @property
    def shape(self) -> Resources:
        """What a call needs.

        Raises
        ------
        UsageError
            An amount is negative or no number.
        """
        amounts = {CPU: self.num_cpus, GPU: self.num_gpus, **(self.resources or {})}
        if self.memory is not None:
            amounts[MEMORY] = self.memory
        try:
            shape = Resources.of(amounts)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return shape + on_type(self.on) if self.on else shape

    def spec(self) -> dict[str, Any]:
        """As a job carries them."""
        return {
            "shape": [list(pair) for pair in self.shape.units],
            "timeout": self.timeout,
            "max_retries": 3 if self.max_retries is None else self.max_retries,
            "retry_exceptions": self.retry_exceptions,
            "retry_timeouts": self.max_retries is not None,
        }


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
        self._origin = origin
        # Calls with equal options share a job. Asked for by each call, so it is made once.
        self.options_key = str(options.spec())
        functools.update_wrapper(self, function)

    @property
    def origin(self) -> RemoteFunction:
        """The function as it was decorated: it lives as long as a copy with other options."""
        return self._origin or self

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        name = self.function.__name__
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
        return f"<remote function {self.function.__qualname__} {self.options_.shape}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # In a task it is the plain function's stand-in: `.remote()` says that it cannot.
        return _rebuild, (self.function, self.options_)


def _rebuild(function: Callable[..., Any], options: TaskOptions) -> RemoteFunction:
    def no_cluster() -> Cluster:
        raise UsageError("a task cannot start tasks yet")

    return RemoteFunction(function, options, no_cluster)


# What Ray programs say and what has no meaning here; it changes nothing that they get.
_IGNORED = {"num_returns": 1, "runtime_env": None, "scheduling_strategy": "DEFAULT", "name": None}


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options by their names here.

    Raises
    ------
    UsageError
        There is no such option.
    """
    known = dict(options)
    for name, harmless in _IGNORED.items():
        if name in known and known.pop(name) not in (None, harmless):
            raise UsageError(f"remote: {name} is not supported")
    for name in known:
        if name not in TaskOptions.__dataclass_fields__:
            near = difflib.get_close_matches(name, TaskOptions.__dataclass_fields__, 1)
            meant = f"; did you mean {near[0]}?" if near else ";"
            allowed = ", ".join(TaskOptions.__dataclass_fields__)
            raise UsageError(f"there is no option {name!r}{meant} There are: {allowed}")
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
    if isinstance(function, type):
        raise UsageError(
            f"{function.__name__} is a class: actors are not supported, only functions are"
        )
    return RemoteFunction(function, options, cluster_of)
