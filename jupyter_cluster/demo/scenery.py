"""The parts that scenes are made of: skies, ridges, water, buildings, trees, people."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

from jupyter_cluster.demo.canvas import (
    BLACK,
    WHITE,
    Colour,
    Field,
    Pen,
    Point,
    Stage,
    glow,
    mix,
    places,
    profile,
    step,
)


def sky(stage: Stage, colours: tuple[Colour, ...], sun: Point, horizon: float = 0.6) -> None:
    """A sky that grows lighter towards the horizon, with clouds lit from the sun."""
    _, y = places(stage.fine)
    clouds = stage.noise(2.5, 3, 0.58)
    stage.fill(y / horizon * 0.85 + (clouds - 0.5) * 0.3, colours)
    cover = step(clouds, 0.5, 0.95)
    lit = glow(stage, sun, 0.75)
    stage.lay(mix(colours[0], BLACK, 0.3), cover * (1 - lit) * 0.5)
    stage.lay(mix(colours[-1], stage.colours[-1], 0.5), lit * (0.3 + 0.6 * cover))
    stage.lay(mix(stage.colours[-1], WHITE, 0.6), glow(stage, sun, 0.22) * 0.8)


def disc(stage: Stage, centre: Point, radius: float, colour: Colour) -> None:
    """The sun or the moon, its radius in widths."""
    across, down = radius, radius / stage.aspect
    box = (centre[0] - across, centre[1] - down, centre[0] + across, centre[1] + down)
    stage.shape(colour, lambda pen: pen.ellipse((0.5, 0.5), 0.5, 0.5), box)


def hillshade(height: Field) -> Field:
    """How bright the sides of a relief are, lit from the left."""
    slope = height - np.roll(height, 3, axis=1)
    return np.asarray(slope / (4 * slope.std() + 1e-6) + 0.5, dtype=np.float32)


def ridge(
    stage: Stage, crest: float, height: float, shadow: Colour, lit: Colour, rock: Field
) -> Field:
    """A ridge from the crest down to the lower edge; returns the line of its crest."""
    _, columns = stage.fine
    line = crest - height * (profile(stage.random, columns, 4, 0.48) - 0.5)
    _, y = places(stage.fine)
    below = step(y - line, 0, 0.006)
    stage.lay(shadow, below)
    fading = np.exp(-np.clip(y - line, 0, 1) / 0.14)
    stage.lay(lit, below * step(rock, 0.4, 0.85) * fading)
    return np.asarray(line, dtype=np.float32)


def mist(stage: Stage, level: float, colour: Colour, strength: float, fog: Field) -> None:
    """A bank of mist that lies at a level; `fog` says where it is dense."""
    _, y = places(stage.fine)
    bank = np.exp(-(((y - level) / 0.09) ** 2))
    stage.lay(colour, bank * (0.4 + fog * 0.8) * strength)


def dune(stage: Stage, crest: float, shadow: Colour, lit: Colour, ripples: Field) -> None:
    """A smooth ridge whose one side has the sun."""
    _, columns = stage.fine
    line = crest - 0.14 * (profile(stage.random, columns, 1, 0.22) - 0.5)
    _, y = places(stage.fine)
    below = step(y - line, 0, 0.005)
    stage.lay(shadow, below)
    facing = step(np.gradient(line) * columns, -0.25, 0.25)
    depth = np.clip((y - line) / 0.3, 0, 1)
    stage.lay(lit, below * (facing * (1 - depth) * 0.8 + step(ripples, 0.5, 1.0) * 0.35))


def waves(stage: Stage, horizon: float) -> Field:
    """Waves in perspective: the nearer to us, the larger."""
    rows, columns = stage.fine
    water = stage.noise(14, 3, 0.7)
    _, y = places(stage.fine)
    away = 1 / (np.clip(y[:, 0] - horizon, 0, 1) + 0.035)
    row = (away * rows * 0.06).astype(int) % rows
    spread = np.clip(away / away.min(), 1, 6)[:, None]
    column = (np.arange(columns)[None, :] * spread).astype(int) % columns
    return np.asarray(water[row[:, None], column], dtype=np.float32)


def mirror(stage: Stage, shore: float) -> None:
    """Below the shore, what is above it: upside down, dimmer and broken by ripples."""
    width, height = stage.picture.size
    top = round(shore * height)
    above = np.asarray(stage.picture)[max(0, 2 * top - height) : top][::-1]
    rows = above.shape[0]
    drift = profile(stage.random, rows, 12, 0.8) - 0.5
    shift = (drift * np.linspace(2, 0.08 * width, rows)).astype(int)
    columns = np.clip(np.arange(width)[None, :] + shift[:, None], 0, width - 1)
    broken = above[np.arange(rows)[:, None], columns]
    stage.picture.paste(Image.fromarray(broken), (0, top))
    _, y = places(stage.fine)
    stage.lay(BLACK, step(y, shore - 0.004, shore + 0.004) * (0.15 + 0.3 * y))


def stars(stage: Stage, count: int) -> None:
    """Stars: many faint ones, few bright ones."""
    rows, columns = stage.fine
    field = np.zeros((rows, columns), dtype=np.float32)
    at = stage.random.integers(0, rows, count), stage.random.integers(0, columns, count)
    field[at] = stage.random.pareto(1.6, count) * 0.28 + 0.1
    spread = field.copy()
    for axis in (0, 1):
        spread = spread + 0.35 * (np.roll(spread, 1, axis) + np.roll(spread, -1, axis))
    stage.lay(WHITE, spread)


def planet(stage: Stage, centre: Point, radius: float, colours: tuple[Colour, ...]) -> None:
    """A sphere in sunlight from the left: belts of cloud, a bright rim, a night side."""
    x, y = places(stage.fine)
    across = (x - centre[0]) / radius
    down = (y - centre[1]) * stage.aspect / radius
    inside = step(1 - np.hypot(across, down), 0, 0.015)
    towards = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
    sunlight = np.clip(0.25 * towards - 0.8 * across - 0.5 * down, 0, 1)
    belts = stage.noise(2, 5, 0.6)
    stage.lay(colours[1], glow(stage, centre, radius * 1.12) * 0.5 * step(-across, -0.6, 1))
    stage.lay(BLACK, inside)
    stage.lay(colours[0], inside * step(sunlight, 0, 0.5) * 0.9)
    stage.lay(colours[1], inside * sunlight * (0.35 + 0.9 * step(belts, 0.3, 0.8)))
    stage.lay(colours[2], inside * sunlight * step(belts, 0.55, 1.0))
    stage.lay(mix(colours[2], WHITE, 0.6), inside * sunlight * (1 - towards) ** 3)


def buildings(
    stage: Stage, shore: float, height: float, wall: Colour, lamp: Colour, near: float
) -> None:
    """A row of buildings with some windows lit; `near` is 0 for far and 1 for close."""
    rows, columns = stage.fine
    widths = stage.random.uniform(0.05 + 0.04 * near, 0.1 + 0.08 * near, 30)
    heights = shore - height * stage.random.uniform(0.35, 1, 30)
    house = np.searchsorted(np.cumsum(widths), np.linspace(0, 1, columns))
    x, y = places((rows, columns))
    body = step(y - heights[house], 0, 0.003) * (y < shore)
    stage.lay(wall, body)
    across, down = 70 - 30 * near, (70 - 30 * near) * stage.aspect * 0.8
    lit = stage.random.random((int(down) + 1, int(across) + 1)) < 0.3
    row, column = (y * down).astype(int), (x * across).astype(int)
    frame = (np.mod(x * across, 1) > 0.4) & (np.mod(y * down, 1) > 0.45)
    brightness = stage.random.uniform(0.35, 1, lit.shape)
    windows = (lit * brightness)[row, column] * frame * (y > heights[house] + 0.012)
    stage.lay(lamp, body * windows * (0.45 + 0.4 * near))


def bokeh(stage: Stage, count: int, colours: tuple[Colour, ...], top: float) -> None:
    """Points of light out of focus: discs, a little brighter at the rim."""
    for colour in colours:
        light = np.zeros(stage.fine, dtype=np.float32)
        for _ in range(count // len(colours)):
            add_disc(stage, light, (stage.between(0, 1), stage.between(top, 1)))
        stage.lay(colour, light)


def add_disc(stage: Stage, light: Field, centre: Point) -> None:
    """Add one disc of light to a field, in place."""
    rows, columns = light.shape
    radius = stage.between(0.018, 0.075) * columns
    x, y = round(centre[0] * columns), round(centre[1] * rows)
    reach = int(radius) + 2
    top, left = max(0, y - reach), max(0, x - reach)
    window = light[top : y + reach, left : x + reach]
    down, across = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
    away = np.hypot(down - y, across - x) / radius
    inside = step(1 - away, 0, 0.1)
    window += inside * (0.25 + 0.3 * step(away, 0.6, 1)) * stage.between(0.3, 1)


def trees(stage: Stage, near: float, bark: Colour) -> None:
    """A row of bare trunks with branches; `near` is 0 for far and 1 for close."""
    count = round(16 - 10 * near)
    for place in range(count):
        x = (place + stage.between(0.1, 0.9)) / count
        if near < 0.9 or abs(x - 0.5) > 0.2:
            half = (0.008 + 0.022 * near) * stage.between(0.6, 1.3)
            limbs = [_limb(stage) for _ in range(9)]
            stage.shape(
                bark,
                partial(_tree, limbs=limbs),
                (x - 6 * half, 0, x + 6 * half, 0.8 + 0.2 * near),
            )


def _limb(stage: Stage) -> list[Point]:
    """A branch: from the trunk outwards and up, with a kink."""
    side = stage.random.choice((-1, 1))
    y, reach = stage.between(0.08, 0.75), stage.between(0.15, 0.45)
    kink = 0.5 + side * reach * 0.5, y - stage.between(0.01, 0.05)
    return [(0.5, y), kink, (0.5 + side * reach, kink[1] - stage.between(0.02, 0.09))]


def _tree(pen: Pen, limbs: list[list[Point]]) -> None:
    pen.polygon([(0.47, 0), (0.53, 0), (0.56, 0.6), (0.6, 1), (0.4, 1), (0.44, 0.6)])
    for limb in limbs:
        pen.line(limb[:2], 0.045)
        pen.line(limb[1:], 0.022)


def walker(stage: Stage, x: float, feet: float, height: float, colour: Colour) -> None:
    """Somebody in a long coat, seen from behind; `feet` is where the ground is."""
    half = height * stage.aspect * 0.17
    stage.shape(colour, _figure, (x - half, feet - height, x + half, feet))


def _figure(pen: Pen) -> None:
    pen.ellipse((0.5, 0.075), 0.16, 0.072)
    pen.polygon([(0.43, 0.1), (0.57, 0.1), (0.59, 0.18), (0.41, 0.18)])
    pen.polygon(
        [
            (0.4, 0.155),
            (0.6, 0.155),
            (0.8, 0.2),
            (0.86, 0.5),
            (0.76, 0.51),
            (0.72, 0.34),
            (0.82, 0.72),
            (0.2, 0.74),
            (0.28, 0.34),
            (0.24, 0.51),
            (0.14, 0.5),
            (0.2, 0.2),
        ]
    )
    pen.polygon([(0.3, 0.7), (0.49, 0.7), (0.46, 0.98), (0.3, 1)])
    pen.polygon([(0.52, 0.7), (0.7, 0.7), (0.72, 0.98), (0.57, 1)])


def bust(stage: Stage, x: float, top: float, colour: Colour, rim: Colour) -> None:
    """Head and shoulders of somebody seen from behind, with light on the edge."""
    for grow, shade, opacity in ((0.012, rim, 0.55), (0.0, colour, 1.0)):
        box = (x - 0.2 - grow, top - grow, x + 0.2 + grow, 1.02)
        stage.shape(shade, _head, box, opacity)


def _head(pen: Pen) -> None:
    pen.ellipse((0.5, 0.15), 0.2, 0.145)
    pen.polygon([(0.4, 0.2), (0.6, 0.2), (0.61, 0.4), (0.39, 0.4)])
    pen.ellipse((0.5, 0.6), 0.46, 0.26)
    pen.polygon([(0.04, 0.6), (0.96, 0.6), (1, 1), (0, 1)])


def boat(stage: Stage, x: float, waterline: float, colour: Colour) -> None:
    """A small sailing boat, and its dark image in the water."""
    stage.shape(colour, _hull, (x - 0.07, waterline - 0.12, x + 0.07, waterline))
    shadow = (x - 0.05, waterline, x + 0.05, waterline + 0.035)
    stage.shape(colour, lambda pen: pen.ellipse((0.5, 0), 0.5, 0.9), shadow, 0.55)


def _hull(pen: Pen) -> None:
    pen.polygon([(0.05, 0.86), (0.95, 0.84), (0.8, 1), (0.2, 1)])
    pen.line([(0.48, 0.02), (0.48, 0.9)], 0.02)
    pen.polygon([(0.45, 0.06), (0.45, 0.8), (0.12, 0.8)])
    pen.polygon([(0.52, 0.12), (0.52, 0.8), (0.86, 0.8)])
