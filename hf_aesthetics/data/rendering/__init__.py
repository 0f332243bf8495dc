"""Synthetic photographs with true maps: small landscapes, painted, photographed through a thin lens and measured.

Knows nothing about raters and data sets. The scenes are a planted truth for demonstrations and tests, and no evidence
about photographs.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage

from .bodies import paint_body
from .composition import Body, Ridge, SceneRecipe, compose_scene
from .geometry import Camera
from .landscape import paint_ground, paint_ridge, paint_sky
from .measurement import CAUSES, Cause, measure_causes
from .optics import blur, blur_rows, develop, encode_jpeg, expose
from .shading import Layer, Light, light_of


__all__ = [
    "CAUSES",
    "MAX_BLUR",
    "Body",
    "Camera",
    "Cause",
    "Ridge",
    "Scene",
    "SceneRecipe",
    "compose_scene",
    "paint_scene",
    "photograph",
    "render_scene",
]

# the circle of confusion, as a share of the picture's diagonal, that is 1 on the blur map
MAX_BLUR = 0.03


@dataclass(frozen=True, eq=False)
class Scene:
    """
    A rendered photograph and what is true of it.

    Args:
        jpeg (`bytes`):
            The photograph as the camera saved it.
        distance (`np.ndarray` of shape `(height, width)`):
            Distance from the camera in metres, along its axis; infinite in the sky.
        depth_map (`np.ndarray` of shape `(height, width)`):
            Inverse distance: 1 at the nearest visible point, 0 in the sky.
        blur_map (`np.ndarray` of shape `(height, width)`):
            Circle of confusion at that distance: 0 sharp, 1 from `MAX_BLUR` of the diagonal on.
        saliency_map (`np.ndarray` of shape `(height, width)`):
            The subject, softly, as high as the cause `saliency`.
        subject_mask (`np.ndarray` of shape `(height, width)`):
            Opacity of the subject where nothing hides it.
        subject_position (`tuple[float, float]`):
            Centroid of the subject as shares of width and height.
        causes (`dict[str, float]`):
            The measured properties of [`CAUSES`], each in [0, 1].
        recipe ([`SceneRecipe`]):
            What the scene was painted from.
    """

    jpeg: bytes
    distance: np.ndarray
    depth_map: np.ndarray
    blur_map: np.ndarray
    saliency_map: np.ndarray
    subject_mask: np.ndarray
    subject_position: tuple[float, float]
    causes: dict[str, float]
    recipe: SceneRecipe

    @property
    def image(self) -> PILImage.Image:
        """The photograph, decoded."""
        return PILImage.open(io.BytesIO(self.jpeg)).convert("RGB")


def render_scene(seed: int, long_side: int | None = None) -> Scene:
    """
    Draws, paints, photographs and measures one scene: bit for bit the same for a seed, in any process and order.

    Args:
        seed (`int`):
            Which scene. Not negative.
        long_side (`int`, *optional*):
            Longer side of the picture in pixels. Drawn between 256 and 448 by default.

    Returns:
        [`Scene`]

    Example:
        >>> scene = render_scene(3, long_side=96)
        >>> scene.image.size, scene.depth_map.shape, sorted(scene.causes) == sorted(CAUSES)
        ((96, 72), (72, 96), True)
    """
    return photograph(compose_scene(seed, long_side))


def photograph(recipe: SceneRecipe) -> Scene:
    """
    Paints a scene back to front, every layer blurred by the circle of confusion at its distance, and measures it.

    Args:
        recipe ([`SceneRecipe`]):
            What the scene consists of, drawn by [`compose_scene`] or written by hand.
    """
    camera = recipe.camera
    picture, distance, subject_mask = _paint(recipe, light_of(recipe))
    shown = develop(picture, recipe.stops, recipe.warmth, recipe.saturation)
    pixels = expose(shown, recipe.noise, np.random.Generator(np.random.PCG64([recipe.seed, 1])))
    depth_map = distance.min() / distance
    blur_map = np.clip(camera.circle_of_confusion(distance) / (MAX_BLUR * camera.diagonal), 0, 1)
    causes, position = measure_causes(shown, depth_map, blur_map, subject_mask)
    saliency_map = blur(subject_mask[None], 0.03 * camera.diagonal)[0] * np.float32(causes["saliency"])
    return Scene(
        jpeg=encode_jpeg(pixels, recipe.jpeg_quality),
        distance=distance,
        depth_map=depth_map,
        blur_map=blur_map,
        saliency_map=saliency_map,
        subject_mask=subject_mask,
        subject_position=position,
        causes=causes,
        recipe=recipe,
    )


def paint_scene(recipe: SceneRecipe) -> np.ndarray:
    """Light on the film of a scene, float32 of shape `(3, height, width)`."""
    picture, _, _ = _paint(recipe, light_of(recipe))
    return picture


def _paint(recipe: SceneRecipe, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Light on the film `(3, height, width)`, distances and the subject's visible opacity `(height, width)`."""
    camera = recipe.camera
    picture = paint_sky(recipe, light)
    distance = np.full((camera.height, camera.width), np.inf, np.float32)
    subject_mask = np.zeros_like(distance)

    skyline, skyline_diameter = None, 0.0
    for ridge in recipe.ridges:
        layer = paint_ridge(recipe, light, ridge)
        if layer is None:
            continue
        _note_distance(distance, layer)
        diameter = float(camera.circle_of_confusion(ridge.distance))
        # ridges that are about equally blurred are blurred only once
        if skyline is not None and abs(diameter - skyline_diameter) > 1:
            _lay_over(picture, skyline, skyline_diameter)
            skyline = None
        if skyline is None:
            skyline, skyline_diameter = layer, diameter
        else:
            skyline = _merge(skyline, layer)
    if skyline is not None:
        _lay_over(picture, skyline, skyline_diameter)

    ground = paint_ground(recipe, light, picture)
    if ground is not None:
        _note_distance(distance, ground)
        planes = blur_rows(ground.planes, camera.circle_of_confusion(ground.distance[:, 0]))
        _lay_over(picture, ground._replace(planes=planes), 0.0)

    subject = recipe.bodies[0]
    for body in sorted(recipe.bodies, key=lambda body: -body.distance):
        layer = paint_body(recipe, light, body)
        if layer is None:
            continue
        _note_distance(distance, layer)
        rows, columns, opacity = _lay_over(picture, layer, float(camera.circle_of_confusion(body.distance)))
        subject_mask[rows, columns] *= 1 - opacity
        if body is subject:
            subject_mask[rows, columns] += opacity
    return picture, distance, subject_mask


def _note_distance(distance: np.ndarray, layer: Layer) -> None:
    np.copyto(distance[layer.rows, layer.columns], layer.distance, where=np.isfinite(layer.distance))


def _merge(back: Layer, front: Layer) -> Layer:
    """Two layers that are as wide as the picture as one."""
    start, stop = min(back.rows.start, front.rows.start), max(back.rows.stop, front.rows.stop)
    planes = np.pad(back.planes, [(0, 0), (back.rows.start - start, stop - back.rows.stop), (0, 0)])
    part = planes[:, front.rows.start - start : front.rows.stop - start]
    part *= 1 - front.planes[3]
    part += front.planes
    return Layer(planes, front.distance, slice(start, stop), front.columns)


def _lay_over(picture: np.ndarray, layer: Layer, diameter: float) -> tuple[slice, slice, np.ndarray]:
    """Blurs a layer, lays it over the picture, and returns the window that it then covers and its opacity there."""
    height, width = picture.shape[1:]
    margin = int(diameter) + 2 if diameter >= 0.5 else 0
    top, left = min(margin, layer.rows.start), min(margin, layer.columns.start)
    bottom, right = min(margin, height - layer.rows.stop), min(margin, width - layer.columns.stop)
    planes = blur(np.pad(layer.planes, [(0, 0), (top, bottom), (left, right)]), diameter)
    rows = slice(layer.rows.start - top, layer.rows.stop + bottom)
    columns = slice(layer.columns.start - left, layer.columns.stop + right)
    part = picture[:, rows, columns]
    part *= 1 - planes[3]
    part += planes[:3]
    return rows, columns, planes[3]
