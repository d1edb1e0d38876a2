"""Settings of Dask that hold for heads and agents alike."""

from __future__ import annotations

import dask


def configure_dask() -> None:
    """No limits on memory, profiles or schedules of Dask's own: it runs no tasks here."""
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
