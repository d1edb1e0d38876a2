"""Settings of Dask that hold for heads and agents alike."""

from __future__ import annotations

from typing import Any, NoReturn

import dask
from distributed.protocol import pickle


def configure_dask() -> None:
    """Make this process one of the engine: it runs no Dask tasks, and it loads no pickles.

    Dask's limits on memory, its profiles and its schedules are switched off.
    """
    # Dask unpickles parts of a message while it reads it, before any handler can ask for the
    # sender's role, and whatever `deserializers` says: a certificate of any role could run code
    # here. What we send is msgpack alone. All of Dask's ways to a pickle look this name up in its
    # module; slots, leased workers and clients are other processes and keep it.
    pickle.loads = _refuse_pickle
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
