"""What happens between the scene's light and the JPEG: defocus, exposure, tone, sensor noise, encoding.

Knows nothing about what is in the scene.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image as PILImage


def _window_mean(planes: np.ndarray, whole: int, part: float, axis: int) -> np.ndarray:
    """Mean over `whole` pixels on either side and `part` of the next, where all of them exist."""
    size = planes.shape[axis] - 2 * whole - 2

    def shifted(start: int) -> np.ndarray:
        return planes[:, start : start + size] if axis == 1 else planes[:, :, start : start + size]

    total = shifted(0) + shifted(2 * whole + 2)
    total *= np.float32(part)
    for start in range(1, 2 * whole + 2):
        total += shifted(start)
    total *= np.float32(1 / (2 * whole + 1 + 2 * part))
    return total


def _halve(planes: np.ndarray) -> np.ndarray:
    total = planes[:, ::2, ::2] + planes[:, 1::2, ::2]
    total += planes[:, ::2, 1::2]
    total += planes[:, 1::2, 1::2]
    total *= np.float32(0.25)
    return total


def _double(planes: np.ndarray) -> np.ndarray:
    """Linear interpolation to twice the size."""
    for axis in (1, 2):
        planes = np.moveaxis(planes, axis, 0)
        near = planes * np.float32(0.75)
        far = planes * np.float32(0.25)
        grown = np.empty((2 * len(planes), *planes.shape[1:]), np.float32)
        grown[::2] = near
        grown[2::2] += far[:-1]
        grown[0] += far[0]
        grown[1::2] = near
        grown[1:-1:2] += far[1:]
        grown[-1] += far[-1]
        planes = np.moveaxis(grown, 0, axis)
    return planes


def blur(planes: np.ndarray, diameter: float) -> np.ndarray:
    """
    Spreads every point into a smooth spot with the variance of a disc of `diameter` pixels.

    Two box windows an axis; wide spots are made at half the size, where they cost a quarter.

    Args:
        planes (`np.ndarray` of shape `(num_planes, height, width)`):
            float32 planes; pixels beyond the border repeat it.
        diameter (`float`):
            Diameter in pixels; below half a pixel nothing happens.

    Example:
        >>> point = np.zeros((1, 41, 41), np.float32)
        >>> point[0, 20, 20] = 1
        >>> spot = blur(point, 6.0)[0]
        >>> variance = float((spot.sum(0) * (np.arange(41) - 20) ** 2).sum())
        >>> round(float(spot.sum()), 3), round(variance, 3), 6**2 / 16
        (1.0, 2.25, 2.25)
    """
    if diameter < 0.5:
        return planes
    height, width = planes.shape[1:]
    if diameter > 7 and min(height, width) >= 8:
        even = (
            np.pad(planes, [(0, 0), (0, height % 2), (0, width % 2)], mode="edge")
            if height % 2 or width % 2
            else planes
        )
        # halving and doubling spread by about 3/4 px² themselves
        return _double(blur(_halve(even), (diameter**2 - 12) ** 0.5 / 2))[:, :height, :width]
    # a disc has variance d²/16 an axis, a window of n pixels on either side n (n + 1) / 3
    variance = diameter**2 / 32
    whole = int((0.25 + 3 * variance) ** 0.5 - 0.5)
    size = 2 * whole + 1
    part = size * (variance - whole * (whole + 1) / 3) / (2 * ((whole + 1) ** 2 - variance))
    margin = 2 * (whole + 1)
    planes = np.pad(planes, [(0, 0), (margin, margin), (margin, margin)], mode="edge")
    for axis in (1, 1, 2, 2):
        planes = _window_mean(planes, whole, part, axis)
    return planes


def blur_rows(planes: np.ndarray, diameters: np.ndarray) -> np.ndarray:
    """
    [`blur`] with one diameter a row, for a ground plane whose distance depends on the row alone.

    Blends between a few fixed diameters.
    """
    steps = np.array([0, 1.5, 3, 6, 12, 24, 48, 96])
    level = np.interp(diameters, steps, np.arange(len(steps)))
    blurred = np.zeros_like(planes)
    for index, diameter in enumerate(steps):
        weight = np.clip(1 - np.abs(level - index), 0, 1).astype(np.float32)
        rows = np.flatnonzero(weight)
        if len(rows):
            first, last = int(rows[0]), int(rows[-1]) + 1
            start = max(first - int(diameter) - 1, 0)
            part = blur(planes[:, start : last + int(diameter) + 1], float(diameter))
            blurred[:, first:last] += weight[first:last, None] * part[:, first - start : last - start]
    return blurred


@lru_cache(maxsize=1)
def _tone_curve() -> np.ndarray:
    """A film-like sigmoid, then the sRGB encoding, sampled over the square root of light in 0..8."""
    light = (np.linspace(0, 1, 8192) ** 2 * 8) ** 1.3
    shown = np.clip(1.06 * light / (light + 0.45**1.3), 0, 1)
    return np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055).astype(np.float32)


def develop(light: np.ndarray, stops: float, warmth: float, saturation: float) -> np.ndarray:
    """
    Exposes and grades linear light of shape `(3, height, width)` into sRGB values between 0 and 1.

    The mean log luminance at 0 `stops` comes out as a middle grey.
    """
    luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    middle = float(np.exp(np.log(luminance[::4, ::4] + np.float32(1e-4)).mean()))
    gain = np.exp(np.array([warmth, 0, -warmth], np.float32)) * np.float32(0.2 / middle * 2.0**stops)
    balanced = light * gain[:, None, None]
    grey = 0.2126 * balanced[0] + 0.7152 * balanced[1] + 0.0722 * balanced[2]
    balanced -= grey
    balanced *= np.float32(saturation)
    balanced += grey
    np.clip(balanced, 0, 8, out=balanced)
    index = np.sqrt(balanced * np.float32(1 / 8)) * np.float32(8191)
    return _tone_curve().take(index.astype(np.int32))


def expose(shown: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Adds sensor noise and quantises to uint8 of shape `(height, width, 3)`."""
    _, height, width = shown.shape
    # the colours share one field of noise, shifted: three fields look the same and cost three times as much
    grain = rng.standard_normal((height + 14, width), dtype=np.float32) * np.float32(255 * noise)
    pixels = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        value = shown[channel] * np.float32(255) + grain[7 * channel : 7 * channel + height]
        pixels[:, :, channel] = np.clip(value + np.float32(0.5), 0, 255)
    return pixels


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """JPEG bytes of uint8 pixels of shape `(height, width, 3)`."""
    buffer = io.BytesIO()
    PILImage.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
