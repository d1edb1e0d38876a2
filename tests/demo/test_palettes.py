"""Palettes as ColorThief gives them, and what becomes of files that are no images."""

from __future__ import annotations

import pickle
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from colorthief import ColorThief
from PIL import Image, UnidentifiedImageError

from jupyter_cluster.demo.palettes import find_images, get_palette, image_id
from jupyter_cluster.demo.posters import make_poster

pytestmark = pytest.mark.unit


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    make_poster(tmp_path / "poster.jpg", 2, size=(200, 300))
    return tmp_path / "poster.jpg"


def test_the_palette_is_the_one_of_colorthief(poster: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with poster.open("rb") as file:
            expected = ColorThief(file).get_palette(color_count=6)
    assert len(expected) == 6
    assert get_palette(poster) == expected
    assert get_palette(str(poster)) == expected
    assert get_palette(poster.read_bytes()) == expected


def test_no_file_stays_open_after_a_failure(poster: Path) -> None:
    # An open file would end in a ResourceWarning, which is an error here.
    poster.write_bytes(poster.read_bytes()[:3000])
    for _ in range(3):
        with pytest.raises(OSError, match="truncated"):
            get_palette(poster)


def test_a_truncated_image_is_named_with_what_to_do(poster: Path) -> None:
    poster.write_bytes(poster.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"^poster\.jpg cannot be decoded: .*; get the file again$"):
        get_palette(poster)


def test_a_text_file_is_named_as_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(UnidentifiedImageError, match=r"^notes\.txt is not an image"):
        get_palette(tmp_path / "notes.txt")
    with pytest.raises(UnidentifiedImageError, match=r"^the data is not an image"):
        get_palette(b"not an image")


def test_an_empty_file_is_named_as_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UnidentifiedImageError, match=r"^empty\.jpg is not an image"):
        get_palette(tmp_path / "empty.jpg")


def test_a_white_image_says_why_it_has_no_palette(tmp_path: Path) -> None:
    Image.new("RGB", (20, 30), "white").save(tmp_path / "white.png")
    with pytest.raises(ValueError, match=r"^white\.png has only white or transparent pixels"):
        get_palette(tmp_path / "white.png")


def test_a_missing_file_keeps_the_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        get_palette(tmp_path / "missing.jpg")


def test_errors_can_travel_between_processes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(OSError, match="not an image") as caught:
        get_palette(tmp_path / "notes.txt")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))


def test_images_in_other_modes_have_palettes() -> None:
    for mode, format in (("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF"), ("LA", "PNG")):
        encoded = BytesIO()
        Image.linear_gradient("L").convert(mode).save(encoded, format)
        assert all(len(colour) == 3 for colour in get_palette(encoded.getvalue()))


def test_find_images_takes_every_file_but_hidden_ones_by_name(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "folder.jpg" / "inside.jpg").touch()
    assert [path.name for path in find_images(tmp_path)] == ["a.png", "b.jpg", "notes.txt"]


def test_find_images_says_that_a_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_images(tmp_path / "missing")


def test_the_id_of_an_image_is_its_name_without_the_ending() -> None:
    assert image_id(Path("posters/poster-00001.jpg")) == "poster-00001"
    assert image_id(Path("a.b.jpeg")) == "a.b"
