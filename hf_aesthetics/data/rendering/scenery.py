"""What stands in a synthetic scene: moods of light, kinds of land, plants, rocks and the things a picture is about.

Knows nothing about where these stand in a picture or how they are painted.
"""

import math
from dataclasses import dataclass

import numpy as np

from .geometry import Solid, ellipsoid, frustum, gable, polyhedron


def linear(*codes: str) -> np.ndarray:
    """
    Linear-light RGB of sRGB hex codes, float32 of shape `(len(codes), 3)`.

    Example:
        >>> linear("#ffffff", "#000000").tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    encoded = np.array([[int(code[start : start + 2], 16) / 255 for start in (1, 3, 5)] for code in codes])
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass(frozen=True)
class Mood:
    """Sky, sun and air of an hour; `haze` is how far one sees, in distances of the subject."""

    zenith: str
    horizon: str
    sun: str
    sun_strength: float
    ambient: str
    ambient_strength: float
    elevation: tuple[float, float]
    haze: float


@dataclass(frozen=True)
class Land:
    """Colours of the ground, what grows on it and its rocks; `pattern` is "flowers", "rows", "dunes" or "plain"."""

    bright: str
    dark: str
    pattern: str
    blooms: tuple[str, ...]
    leaves: tuple[str, str, str]
    stone: str


MOODS = {
    "morning": Mood("#5f97cf", "#f6e3c4", "#ffe3b0", 2.6, "#a9c6e8", 0.75, (16, 30), 18),
    "day": Mood("#2f74bd", "#cfe6f2", "#fff1d6", 2.8, "#9cc3ea", 0.85, (30, 50), 30),
    "golden": Mood("#6f8fb8", "#ffd08a", "#ffb65c", 3.2, "#a79fb8", 0.65, (10, 19), 16),
    "rose": Mood("#5b6ba8", "#ffb9a0", "#ff9f6e", 2.8, "#a895c4", 0.75, (8, 15), 15),
    "mist": Mood("#a7bfce", "#f5ebda", "#ffe6bd", 2.0, "#c3ced8", 1.0, (18, 32), 8),
    "dusk": Mood("#27366e", "#f2a07c", "#ff9468", 2.1, "#7d82bd", 0.85, (7, 12), 14),
}
LANDS = {
    "meadow": Land(
        "#9dbb55", "#4f7f37", "flowers", ("#fff3c4", "#f7c6d9"), ("#3f7a3c", "#5d8f3d", "#2f6646"), "#a6a49a"
    ),
    "heath": Land(
        "#a8a24f", "#6a7038", "flowers", ("#c58bd8", "#e6a6e0"), ("#4d6f3a", "#6d7f3f", "#3c5f48"), "#9b958c"
    ),
    "wheat": Land("#e6c068", "#b0802f", "rows", (), ("#5c7f3a", "#7a8b40", "#46693a"), "#b3a58d"),
    "lavender": Land("#a58ad6", "#55703d", "rows", (), ("#4e7340", "#6d8a4a", "#3d6148"), "#b0a79c"),
    "snow": Land("#eef3fa", "#c4d4ea", "plain", (), ("#4b7a66", "#3c6a5c", "#6a8f86"), "#8f99a6"),
    "sand": Land("#ecd2a2", "#cfa671", "dunes", (), ("#7b8a4a", "#96964f", "#6a7f55"), "#b79a7c"),
    "autumn": Land(
        "#cf9a48", "#80552b", "flowers", ("#e8743a", "#f2b84a"), ("#c4702c", "#d99a35", "#8f4a2a"), "#9d8f80"
    ),
}
ACCENTS = ("#d7263d", "#f46036", "#f9c80e", "#1b6fd0", "#e0338a", "#fdfdf8", "#7b2ff2", "#00a6a6")
BARK = linear("#6b4a35")[0]
LAMP = linear("#ffdf94")[0] * 1.25


def pine(foot: np.ndarray, height: float, leaves: np.ndarray, rng: np.random.Generator) -> list[Solid]:
    """A conifer: four ragged cones, lighter towards the top."""
    solids = [frustum(foot, 0.045 * height, 0.04 * height, 0.25 * height, BARK, sides=5)]
    for tier in range(4):
        at = foot + [0, (0.14 + 0.2 * tier) * height, 0]
        width, rise = (0.25 - 0.05 * tier) * height, (0.38 - 0.03 * tier) * height
        tone = leaves * (0.8 + 0.13 * tier)
        solids.append(frustum(at, width, 0, rise, tone, sides=7, turn=rng.uniform(0, 6), roughness=0.35))
    return solids


def broadleaf(foot: np.ndarray, height: float, leaves: np.ndarray, rng: np.random.Generator) -> list[Solid]:
    """A round tree: five leafy clouds on a trunk."""
    solids = [frustum(foot, 0.06 * height, 0.035 * height, 0.5 * height, BARK, sides=6)]
    first = rng.uniform(0, 2 * math.pi)
    for quarter, size in enumerate(rng.uniform(0.2, 0.27, 4) * height):
        angle = first + quarter * math.pi / 2
        shift = np.array([0.17 * math.cos(angle), 0.55 + 0.07 * math.sin(3 * angle), 0.17 * math.sin(angle)])
        tone = leaves * rng.uniform(0.85, 1.1)
        solids.append(ellipsoid(foot + shift * height, (size, 0.85 * size, size), tone, roughness=0.3))
    crown = np.array([0.25, 0.23, 0.25]) * height
    return [*solids, ellipsoid(foot + [0, 0.76 * height, 0], crown, leaves * 1.12, roughness=0.3)]


def bush(foot: np.ndarray, height: float, leaves: np.ndarray, rng: np.random.Generator) -> list[Solid]:
    """Three low leafy clouds."""
    radii = np.array([0.62, 0.55, 0.62]) * height
    shifts = rng.uniform(-0.5, 0.5, (3, 3)) * height * [1, 0, 1] + [0, 0.4 * height, 0]
    return [ellipsoid(foot + shift, radii, leaves * rng.uniform(0.85, 1.15), roughness=0.35) for shift in shifts]


def rock(foot: np.ndarray, height: float, stone: np.ndarray, rng: np.random.Generator) -> list[Solid]:
    """A boulder of sixteen faces."""
    # a spiral spreads the faces over all directions, so that none is missing and the boulder stays closed
    rise = 1 - (2 * np.arange(16) + 1) / 16
    angle = np.arange(16) * 2.399963 + rng.uniform(0, 6)
    ring = np.sqrt(1 - rise**2)
    normals = np.stack([ring * np.cos(angle), rise, ring * np.sin(angle)], 1) + rng.normal(0, 0.15, (16, 3))
    squash = np.array([rng.uniform(0.7, 1.0), 1.0, 0.9])
    offsets = height * rng.uniform(0.52, 0.75, 16)
    return [polyhedron(foot + [0, 0.3 * height, 0], normals / squash, offsets, (1.15 * height,) * 3, stone, 0.12)]


def house(foot: np.ndarray, height: float, wall: np.ndarray, roof: np.ndarray, turn: float) -> list[Solid]:
    """A cottage with a gable roof, a chimney and lit windows."""
    half, eaves = 0.36 * height, 0.52 * height
    across = np.array([math.cos(turn), 0, math.sin(turn)])
    along = np.array([-math.sin(turn), 0, math.cos(turn)])
    chimney = foot + 0.45 * half * (along - across) + [0, 0.66 * height, 0]
    solids = [
        frustum(foot, half * 2**0.5, half * 2**0.5, eaves, wall, sides=4, turn=turn),
        gable(foot + [0, eaves, 0], half * 1.2, half * 1.12, 0.48 * height, roof, wall, turn),
        frustum(chimney, 0.08 * height, 0.08 * height, 0.34 * height, wall * 0.75, sides=4, turn=turn),
    ]
    for axis, other in ((across, along), (along, across)):
        facing = -axis if axis[2] > 0 else axis
        for shift in (-0.45, 0.45):
            window = foot + half * facing + shift * half * other + [0, 0.2 * height, 0]
            solids.append(frustum(window, 0.08 * height, 0.08 * height, 0.17 * height, LAMP, sides=4, turn=turn))
    return solids


def lighthouse(foot: np.ndarray, height: float, wall: np.ndarray, paint: np.ndarray, turn: float) -> list[Solid]:
    """A banded tower with a lantern."""

    def storey(low: float, high: float, bottom: float, top: float, colour: np.ndarray) -> Solid:
        return frustum(foot + [0, low * height, 0], bottom * height, top * height, (high - low) * height, colour, 10)

    bands = [
        storey(0.16 * level, 0.16 * (level + 1), 0.2 - 0.0176 * level, 0.1824 - 0.0176 * level, colour)
        for level, colour in enumerate((paint, wall, paint, wall, paint))
    ]
    gallery = storey(0.8, 0.83, 0.16, 0.16, wall * 0.5)
    return [*bands, gallery, storey(0.83, 0.91, 0.08, 0.08, LAMP), storey(0.9, 1.0, 0.12, 0, paint)]


def balloon(foot: np.ndarray, height: float, second: np.ndarray, paint: np.ndarray, turn: float) -> list[Solid]:
    """A striped hot-air balloon; `foot` is the bottom of its basket."""
    envelope = np.array([0.34, 0.35, 0.34]) * height
    return [
        ellipsoid(foot + [0, 0.65 * height, 0], envelope, paint, second, gloss=0.1, stripes=12),
        frustum(foot + [0, 0.16 * height, 0], 0.06 * height, 0.26 * height, 0.3 * height, paint, sides=10),
        frustum(foot, 0.07 * height, 0.08 * height, 0.11 * height, BARK * 1.3, sides=4, turn=turn),
    ]


def ball(foot: np.ndarray, height: float, second: np.ndarray, paint: np.ndarray, turn: float) -> list[Solid]:
    """A glossy beach ball."""
    radius = height / 2
    return [ellipsoid(foot + [0, radius, 0], (radius,) * 3, paint, second, gloss=0.6, stripes=6)]


def mushroom(foot: np.ndarray, height: float, stem: np.ndarray, cap: np.ndarray, turn: float) -> list[Solid]:
    """A toadstool as tall as a tree."""
    hat = np.array([0.42, 0.34, 0.42]) * height
    return [
        frustum(foot, 0.17 * height, 0.11 * height, 0.6 * height, stem, sides=9),
        ellipsoid(foot + [0, 0.66 * height, 0], hat, cap, gloss=0.35),
    ]


def tent(foot: np.ndarray, height: float, second: np.ndarray, cloth: np.ndarray, turn: float) -> list[Solid]:
    """A ridge tent with an open front of another colour."""
    along = np.array([-math.sin(turn), 0, math.cos(turn)])
    front = foot - 0.72 * height * along
    return [
        gable(foot, 0.62 * height, 0.75 * height, height, cloth, cloth * 0.8, turn),
        gable(front, 0.34 * height, 0.06 * height, 0.72 * height, second * 0.6, second * 0.6, turn),
    ]


def blossom_tree(foot: np.ndarray, height: float, second: np.ndarray, paint: np.ndarray, turn: float) -> list[Solid]:
    """A round tree in an unlikely colour."""
    return broadleaf(foot, height, paint, np.random.Generator(np.random.PCG64(int(turn * 1e6))))


# everything that a picture can be about, each built as build(foot, height, second colour, main colour, turn)
SUBJECTS = (house, lighthouse, ball, mushroom, tent, blossom_tree, balloon)
