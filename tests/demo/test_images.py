"""Which images the demo takes, their ids, and the measurement of one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_cluster.demo.images import (
    images_by_id,
    make_missing_posters,
    measure_one_process,
    spread,
)
from jupyter_cluster.demo.posters import make_poster, make_posters

pytestmark = pytest.mark.unit


def ids(*names: str) -> dict[str, str]:
    return {name: path.name for name, path in images_by_id([Path(n) for n in names]).items()}


def test_the_id_is_the_name_without_its_ending() -> None:
    assert ids("a.jpg", "b.c.jpeg") == {"a": "a.jpg", "b.c": "b.c.jpeg"}


def test_files_that_would_share_an_id_have_their_whole_names() -> None:
    assert ids("a.jpg", "a.png", "b.jpg") == {"a.jpg": "a.jpg", "a.png": "a.png", "b": "b.jpg"}


def test_no_id_is_given_twice_even_where_a_whole_name_is_the_stem_of_another() -> None:
    names = ("a.jpg", "a.png", "a.jpg.png", "a")
    assert set(ids(*names).values()) == set(names)


def test_a_name_that_is_not_utf8_has_an_id_that_can_be_written() -> None:
    assert ids("a\udcff.jpg") == {"a\\xff": "a\udcff.jpg"}


@pytest.mark.parametrize(("length", "count"), [(0, 4), (3, 4), (5, 4), (300, 20), (7, 1)])
def test_spread_takes_different_items_in_order_with_both_ends(length: int, count: int) -> None:
    taken = spread(range(length), count)
    assert len(taken) == min(length, count)
    assert taken == sorted(set(taken))
    assert count == 1 or not length or {0, length - 1} <= set(taken)


def test_only_missing_posters_are_made(tmp_path: Path) -> None:
    kept = tmp_path / "poster-00001.jpg"
    kept.write_bytes(b"mine")
    assert len(list(make_missing_posters(tmp_path, 3, 2))) == 3
    assert kept.read_bytes() == b"mine"
    make_poster(tmp_path / "same.jpg", 2)
    assert (tmp_path / "poster-00002.jpg").read_bytes() == (tmp_path / "same.jpg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_one_process_is_measured_on_images_that_can_be_read(tmp_path: Path) -> None:
    paths = make_posters(tmp_path, 3, size=(200, 300))
    paths[1].write_text("not an image")
    measured = measure_one_process(paths)
    assert measured is not None
    done, seconds = measured
    assert done == 2
    assert seconds > 0
    assert measure_one_process(paths[1:2]) is None


def test_the_measurement_stops_when_its_time_is_over(tmp_path: Path) -> None:
    measured = measure_one_process(make_posters(tmp_path, 3, size=(200, 300)), seconds=1e-9)
    assert measured is not None
    assert measured[0] == 1
