"""Tasks that wait for the results of others: refs among their arguments."""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_cluster.head.job import CANCELLED, DONE, FAILED, WAITING, Job


class Dependencies:
    """Which task waits for which results."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._waiting: dict[str, list[tuple[str, int]]] = {}

    def locate(self, key: str) -> tuple[Job | None, int]:
        """The job and position that a ref's key names; no job where it is gone."""
        name, _, position = key.partition(":")
        return self._jobs.get(name), int(position)

    def add(self, job: Job, refs: Mapping[int, list[str]]) -> list[int]:
        """Tasks have these refs; returns those whose refs have all ended already."""
        settled = []
        for index, keys in refs.items():
            job.refs[index] = keys
            missing = [key for key in dict.fromkeys(keys) if not self._has_ended(key)]
            for key in missing:
                self._waiting.setdefault(key, []).append((job.id, index))
            job.set_states(index, index + 1, WAITING)
            if not missing:
                settled.append(index)
        return settled

    def ended(self, job: Job, start: int, stop: int) -> list[tuple[Job, int]]:
        """These tasks have ended; returns the tasks that now wait for nothing any more."""
        if not self._waiting:
            return []
        settled = []
        for index in range(start, stop):
            for name, position in self._waiting.pop(f"{job.id}:{index}", ()):
                other = self._jobs.get(name)
                if other is not None and self._is_settled(other, position):
                    settled.append((other, position))
        return settled

    def without_value(self, job: Job, index: int) -> tuple[Job | None, int] | None:
        """The first ref of a task that has no value; None where all have one."""
        for key in job.refs[index]:
            other, position = self.locate(key)
            if other is None or position >= len(other.states):
                return None, position
            if other.states[position] != DONE:
                return other, position
        return None

    def _is_settled(self, job: Job, index: int) -> bool:
        return job.states[index] == WAITING and all(map(self._has_ended, job.refs[index]))

    def _has_ended(self, key: str) -> bool:
        job, index = self.locate(key)
        if job is None:
            return True
        if index >= len(job.states):  # the task itself is still on its way from the client
            return job.sealed
        return job.states[index] in (DONE, FAILED, CANCELLED)
