"""The demo as a person runs it: its files, its errors, and that it ends whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from colorthief import ColorThief
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry
from jupyter_cluster.demo.posters import make_posters
from jupyter_cluster.demo.run import main
from jupyter_cluster.errors import UsageError

pytestmark = [
    pytest.mark.local,
    # ColorThief 0.2.1 calls Image.getdata, which goes in Pillow 14.
    pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning"),
]

COUNT = 30


@pytest.fixture(scope="module")
def posters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posters that keep two cores busy for a few seconds."""
    folder = tmp_path_factory.mktemp("posters")
    make_posters(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def many_posters(posters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many that a demo is not through with them before a test that looks on can act."""
    folder = tmp_path_factory.mktemp("many-posters")
    for copy in range(4):
        for path in posters.iterdir():
            (folder / f"{path.stem}-{copy}.jpg").hardlink_to(path)
    return folder


@pytest.fixture
def registry_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registry for one test; in the end no process has it in its environment."""
    folder = tmp_path / "registry"
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(folder))
    yield folder
    for entry in registry.entries():
        launch.end(entry)
    assert not left_in(folder)


def left_in(home: Path) -> list[psutil.Process]:
    """Processes that were started with this registry: the demo, its children, its cluster."""
    found = [process for process in psutil.process_iter() if home_of(process) == str(home)]
    return [process for process in found if not is_own_tracker(process)]


def is_own_tracker(process: psutil.Process) -> bool:
    """Where the demo ran in this process, multiprocessing's tracker ends with this process."""
    return process.ppid() == os.getpid() and "resource_tracker" in " ".join(process.cmdline())


def home_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get("JUPYTER_CLUSTER_HOME")
    except (psutil.Error, OSError):
        return None


def start(*words: str | Path) -> subprocess.Popen[str]:
    """A demo in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "jupyter_cluster.cli", "demo", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def palettes_in(out: Path) -> dict[str, list[list[int]]]:
    path = out / "palettes.json"
    return json.loads(path.read_text()) if path.exists() else {}


def expected(path: Path) -> list[list[int]]:
    """The palette by ColorThief itself."""
    return [list(colour) for colour in ColorThief(str(path)).get_palette(color_count=6)]


def namespace(**options: object) -> Namespace:
    return Namespace(**{"images": None, "count": 1, "resume": False, **options})


def test_writes_the_palettes_of_a_folder_and_names_the_files_that_fail(
    registry_home: Path, tmp_path: Path
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    good = make_posters(images, 6, size=(200, 300))
    (images / "cut.jpg").write_bytes(good[0].read_bytes()[:2000])
    (images / "notes.txt").write_text("not an image")
    (images / f"{good[5].stem}.png").write_text("the name of a poster, no image")
    code, text, errors = finish(start("--images", images, "--out", out))
    assert (code, errors) == (0, "")
    ids = {path: path.stem for path in good[:5]} | {good[5]: good[5].name}
    assert palettes_in(out) == {name: expected(path) for path, name in ids.items()}
    assert "6 palettes" in text
    report = (out / "report.html").read_text()
    for name in ("cut.jpg", "notes.txt", f"{good[5].stem}.png"):
        assert f"failed {name}: " in text
        assert f"<code>{name}</code>" in report
    assert "Traceback" not in text


def test_makes_posters_and_records_the_throughput(registry_home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, errors = finish(start("--count", "5", "--out", out))
    assert (code, errors) == (0, "")
    made = sorted((out / "posters").iterdir())
    assert palettes_in(out) == {path.stem: expected(path) for path in made}
    assert len(made) == 5
    series = json.loads((out / "throughput.json").read_text())
    keys = {"t", "images_per_second", "done", "queued", "nodes", "slots"}
    assert series
    assert all(set(sample) == keys for sample in series)
    assert series[-1]["done"] == 5
    assert series[-1]["queued"] == 0
    assert series[-1]["nodes"] >= 1
    report = (out / "report.html").read_text()
    assert "One process made" in report
    assert "scale-up" in report
    for path in made[:1]:
        red, green, blue = palettes_in(out)[path.stem][0]
        assert f"#{red:02x}{green:02x}{blue:02x}" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_ends_its_cluster_and_keeps_what_is_done(
    number: signal.Signals, registry_home: Path, tmp_path: Path, many_posters: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--images", many_posters, "--out", out)
    eventually(lambda: len(palettes_in(out)) >= 3)
    assert left_in(registry_home)
    demo.send_signal(number)
    code, text, errors = finish(demo)
    assert (code, errors) == (130, "")
    assert not left_in(registry_home)
    assert not registry.entries()
    kept = palettes_in(out)
    assert 3 <= len(kept) < len(list(many_posters.iterdir()))
    assert all(palette == expected(many_posters / f"{name}.jpg") for name, palette in kept.items())
    assert "The job was interrupted" in (out / "report.html").read_text()
    assert f"--images {many_posters} --out {out} --resume" in text


def test_a_second_interrupt_does_not_stop_the_ending(
    registry_home: Path, tmp_path: Path, many_posters: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--images", many_posters, "--out", out)
    eventually(lambda: len(palettes_in(out)) >= 1)
    while demo.poll() is None:
        demo.send_signal(signal.SIGINT)
        try:
            demo.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    _code, _text, errors = finish(demo)
    assert not left_in(registry_home)
    assert not registry.entries()
    assert palettes_in(out)
    assert "Traceback" not in errors


def test_interrupted_before_the_job_it_leaves_nothing_behind(
    registry_home: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--count", "1000", "--out", out)
    eventually(lambda: any((out / "posters").glob("poster-*.jpg")))
    demo.send_signal(signal.SIGINT)
    code, text, errors = finish(demo)
    assert (code, errors) == (130, "")
    assert "--count 1000" in text
    eventually(lambda: not left_in(registry_home))
    for path in (out / "posters").glob("poster-*.jpg"):
        assert path.read_bytes().endswith(b"\xff\xd9"), f"{path.name} is not whole"


def test_resumed_it_works_on_the_images_that_are_missing_only(
    registry_home: Path, tmp_path: Path
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    paths = make_posters(images, 4, size=(200, 300))
    out.mkdir()
    known = {paths[0].stem: [[1, 2, 3]], "another": [[4, 5, 6]]}
    (out / "palettes.json").write_text(json.dumps(known))
    assert main(namespace(images=images, out=out, resume=True)) == 0
    assert palettes_in(out) == known | {path.stem: expected(path) for path in paths[1:]}
    assert "kept from earlier runs: 1." in (out / "report.html").read_text()


def test_with_nothing_left_to_do_it_starts_no_cluster(
    registry_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    [path] = make_posters(images, 1, size=(200, 300))
    out.mkdir()
    (out / "palettes.json").write_text(json.dumps({path.stem: [[1, 2, 3]]}))
    assert main(namespace(images=images, out=out, resume=True)) == 0
    assert "already" in capsys.readouterr().out
    assert not registry.entries()


def test_killed_it_loses_little_and_resumes_though_its_cluster_was_left(
    registry_home: Path, tmp_path: Path, many_posters: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--images", many_posters, "--out", out)
    eventually(lambda: len(palettes_in(out)) >= 5)
    demo.kill()
    finish(demo)
    kept = palettes_in(out)
    [left] = registry.entries()
    assert left.is_alive
    code, text, errors = finish(start("--images", many_posters, "--out", out, "--resume"))
    assert (code, errors) == (0, "")
    assert f"kept from earlier runs: {len(kept)}." in text
    assert palettes_in(out) == {path.stem: expected(path) for path in many_posters.iterdir()}
    assert not registry.entries()


def test_when_its_cluster_dies_it_says_so_and_keeps_what_is_done(
    registry_home: Path, tmp_path: Path, many_posters: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--images", many_posters, "--out", out)
    eventually(lambda: len(palettes_in(out)) >= 3)
    os.kill(int(registry.entry("demo").read("processes.json")["host"]), signal.SIGKILL)
    code, text, errors = finish(demo)
    assert code == 1
    assert errors.count("\n") == 1
    assert "demo" in errors
    assert "--resume" in text
    assert len(palettes_in(out)) >= 3
    eventually(lambda: not left_in(registry_home))


def test_a_second_demo_is_refused_while_one_runs(
    registry_home: Path, tmp_path: Path, many_posters: Path
) -> None:
    out = tmp_path / "out"
    demo = start("--images", many_posters, "--out", out)
    eventually(lambda: len(palettes_in(out)) >= 1)
    with pytest.raises(UsageError, match="a demo is running already"):
        main(namespace(images=many_posters, out=tmp_path / "other"))
    assert registry.entry("demo").is_alive
    demo.send_signal(signal.SIGINT)
    assert finish(demo)[0] == 130


def test_a_cluster_of_the_same_name_that_is_not_the_demos_is_left_alone(
    registry_home: Path, tmp_path: Path, posters: Path
) -> None:
    with jc.up(name="demo") as mine:
        with pytest.raises(UsageError, match="not the demo's"):
            main(namespace(images=posters, out=tmp_path / "out"))
        assert mine.is_alive


def test_a_wrong_option_is_one_sentence_and_starts_nothing(
    registry_home: Path, tmp_path: Path, posters: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    file = tmp_path / "file"
    file.touch()
    wrong = {
        "there is no file in it": {"images": empty, "out": tmp_path / "a"},
        "No such file": {"images": tmp_path / "nowhere", "out": tmp_path / "a"},
        "Not a directory": {"images": file, "out": tmp_path / "a"},
        "cannot be written to": {"images": posters, "out": file / "below"},
        "taken for images": {"images": posters, "out": posters},
    }
    for sentence, options in wrong.items():
        with pytest.raises(UsageError, match=sentence) as caught:
            main(namespace(**options))
        assert "\n" not in str(caught.value)
    assert not registry.entries()


def test_palettes_that_cannot_be_read_are_not_resumed_from(
    registry_home: Path, tmp_path: Path, posters: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for content in ("{", "[1]", '{"a": [[1, 2]]}'):
        (out / "palettes.json").write_text(content)
        with pytest.raises(UsageError, match="leave --resume out"):
            main(namespace(images=posters, out=out, resume=True))
        assert (out / "palettes.json").read_text() == content


def test_odd_names_are_shown_as_they_are(registry_home: Path, tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    [first, second] = make_posters(images, 2, size=(200, 300))
    first.rename(images / "[red]<b>&.jpg")
    os.rename(second, os.fsencode(images) + b"/b\xff.jpg")
    (images / "<i>.txt").write_text("not an image")
    code, text, errors = finish(start("--images", images, "--out", out))
    assert (code, errors) == (0, "")
    assert set(palettes_in(out)) == {"[red]<b>&", "b\\xff"}
    assert "[red]<b>& " in text
    assert "failed <i>.txt: " in text
    assert "&lt;i&gt;.txt" in (out / "report.html").read_text()
