"""The routes of the page, on top of whatever handler asks who is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated

from jupyter_cluster.client.registry import NAME, Entry, entries, entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.server import page

# A line without news, so that a browser that has gone is noticed.
PING_SECONDS = 15.0


def routes(base: type[Any], prefix: str) -> list[tuple[str, type[Any]]]:
    """The page's routes below a prefix, which ends with a slash.

    Parameters
    ----------
    base
        A handler of tornado whose `current_user` is None for strangers.
    """
    name, files = f"(?P<name>{NAME.pattern})", "|".join(page.assets())

    class Clusters(base):  # type: ignore[misc]
        """Links to all pages."""

        @authenticated
        def get(self) -> None:
            self.finish(page.clusters_page([place.name for place in entries()]))

    class Cluster(base):  # type: ignore[misc]
        """The page of a cluster."""

        @authenticated
        def get(self, name: str) -> None:
            _known(name)
            self.finish(page.cluster_page(name))

    class Asset(base):  # type: ignore[misc]
        """Script and style of the pages, beside each."""

        @authenticated
        def get(self, file: str, name: str = "") -> None:
            kind, text = page.assets()[file]
            self.set_header("Content-Type", kind)
            self.finish(text)

    class Stream(base):  # type: ignore[misc]
        """The sections of a page, each as it changes, as server-sent events."""

        @authenticated
        async def get(self, name: str) -> None:
            place = _known(name)
            self.set_header("Content-Type", "text/event-stream")
            self.set_header("Cache-Control", "no-store")
            self.set_header("X-Accel-Buffering", "no")  # a proxy must not gather them
            with contextlib.suppress(StreamClosedError):  # the browser has gone
                async for line in _events(place):
                    self.write(line)
                    await self.flush()

    # Not "stream": the API has that, and a cluster may be called "api".
    return [
        (prefix, Clusters),
        (f"{prefix}(?P<file>{files})", Asset),
        (f"{prefix}{name}/", Cluster),
        (f"{prefix}{name}/follow", Stream),
        (f"{prefix}{name}/(?P<file>{files})", Asset),
    ]


def _known(name: str) -> Entry:
    place = entry(name)
    if not place.exists:
        raise HTTPError(404, reason=f"there is no cluster {name}")
    return place


async def _events(place: Entry) -> Any:
    """What changes of a cluster's page, until the cluster has ended."""
    loop, news = asyncio.get_running_loop(), asyncio.Queue[tuple[dict[str, str], bool]]()

    def on_change(view: View) -> None:
        # Drawn here, on the watch's thread: nobody else changes the view, and the loop is free.
        drawn = page.parts(view, place.name, time.time()), view.contact is Contact.ENDED
        with contextlib.suppress(RuntimeError):  # the loop has just closed
            loop.call_soon_threadsafe(news.put_nowait, drawn)

    watch = Watch(place, on_change)
    watch.start()
    shown: dict[str, str] = {}
    try:
        while True:
            try:
                parts, is_over = await asyncio.wait_for(news.get(), PING_SECONDS)
            except TimeoutError:
                yield ":\n\n"
                continue
            changed = {key: html for key, html in parts.items() if shown.get(key) != html}
            shown |= changed
            yield f"data: {json.dumps(changed)}\n\n"
            if is_over:
                yield "event: end\ndata:\n\n"
                return
    finally:
        watch.close()
