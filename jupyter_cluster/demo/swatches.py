"""Palettes as rows of swatches, in HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Colour = tuple[int, int, int]


def palette_html(palettes: Mapping[str, Sequence[Colour]]) -> str:
    """Palettes as HTML: a row of swatches for each name."""
    if not palettes:
        return "<p>No palettes: no image is done yet.</p>"
    rows = (
        f'<div style="font: 13px sans-serif; margin-top: 6px">{escape(name)}</div>'
        f"{swatches(colours)}"
        for name, colours in palettes.items()
    )
    return f'<div style="max-width: 420px">{"".join(rows)}</div>'


def swatches(colours: Sequence[Colour]) -> str:
    """The colours of one palette as a row of HTML, each with its hexadecimal name."""
    if not colours:
        return "<div>no colours found</div>"
    blocks = "".join(_swatch(hexadecimal(colour)) for colour in colours)
    return f'<div style="display: flex; border-radius: 6px; overflow: hidden">{blocks}</div>'


def hexadecimal(colour: Colour) -> str:
    """A colour as in CSS: ``#1a2b3c``."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def _swatch(colour: str) -> str:
    return f'<span title="{colour}" style="flex: 1; height: 34px; background: {colour}"></span>'
