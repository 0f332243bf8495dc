"""Paints what stands on the land, sharp and in linear light, with antialiased outlines.

Knows nothing about the lens.
"""

import numpy as np

from .composition import Body, SceneRecipe
from .geometry import Camera, Solid, intersect
from .shading import Layer, Light, noise


def paint_body(recipe: SceneRecipe, light: Light, body: Body) -> Layer | None:
    """A body's solids, hidden surfaces removed; `None` where it lies outside the picture."""
    camera = recipe.camera
    bounds = np.array([_bounds(solid, camera) for solid in body.solids])
    left, top = np.maximum(bounds[:, :2].min(0), 0).astype(int).tolist()
    right, bottom = np.minimum(bounds[:, 2:].max(0), (camera.width, camera.height)).astype(int).tolist()
    if right - left < 2 or bottom - top < 2:
        return None
    planes = np.zeros((4, bottom - top, right - left), np.float32)
    nearest = np.full(planes.shape[1:], np.inf, np.float32)
    for solid, bound in zip(body.solids, bounds.astype(int).tolist(), strict=True):
        columns = slice(max(bound[0], left), min(bound[2], right))
        rows = slice(max(bound[1], top), min(bound[3], bottom))
        if columns.stop - columns.start < 2 or rows.stop - rows.start < 2:
            continue
        colour, opacity, enter = _paint_solid(solid, light, camera, rows, columns)
        part = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        below = planes[:, *part]
        in_front = enter < nearest[part]
        # behind what is painted already a solid only fills what is still open
        share = opacity * np.where(in_front, 1, 1 - below[3])
        below *= np.where(in_front, 1 - opacity, 1)
        below[:3] += colour * share
        below[3] += share
        nearest[part] = np.where(in_front & (opacity > 0.5), enter, nearest[part])
    light.add_haze(planes[:3], body.distance, planes[3])
    return Layer(planes, nearest, slice(top, bottom), slice(left, right))


def _bounds(solid: Solid, camera: Camera) -> tuple[float, float, float, float]:
    """Columns and rows that a solid cannot leave: left, top, right, bottom."""
    # fraying leads a little out of the box
    low = solid.centre - solid.extent * (1 + 2 * solid.roughness**2)
    high = solid.centre + solid.extent * (1 + 2 * solid.roughness**2)
    corners = [
        camera.project((x, y, z)) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
    ]
    columns, rows = zip(*corners, strict=True)
    return min(columns) - 1, min(rows) - 1, max(columns) + 2, max(rows) + 2


def _paint_solid(
    solid: Solid, light: Light, camera: Camera, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour, opacity (antialiased outline) and distance of a solid in a window of the picture."""
    dx = (np.arange(columns.start, columns.stop, dtype=np.float32)[None] + 0.5 - camera.width / 2) / camera.focal_px
    dy = (camera.horizon - np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - 0.5) / camera.focal_px
    eye = np.array([0, camera.eye, 0], np.float32)
    enter, inside, face = intersect(solid, eye, (dx, dy, np.float32(1)))
    # rays beside a polyhedron cross the planes of its faces anywhere
    enter = np.clip(enter, solid.centre[2] - solid.extent[2], solid.centre[2] + solid.extent[2])
    x, y = dx * enter, camera.eye + dy * enter
    if face is None:
        radii = np.ones(3, np.float32) if solid.radii is None else solid.radii
        pixels_inside = inside * (camera.focal_px / float(solid.centre[2]))
        normal = [(p - c) / r**2 for p, c, r in zip((x, y, enter), solid.centre, radii, strict=True)]
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        normal = [axis / length for axis in normal]
        albedo = solid.albedo[0][:, None, None]
        if solid.stripes:
            turn = np.arctan2(x - solid.centre[0], solid.centre[2] - enter)
            stripe = np.clip(0.5 + 4 * np.sin(solid.stripes * turn + 1), 0, 1)
            albedo = albedo + (solid.albedo[1][:, None, None] - albedo) * stripe
    else:
        fall_y, fall_x = np.gradient(inside)
        steepness = np.sqrt(fall_x**2 + fall_y**2)
        # far outside the planes cross at random, steeper than any outline is
        pixels_inside = inside / np.clip(steepness, np.float32(1e-6), np.float32(2 * solid.reach))
        normals = np.zeros((1, 3), np.float32) if solid.normals is None else solid.normals
        # a smooth face has one colour, which is gathered below; leaves and moss differ by pixel
        normal, albedo = normals.T, solid.albedo.T
        if solid.roughness:
            normal, albedo = normal[:, face], albedo[:, face]
    facing = normal[0] * light.direction[0] + normal[1] * light.direction[1] + normal[2] * light.direction[2]
    if solid.roughness:
        scale = 1 / (solid.reach * (0.24 if face is None else 0.2))
        u, v = (x + 0.4 * enter) * scale + 20, (y + 0.3 * enter) * scale + 20
        leaf = noise(u, v) + 0.6 * noise(u * 2.7, v * 2.7)
        pixel = float(solid.centre[2]) / camera.focal_px
        pixels_inside = pixels_inside + (0.9 * solid.roughness**2 * solid.reach / pixel) * (leaf - 0.3)
        albedo = albedo * (1 + 0.55 * solid.roughness * leaf)
        facing = 0.25 + 0.75 * facing + 0.25 * solid.roughness * leaf
    # what is sunk into the ground is hidden by it
    opacity = np.clip(0.5 + pixels_inside, 0, 1) * np.clip(0.5 + y * (camera.focal_px / solid.centre[2]), 0, 1)
    # some of the sky is hidden from what is close to the ground
    colour = light.shade(albedo, facing, normal[1])
    if face is not None and not solid.roughness:
        colour = colour[:, face]
    colour *= 0.72 + 0.28 * np.clip(y / (1.2 * solid.reach), 0, 1)
    if solid.gloss:
        half = light.direction[0] - dx, light.direction[1] - dy, light.direction[2] - np.float32(1)
        length = np.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
        shine = np.maximum(sum(n * h for n, h in zip(normal, half, strict=True)) / length, 0) ** 60
        rim = 0.5 * (1 - np.clip(-(normal[0] * dx + normal[1] * dy + normal[2]), 0, 1)) ** 3
        colour += solid.gloss * (1.2 * light.sun[:, None, None] * shine + light.horizon[:, None, None] * rim)
    return colour, opacity, enter
