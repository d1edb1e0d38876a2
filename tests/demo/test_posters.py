"""Posters: the same seed gives the same bytes, and each looks like a picture, not a flat field."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jupyter_cluster.demo.posters import PALETTES, make_poster, make_posters, paint_poster
from jupyter_cluster.demo.scenes import SCENES

pytestmark = pytest.mark.unit

SMALL = (120, 180)


def test_posters_are_named_by_their_index_and_have_the_size_asked_for(tmp_path: Path) -> None:
    paths = make_posters(tmp_path / "new", 3, size=SMALL)
    assert [path.name for path in paths] == [f"poster-0000{k}.jpg" for k in range(3)]
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", SMALL, "RGB")


def test_the_same_seed_gives_the_same_bytes_whatever_the_count(tmp_path: Path) -> None:
    many = make_posters(tmp_path / "many", 8, seed=5, size=SMALL)
    make_poster(tmp_path / "alone.jpg", 7, seed=5, size=SMALL)
    assert (tmp_path / "alone.jpg").read_bytes() == many[7].read_bytes()


def test_posters_of_other_seeds_and_indexes_differ() -> None:
    pictures = {paint_poster(k, seed, SMALL).tobytes() for k in range(16) for seed in range(4)}
    assert len(pictures) == 64


def test_a_poster_made_in_between_changes_nothing() -> None:
    first = paint_poster(3, 1, SMALL).tobytes()
    paint_poster(4, 2, (60, 90))
    assert paint_poster(3, 1, SMALL).tobytes() == first


def test_scenes_and_palettes_meet_in_every_combination() -> None:
    pairs = {(k % len(SCENES), k % len(PALETTES)) for k in range(len(SCENES) * len(PALETTES))}
    assert len(pairs) == len(SCENES) * len(PALETTES)


@pytest.mark.parametrize("index", range(len(SCENES)), ids=[scene.__name__ for scene in SCENES])
def test_every_scene_has_the_texture_of_a_photograph(index: int) -> None:
    pixels = np.asarray(paint_poster(index), dtype=np.float32)
    assert pixels.shape == (750, 500, 3)
    # Light and shade over the whole, and grain between neighbours, without being mere noise.
    assert pixels.std() > 20
    between_neighbours = np.abs(np.diff(pixels, axis=1)).mean()
    assert 2 < between_neighbours < 20
    colours = Counter(map(tuple, (pixels[::5, ::5] // 8).reshape(-1, 3).astype(int).tolist()))
    assert len(colours) > 300
    assert colours.most_common(1)[0][1] < 0.25 * colours.total()


def test_the_title_is_lighter_than_what_is_beside_it() -> None:
    for index in range(len(SCENES)):
        rows = np.asarray(paint_poster(index).convert("L"), dtype=np.float32)[605:655]
        assert np.percentile(rows, 95) > np.median(rows) + 50
