"""The palette of an image, and the images of a folder."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

COLOURS = 6

Palette = list[tuple[int, int, int]]


def get_palette(image: Path | str | bytes) -> Palette:
    """The colours of an image, as ``ColorThief(image).get_palette(color_count=6)`` returns them.

    Parameters
    ----------
    image : Path, str or bytes
        A file, or what is in one.

    Returns
    -------
    list of tuple of int
        Red, green and blue from 0 to 255, the most frequent colour first; at most six of them,
        fewer where the image has fewer.

    Raises
    ------
    PIL.UnidentifiedImageError
        It is not an image, or of a kind that Pillow does not know.
    OSError
        The file cannot be read, or is cut off.
    ValueError
        It has no pixel that is neither white nor transparent.
    """
    name = "the data" if isinstance(image, bytes) else Path(image).name
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return _steal_colours(data, name)


def image_id(path: Path) -> str:
    """The id of an image: its file's name without the ending."""
    return path.stem


def find_images(folder: Path) -> list[Path]:
    """The files of a folder by name, without hidden ones and without folders in it.

    Every file counts: one that is no image fails by name when its turn comes, instead of being
    left out in silence.

    Raises
    ------
    OSError
        There is no such folder, or it cannot be read.
    """
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))


def _steal_colours(data: bytes, name: str) -> Palette:
    # Both are needed where images are worked on, and only there.
    from colorthief import ColorThief
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # ColorThief 0.2.1 calls Image.getdata, which goes in Pillow 14.
            warnings.filterwarnings("ignore", "Image.Image.getdata", DeprecationWarning)
            palette: Palette = ColorThief(BytesIO(data)).get_palette(color_count=COLOURS)
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"{name} is not an image that Pillow can read") from None
    except OSError as error:
        raise OSError(f"{name} cannot be decoded: {error}; get the file again") from error
    except Exception as error:
        # ColorThief has no type of its own for this.
        if "Empty pixels" not in str(error):
            raise
        raise ValueError(f"{name} has only white or transparent pixels: no palette") from error
    return palette
