"""The report: its numbers, that it fetches nothing, and that names cannot break out of it."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from jupyter_cluster.demo.posters import make_poster
from jupyter_cluster.demo.report import Report, render_report, summarise, write_report

pytestmark = pytest.mark.unit

EVIL = "</script><script>alert(1)</script>"


def report(**changes) -> Report:
    """A job of 300 images on two nodes."""
    series = [
        {"t": t, "images_per_second": 10.0, "done": 10 * t, "queued": 0, "nodes": n, "slots": n}
        for t, n in ((0, 0), (10, 1), (30, 2))
    ]
    events = [
        {"t": 0.5, "kind": "scale-up", "text": "2 nodes more: 300 tasks wait"},
        {"t": 3.0, "kind": "node", "text": "local-1 is ready"},
    ]
    whole = Report("Palettes", 300, (), 30.0, 5.5, 2, series, events)
    return replace(whole, **changes)


class Page(HTMLParser):
    """Gathers the tags, the attributes and, outside of scripts and styles, the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.text += f"{data} "


def test_numbers_are_derived_from_what_was_measured() -> None:
    done = report()
    assert done.rate == 10
    assert done.speed_up == pytest.approx(10 / 5.5)
    assert done.efficiency == pytest.approx(10 / 11)
    assert done.nodes == 2


def test_what_was_not_measured_is_none_and_says_why() -> None:
    bare = report(one_process_rate=None, series=())
    assert (bare.speed_up, bare.efficiency, bare.nodes) == (None, None, None)
    text = Page(render_report(bare)).text
    assert text.count("one process was not measured") == 2
    assert "no samples" in text


def test_the_headline_shows_all_six_numbers() -> None:
    text = Page(render_report(report())).text
    for shown in ("300", "30 s", "10.0", "1.82×", "over 5.5 images/s", "91%", "of 2 cores"):
        assert shown in text


def test_the_summary_says_what_failed_and_that_it_was_interrupted() -> None:
    failed = [("a.jpg", "cut off")]
    text = summarise(report(images=1, failed=failed, interrupted=True, note="Go on with --resume."))
    assert "1 palette in 30 s" in text
    assert "1 image failed" in text
    assert "interrupted" in text
    assert text.endswith("Go on with --resume.")


def test_decisions_have_reason_and_time_and_other_events_are_folded_away() -> None:
    html = render_report(report())
    table, folded = html.index("2 nodes more: 300 tasks wait</td>"), html.index("<details>")
    assert table < folded < html.index("local-1 is ready</td>")
    assert "0.5 s" in Page(html).text


def test_empty_parts_say_why() -> None:
    text = Page(render_report(report(images=0, seconds=0.0, series=(), events=()))).text
    for reason in ("None: the nodes that were there", "no image was done", "None of those"):
        assert reason in text


def test_failed_images_are_listed_by_name() -> None:
    text = Page(render_report(report(failed=[("a<b>.txt", "a<b>.txt is not an image")]))).text
    assert "a<b>.txt is not an image" in text


def test_nothing_in_it_refers_to_another_place() -> None:
    html = render_report(report())
    page = Page(html)
    assert not {"link", "iframe", "base"} & set(page.tags)
    for _, name, value in page.attributes:
        if name in ("src", "href"):
            assert (value or "").startswith("data:")
    assert "default-src 'none'" in html


def test_names_and_sentences_cannot_break_out() -> None:
    plain = Page(render_report(report(failed=[("a", "b")], palettes=[("a", Path("a"), [])])))
    evil = report(
        title=EVIL,
        failed=[(EVIL, EVIL)],
        events=[{"t": 1.0, "kind": kind, "text": EVIL} for kind in ("scale-up", "node")],
        palettes=[(EVIL, Path(EVIL), [])],
        note=EVIL,
    )
    page = Page(render_report(evil))
    assert page.tags.count("script") == plain.tags.count("script")
    assert "<script>alert" not in render_report(evil)


def test_palettes_stand_beside_a_thumbnail(tmp_path: Path) -> None:
    make_poster(tmp_path / "p.jpg", 1, size=(200, 300))
    colours = [(10 * k, 0, 255) for k in range(6)]
    page = Page(render_report(report(palettes=[("p", tmp_path / "p.jpg", colours)])))
    (source,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    kind, data = (source or "").split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(BytesIO(b64decode(data))) as thumbnail:
        assert thumbnail.size == (150, 225)
    assert re.findall(r"#[0-9a-f]{6}", page.text) == [f"#{10 * k:02x}00ff" for k in range(6)]


def test_a_thumbnail_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    missing = [("p", tmp_path / "p.jpg", [(1, 2, 3)])]
    assert "no picture: No such file" in Page(render_report(report(palettes=missing))).text


def test_the_file_is_the_same_each_time_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, report(title="older"))
    write_report(path, report())
    assert path.read_text(encoding="utf-8") == render_report(report())
