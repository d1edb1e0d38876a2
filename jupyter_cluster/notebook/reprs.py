"""Clusters, jobs and tables as notebooks show them: HTML with a text form, everything escaped.

A *bundle* is what a `_repr_mimebundle_` returns: the same content by MIME type.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from jupyter_cluster.commands.tables import Table, as_text
from jupyter_cluster.commands.views import job_line, status_parts
from jupyter_cluster.formats import printable, printable_line

Bundle = dict[str, str]

TEXT, HTML = "text/plain", "text/html"


def bundle(*parts: str | Table) -> Bundle:
    """Lines of text and tables as one output."""
    texts = [printable(part) if isinstance(part, str) else as_text(part) for part in parts]
    html = "".join(line_html(part) if isinstance(part, str) else table_html(part) for part in parts)
    return {TEXT: "\n".join(texts), HTML: f"<div>{html}</div>"}


def page_link(cluster: str, path: str) -> Bundle:
    """A link to a cluster's page on the Jupyter server."""
    link = f'<a href="{escape(path)}" target="_blank" rel="noopener">{escape(path)}</a>'
    said = f"The page of cluster {cluster!r} on this Jupyter server:"
    return {TEXT: f"{said} {path}", HTML: f"<div>{escape(said)} {link}</div>"}


def cluster_bundle(status: Mapping[str, Any]) -> Bundle:
    """A cluster, from the head's status."""
    return bundle(*status_parts(status))


def job_bundle(job: Mapping[str, Any]) -> Bundle:
    """A job with its progress, from the head's row for it."""
    ended = job["done"] + job["failed"] + job["cancelled"]
    line = job_line(job)
    html = f"<div>{line_html(line)}{bar_html(ended, job['total'])}{_note_html(job['note'])}</div>"
    text = "\n".join(filter(None, [line, job["note"]]))
    return {TEXT: printable(text), HTML: html}


def _note_html(note: str) -> str:
    return line_html(note) if note else ""


def line_html(text: str) -> str:
    """A line of text; spaces are kept, so that columns stand below one another."""
    return f'<div style="white-space: pre-wrap">{escape(printable(text))}</div>'


def bar_html(done: int, total: int) -> str:
    """How far something is; without a total, only that it goes on."""
    value = f' value="{int(done)}" max="{int(total)}"' if total else ""
    return f'<progress style="width: 20em"{value}></progress>'


def table_html(table: Table) -> str:
    """A table under its title."""
    rows = "".join(f"<tr>{_cells(table, row)}</tr>" for row in table.rows)
    headings = "".join(
        f'<th style="{_align(table, heading)}">{_escaped(heading)}</th>'
        for heading in table.headings
    )
    return (
        f'<table><caption style="text-align: left">{_escaped(table.title)}</caption>'
        f"<thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cells(table: Table, row: tuple[str, ...]) -> str:
    return "".join(
        f'<td style="{_align(table, heading)}">{_escaped(value)}</td>'
        for heading, value in zip(table.headings, row, strict=True)
    )


def _escaped(text: str) -> str:
    return escape(printable_line(text))


def _align(table: Table, heading: str) -> str:
    return f"text-align: {'right' if table.is_number(heading) else 'left'}"
