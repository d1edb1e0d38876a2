"""Movie posters to work on: painted scenes with grain and type, encoded as JPEG.

They stand in for the posters of a real collection: texture, light and type make an encoded
poster as hard to work on as a photograph. Each is made from its seed and its index alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from jupyter_cluster.demo.canvas import BLACK, WHITE, Colour, Stage, mix, places, step
from jupyter_cluster.demo.scenes import SCENES

SIZE = (500, 750)
QUALITY = 88

# From dark to light, and an accent.
PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((18, 32, 47), (44, 84, 104), (126, 152, 158), (232, 196, 152), (244, 132, 58)),
    ((38, 16, 44), (104, 38, 84), (196, 84, 98), (250, 190, 140), (255, 120, 88)),
    ((10, 24, 38), (16, 66, 84), (62, 134, 138), (188, 214, 196), (250, 176, 76)),
    ((28, 22, 20), (92, 56, 38), (168, 112, 66), (236, 204, 150), (226, 86, 44)),
    ((14, 18, 44), (42, 48, 112), (108, 108, 184), (206, 194, 232), (244, 112, 168)),
    ((16, 26, 20), (44, 74, 56), (112, 138, 104), (214, 216, 176), (232, 196, 74)),
    ((30, 10, 14), (98, 22, 28), (170, 62, 50), (230, 170, 130), (250, 206, 96)),
    ((20, 22, 26), (62, 70, 80), (132, 144, 152), (214, 220, 220), (206, 60, 52)),
)

OPENINGS = ("THE LAST", "A QUIET", "BEYOND THE", "THE GLASS", "NO MORE", "ALL THE", "UNDER THE")
SUBJECTS = (
    "HARBOUR",
    "WINTER",
    "MERIDIAN",
    "ORCHARD",
    "SIGNAL",
    "LANTERN",
    "RIVER",
    "CARTOGRAPHER",
    "PARALLAX",
    "TIDE",
    "EMBER",
    "HOLLOW",
    "ECLIPSE",
    "NIGHTINGALE",
    "FRONTIER",
    "ALMANAC",
)
TAGLINES = (
    "Some doors only open once.",
    "Nobody comes back the same.",
    "Every light has its price.",
    "They had one night left.",
    "The way home is the long way.",
    "It was never about the gold.",
)
FIRST = ("ADA", "BRUNO", "CLEO", "DARIUS", "ELENA", "FELIX", "GRETA", "HUGO", "INES", "JONAS")
LAST = ("ABARA", "BELLWETHER", "CASTELLO", "DUNMORE", "EKSTROM", "FALK", "GALLOWAY", "HALLORAN")
CREDITS = "A {0} PRODUCTION   {1}   {2}   MUSIC BY {3}   EDITED BY {4}   WRITTEN BY {5}"


def make_posters(
    folder: Path, count: int, seed: int = 0, size: tuple[int, int] = SIZE
) -> list[Path]:
    """Write posters ``poster-00000.jpg`` and on into a folder, which is made if it is missing.

    The same seed gives the same bytes for the same versions of numpy and Pillow, and poster k
    does not depend on `count`.

    Parameters
    ----------
    size : tuple of int
        Width and height in pixels.

    Raises
    ------
    OSError
        The folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"poster-{index:05}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        make_poster(path, index, seed, size)
    return paths


def make_poster(path: Path, index: int, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    """Write one poster as JPEG."""
    paint_poster(index, seed, size).save(path, "JPEG", quality=QUALITY)


def paint_poster(index: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """Paint one poster; RGB."""
    random = np.random.default_rng((seed, index))
    scene = Image.new("RGB", (max(2, size[0] * 3 // 5), max(2, size[1] * 3 // 5)))
    # Neighbours differ in both: the numbers of scenes and of palettes have no common divisor.
    stage = Stage(scene, random, PALETTES[(index + seed) % len(PALETTES)])
    SCENES[(index + seed) % len(SCENES)](stage)
    _shade_edges(stage)
    poster = scene.resize(size, Image.Resampling.BICUBIC)
    _set_type(poster, random, stage.colours)
    return _add_grain(poster, random)


def _shade_edges(stage: Stage) -> None:
    """Darken the corners as a lens does, and the foot, so that the credits can be read."""
    x, y = places(stage.fine)
    corners = np.hypot((x - 0.5) * 1.1, (y - 0.5) * 1.1)
    stage.lay(BLACK, 1 - (1 - step(corners, 0.42, 0.95) * 0.6) * (1 - step(y, 0.72, 1.0) * 0.8))


def _add_grain(poster: Image.Image, random: np.random.Generator) -> Image.Image:
    """The grain of film, from a sheet that is larger than the picture."""
    width, height = poster.size
    sheet = _film(max(width, height) + 256)
    left, top = (int(n) for n in random.integers(0, 256, 2))
    grain = sheet.crop((left, top, left + width, top + height))
    return ImageChops.add(poster, Image.merge("RGB", (grain,) * 3), 1, -128)


@lru_cache(maxsize=2)
def _film(length: int) -> Image.Image:
    noise = np.random.default_rng(35).normal(128, 7, (length, length))
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))


def _set_type(
    poster: Image.Image, random: np.random.Generator, colours: tuple[Colour, ...]
) -> None:
    """Names at the top; below the scene an opening, the title, a tagline and the credits."""
    pick = random.choice
    firsts, lasts = pick(FIRST, 6, replace=False), pick(LAST, 6, replace=False)
    people = [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]
    ink = mix(colours[3], WHITE, 0.7)
    _line(poster, "      ".join(people[1:4]), 0.045, 0.8, 0.011, ink)
    _line(poster, str(pick(OPENINGS)), 0.785, 0.42, 0.022, ink)
    _line(poster, str(pick(SUBJECTS)), 0.84, 0.86, 0.065, mix(colours[4], WHITE, 0.25))
    _line(poster, str(pick(TAGLINES)), 0.895, 0.6, 0.017, ink)
    names = CREDITS.format(people[0].split()[1], *people[1:])
    _line(poster, names, 0.95, 0.86, 0.016, mix(ink, BLACK, 0.3), squeeze=0.55)


def _line(
    poster: Image.Image,
    text: str,
    middle: float,
    widest: float,
    height: float,
    ink: Colour,
    squeeze: float = 1.0,
) -> None:
    """A centred line, as high as given, or less where it would be wider than `widest`.

    `squeeze` makes the letters narrower, as the credits of a poster are.
    """
    width, full = poster.size
    font = _font(max(6, round(height * full * 1.3)))
    left, top, right, bottom = font.getbbox(text)
    mask = Image.new("L", (round(right - left) + 2, round(bottom - top) + 2))
    ImageDraw.Draw(mask).text((1 - left, 1 - top), text, 255, font)
    scale = min(1.0, widest * width / (mask.width * squeeze))
    target = max(1, round(mask.width * squeeze * scale)), max(1, round(mask.height * scale))
    mask = mask.resize(target, Image.Resampling.LANCZOS)
    corner = (width - target[0]) // 2, round(middle * full) - target[1] // 2
    poster.paste(ink, corner, mask)


@lru_cache(maxsize=64)
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)
