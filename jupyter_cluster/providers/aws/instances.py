"""The instances of a cluster as EC2 has them; what was launched a moment ago is not forgotten."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Any

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.service import SETTLE_SECONDS, Service, code_of
from jupyter_cluster.providers.aws.tags import HEAD, Owner

ALIVE = ("pending", "running", "stopping", "stopped")
# EC2 advises against larger requests (its "Troubleshoot API requests").
_TERMINATE_BATCH = 100
_UNKNOWN = "InvalidInstanceID.NotFound"


class Instances:
    """Found by their tags; rows are as boto3 describes them."""

    def __init__(self, service: Service, owner: Owner) -> None:
        self._service, self._owner = service, owner
        # What this process has launched, which EC2 may not show yet.
        self._launched: dict[str, tuple[float, dict[str, Any]]] = {}
        # What it has ended, which EC2 may show running for a while still.
        self._ended: set[str] = set()
        self._made: set[str] = set()

    def note_launched(self, rows: Iterable[dict[str, Any]]) -> None:
        """These are there, whatever EC2 says about it in the next minute."""
        for row in rows:
            self._launched[row["InstanceId"]] = (time.monotonic(), row)
            self._made.add(row["InstanceId"])

    def rows(self) -> list[dict[str, Any]]:
        """All instances of the cluster that are not terminated, without those ended here."""
        return [row for row in self._known() if row["InstanceId"] not in self._ended]

    def _known(self) -> list[dict[str, Any]]:
        """The same as EC2 has them, and what was launched a moment ago."""
        found = self._described()
        for name, (at, row) in list(self._launched.items()):
            if name in found or time.monotonic() - at > SETTLE_SECONDS:
                del self._launched[name]
            else:
                found[name] = row
        return [row for row in found.values() if row["State"]["Name"] in ALIVE]

    def heads(self) -> list[dict[str, Any]]:
        """The heads of all clusters of this name, whoever has made them."""
        labels = {tags.CLUSTER: self._owner.name, tags.KIND: tags.HEAD}
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in labels.items()]
        filters.append({"Name": "instance-state-name", "Values": [*ALIVE]})
        pages = self._service.pages("describe_instances", "Reservations", Filters=filters)
        return [row for reservation in pages for row in reservation["Instances"]]

    def not_terminated(self) -> list[dict[str, Any]]:
        """The same with those that are shutting down."""
        found = self._described(*ALIVE, "shutting-down")
        found |= {row["InstanceId"]: row for row in self._known()}
        return list(found.values())

    def ended(self, nodes: Collection[str]) -> dict[str, dict[str, Any]]:
        """The instances of nodes that have ended, as long as EC2 shows them: about an hour.

        A cluster has had other heads, perhaps: where this process has launched one, that is meant.
        """
        found: dict[str, dict[str, Any]] = {}
        described = self._described("shutting-down", "terminated").values()
        for row in sorted(described, key=lambda row: row["LaunchTime"]):
            node = tags.node_of(row)
            is_other = bool(self._made) and row["InstanceId"] not in self._made
            if node in nodes and not (node == HEAD and is_other):
                found[node] = row
        return found

    def _described(self, *states: str) -> dict[str, dict[str, Any]]:
        pages = self._service.pages(
            "describe_instances", "Reservations", Filters=self._owner.filters(*states)
        )
        return {row["InstanceId"]: row for reservation in pages for row in reservation["Instances"]}

    def check_terminate(self, machines: list[str]) -> None:
        """Ask whether these might be ended; none is.

        Raises
        ------
        ProviderError
            The credentials may not do it, or have expired.
        """
        try:
            if machines:
                batch = machines[:_TERMINATE_BATCH]
                self._service.ask("terminate_instances", InstanceIds=batch, DryRun=True)
        except ProviderError as error:
            # The answer where it would be done; one that is gone meanwhile is no matter.
            if code_of(error) not in ("DryRunOperation", _UNKNOWN):
                raise

    def terminate(self, machines: list[str]) -> None:
        """End these; all in one call, or where EC2 does not know one of them, each in its own.

        Raises
        ------
        ProviderError
            One could not be ended.
        """
        for at in range(0, len(machines), _TERMINATE_BATCH):
            batch = machines[at : at + _TERMINATE_BATCH]
            try:
                self._service.ask("terminate_instances", InstanceIds=batch)
            except ProviderError as error:
                if code_of(error) != _UNKNOWN:
                    raise
                if len(batch) > 1:
                    for machine in batch:
                        self.terminate([machine])
                elif batch[0] in self._launched:  # it exists and is not known everywhere yet
                    raise
            for machine in batch:
                self._launched.pop(machine, None)
                self._ended.add(machine)
