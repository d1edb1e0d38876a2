"""Light, noise and shapes: what the posters' scenes are painted with.

A *field* is a float32 array of shape (rows, columns) with values of about 0 to 1. Fields are
small (see `Stage.fine`) and are enlarged when painted; edges, type and grain have full size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Field = NDArray[np.float32]
Colour = tuple[int, int, int]
Point = tuple[float, float]

BLACK: Colour = (6, 6, 9)
WHITE: Colour = (255, 252, 244)

# Outlines are drawn this many times larger, since Pillow draws them without smooth edges.
OVERSAMPLING = 3


@dataclass(frozen=True)
class Stage:
    """What a scene is painted on: the picture, its random numbers and its colours.

    Attributes
    ----------
    picture : PIL.Image.Image
        RGB; painted in place.
    colours : tuple of Colour
        From dark to light; the last one is the accent.
    """

    picture: Image.Image
    random: np.random.Generator
    colours: tuple[Colour, ...]

    @property
    def fine(self) -> tuple[int, int]:
        """Rows and columns of a field: half of the picture's."""
        width, height = self.picture.size
        return max(2, height // 2), max(2, width // 2)

    @property
    def aspect(self) -> float:
        """Height over width."""
        return self.picture.height / self.picture.width

    def between(self, low: float, high: float) -> float:
        """A random number of that range."""
        return float(self.random.uniform(low, high))

    def noise(self, cells: float = 4, stretch: float = 1, roughness: float = 0.55) -> Field:
        """Fractal noise: `cells` blobs across, `stretch` times as wide as high."""
        return fractal(self.random, self.fine, cells, stretch, roughness)

    def fill(self, field: Field, colours: Sequence[Colour]) -> None:
        """Colour the whole picture: 0 is the first colour, 1 the last."""
        tinted = to_grey(field).convert("P")
        tinted.putpalette(gradient(tuple(colours)))
        size = self.picture.size
        self.picture.paste(tinted.convert("RGB").resize(size, Image.Resampling.BICUBIC))

    def lay(self, colour: Colour, mask: Field | Image.Image) -> None:
        """Lay a colour over the picture, where the mask is 1 (white) in full."""
        image = mask if isinstance(mask, Image.Image) else to_grey(mask)
        if image.size != self.picture.size:
            image = image.resize(self.picture.size, Image.Resampling.BILINEAR)
        self.picture.paste(colour, mask=image)

    def shape(
        self,
        colour: Colour,
        draw: Callable[[Pen], None],
        box: tuple[float, float, float, float] = (0, 0, 1, 1),
        opacity: float = 1.0,
    ) -> None:
        """Paint what `draw` draws, with smooth edges.

        Parameters
        ----------
        box : tuple of float
            Left, top, right and bottom of the sheet that it draws on, in fractions of the
            picture.
        """
        corners = zip(box, self.picture.size * 2, strict=True)
        left, top, right, bottom = (round(part * length) for part, length in corners)
        width, height = max(1, right - left), max(1, bottom - top)
        mask = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
        draw(Pen(ImageDraw.Draw(mask), mask.size, round(255 * opacity)))
        mask = mask.reduce(OVERSAMPLING)
        self.picture.paste(colour, (left, top, left + width, top + height), mask)


@dataclass(frozen=True)
class Pen:
    """Draws in fractions of its sheet: (0, 0) is the left top corner, (1, 1) the opposite."""

    sheet: ImageDraw.ImageDraw
    size: tuple[int, int]
    ink: int

    def polygon(self, points: Sequence[Point]) -> None:
        """A filled polygon."""
        self.sheet.polygon([self._at(p) for p in points], fill=self.ink)

    def ellipse(self, centre: Point, across: float, down: float) -> None:
        """A filled ellipse; its radii as fractions of the width and of the height."""
        (x, y), (w, h) = self._at(centre), self.size
        self.sheet.ellipse((x - across * w, y - down * h, x + across * w, y + down * h), self.ink)

    def line(self, points: Sequence[Point], width: float) -> None:
        """A line; its width as a fraction of the sheet's."""
        thick = max(1, round(width * self.size[0]))
        self.sheet.line([self._at(p) for p in points], self.ink, thick, joint="curve")

    def _at(self, point: Point) -> Point:
        return point[0] * self.size[0], point[1] * self.size[1]


def to_grey(field: Field) -> Image.Image:
    """A field as an 8-bit picture; what is below 0 or above 1 is clipped."""
    return Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))


def resize(field: Field, shape: tuple[int, int]) -> Field:
    """A field enlarged to (rows, columns), smoothly."""
    enlarged = Image.fromarray(field).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(enlarged, dtype=np.float32)


def fractal(
    random: np.random.Generator,
    shape: tuple[int, int],
    cells: float = 4,
    stretch: float = 1,
    roughness: float = 0.55,
) -> Field:
    """Sum of noise fields, each twice as fine and `roughness` times as strong as the last.

    Parameters
    ----------
    cells : float
        Blobs of the coarsest field across the width.
    stretch : float
        How many times wider than high a blob is.

    Returns
    -------
    Field
        Of the given shape, scaled so that 0 and 1 lie two standard deviations from the mean.
    """
    rows, columns = shape
    coarsest = np.array([cells * stretch * rows / columns, cells])
    grid = np.minimum(coarsest.round().astype(int) + 1, shape)
    field = random.standard_normal(tuple(grid), dtype=np.float32)
    strength = 1.0
    while (grid < shape).any():
        grid, strength = np.minimum(grid * 2, shape), strength * roughness
        finer = random.standard_normal(tuple(grid), dtype=np.float32)
        field = resize(field, (int(grid[0]), int(grid[1]))) + np.float32(strength) * finer
    scaled = (field - field.mean()) / (4 * field.std() + np.float32(1e-6)) + np.float32(0.5)
    return np.asarray(scaled, dtype=np.float32)


def profile(random: np.random.Generator, columns: int, cells: int, roughness: float) -> Field:
    """One row of fractal noise, e.g. the crest of a ridge; shape (columns,)."""
    crest = fractal(random, (1, columns), cells, 1, roughness)[0]
    return np.asarray(crest, dtype=np.float32)


@lru_cache(maxsize=4)
def places(shape: tuple[int, int]) -> tuple[Field, Field]:
    """x of shape (1, columns) and y of shape (rows, 1), each from 0 to 1."""
    rows, columns = shape
    x = np.linspace(0, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    return x, y


def distance(stage: Stage, centre: Point) -> Field:
    """Distance from a point, in widths of the picture."""
    x, y = places(stage.fine)
    away = np.hypot(x - centre[0], (y - centre[1]) * stage.aspect)
    return np.asarray(away, dtype=np.float32)


def glow(stage: Stage, centre: Point, radius: float) -> Field:
    """Light that falls off from a point; half a radius away it is at three quarters."""
    near = distance(stage, centre) / np.float32(radius)
    return np.asarray(np.exp(-(near**2)), dtype=np.float32)


def step(field: NDArray[Any], low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth in between."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two; `share` of the second."""
    r, g, b = (round(p + (q - p) * share) for p, q in zip(first, second, strict=True))
    return r, g, b


@lru_cache(maxsize=128)
def gradient(colours: tuple[Colour, ...]) -> bytes:
    """256 colours that run through the given ones, as Pillow's palettes want them."""
    stops = np.linspace(0, 255, len(colours))
    channels = [np.interp(np.arange(256), stops, channel) for channel in zip(*colours, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()
