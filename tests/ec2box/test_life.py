"""From up to down: a cluster that grows with the work, shrinks without it, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import eventually

from ec2box.bench import Bench, tags_of
from jupyter_cluster.demo.posters import make_posters

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(240)]

POSTERS = 200


@pytest.fixture(scope="module")
def posters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("posters")
    make_posters(folder, POSTERS)
    return folder


def palette(name: str) -> tuple[str, list[tuple[int, int, int]]]:
    """The colours of a poster that came by file_mounts."""
    from pathlib import Path

    from colorthief import ColorThief

    path = Path("~/data").expanduser() / name
    return name, ColorThief(path).get_palette(color_count=5, quality=20)


def test_palettes_from_up_to_down(bench: Bench, posters: Path):
    cluster = bench.up(
        file_mounts={"~/data": str(posters)},
        setup_commands=["pip install tqdm colorthief"],
        idle_timeout_minutes=0.05,
    )
    assert not bench.workers()
    head = tags_of(bench.instances()[0])
    assert (head["kind"], head["node-type"], head["status"]) == ("head", "head", "up-to-date")

    names = sorted(path.name for path in posters.iterdir())
    results = list(cluster.map(palette, names))
    assert [name for name, _colours in results] == names
    assert all(len(colours) >= 3 for _name, colours in results)
    rows = [tags_of(row) for row in bench.instances(kind="worker")]
    assert rows
    assert "ready" in {row["status"] for row in rows}
    assert {row["cluster"] for row in rows} == {"posters"}
    assert len({row["id"] for row in rows} | {head["id"]}) == 1

    eventually(lambda: not bench.workers(), 60)
    bench.end()
    assert not bench.left_over()
