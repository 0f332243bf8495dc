"""The camera and the convex solids of a synthetic scene, and where a ray meets them.

Knows nothing about colour, light or which things a solid belongs to.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


Vector = np.ndarray | Sequence[float]
# x, y and z of many points or directions, as arrays that broadcast
Coordinates = np.ndarray | Sequence[np.ndarray | np.floating]


@dataclass(frozen=True)
class Camera:
    """
    A thin lens that looks level along +z, its film shifted so that the horizon may lie in any row.

    The world is a miniature: x to the right, y up from the ground, z away from the camera, all in metres.

    Args:
        width (`int`), height (`int`):
            Size of the picture in pixels.
        focal_px (`float`):
            Distance between lens and film in pixels.
        horizon (`float`):
            Row of the horizon.
        eye (`float`):
            Height of the lens above the ground.
        aperture (`float`):
            Diameter of the lens opening; 0 is a pinhole.
        focus (`float`):
            Distance that is sharp.

    Example:
        >>> camera = Camera(300, 200, focal_px=400, horizon=90, eye=0.2, aperture=0.02, focus=2.0)
        >>> [round(float(camera.circle_of_confusion(z)), 3) for z in (1.0, 2.0, 4.0, math.inf)]
        [4.0, 0.0, 2.0, 4.0]
        >>> camera.project((0.1, 0.0, 2.0))
        (170.0, 130.0)
    """

    width: int
    height: int
    focal_px: float
    horizon: float
    eye: float
    aperture: float = 0.0
    focus: float = math.inf

    @property
    def diagonal(self) -> float:
        """Diagonal of the picture in pixels."""
        return math.hypot(self.width, self.height)

    def circle_of_confusion(self, distance: np.ndarray | float) -> np.ndarray:
        r"""
        Diameter in pixels of the disc into which a thin lens spreads a point.

        $$c(z) = A \, v \, \lvert 1 / z_f - 1 / z \rvert$$

        with the aperture $A$, the film distance $v$ in pixels and the distance in focus $z_f$.
        """
        return self.aperture * self.focal_px * np.abs(1 / self.focus - 1 / np.asarray(distance, dtype=np.float32))

    def ground_row(self, distance: float) -> float:
        """Row in which the ground at `distance` appears."""
        return self.horizon + self.focal_px * self.eye / distance

    def project(self, point: Vector) -> tuple[float, float]:
        """Column and row of a point `(x, y, z)`."""
        scale = self.focal_px / float(point[2])
        return self.width / 2 + float(point[0]) * scale, self.horizon + (self.eye - float(point[1])) * scale


@dataclass(frozen=True)
class Solid:
    """
    An ellipsoid (`radii`) or a convex polyhedron (all points p with `normals` · (p - `centre`) <= `offsets`).

    Args:
        centre (`np.ndarray` of shape `(3,)`):
            Where it stands.
        extent (`np.ndarray` of shape `(3,)`):
            Half the size of an upright box around it.
        albedo (`np.ndarray` of shape `(num_colours, 3)`):
            Linear-light colours: one a face of a polyhedron, two for the `stripes` of an ellipsoid.
        radii (`np.ndarray` of shape `(3,)`, *optional*):
            Radii of an ellipsoid.
        normals (`np.ndarray` of shape `(num_faces, 3)`, *optional*):
            Outward unit normals of the faces of a polyhedron.
        offsets (`np.ndarray` of shape `(num_faces,)`, *optional*):
            Distances of its faces from the centre.
        roughness (`float`):
            How far leaves or moss fray the outline and mottle the surface.
        gloss (`float`):
            Strength of the highlight, for ellipsoids.
        stripes (`int`):
            Number of stripes of the second colour around the vertical axis, for ellipsoids.
    """

    centre: np.ndarray
    extent: np.ndarray
    albedo: np.ndarray
    radii: np.ndarray | None = None
    normals: np.ndarray | None = None
    offsets: np.ndarray | None = None
    roughness: float = 0.0
    gloss: float = 0.0
    stripes: int = 0

    @property
    def reach(self) -> float:
        """The largest half size."""
        return float(self.extent.max())


class Crossing(NamedTuple):
    """
    Where rays meet a solid.

    Args:
        enter (`np.ndarray`):
            How far along the ray it enters.
        inside (`np.ndarray`):
            Positive where the ray hits, falling smoothly through 0 at the outline. For an ellipsoid how far within the
            surface the ray passes, for a polyhedron the length of the ray within it.
        face (`np.ndarray`, *optional*):
            Index of the face that it enters by, for a polyhedron.
    """

    enter: np.ndarray
    inside: np.ndarray
    face: np.ndarray | None


def ellipsoid(
    centre: Vector,
    radii: Vector,
    colour: np.ndarray,
    second_colour: np.ndarray | None = None,
    roughness: float = 0.0,
    gloss: float = 0.0,
    stripes: int = 0,
) -> Solid:
    """Ellipsoid with upright axes, plain or striped."""
    albedo = np.stack([colour, colour if second_colour is None else second_colour]).astype(np.float32)
    radii = np.asarray(radii, np.float32)
    centre = np.asarray(centre, np.float32)
    return Solid(centre, radii, albedo, radii, roughness=roughness, gloss=gloss, stripes=stripes)


def polyhedron(
    centre: Vector, normals: np.ndarray, offsets: Vector, extent: Vector, albedo: np.ndarray, roughness: float = 0.0
) -> Solid:
    """Convex polyhedron from its faces: normals of any length, and one colour for all or one a face."""
    normals = np.asarray(normals, np.float32)
    length = np.linalg.norm(normals, axis=1)
    return Solid(
        np.asarray(centre, np.float32),
        np.asarray(extent, np.float32),
        np.broadcast_to(np.asarray(albedo, np.float32), (len(normals), 3)),
        normals=normals / length[:, None],
        offsets=np.asarray(offsets, np.float32) / length,
        roughness=roughness,
    )


def frustum(
    foot: Vector,
    bottom: float,
    top: float,
    height: float,
    colour: np.ndarray,
    sides: int = 8,
    turn: float = 0.0,
    roughness: float = 0.0,
) -> Solid:
    """Upright regular prism or pyramid on `foot`, `bottom` and `top` being the radii of its corners."""
    angles = turn + 2 * np.pi * np.arange(sides) / sides
    flat = math.cos(math.pi / sides)
    rise = np.full(sides, flat * (bottom - top) / height)
    normals = np.concatenate([np.stack([np.cos(angles), rise, np.sin(angles)], 1), [[0, 1, 0], [0, -1, 0]]])
    offsets = [flat * (bottom + top) / 2] * sides + [height / 2] * 2
    centre = np.asarray(foot, np.float32) + np.array([0, height / 2, 0], np.float32)
    wide = max(bottom, top)
    return polyhedron(centre, normals, offsets, (wide, height / 2, wide), colour, roughness)


def gable(
    foot: Vector,
    half_width: float,
    half_length: float,
    height: float,
    slopes: np.ndarray,
    ends: np.ndarray,
    turn: float,
) -> Solid:
    """Prism with a triangular front, a roof or a tent, its ridge `height` above `foot`."""
    across = np.array([math.cos(turn), 0, math.sin(turn)])
    along = np.array([-math.sin(turn), 0, math.cos(turn)])
    rise = np.array([0, half_width / height, 0])
    normals = np.stack([rise + across, rise - across, along, -along, [0, -1, 0]])
    offsets = [half_width, half_width, half_length, half_length, 0]
    wide = math.hypot(half_width, half_length)
    return polyhedron(foot, normals, offsets, (wide, height, wide), np.stack([slopes, slopes, ends, ends, ends]))


def intersect(solid: Solid, origin: Coordinates, direction: Coordinates) -> Crossing:
    """
    Where rays meet a solid.

    Returns:
        [`Crossing`]

    Example:
        >>> ball = ellipsoid((0, 0, 5), (1, 1, 1), np.ones(3))
        >>> crossing = intersect(ball, np.zeros(3, np.float32), np.array([0, 0, 1], np.float32))
        >>> float(crossing.enter), float(crossing.inside)
        (4.0, 1.0)
    """
    offset = [origin[axis] - solid.centre[axis] for axis in range(3)]
    if solid.radii is not None:
        offset = [offset[axis] / solid.radii[axis] for axis in range(3)]
        rate = [direction[axis] / solid.radii[axis] for axis in range(3)]
        a = rate[0] * rate[0] + rate[1] * rate[1] + rate[2] * rate[2]
        b = offset[0] * rate[0] + offset[1] * rate[1] + offset[2] * rate[2]
        c = offset[0] * offset[0] + offset[1] * offset[1] + offset[2] * offset[2]
        passing = np.sqrt(np.maximum(c - b * b / a, 0))
        root = np.sqrt(np.maximum(b * b - a * (c - 1), 0))
        return Crossing((-b - root) / a, (1 - passing) * solid.radii.min(), None)
    if solid.normals is None or solid.offsets is None:
        raise ValueError("A Solid must have `radii`, or `normals` and `offsets`, got neither. Use ellipsoid(...).")
    normals = solid.normals.T[:, :, None, None]
    # y is added last: where x varies by column and y by row, all before is small
    rate = (normals[0] * direction[0] + normals[2] * direction[2]) + normals[1] * direction[1]
    gap = (solid.offsets[:, None, None] - normals[1] * offset[1]) - normals[2] * offset[2] - normals[0] * offset[0]
    # a ray along a face never leaves or never enters there: a tiny rate says the same without a division by 0
    crossing = gap / (rate + np.float32(1e-12))
    front = np.broadcast_to(rate < 0, crossing.shape)
    entering = np.where(front, crossing, np.float32(-1e9))
    face = entering.argmax(0)
    enter = np.take_along_axis(entering, face[None], 0)[0]
    leave = np.where(front, np.float32(1e9), crossing).min(0)
    return Crossing(enter, leave - enter, face)
