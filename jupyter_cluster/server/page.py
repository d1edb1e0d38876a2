"""What is sent to the browser. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from jupyter_cluster import panel
from jupyter_cluster.client.watch import View
from jupyter_cluster.panel.sections import sections
from jupyter_cluster.viewmodel import cluster_view

SECTIONS = ("header", "chart", "jobs", "nodes", "events")
_HERE = files("jupyter_cluster.server")


def assets() -> dict[str, tuple[str, str]]:
    """The files of a page by their names: content type and text."""
    script = panel.script() + (_HERE / "page.js").read_text()
    style = panel.style() + (_HERE / "page.css").read_text()
    return {"page.js": ("text/javascript", script), "page.css": ("text/css", style)}


def parts(view: View, name: str, now: float) -> dict[str, str]:
    """The sections of a cluster's page as HTML."""
    drawn = sections(cluster_view(view, name, now))
    return {section: drawn[section] for section in SECTIONS}


def cluster_page(name: str) -> str:
    """The page of a cluster; its sections come over the stream."""
    empty = "".join(
        f'<div class="jc-{section}" data-section="{section}"></div>' for section in SECTIONS
    )
    return _document(name, f'{empty}<script type="module" src="page.js"></script>')


def clusters_page(names: Iterable[str]) -> str:
    """A link to the page of each cluster."""
    links = "".join(f'<li><a href="{escape(n)}/">{escape(n)}</a></li>' for n in names)
    listed = (
        f"<ul>{links}</ul>" if links else "<p>There is no cluster; <code>up</code> starts one.</p>"
    )
    return _document(
        "Clusters", f'<div class="jc-title"><span class="jc-name">Clusters</span></div>{listed}'
    )


def _document(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · '
        'jupyter_cluster</title><link rel="icon" href="data:,">'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="page.css"></head>'
        f'<body><main class="jc-panel jc-static">{body}</main></body></html>'
    )
