"""The report of a palette job: one HTML file that needs neither network nor other files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

from jupyter_cluster.charts.throughput import throughput_figure
from jupyter_cluster.demo.swatches import Colour, hexadecimal
from jupyter_cluster.formats import format_seconds

THUMBNAIL = (150, 225)
DECISIONS = ("scale-up", "scale-down", "warning", "error")


@dataclass(frozen=True)
class Report:
    """What a report is written from.

    Attributes
    ----------
    images : int
        Images whose palette was made.
    failed : sequence of (name, message)
        Files that gave no palette, and why.
    seconds : float
        From the submission of the job to its last result.
    one_process_rate : float or None
        Images per second of one process on the same images; None where it was not measured.
    cores : int
        Cores that the job could use.
    series : sequence of mapping
        ``{t, images_per_second, done, queued, nodes, slots}``, in the order of time.
    events : sequence of mapping
        ``{t, kind, text}``; `t` in seconds since the job began.
    palettes : sequence of (name, path, colours)
        A few images to show.
    interrupted : bool
        Whether the job was stopped before its end.
    note : str
        A further sentence for the summary; may be empty.
    """

    title: str
    images: int
    failed: Sequence[tuple[str, str]]
    seconds: float
    one_process_rate: float | None
    cores: int
    series: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    palettes: Sequence[tuple[str, Path, Sequence[Colour]]] = ()
    interrupted: bool = False
    note: str = ""

    @property
    def rate(self) -> float:
        """Images per second over the whole job."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def speed_up(self) -> float | None:
        """Rate over that of one process; None where that was not measured."""
        return self.rate / self.one_process_rate if self.one_process_rate else None

    @property
    def efficiency(self) -> float | None:
        """Speed-up per core, 1 at best; None where one process was not measured."""
        return self.speed_up / self.cores if self.speed_up is not None and self.cores else None

    @property
    def nodes(self) -> int | None:
        """Most nodes at a time; None without samples."""
        return max((sample["nodes"] for sample in self.series), default=None)


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file, in place of one that is there.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    path.write_text(render_report(report), encoding="utf-8")


def render_report(report: Report) -> str:
    """The report as HTML, all of its parts inside."""
    style = files("jupyter_cluster.demo").joinpath("report.css").read_text(encoding="utf-8")
    body = "".join(
        (
            f"<h1>{escape(report.title)}</h1>",
            f'<p class="lead">{escape(summarise(report))}</p>',
            _headline(report),
            _section("Images per second and nodes", _chart(report)),
            _section("Scaling decisions", _decisions(report)),
            _section("Palettes", _palettes(report)),
            _section("Images that failed", _failures(report)),
        )
    )
    # The policy makes sure that nothing is fetched, whatever a file's name holds.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def summarise(report: Report) -> str:
    """The outcome in a few sentences."""
    sentences = [
        f"{_count(report.images, 'palette')} in {format_seconds(report.seconds)}: "
        f"{report.rate:.1f} images per second on {_count(report.cores, 'core')}."
    ]
    if report.speed_up is not None:
        sentences.append(
            f"One process made {report.one_process_rate:.1f} per second of the same images, "
            f"so the cluster was {report.speed_up:.1f} times as fast."
        )
    if report.failed:
        sentences.append(f"{_count(len(report.failed), 'image')} failed and are listed below.")
    if report.interrupted:
        sentences.append("The job was interrupted: this is what was done by then.")
    return " ".join([*sentences, report.note]).strip()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _blank(reason: str) -> str:
    return f'<p class="blank">{escape(reason)}</p>'


def _headline(report: Report) -> str:
    not_measured = "one process was not measured"
    speed_up, efficiency, nodes = report.speed_up, report.efficiency, report.nodes
    remarks = [f"{len(report.failed):,} failed"] if report.failed else []
    remarks += ["interrupted"] if report.interrupted else []
    tiles = (
        _tile("images", f"{report.images:,}", ", ".join(remarks)),
        _tile("time", format_seconds(report.seconds)),
        _tile("images per second", f"{report.rate:.1f}"),
        _tile(
            "nodes at most",
            "–" if nodes is None else str(nodes),
            "no samples" if nodes is None else "",
        ),
        _tile(
            "speed-up",
            "–" if speed_up is None else f"{speed_up:.2f}×",
            not_measured if speed_up is None else f"over {report.one_process_rate:.1f} images/s",
        ),
        _tile(
            "parallel efficiency",
            "–" if efficiency is None else f"{efficiency:.0%}",
            not_measured if efficiency is None else f"of {_count(report.cores, 'core')}",
        ),
    )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _tile(label: str, value: str, remark: str = "") -> str:
    return (
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd>"
        f"<dd class=remark>{escape(remark)}</dd></div>"
    )


def _chart(report: Report) -> str:
    figure = throughput_figure(report.series, report.events)
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        # Without an id of ours plotly takes a random one, and no two reports are the same.
        div_id="throughput",
        default_height="400px" if report.series else "120px",
        config={"responsive": True, "displayModeBar": False},
    )
    return f'<div class="chart">{html}</div>'


def _decisions(report: Report) -> str:
    decisions = [event for event in report.events if event["kind"] in DECISIONS]
    others = [event for event in report.events if event["kind"] not in DECISIONS]
    if decisions:
        shown = _events(decisions)
    else:
        shown = _blank("None: the nodes that were there were enough, or the job ended at once.")
    if others:
        heading = _count(len(others), "other event")
        shown += f"<details><summary>{heading}</summary>{_events(others)}</details>"
    return shown


def _events(events: Sequence[Mapping[str, Any]]) -> str:
    rows = (
        f'<td class="time">{event["t"]:.1f} s</td>'
        f'<td><span class="kind {escape(event["kind"])}">{escape(event["kind"])}</span></td>'
        f"<td>{escape(event['text'])}</td>"
        for event in events
    )
    return _table(("time", "kind", "what and why"), rows)


def _failures(report: Report) -> str:
    if not report.failed:
        return _blank("None of those that were tried.")
    rows = (
        f"<td><code>{escape(name)}</code></td><td>{escape(message)}</td>"
        for name, message in report.failed
    )
    return _table(("file", "error"), rows)


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _palettes(report: Report) -> str:
    if not report.palettes:
        return _blank("None to show: no image was done.")
    cards = (
        f'<figure>{_thumbnail(path)}<div class="colours">{_colours(colours)}</div>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, path, colours in report.palettes
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _colours(colours: Sequence[Colour]) -> str:
    names = map(hexadecimal, colours)
    return "".join(f'<span><i style="background:{c}"></i><code>{c}</code></span>' for c in names)


def _thumbnail(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.thumbnail(THUMBNAIL)
            small = BytesIO()
            image.convert("RGB").save(small, "JPEG", quality=82)
    except OSError as error:
        return f'<div class="missing">no picture: {escape(error.strerror or str(error))}</div>'
    data = b64encode(small.getvalue()).decode("ascii")
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'
