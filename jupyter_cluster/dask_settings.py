"""How heads and agents use Dask: what is switched off, and what stands before its doors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from inspect import isawaitable
from typing import Any, NoReturn

import dask
from distributed.comm import CommClosedError, registry
from distributed.comm.tcp import TLS, TLSBackend, TLSListener
from distributed.core import Status, _expects_comm, error_message
from distributed.protocol import pickle

from jupyter_cluster.background import describe
from jupyter_cluster.doors import HANDSHAKE_SECONDS, Door
from jupyter_cluster.trust import Role, require_role

logger = logging.getLogger("jupyter_cluster")


def configure_dask() -> None:
    """Make this process one of the engine: it runs no Dask tasks, and it loads no pickles.

    Dask's limits on memory, its profiles and its schedules are switched off; strangers wait at a
    `Door`.
    """
    # Dask unpickles parts of a message while it reads it, before any handler can ask for the
    # sender's role, and whatever `deserializers` says: a certificate of any role could run code
    # here. What we send is msgpack alone. All of Dask's ways to a pickle look this name up in its
    # module; slots, leased workers and clients are other processes and keep it.
    pickle.loads = _refuse_pickle
    registry.backends["tls"] = _GuardedBackend()
    # It has a traceback for whatever comes that is no message.
    logging.getLogger("distributed.protocol.core").addFilter(_without_trace)
    # And for whatever a handler of its own cannot take; `Handlers` tells the caller why.
    for name in ("distributed.scheduler", "distributed.utils"):
        logging.getLogger(name).addFilter(_without_trace_of_handlers)
    dask.config.set(
        {
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.disk": False,
            "distributed.admin.system-monitor.gil.enabled": False,
            "distributed.comm.retry.count": 0,
            "distributed.scheduler.worker-ttl": "60s",
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.scheduler.work-stealing": False,
        }
    )


def _refuse_pickle(*_args: Any, **_kwargs: Any) -> NoReturn:
    # An OSError, which Dask's servers take for a lost connection: they close it and go on.
    raise PermissionError("a message with a pickle was refused: heads and agents load none")


def _without_trace(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        record.msg = f"{record.getMessage()}: {describe(record.exc_info[1])}"
        record.args, record.exc_info = (), None
    return True


def _without_trace_of_handlers(record: logging.LogRecord) -> bool:
    return _without_trace(record) if record.funcName == "__exit__" else True


class Server:
    """Comes before a Dask server of ours: nonsense ends its own connection, and no more."""

    async def _handle_comm(self, comm: Any) -> None:
        try:
            await super()._handle_comm(comm)  # type: ignore[misc]
        except (TypeError, ValueError, LookupError) as error:
            logger.info("the connection of %s was closed: %s", comm.peer_address, describe(error))
            comm.abort()


class Handlers(dict[str, Callable[..., Any]]):
    """Handlers of a Dask server, each for some roles; whoever may not, or asks for what there is
    not, is told so. By itself Dask writes a traceback into the log for each."""

    def offer(self, name: str, handler: Callable[..., Any], *roles: Role) -> None:
        """Let callers of these roles call this."""

        async def with_role(comm: Any, **arguments: Any) -> Any:
            try:
                require_role(comm.extra_info.get("peercert"), *roles)
                words = (comm,) if _expects_comm(handler) else ()
                result = handler(*words, **arguments)
                return await result if isawaitable(result) else result
            except CommClosedError:  # by itself Dask logs this with its traceback
                logger.debug("%s hung up during %r", comm.peer_address, name)
                comm.abort()
                return Status.dont_reply
            except (PermissionError, TypeError, ValueError, LookupError, OSError) as error:
                logger.info("%r was refused to %s: %s", name, comm.peer_address, describe(error))
                return error_message(error, status="uncaught-error")

        self[name] = with_role

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self.get(name, _refuse)


async def _refuse(comm: Any, **_arguments: Any) -> Any:
    error = PermissionError("there is nothing of this name to call here")
    return error_message(error, status="uncaught-error")


class StreamHandlers(dict[str, Callable[..., Any]]):
    """Handlers of what comes on a Dask stream; what nobody knows is left out."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self.get(name, _ignore)


def _ignore(**_message: Any) -> None:
    logger.info("a message that nobody here knows was left out")


class _GuardedComm(TLS):  # type: ignore[misc]
    """A connection on which nonsense is no more than its end."""

    async def read(self, deserializers: Any = None) -> Any:
        try:
            message = await super().read(deserializers)
            if isinstance(message, dict) and not all(isinstance(key, str) for key in message):
                raise ValueError("a message whose fields are not named by words")
            return message
        except OSError:
            raise
        except Exception as error:
            self.abort()
            raise CommClosedError(f"what came cannot be read: {describe(error)}") from error


class _GuardedListener(TLSListener):  # type: ignore[misc]
    comm_class = _GuardedComm

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._door = Door("the port of the engine")
        self._admitted: dict[Any, Coroutine[Any, Any, bool]] = {}

    def _handle_stream(self, stream: Any, address: Any) -> Coroutine[Any, Any, None]:
        # At once, and not when the loop comes to it: hundreds may be accepted before that.
        self._admitted[stream] = self._door.admit(stream)
        return self._serve(stream, address)

    async def _serve(self, stream: Any, address: Any) -> None:
        try:
            await super()._handle_stream(stream, address)
        except Exception as error:
            self._door.note(f"what it said cannot be understood: {describe(error)}")
            stream.close()

    async def _prepare_stream(self, stream: Any, _address: Any) -> Any:
        return stream if await self._admitted.pop(stream) else None

    async def on_connection(self, comm: Any, overrides: Mapping[str, Any] | None = None) -> None:
        """Dask's own handshake; who has a certificate and says nothing is closed too."""
        try:
            await asyncio.wait_for(super().on_connection(comm, overrides), HANDSHAKE_SECONDS)
        except (TimeoutError, TypeError, LookupError, AttributeError, ValueError) as error:
            comm.abort()
            raise CommClosedError(f"no handshake: {describe(error)}") from error


class _GuardedBackend(TLSBackend):  # type: ignore[misc]
    _listener_class = _GuardedListener
