"""The scenes of the posters: one function for each, which paints a stage.

A scene takes its colours from the stage: the first four from dark to light, the last one the
accent. Distances are fractions of the picture, (0, 0) is the left top corner.
"""

from __future__ import annotations

import numpy as np

from jupyter_cluster.demo.canvas import BLACK, WHITE, Stage, glow, mix, places, step
from jupyter_cluster.demo.scenery import (
    boat,
    bokeh,
    buildings,
    bust,
    disc,
    dune,
    hillshade,
    mirror,
    mist,
    planet,
    ridge,
    sky,
    stars,
    trees,
    walker,
    waves,
)


def mountains(stage: Stage) -> None:
    """Ridge behind ridge under a low sun, the nearest one the darkest."""
    dark, middle, light, pale, accent = stage.colours
    sun = stage.between(0.2, 0.8), stage.between(0.34, 0.46)
    sky(stage, (middle, light, pale), sun)
    disc(stage, sun, 0.055, mix(accent, WHITE, 0.75))
    rock, fog = hillshade(stage.noise(5, 1.25, 0.62)), stage.noise(2, 3)
    crests = np.linspace(0.45, 0.82, 5)
    for depth, crest in enumerate(crests):
        share = depth / (len(crests) - 1)
        shadow = mix(mix(light, pale, 0.3), mix(dark, BLACK, 0.5), share**0.7)
        ridge(stage, float(crest), 0.16 - 0.08 * share, shadow, mix(shadow, accent, 0.34), rock)
        if share < 1:
            mist(stage, float(crest) + 0.11, mix(pale, accent, 0.25), 0.5 * (1 - share), fog)
            fog = np.roll(fog, fog.shape[1] // 3, axis=1)
        rock = np.roll(rock, rock.shape[1] // 3, axis=1)
    walker(stage, stage.between(0.3, 0.7), 0.76, 0.075, BLACK)


def desert(stage: Stage) -> None:
    """Dunes with a lit and a shaded side, a large sun, and somebody on foot."""
    dark, middle, light, pale, accent = stage.colours
    sun = stage.between(0.3, 0.7), stage.between(0.28, 0.4)
    sky(stage, (middle, light, pale), sun)
    disc(stage, sun, stage.between(0.14, 0.24), mix(accent, WHITE, 0.45))
    ripples = stage.noise(60, 8, 0.7)
    for crest, share in ((0.5, 0.0), (0.58, 0.35), (0.68, 0.65), (0.8, 1.0)):
        dune(stage, crest, mix(light, dark, share), mix(pale, accent, 0.3 + 0.4 * share), ripples)
    walker(stage, stage.between(0.35, 0.65), 0.735, 0.06, mix(dark, BLACK, 0.7))


def sea(stage: Stage) -> None:
    """The sun on the horizon, its track on the waves, and a boat."""
    dark, middle, light, pale, accent = stage.colours
    horizon = stage.between(0.5, 0.58)
    sun = stage.between(0.3, 0.7), horizon - stage.between(0.03, 0.12)
    sky(stage, (dark, middle, light, pale), sun, horizon)
    disc(stage, sun, 0.06, mix(accent, WHITE, 0.8))
    x, y = places(stage.fine)
    below = step(y - horizon, 0, 0.006) + 0 * x
    water = waves(stage, horizon)
    depth = np.clip((y - horizon) / (1 - horizon), 0, 1)
    stage.lay(mix(dark, middle, 0.35), below)
    stage.lay(mix(light, pale, 0.3), below * step(water, 0.45, 0.95) * (0.75 - 0.55 * depth))
    stage.lay(mix(dark, BLACK, 0.6), below * step(water, 0.5, 0.1) * (0.25 + 0.6 * depth))
    track = np.exp(-(((x - sun[0]) / (0.05 + 0.22 * depth)) ** 2))
    stage.lay(mix(accent, WHITE, 0.7), below * track * step(water, 0.5, 0.75))
    boat(stage, 1 - sun[0] + stage.between(-0.05, 0.05), horizon + 0.055, BLACK)


def city(stage: Stage) -> None:
    """A skyline at night over a wet street that mirrors it."""
    dark, middle, light, _, accent = stage.colours
    shore = stage.between(0.66, 0.72)
    sky(stage, (mix(dark, BLACK, 0.5), dark, middle, light), (0.5, shore), shore)
    fog = stage.noise(2, 3)
    for share, height in ((0.15, 0.42), (0.5, 0.3), (0.9, 0.2)):
        wall = mix(mix(middle, light, 0.35), mix(dark, BLACK, 0.6), share)
        buildings(stage, shore, height, wall, mix(accent, WHITE, 0.35), share)
        mist(stage, shore, mix(middle, accent, 0.3), 0.5 * (1 - share), fog)
    mirror(stage, shore)
    bokeh(stage, 26, (accent, mix(light, WHITE, 0.4), mix(accent, WHITE, 0.5)), shore + 0.02)
    x = stage.between(0.35, 0.65)
    stage.lay(mix(accent, WHITE, 0.2), glow(stage, (x, 0.66), 0.2) * 0.6)
    walker(stage, x, 0.77, 0.17, BLACK)


def space(stage: Stage) -> None:
    """A nebula, stars, and a planet with its night side towards us."""
    dark, middle, light, pale, accent = stage.colours
    cloud, veil = stage.noise(3), stage.noise(4)
    stage.fill(cloud * 0.75, (BLACK, mix(dark, BLACK, 0.4), dark, middle))
    stage.lay(light, step(cloud * veil, 0.25, 0.6) * 0.7)
    stage.lay(accent, step(veil - cloud, 0.15, 0.7) * 0.6)
    stars(stage, 380)
    centre = stage.between(0.2, 0.8), stage.between(0.3, 0.42)
    planet(stage, centre, stage.between(0.24, 0.36), (dark, light, pale))
    ground = stage.noise(8, 1, 0.65)
    crest = ridge(stage, 0.76, 0.08, BLACK, mix(middle, BLACK, 0.5), hillshade(ground))
    x = stage.between(0.3, 0.7)
    feet = float(crest[int(x * crest.size)]) + 0.004
    stage.lay(mix(accent, WHITE, 0.4), glow(stage, (x, feet - 0.06), 0.1) * 0.8)
    walker(stage, x, feet, 0.1, BLACK)


def forest(stage: Stage) -> None:
    """Bare trunks in fog, a moon, and a light among the trees."""
    dark, middle, light, pale, accent = stage.colours
    moon = stage.between(0.25, 0.75), stage.between(0.16, 0.28)
    fog = stage.noise(2, 2)
    _, y = places(stage.fine)
    stage.fill(
        0.15 + 0.75 * np.exp(-(((y - 0.55) / 0.35) ** 2)) * (0.55 + fog * 0.6),
        (mix(dark, BLACK, 0.4), dark, middle, light),
    )
    stage.lay(pale, glow(stage, moon, 0.4) * 0.55)
    disc(stage, moon, 0.09, mix(pale, WHITE, 0.6))
    for share in (0.2, 0.45, 0.75, 1.0):
        trees(stage, share, mix(mix(middle, light, 0.45), BLACK, share**0.6))
        stage.lay(
            mix(light, pale, 0.3),
            step(np.roll(fog, int(60 * share), 1) + y, 0.8, 1.6) * (0.65 * (1 - share)),
        )
    lamp = stage.between(0.35, 0.65), 0.68
    stage.lay(accent, glow(stage, lamp, 0.3) * 0.75)
    walker(stage, lamp[0], 0.76, 0.13, BLACK)
    stage.lay(mix(accent, WHITE, 0.7), glow(stage, (lamp[0] + 0.035, lamp[1] + 0.02), 0.035))


def lights(stage: Stage) -> None:
    """Two people before the lights of a town, out of focus."""
    dark, middle, light, pale, accent = stage.colours
    _, y = places(stage.fine)
    stage.fill(y * 0.6 + stage.noise(2) * 0.4, (pale, light, middle, dark))
    bokeh(stage, 70, (accent, pale, mix(accent, WHITE, 0.6), light), 0.08)
    left = stage.between(0.3, 0.4)
    night = mix(dark, BLACK, 0.55)
    bust(stage, left, 0.5, night, accent)
    bust(stage, left + stage.between(0.28, 0.34), 0.53, mix(night, BLACK, 0.4), accent)


SCENES = (mountains, desert, sea, city, space, forest, lights)
