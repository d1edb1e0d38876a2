"""The view of a cluster as HTML, section by section. Pure.

One form serves the live panel, which is changed in place, the page, and an exported notebook. What
is shown is decided by `viewmodel`; here it gets its elements and classes. Buttons have a
``data-do``; what they do is in `notebook.panel.live`. Everything with a name of the user's is
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from jupyter_cluster.panel.chart import chart
from jupyter_cluster.viewmodel.model import (
    Action,
    Bar,
    Cell,
    ClusterView,
    Column,
    Controls,
    Decision,
    Row,
    Table,
    Tile,
    Words,
)


def sections(view: ClusterView) -> dict[str, str]:
    """All sections by their names, in the order in which they stand."""
    return {
        "header": header(view),
        "controls": controls(view.controls),
        "chart": chart(view.chart),
        "jobs": table(view.jobs),
        "nodes": table(view.nodes),
        "events": events(view),
    }


def header(view: ClusterView) -> str:
    """The name, the state, and the figures that one looks at first."""
    title = f'<span class="jc-name">{escape(view.name)}</span>{_pill(view.state)}'
    place = f'<span class="jc-faint">{escape(view.place)}</span>' if view.place else ""
    blank = _blank(view.blank) if view.blank else ""
    tiles = "".join(_tile(tile) for tile in view.tiles)
    problems = "".join(f'<div class="jc-problem">{escape(line)}</div>' for line in view.problems)
    shown = f'<div class="jc-tiles">{tiles}</div>' if tiles else ""
    return f'<div class="jc-title">{title}{place}</div>{blank}{shown}{problems}'


def controls(shown: Controls | None) -> str:
    """The limits, to be changed, and the end of the cluster."""
    if shown is None:
        return ""
    limits = "".join(
        f'<label>{limit.before} <input type="number" min="0"'
        f' data-limit="{escape(limit.node_type)}" value="{limit.value}"> {escape(limit.after)}'
        "</label>"
        for limit in shown.limits
    )
    return f'{limits}{_button(shown.scale)}<span class="jc-space"></span>{_button(shown.down)}'


def table(shown: Table) -> str:
    """A table with its heading."""
    if shown.blank:
        return _section(shown.title, 0, _blank(shown.blank))
    heads = "".join(f"<th{_class(*_looks(c))}>{escape(c.title)}</th>" for c in shown.columns)
    rows = "".join(_row(row, shown.columns) for row in shown.rows)
    more = f'<div class="jc-faint">{escape(shown.more)}</div>' if shown.more else ""
    made = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{more}"
    return _section(shown.title, shown.count, made)


def events(view: ClusterView) -> str:
    """The newest lines of the event log, newest first."""
    if view.events_blank:
        return _section("events", 0, _blank(view.events_blank))
    return _section("events", 0, "".join(_event(event) for event in view.events))


def _event(event: Decision) -> str:
    return (
        f'<div class="jc-event jc-{escape(event.kind)}" data-key="{event.number}">'
        f'<span class="jc-faint">{event.clock}</span><span class="jc-kind">{event.symbol}</span>'
        f"<span>{escape(event.text)}</span></div>"
    )


# -- elements -------------------------------------------------------------------------------------


def _tile(tile: Tile) -> str:
    lines = (("label", tile.label), ("value", tile.value), ("below", tile.below))
    inside = "".join(f'<div class="jc-{name}">{escape(text)}</div>' for name, text in lines)
    looks = _class("jc-tile", f"jc-{tile.meaning}" if tile.meaning else "")
    return f'<div{looks} data-key="{escape(tile.label)}">{inside}</div>'


def _pill(words: Words) -> str:
    hint = f' title="{escape(words.hint)}"' if words.hint else ""
    return f'<span class="jc-pill jc-{words.meaning}"{hint}>{escape(words.text)}</span>'


def _bar(bar: Bar) -> str:
    parts = "".join(
        f'<div class="jc-bar-{part.meaning}" style="width: {100 * part.share:.1f}%"></div>'
        for part in bar.shares
    )
    said = escape(bar.text)
    return f'<div class="jc-bar" role="img" aria-label="{said}" title="{said}">{parts}</div>'


def _button(action: Action) -> str:
    target = f' data-job="{escape(action.target)}"' if action.target else ""
    ask = f' data-ask="{escape(action.question)}"' if action.question else ""
    danger = _class("jc-danger" if action.question else "")
    return (
        f'<button{danger} data-do="{action.do}"{target}{ask}'
        f' aria-label="{escape(f"{action.label} {action.about}")}">{escape(action.label)}</button>'
    )


def _row(row: Row, columns: Iterable[Column]) -> str:
    cells = "".join(_cell(cell, c) for cell, c in zip(row.cells, columns, strict=True))
    return f'<tr data-key="{escape(row.key)}">{cells}</tr>'


def _cell(cell: Cell, column: Column) -> str:
    words, looks = cell.words, list(_looks(column))
    if cell.is_state:
        content = _pill(words)
    elif words.hint:
        content = f'<span title="{escape(words.hint)}">{escape(words.text)}</span>'
    else:
        content = escape(words.text)
        looks += [f"jc-{words.meaning}"] if words.meaning else []
    content += _bar(cell.bar) if cell.bar else ""
    content += _button(cell.action) if cell.action else ""
    return f"<td{_class(*looks)}>{content}</td>"


def _looks(column: Column) -> tuple[str, str]:
    return "n" if column.is_number else "", "jc-opt" if column.is_optional else ""


def _class(*names: str) -> str:
    joined = " ".join(name for name in names if name)
    return f' class="{joined}"' if joined else ""


def _blank(text: str) -> str:
    return f'<div class="jc-blank">{escape(text)}</div>'


def _section(title: str, count: int, content: str) -> str:
    shown = f' <span class="jc-faint">{count:,}</span>' if count else ""
    return f'<div class="jc-heading">{title}{shown}</div><div class="jc-scroll">{content}</div>'
