"""Whether a head that does not answer will come back.

A laptop may sleep and a network fail for long; but a head that has stopped itself, as its budget or
its idle time-out says, will not be back however long one waits. Its provider knows.
"""

from __future__ import annotations

import time

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.model import NodeState

# After so long of silence, and then as often, the head's provider is asked.
ASK_SECONDS = 15.0


class Absence:
    """The silence of one head."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._asked: float | None = None

    def is_over(self) -> None:
        """The head has answered."""
        self._asked = None

    def why_for_good(self) -> str:
        """Why the head will not come back, as a sentence; empty while it may.

        It may take seconds, where the provider of the head's host is asked.
        """
        name = self._entry.name
        if not self._entry.is_alive:
            return f"cluster {name!r} has ended: nothing of it runs any more"
        if not self._entry.is_hosted or not self._is_time():
            return ""
        from jupyter_cluster.client.launch_hosted import head_state  # boto3 and paramiko: 0.3 s

        try:
            state = head_state(self._entry)
        except ClusterError:
            return ""  # the network is gone, or the credentials are: nobody knows
        if state is NodeState.STOPPED:
            return (
                f"the head of cluster {name!r} has stopped and keeps its results: `connect` starts"
                " it again, `down` removes it"
            )
        if state is None:
            return f"the head of cluster {name!r} is gone: `down` removes what is left of it"
        return ""

    def _is_time(self) -> bool:
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        if now - self._asked < ASK_SECONDS:
            return False
        self._asked = now
        return True
