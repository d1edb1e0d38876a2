"""What the head tells of the cluster: the values of its endpoint and of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_cluster.errors import ClusterError, JobError
from jupyter_cluster.head.waiting import Place, why_waiting
from jupyter_cluster.model import NodeType

if TYPE_CHECKING:
    from jupyter_cluster.head.job import Job
    from jupyter_cluster.head.service import Head

# Of a node's set-up log the end is shown, where the reason of a failure is.
SETUP_LOG_BYTES = 200_000


class Report:
    """Looks at the parts of a head, and changes nothing."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def status(self) -> dict[str, Any]:
        """The cluster at a glance."""
        nodes = self.nodes()
        return {
            "version": 1,
            "cluster": self._head.identity["name"],
            "id": self._head.identity["id"],
            "provider": self._head.config.provider.type,
            "state": "ending" if self._head.is_ending else "running",
            "started": self._head.started,
            "nodes": nodes,
            "max_workers": self._head.targets.limits.max_workers,
            "node_types": [_type_row(one) for one in self._head.fleet.node_types.values()],
            "jobs": self.job_list(),
            "cost": self._head.fleet.cost(),
            "infeasible": list(self._head.infeasible),
            "problem": self._head.journal.problem,
            "clients": self._head.sessions.count,
            "idle_timeout_minutes": self._head.config.cluster_idle_timeout_minutes,
        }

    def nodes(self) -> list[dict[str, Any]]:
        """A row for each node that is not gone."""
        return list(self._head.fleet.describe(self._head.dispatcher.nodes))

    def setup_log(self, node: str) -> str:
        """What setting a node up has written, of late; empty where there was nothing to set up.

        Raises
        ------
        ClusterError
            The cluster never had such a node.
        """
        if node not in self._head.fleet.members:
            raise ClusterError(f"this cluster has no node {node!r} and never had one")
        try:
            with (self._head.folder / "logs" / f"{node}.log").open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - SETUP_LOG_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def job_list(self) -> list[dict[str, Any]]:
        """A row for each job, values that were put left out."""
        return [self.job_info(j) for j in self._head.jobs.by_id.values() if j.spec.kind != "put"]

    def job_info(self, job: Job) -> dict[str, Any]:
        """A job with its rate."""
        rate = self._head.metrics.rate(job) if not job.finished else None
        row = {**job.info().as_dict(), "rate": rate, "kind": job.spec.kind}
        if job.is_cell:
            spec = job.spec
            row |= {"session": spec.session, "nodes": spec.nodes, "outs": spec.outs}
            row["values"] = spec.values
        return row

    def why_waiting(self, job: Job) -> str:
        """What the next task of a job waits for; empty where none waits."""
        place = Place(
            self._head.dispatcher.nodes.values(),
            self._head.fleet.alive,
            self._head.fleet.node_types,
            self._head.targets.limits,
            self._head.infeasible,
        )
        return why_waiting(job, place)

    def find_job(self, name: str) -> Job:
        """A job by its id or its name; the newest of that name.

        Raises
        ------
        JobError
            There is none; the message names those that there are.
        """
        if name in self._head.jobs.by_id:
            return self._head.jobs.by_id[name]
        named = [job for job in self._head.jobs.by_id.values() if job.spec.name == name]
        if not named:
            known = ", ".join(sorted({j["name"] for j in self.job_list()})) or "none"
            raise JobError(f"there is no job {name!r}; there are: {known}")
        return max(named, key=lambda job: job.submitted)


def _type_row(node_type: NodeType) -> dict[str, Any]:
    return {
        "name": node_type.name,
        "resources": node_type.resources.as_dict(),
        "min_workers": node_type.min_workers,
        "max_workers": node_type.max_workers,
        "price": node_type.price,
        "boot_seconds": node_type.boot_seconds,
    }
