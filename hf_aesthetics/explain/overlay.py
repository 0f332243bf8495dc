"""Explanations drawn over their pictures: orange raises the score, blue lowers it. Knows nothing about models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..images import read_image
from .explanation import Explanation


_RAISES, _LOWERS = np.radians([65.0, 245.0])  # hues: orange and blue, which colour-blind people tell apart, too
_CHROMA = 0.13  # about the most that both hues have on a screen at most lightnesses
_PLACES = 32  # along the longer side: a pixel of its own colour would not be seen
_SHARE = 0.995  # of the places lie below the strongest colour
_CELL, _GAP, _LINE = 320, 8, 22  # pixels
_TITLES = {"cam": "CAM", "grad_cam": "Grad-CAM", "grad_cam_plus_plus": "Grad-CAM++"}


def overlay(image: Any, explanation: Explanation) -> Image.Image:
    """
    Draws an explanation over its picture, which lies beneath in grey: orange raises the score, blue lowers it. The
    strongest place of a picture has the strongest colour, so colours of two pictures do not compare.

    Args:
        image (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The picture, or its modality map.
        explanation ([`Explanation`]):
            What [`explain`] says of it.

    Returns:
        `PIL.Image.Image` of mode `"RGB"`, as large as the picture.

    Raises:
        ImageReadError: If the picture cannot be read.
        ValueError: If the explanation has other proportions than the picture.

    Example:
        >>> ramp = Explanation(np.linspace(-1, 1, 96, dtype=np.float32).reshape(8, 12), "occlusion", score=5.4)
        >>> drawn = overlay(Image.new("RGB", (600, 400), "white"), ramp)
        >>> drawn.size, drawn.getpixel((300, 399)), drawn.getpixel((300, 0))
        ((600, 400), (255, 188, 121), (137, 212, 255))
    """
    picture = read_image(image)
    _check_proportions(explanation.heat, picture.size)
    scale = _PLACES / max(picture.size)
    coarse = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    places = Image.fromarray(explanation.heat).resize(coarse, Image.Resampling.BOX)
    strongest = np.quantile(np.abs(np.asarray(places)), _SHARE) or 1.0
    heat = np.asarray(places.resize(picture.size, Image.Resampling.BICUBIC)) / strongest
    grey = np.asarray(picture.convert("L"), dtype=np.float32) / 255
    return Image.fromarray((tint(grey, heat.clip(-1, 1)) * 255).round().astype(np.uint8))


def tint(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """
    Colours a grey picture: orange for positive heat, blue for negative, the stronger the more saturated.

    Colours lie in OKLab ([Ottosson 2020](https://bottosson.github.io/posts/oklab/)), in which distances are about what
    people see: equal steps of heat look equally large, and both colours equally strong. The picture gives the
    lightness, within bounds that leave room for a colour.

    Args:
        grey (`np.ndarray` of shape `(...)`):
            In [0, 1].
        heat (`np.ndarray` of the same shape):
            In [-1, 1].

    Returns:
        `np.ndarray` of shape `(..., 3)`: sRGB in [0, 1].

    Example:
        >>> tint(np.array([0.5, 0.5, 0.5]), np.array([1.0, 0.0, -1.0])).round(1).tolist()
        [[0.8, 0.5, 0.2], [0.4, 0.4, 0.4], [0.3, 0.6, 0.9]]
    """
    strength, hue = np.abs(heat), np.where(heat > 0, _RAISES, _LOWERS)
    lightness = 0.25 + 0.55 * grey + strength * (0.25 - 0.2 * grey)
    chroma = _CHROMA * strength
    return _oklab_to_srgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1))


def draw_explanations(image: Any, explanations: Sequence[Explanation]) -> Image.Image:
    """
    Draws a picture and several explanations of it side by side, named by their methods.

    Args:
        image (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The picture.
        explanations (`Sequence` of [`Explanation`]):
            One or more.

    Raises:
        ImageReadError: If the picture cannot be read.
        ValueError: If there is no explanation, or one has other proportions than the picture.

    Example:
        >>> flat = Explanation(np.zeros((8, 12), dtype=np.float32), "occlusion", score=5.4)
        >>> draw_explanations(Image.new("RGB", (600, 400)), [flat, flat]).size
        (992, 251)
    """
    if not explanations:
        raise ValueError("Expected at least one explanation, got none. Make them with explain.")
    picture = ImageOps.contain(read_image(image), (_CELL, _CELL))
    cells = [(f"score {explanations[0].score:.2f}", picture)]
    for each in explanations:
        cells.append((_TITLES.get(each.method, each.method.replace("_", " ")), overlay(picture, each)))
    width, height = picture.width + _GAP, picture.height + _LINE + _GAP
    sheet = Image.new("RGB", (_GAP + width * len(cells), _GAP + height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, (title, cell) in enumerate(cells):
        left = _GAP + column * width
        draw.text((left, 4), title, "black", font)
        sheet.paste(cell, (left, _LINE + _GAP))
    return sheet


def _check_proportions(heat: np.ndarray, size: tuple[int, int]) -> None:
    (width, height), (rows, columns) = size, heat.shape
    expected = columns * height / width
    if abs(rows - expected) > max(1, height / width, 0.05 * expected):
        raise ValueError(
            f"An explanation must have the proportions of its picture, got heat of {columns} x {rows} for a picture "
            f"of {width} x {height} pixels. Explain this picture."
        )


def _oklab_to_srgb(oklab: np.ndarray) -> np.ndarray:
    """`(..., 3)` -> `(..., 3)`; what no screen shows is clipped."""
    to_cones = [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    to_linear = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
    linear = ((oklab @ np.transpose(to_cones)) ** 3 @ np.transpose(to_linear)).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
