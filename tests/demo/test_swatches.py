"""Palettes as HTML."""

from __future__ import annotations

import pytest

from jupyter_cluster.demo.swatches import hexadecimal, palette_html

pytestmark = pytest.mark.unit


def test_palettes_are_swatches_with_escaped_names() -> None:
    html = palette_html({"<b>": [(255, 0, 10), (1, 2, 3)], "other": []})
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.index("background: #ff000a") < html.index("background: #010203")
    assert "no colours found" in html
    assert "no image is done" in palette_html({})
    assert hexadecimal((0, 128, 255)) == "#0080ff"
