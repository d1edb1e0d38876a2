"""Every error that jupyter_cluster raises on purpose.

::

    ClusterError
    ├── ConfigError                   the cluster YAML, all its problems at once
    ├── UsageError                    a verb, an option or an argument that cannot be
    │   └── WrongTypeError            an argument of another type (also a TypeError)
    ├── RegistryError                 no such cluster, several, or a name already in use
    │   └── NoClusterError            none is running
    ├── ConnectionLostError           the head cannot be reached
    ├── ProviderError                 a machine could not be had
    │   ├── CapacityError             the provider has none of that type now
    │   ├── CredentialsError          the account's credentials are missing, wrong or expired
    │   ├── SetupError                a machine could not be reached or set up
    │   └── QuotaError                the account may not have more
    ├── SerializationError            something cannot be sent; names the variable
    ├── GetTimeoutError               `get` or `wait` ran out of time (also a TimeoutError)
    ├── JobError                      no such job, a job that is gone or was sealed
    └── TaskError                     a task did not return a value
        ├── RemoteTraceback           what the task's own exception looked like over there
        ├── ControlFlowError          it raised StopIteration, SystemExit, KeyboardInterrupt, …
        ├── TaskCancelledError
        ├── InfeasibleError           no node of the cluster can ever hold it
        ├── TaskTimeoutError          (also a TimeoutError)
        ├── TaskCrashedError          its process died: segfault, os._exit, a signal
        │   └── TaskMemoryError       it used more than its `memory`
        └── ResultLostError           a large result went with its node and cannot be made again

An exception that a task raises itself keeps its own type: it is raised as it was, with a
`RemoteTraceback` as its cause. Three kinds do not, and come as a `TaskError` that says what they
were, with the exception itself as its cause where there is one here:

- what would act as the caller's own control flow (StopIteration, StopAsyncIteration, and all that
  is no `Exception`: SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError and groups
  with one of them) comes as a `ControlFlowError`;
- what cannot be rebuilt here: its class is on the node alone, or cannot be pickled;
- what cannot be looked at: its ``__str__``, ``__repr__`` or ``__bool__`` raises.

Of one that is too large, or holds what cannot be pickled, the class and the message come, and a
note that says so.
"""

from __future__ import annotations

from typing import Any

from .tracebacks import render


class ClusterError(Exception):
    """Base of every error raised on purpose; `str()` is a sentence for a person."""

    def _render_traceback_(self) -> list[str]:
        return render(self)


class ConfigError(ClusterError):
    """The cluster YAML has problems; `problems` holds them all, in the order of the file."""

    def __init__(self, message: str, problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class UsageError(ClusterError):
    """A verb, an option or an argument that cannot be."""


class WrongTypeError(UsageError, TypeError):
    """An argument is of a type that cannot be."""


def not_installed(what: str, extra: str, error: ImportError) -> UsageError:
    """That something needs packages which are not here, with the line that installs them."""
    return UsageError(
        f"{what} packages that are not installed here ({error}):"
        f" pip install 'jupyter-cluster[{extra}]'"
    )


class RegistryError(ClusterError):
    """The registry of clusters on disk does not hold what was asked for."""


class NoClusterError(RegistryError):
    """No cluster is running."""


class ConnectionLostError(ClusterError):
    """The head cannot be reached, or the connection was closed for good."""


class ProviderError(ClusterError):
    """A provider could not do what was asked; `node_type` names what it was about."""

    def __init__(self, message: str, node_type: str | None = None) -> None:
        super().__init__(message)
        self.node_type = node_type


class CapacityError(ProviderError):
    """The provider has no machine of that type at the moment."""


class CredentialsError(ProviderError):
    """The credentials for the provider are missing, wrong or expired."""


class SetupError(ProviderError):
    """A machine is there but could not be reached or set up; `stage` says how far it came."""

    def __init__(self, message: str, stage: str = "", node_type: str | None = None) -> None:
        super().__init__(message, node_type)
        self.stage = stage


class QuotaError(ProviderError):
    """The account's quota does not allow more machines."""


class SerializationError(ClusterError):
    """A function, an argument or a result cannot be sent to another process."""


class GetTimeoutError(ClusterError, TimeoutError):
    """Results were not there in time; the tasks go on."""


class JobError(ClusterError):
    """There is no such job, or it cannot do what was asked."""


class TaskError(ClusterError):
    """A task did not return a value.

    Attributes
    ----------
    job : str
        Name of the job.
    index : int
        The task's position in the job, counted from 0; -1 where unknown.
    node : str
        The node that ran it last; empty where it never ran.
    """

    def __init__(self, message: str, job: str = "", index: int = -1, node: str = "") -> None:
        super().__init__(message)
        self.job = job
        self.index = index
        self.node = node

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.job, self.index, self.node)


class RemoteTraceback(TaskError):
    """The traceback of a task's own exception, as text, from the node that ran it."""

    def __str__(self) -> str:
        return "\n" + super().__str__().rstrip()


class ControlFlowError(TaskError):
    """A task has raised what would act as the caller's own control flow, e.g. StopIteration.

    Attributes
    ----------
    raised : str
        The name of its class; the exception itself is the ``__cause__``.
    """

    def __init__(
        self, message: str, job: str = "", index: int = -1, node: str = "", raised: str = ""
    ) -> None:
        super().__init__(message, job, index, node)
        self.raised = raised

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.job, self.index, self.node, self.raised)


class TaskCancelledError(TaskError):
    """The task was cancelled before it returned."""


class InfeasibleError(TaskError):
    """No node of the cluster can ever hold the task."""


class TaskTimeoutError(TaskError, TimeoutError):
    """The task ran longer than its `timeout`."""


class TaskCrashedError(TaskError):
    """The process that ran the task died."""


class TaskMemoryError(TaskCrashedError):
    """The task used more memory than its `memory` and was ended."""


class ResultLostError(TaskError):
    """A large result went with its node and the task cannot be run again."""
