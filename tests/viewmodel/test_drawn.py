"""Whoever draws a view draws all of it, and none of its names as markup or control sequences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from html import escape, unescape
from typing import Any

import pytest
from told import NOW, job, node, view

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.commands.live import panel_text
from jupyter_cluster.panel.sections import sections
from jupyter_cluster.viewmodel import ClusterView, cluster_view
from jupyter_cluster.viewmodel.model import Action, Bar, Chart, Limit

pytestmark = pytest.mark.unit

MARKUP = '<b onclick="x">&'
UNREAD = {"meaning", "kind", "key", "node_type", "do", "target", "of", "unit"}
STATES = [
    view(),
    view(Contact.LOST, "no route"),
    view(Contact.ENDED, "it was ended", nodes=[]),
    view(nodes=[], jobs=[], infeasible=["no type has a GPU"]),
    View(),
]


def words(part: Any, leave_out: tuple[type, ...]) -> Iterator[str]:
    """The texts of a view that are there to be read."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for one in part:
            yield from words(one, leave_out)
    elif is_dataclass(part) and not isinstance(part, leave_out):
        kept = {f.name for f in fields(part)} - {
            "meaning",
            "kind",
            "key",
            "node_type",
            "do",
            "target",
        }
        for name in sorted(kept):
            yield from words(getattr(part, name), leave_out)


@pytest.mark.parametrize("told", STATES, ids=lambda told: str(told.contact))
def test_html_has_every_word(told: View) -> None:
    made = cluster_view(told, "mine", NOW)
    html = unescape("".join(sections(made).values()))
    for text in words(made, leave_out=()):
        assert text in html


@pytest.mark.parametrize("told", STATES, ids=lambda told: str(told.contact))
def test_a_terminal_has_every_word_of_what_has_no_buttons(told: View) -> None:
    made = cluster_view(told, "mine", NOW)
    shown = panel_text(made)
    hints = {cell.words.hint for row in made.nodes.rows for cell in row.cells}
    headings = {"jobs", "nodes"}  # the headings of the columns say it
    for text in words(made, leave_out=(Action, Limit, Bar, Chart)):
        assert text in shown or text in hints | headings | {made.events_blank}
    assert ("░" in shown) == bool(made.jobs.rows)


def named(name: str) -> ClusterView:
    """A view in which everything that somebody may name has this name."""
    told = view(
        cluster=name,
        problem=name,
        infeasible=[name],
        jobs=[job(id=name, name=name, unit=name, note=name)],
        nodes=[node(id=name, type=name, why=name, state=name)],
        node_types=[{"name": name, "min_workers": 0, "boot_seconds": 1.0}],
    )
    for event in told.events:
        event["text"] = name
    return cluster_view(told, name, NOW)


def test_no_name_is_markup() -> None:
    for html in sections(named(MARKUP)).values():
        assert MARKUP not in html
        assert not re.search(r"<b[ >]", html)
    assert escape(MARKUP) in sections(named(MARKUP))["jobs"]


def test_no_name_moves_the_terminal() -> None:
    shown = panel_text(named("a\x1b[2Jb\u202ec"))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
