"""Functions and modules that jobs name: kept for as long as a job needs them."""

from __future__ import annotations

from collections import Counter

from jupyter_cluster.errors import JobError
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.head.journal import Journal


class Code:
    """Pickled functions and zipped modules by their digests, as clients have sent them.

    A client sends both before the job that names them, and again until the job is in the journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._functions: dict[str, bytes] = dict(journal.read("SELECT id, code FROM functions"))
        self._modules: dict[str, bytes] = dict(journal.read("SELECT id, archive FROM modules"))
        self._users: Counter[str] = Counter()
        # Their job is still to come: another one's end does not drop them.
        self._expected: set[str] = set()

    def add_function(self, digest: str, code: bytes) -> None:
        """A pickled function that jobs will name."""
        if digest not in self._functions:
            self._functions[digest] = code
            self._journal.execute("INSERT OR IGNORE INTO functions VALUES (?, ?)", digest, code)
        self._expected.add(digest)

    def add_modules(self, digest: str, archive: bytes) -> None:
        """Modules that travel with jobs."""
        if digest not in self._modules:
            self._modules[digest] = archive
            self._journal.execute("INSERT OR IGNORE INTO modules VALUES (?, ?)", digest, archive)
        self._expected.add(digest)

    def has(self, digest: str) -> bool:
        """Whether a client has sent it."""
        return digest in self._functions or digest in self._modules

    def function(self, digest: str) -> bytes:
        """The pickled function.

        Raises
        ------
        JobError
            No client has sent it.
        """
        return _found(self._functions, digest, "its function")

    def modules(self, digest: str) -> bytes:
        """The zipped modules; raises as `function` does."""
        return _found(self._modules, digest, "its modules")

    def use(self, spec: JobSpec) -> None:
        """A job needs its code from now on."""
        needed = digests(spec)
        self._users.update(needed)
        self._expected.difference_update(needed)

    def release(self, spec: JobSpec) -> None:
        """A job is forgotten, and its code with it unless another one needs it too."""
        for digest in digests(spec):
            self._users[digest] -= 1
            if self._users[digest] <= 0:
                del self._users[digest]
                self._drop(digest)

    def drop_unused(self) -> None:
        """After a restart: what no job that was taken up needs."""
        for digest in (self._functions.keys() | self._modules.keys()) - self._users.keys():
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        if digest in self._expected:
            return
        if self._functions.pop(digest, None) is not None:
            self._journal.execute("DELETE FROM functions WHERE id = ?", digest)
        if self._modules.pop(digest, None) is not None:
            self._journal.execute("DELETE FROM modules WHERE id = ?", digest)


def digests(spec: JobSpec) -> list[str]:
    """Names of the function and of the modules that a job needs."""
    return [name for name in (spec.fn, str(spec.environment.get("modules") or "")) if name]


def _found(store: dict[str, bytes], digest: str, what: str) -> bytes:
    try:
        return store[digest]
    except KeyError:
        raise JobError(f"{what} never arrived") from None
