"""All clusters of the registry, followed for as long as somebody looks.

Each is followed once, on a thread of its watch, however many browsers look. What a watch was told
is copied there; what is shown of it is made here, when it is asked for, and once for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jupyter_cluster.background import Guard, start_task
from jupyter_cluster.client.registry import Entry, entries
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.server import operations
from jupyter_cluster.viewmodel import card, cluster_view, kept_card, summary
from jupyter_cluster.viewmodel.model import Card, ClusterView, Operation, Overview, Words

# How often the registry and the operations are looked at.
LOOK_SECONDS = 0.5
# How long clusters are followed after the last one has looked.
IDLE_SECONDS = 30.0
# How long one that has ended is shown to who has it open; one whose machine is gone is then looked
# for again.
LAST_SECONDS = 60.0
# How long a first answer waits for the heads.
FIRST_SECONDS = 3.0


class Followed:
    """A cluster that is followed, and what was told of it last.

    Attributes
    ----------
    created
        When it was born: another one of its name has another moment.
    view
        A copy, which nobody changes.
    changes
        How often it has changed.
    """

    def __init__(self, place: Entry, on_change: Callable[[], None]) -> None:
        self.name, self.created = place.name, place.created
        self.view = View()
        self.changes = 0
        self._has_stopped = False
        self._loop, self._on_change = asyncio.get_running_loop(), on_change
        self._drawn: tuple[int, Card] | None = None
        self._whole: tuple[int, ClusterView] | None = None
        self._watch = Watch(place, self._take)
        self._watch.start()

    def _take(self, view: View) -> None:
        """On the watch's thread."""
        copied = replace(view, events=deque(view.events), samples=deque(view.samples))
        with contextlib.suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._tell, copied)

    def _tell(self, view: View) -> None:
        self.view = view
        self.changes += 1
        self._on_change()

    @property
    def has_ended(self) -> bool:
        """Whether there is nobody to follow any more."""
        return self.view.contact is Contact.ENDED

    def is_done_with(self, created: float | None, runs: bool) -> bool:
        """Whether it is to be followed no longer, or anew.

        Parameters
        ----------
        created
            When the cluster was born that has this name now; None where there is none.
        runs
            Whether that one runs.
        """
        self._has_stopped |= not runs
        if created not in (None, self.created):
            return True
        long_ago = time.time() - self.view.since > LAST_SECONDS
        return self.has_ended and (long_ago or (runs and self._has_stopped))

    def card(self) -> Card:
        """The cluster in short."""
        if self._drawn is None or self._drawn[0] != self.changes:
            self._drawn = self.changes, card(self.view, self.name, time.time())
        return self._drawn[1]

    def whole(self) -> ClusterView:
        """All that is shown of it."""
        if self._whole is None or self._whole[0] != self.changes:
            self._whole = self.changes, cluster_view(self.view, self.name, time.time())
        return self._whole[1]

    def close(self) -> None:
        """Follow it no longer."""
        self._watch.close()


@dataclass(frozen=True)
class _Found:
    """What is on disk: all clusters, the names of those that run, and operations."""

    places: Sequence[Entry] = ()
    running: frozenset[str] = frozenset()
    kept: Mapping[str, Card] = field(default_factory=dict)
    operations: Sequence[Operation] = ()


def _on_disk() -> _Found:
    places = entries()
    running = frozenset(place.name for place in places if place.is_alive)
    kept = {place.name: _kept(place) for place in places if place.name not in running}
    return _Found(places, running, kept, operations.operations())


def _kept(place: Entry, why: str = "") -> Card:
    return kept_card(place.name, place.provider, place.created, place.is_hosted, why)


class Following:
    """The clusters of this user, for all who look at them through this server."""

    def __init__(self) -> None:
        self._found = _Found()
        self._followed: dict[str, Followed] = {}
        self._news = asyncio.Event()
        self._asked = 0.0
        self._task: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()  # of several that come first, one begins for all

    async def ready(self) -> None:
        """Begin to follow, where nobody has looked for a while, and wait for what heads say."""
        self._asked = time.monotonic()
        async with self._beginning:
            if self._task is not None and not self._task.done():
                return
            await self.look()
            self._task = start_task("following clusters", self._follow())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_have_told(), FIRST_SECONDS)

    def next_news(self) -> asyncio.Event:
        """Is set when something changes from now on, which is asked for by who looks on."""
        self._asked = time.monotonic()
        return self._news

    def overview(self, opened: Iterable[str]) -> Overview:
        """All clusters as they are known now, and the whole views of those that are opened."""
        return Overview(
            names=[place.name for place in self._found.places],
            cards=[self._card(place) for place in self._found.places],
            summary=self._summary(),
            operations=list(self._found.operations),
            views=[self._followed[name].whole() for name in opened if name in self._followed],
        )

    def view(self, name: str) -> ClusterView | None:
        """All that is shown of a cluster; None where it does not run."""
        followed = self._followed.get(name)
        return None if followed is None else followed.whole()

    def _card(self, place: Entry) -> Card:
        followed = self._followed.get(place.name)
        if followed is None or place.name not in self._found.running:
            return self._found.kept.get(place.name) or _kept(place)
        return _kept(place, followed.view.problem) if followed.has_ended else followed.card()

    def _summary(self) -> Words:
        running = self._found.running
        return summary(one.view for name, one in self._followed.items() if name in running)

    async def _all_have_told(self) -> None:
        while any(one.view.contact is Contact.CONNECTING for one in self._followed.values()):
            await self._news.wait()

    async def _follow(self) -> None:
        """Look at the registry until nobody has looked at us for a while."""
        guard = Guard("looking for clusters")
        try:
            while time.monotonic() - self._asked < IDLE_SECONDS:
                await asyncio.sleep(LOOK_SECONDS)
                with guard:
                    await self.look()
        finally:
            for one in self._followed.values():
                one.close()
            self._followed.clear()

    async def look(self) -> None:
        """See which clusters and operations there are now."""
        found = await asyncio.to_thread(_on_disk)
        there = {place.name: place.created for place in found.places}
        for name, one in list(self._followed.items()):
            if one.is_done_with(there.get(name), name in found.running):
                one.close()
                del self._followed[name]
        for place in found.places:
            if place.name in found.running and place.name not in self._followed:
                self._followed[place.name] = Followed(place, self._tell)
        if found != self._found:
            self._found = found
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
