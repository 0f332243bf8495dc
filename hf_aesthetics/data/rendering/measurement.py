"""Measures the causes of a scene's appeal on the finished picture and its true maps.

Knows nothing about raters: a cause is a property of the picture, not an opinion.
"""

from typing import NamedTuple

import numpy as np

from .composition import closeness_to_thirds
from .optics import blur


class Cause(NamedTuple):
    """What a cause measures, and its mean and standard deviation over scenes as they are drawn."""

    meaning: str
    mean: float
    std: float


CAUSES = {
    "composition": Cause(
        "closeness of the subject's centroid to a crossing of the thirds lines; 0 as far as the centre", 0.48, 0.27
    ),
    "depth": Cause(
        "spread of distances: standard deviation in octaves (sky: 6 behind the nearest point) over 3", 0.63, 0.16
    ),
    "focus": Cause("sharpness of the subject: 1 minus its mean on the blur map", 0.56, 0.29),
    "light": Cause("share of well-exposed pixels: mean of exp(-(grey - 1/2)² / (2 · 0.2²))", 0.73, 0.15),
    "colour": Cause("vividness: standard deviation of the CIELAB colour a*, b* over 40", 0.35, 0.18),
    "saliency": Cause(
        "contrast d / (d + s) of the CIELAB distance d from subject to surroundings and the picture's spread s",
        0.51,
        0.12,
    ),
}
# every third pixel is enough for means and spreads
_STEP = 3
_OCTAVES = 6
_RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
_WHITE = np.array([0.9505, 1.0, 1.089], np.float32)


def _to_lab(encoded: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB values between 0 and 1, planes first."""
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    relative = [sum(_RGB_TO_XYZ[i, j] * light[j] for j in range(3)) / _WHITE[i] for i in range(3)]
    x, y, z = (np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116) for t in relative)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def measure_causes(
    shown: np.ndarray, depth_map: np.ndarray, blur_map: np.ndarray, subject_mask: np.ndarray
) -> tuple[dict[str, float], tuple[float, float]]:
    """
    Causes of a picture, each in [0, 1] as [`CAUSES`] says, and the subject's centroid.

    Args:
        shown (`np.ndarray` of shape `(3, height, width)`):
            sRGB values between 0 and 1.
        depth_map (`np.ndarray` of shape `(height, width)`), blur_map (`np.ndarray` of shape `(height, width)`):
            The true maps.
        subject_mask (`np.ndarray` of shape `(height, width)`):
            Opacity of the subject where nothing hides it.

    Returns:
        `tuple[dict[str, float], tuple[float, float]]`: the causes, and the centroid as shares of width and height.
    """
    mask = subject_mask[::_STEP, ::_STEP]
    height, width = mask.shape
    weight = mask / max(float(mask.sum()), 1e-6)
    x = float(weight.sum(0) @ np.arange(width, dtype=np.float32)) * _STEP + 0.5
    y = float(weight.sum(1) @ np.arange(height, dtype=np.float32)) * _STEP + 0.5
    x, y = x / subject_mask.shape[1], y / subject_mask.shape[0]

    lab = _to_lab(shown[:, ::_STEP, ::_STEP])
    halo = np.clip(3 * blur(mask[None], 0.16 * float(np.hypot(height, width)))[0], 0, 1) * (mask < 0.05)
    inside = (lab * weight).sum((1, 2))
    around = (lab * halo).sum((1, 2)) / max(float(halo.sum()), 1e-6)
    difference = float(np.sqrt(((inside - around) ** 2).sum()))
    variance = lab.reshape(3, -1).var(1)
    grey = (
        0.2126 * shown[0, ::_STEP, ::_STEP] + 0.7152 * shown[1, ::_STEP, ::_STEP] + 0.0722 * shown[2, ::_STEP, ::_STEP]
    )
    octaves = -np.log2(np.maximum(depth_map[::_STEP, ::_STEP], 2.0**-_OCTAVES))
    causes = {
        "composition": closeness_to_thirds(x, y),
        "depth": octaves.std() / (_OCTAVES / 2),
        "focus": 1 - (blur_map[::_STEP, ::_STEP] * weight).sum(),
        "light": np.exp(-((grey - 0.5) ** 2) / (2 * 0.2**2)).mean(),
        "colour": np.sqrt(variance[1] + variance[2]) / 40,
        "saliency": difference / (difference + float(np.sqrt(variance.sum())) + 1e-6),
    }
    return {name: float(np.clip(value, 0, 1)) for name, value in causes.items()}, (x, y)
