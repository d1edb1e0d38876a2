"""A real kernel, timed from the sending of a cell to its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import psutil
from jupyter_client import BlockingKernelClient, KernelManager

PATIENCE_SECONDS = 120.0


class Kernel:
    """Runs cells; nobody looks at what they show."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._client = client
        self._process = psutil.Process(manager.provisioner.pid)

    def run(self, source: str) -> float:
        """Seconds until the kernel has answered.

        Raises
        ------
        RuntimeError
            The cell has raised.
        """
        began = time.perf_counter()
        message = self._client.execute(source)
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE_SECONDS)
            if reply["parent_header"].get("msg_id") == message:
                break
        took = time.perf_counter() - began
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return took

    def cpu_seconds(self) -> float:
        """What its process has used so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def kernel() -> Iterator[Kernel]:
    """A fresh kernel, ready for its first cell."""
    manager = KernelManager(kernel_name="python3")
    # A folder of its own, as a notebook has: modules beside it travel with cells.
    folder = TemporaryDirectory(prefix="bench-kernel-")
    manager.start_kernel(cwd=folder.name)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        folder.cleanup()
