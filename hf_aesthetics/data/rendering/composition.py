"""Draws a scene: what the picture is about, where it stands in the frame, what surrounds it and how the camera is set.

Every choice that a rater may care about has its own random number, so that the causes stay close to independent.
"""

import math
from dataclasses import dataclass

import numpy as np

from .geometry import Camera, Solid
from .scenery import ACCENTS, LANDS, MOODS, SUBJECTS, Land, Mood, balloon, broadleaf, bush, linear, pine, rock


ASPECTS = ((3, 2), (4, 3), (16, 10), (1, 1), (4, 5), (3, 4), (2, 3))
POWER_POINTS = np.array([(x, y) for x in (1 / 3, 2 / 3) for y in (1 / 3, 2 / 3)])


@dataclass(frozen=True)
class Body:
    """A thing made of solids that shares one distance from the camera."""

    solids: tuple[Solid, ...]
    distance: float


@dataclass(frozen=True)
class Ridge:
    """A skyline across the whole picture: mountains, or with `is_wooded` the edge of a wood."""

    distance: float
    height: float
    colour: np.ndarray
    is_wooded: bool
    seed: int


@dataclass(frozen=True)
class SceneRecipe:
    """
    Everything that a picture is painted from.

    Args:
        seed (`int`):
            Seed of textures and sensor noise.
        camera ([`Camera`]):
            The camera, in focus at `camera.focus`.
        mood ([`Mood`]), land ([`Land`]):
            Palettes of sky and ground.
        sun (`np.ndarray` of shape `(3,)`):
            Unit vector towards the sun.
        bodies (`tuple[Body, ...]`):
            What stands there, the subject first.
        ridges (`tuple[Ridge, ...]`):
            Skylines, farthest first. The ground ends at the last.
        lake (`tuple[float, float]`, *optional*):
            Nearest and farthest distance of a lake.
        clouds (`float`):
            Cloudiness between 0 and 1.
        stops (`float`), warmth (`float`), saturation (`float`), noise (`float`), jpeg_quality (`int`):
            How the picture is exposed, developed and saved. Noise is a standard deviation, the white level being 1.
    """

    seed: int
    camera: Camera
    mood: Mood
    land: Land
    sun: np.ndarray
    bodies: tuple[Body, ...]
    ridges: tuple[Ridge, ...] = ()
    lake: tuple[float, float] | None = None
    clouds: float = 0.0
    stops: float = 0.0
    warmth: float = 0.0
    saturation: float = 1.0
    noise: float = 0.0
    jpeg_quality: int = 90


def closeness_to_thirds(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """
    1 on a crossing of the thirds lines, 0 as far away as the centre of the frame, linear between.

    Example:
        >>> closeness_to_thirds(np.array([1 / 3, 0.5, 0.5]), np.array([2 / 3, 0.5, 1 / 3])).round(3).tolist()
        [1.0, 0.0, 0.293]
    """
    gap = np.hypot(np.asarray(x)[..., None] - POWER_POINTS[:, 0], np.asarray(y)[..., None] - POWER_POINTS[:, 1])
    return np.clip(1 - gap.min(-1) / math.hypot(1 / 6, 1 / 6), 0, 1)


def compose_scene(seed: int, long_side: int | None = None) -> SceneRecipe:
    """
    Draws one scene, the same for the same seed everywhere.

    Args:
        seed (`int`):
            Not negative.
        long_side (`int`, *optional*):
            Longer side of the picture in pixels. Drawn between 256 and 448 by default.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    # drawn even where it is given, so that a seed is the same scene at every size
    drawn_side = round(256 + 192 * rng.uniform() ** 2)
    long_side = long_side or drawn_side
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    width, height = (round(long_side * side / max(aspect)) for side in aspect)
    mood = MOODS[list(MOODS)[rng.integers(len(MOODS))]]
    land = LANDS[list(LANDS)[rng.integers(len(LANDS))]]

    # of many places the one whose closeness to a thirds point is nearest to the wanted one
    places = rng.uniform((0.12, 0.2), (0.88, 0.86), (64, 2))
    wanted = rng.uniform()
    x, y = places[np.abs(closeness_to_thirds(places[:, 0], places[:, 1]) - wanted).argmin()].tolist()
    size = min(rng.uniform(0.3, 0.48) * min(width, height), 2 * (0.98 - y) * height, 2 * (y - 0.02) * height)
    foot_row = y * height + size / 2
    build = SUBJECTS[rng.integers(len(SUBJECTS) - 1)]
    if y < 0.45 and rng.uniform() < 0.4:
        build = balloon
    focal_px = rng.uniform(1.0, 1.4) * long_side
    eye = rng.uniform(0.12, 0.3)
    if build is balloon:
        horizon = rng.uniform(max(0.42 * height, foot_row + 0.03 * height), 0.8 * height)
        distance = rng.uniform(6, 10) * eye
    else:
        horizon = rng.uniform(0.16 * height, max(0.18 * height, min(0.62 * height, foot_row - 0.09 * height)))
        horizon = min(horizon, foot_row - 0.05 * height)
        distance = focal_px * eye / (foot_row - horizon)
    metres = distance / focal_px

    camera = _set_lens(Camera(width, height, focal_px, horizon, eye), distance, rng)
    azimuth = rng.choice([-1, 1]) * math.radians(rng.uniform(25, 140))
    elevation = math.radians(rng.uniform(*mood.elevation))
    level = math.cos(elevation)
    sun = np.array([level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth)], np.float32)

    # a wood closes the view, right behind the subject or far away
    openness = rng.uniform()
    closing = distance * 1.6 * 25**openness
    leaves = linear(*land.leaves)
    ridges = _draw_ridges(camera, leaves, closing, openness, size, rng)

    contrast = rng.uniform()
    accent, other = linear(*rng.choice(ACCENTS, 2, replace=False))
    camouflage = linear(land.bright, land.dark).mean(0)
    if build is balloon:
        camouflage = 0.6 * linear(mood.horizon)[0] + 0.3 * linear(mood.zenith)[0]
    paint = camouflage + (accent - camouflage) * contrast
    second = camouflage * 0.9 + (0.5 + 0.5 * other - camouflage * 0.9) * contrast
    lift = eye + (horizon - foot_row) * metres if build is balloon else 0.0
    foot = np.array([(x - 0.5) * width * metres, lift, distance])
    subject = Body(tuple(build(foot, size * metres, second, paint, rng.uniform(0.35, 1.2))), distance)
    bodies = [subject, *_draw_surroundings(camera, land, foot, size * metres, closing, openness, rng)]
    has_lake = rng.uniform() < 0.4
    return SceneRecipe(
        seed,
        camera,
        mood,
        land,
        sun,
        tuple(bodies),
        tuple(ridges),
        lake=(1.7 * distance, 0.98 * closing) if has_lake and closing > 3 * distance else None,
        clouds=rng.uniform(),
        stops=float(rng.choice([-1.8, 1.6])) * rng.uniform() ** 1.3,
        warmth=rng.normal(0, 0.05),
        saturation=rng.uniform(0.45, 1.35),
        noise=rng.uniform(0.002, 0.012),
        jpeg_quality=int(rng.integers(72, 96)),
    )


def _set_lens(camera: Camera, distance: float, rng: np.random.Generator) -> Camera:
    """Opens and focuses the lens so that the subject at `distance` gets a drawn blur, in front of or behind focus."""
    subject_blur = 0.03 * camera.diagonal * rng.uniform() ** 1.25
    far_blur = camera.diagonal * float(rng.choice([0.001, 0.003, 0.006, 0.012])) * rng.uniform(0.7, 1.3)
    aperture = (far_blur + 0.5 * subject_blur) * distance / camera.focal_px
    shift = subject_blur / (aperture * camera.focal_px)
    if rng.uniform() < 0.3 and shift < 0.98 / distance:
        shift = -shift
    focus = 1 / (1 / distance + shift)
    return Camera(camera.width, camera.height, camera.focal_px, camera.horizon, camera.eye, aperture, focus)


def _draw_ridges(
    camera: Camera, leaves: np.ndarray, closing: float, openness: float, size: float, rng: np.random.Generator
) -> list[Ridge]:
    blue = linear("#5c6c8c")[0]
    ridges = []
    for far, share in ((2.6, 0.24), (1.9, 0.14)):
        height = rng.uniform(0.4, 1.0) * share * camera.height * far * closing / camera.focal_px
        colour = 0.6 * leaves[2] + 0.5 * blue
        ridges.append(Ridge(far * closing, height, colour, False, int(rng.integers(1 << 30))))
    # near woods tower over the frame, far ones are a line
    rise = camera.horizon * rng.uniform(0.85, 1.15) * min(1.9 * (1 - openness) ** 1.5, 1.5) + 0.25 * size
    for step, share in ((1.6, 1.0), (1.35, 0.75), (1.15, 0.5), (1.0, 0.3)):
        colour = leaves[rng.integers(3)] * rng.uniform(0.75, 1.0)
        height = (rise * closing / camera.focal_px + camera.eye) * step * share * rng.uniform(0.9, 1.1)
        ridges.append(Ridge(closing * step, height, colour, True, int(rng.integers(1 << 30))))
    return ridges


def _draw_surroundings(
    camera: Camera,
    land: Land,
    subject: np.ndarray,
    size: float,
    closing: float,
    openness: float,
    rng: np.random.Generator,
) -> list[Body]:
    """Plants and rocks that keep clear of each other; in front only where they do not hide the subject."""
    leaves, stone = linear(*land.leaves), linear(land.stone)[0]
    distance = float(subject[2])
    taken = [(float(subject[0]), distance, 0.6 * size)]
    bodies = []
    behind, before = int(rng.integers(4, 9)), int(rng.integers(0, 3)) + (openness > 0.5)
    for index in range(behind + before):
        if index < behind:
            farthest = min(0.9 * closing, 6 * distance)
            z = distance + (farthest - distance) * rng.uniform(0.1, 1) ** 2
            tall = rng.uniform(0.7, 1.5) * size
        else:
            z = distance * rng.uniform(0.5, 0.85)
            tall = rng.uniform(0.4, 0.8) * size * z / distance
        x = rng.uniform(-0.55, 0.55) * camera.width * z / camera.focal_px
        leaf = leaves[rng.integers(3)] * rng.uniform(0.85, 1.1)
        kind = rng.uniform() if index < behind else rng.uniform(0.65, 1.0)
        hides = index >= behind and abs(x / z - subject[0] / distance) * z < tall + 0.55 * size * z / distance
        reach = 0.4 * tall
        crowded = any(math.hypot(x - px, z - pz) < reach + taken_reach for px, pz, taken_reach in taken)
        if hides or crowded or camera.ground_row(z) > 1.2 * camera.height:
            continue
        taken.append((x, z, reach))
        foot = np.array([x, 0.0, z])
        if kind < 0.4:
            solids = pine(foot, 1.3 * tall, leaf, rng)
        elif kind < 0.65:
            solids = broadleaf(foot, 1.2 * tall, leaf, rng)
        elif kind < 0.85:
            solids = bush(foot, 0.5 * tall, leaf, rng)
        else:
            solids = rock(foot, 0.6 * tall, stone, rng)
        bodies.append(Body(tuple(solids), z))
    return bodies
