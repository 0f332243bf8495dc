"""Light on surfaces: sun, sky and haze of a scene, the noise that gives surfaces texture, and layers of painted light.

Knows nothing about what is painted.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image as PILImage

from .composition import SceneRecipe
from .geometry import Camera
from .scenery import linear


class Layer(NamedTuple):
    """
    A painted window of the picture.

    Args:
        planes (`np.ndarray` of shape `(4, height, width)`):
            Linear-light colour times opacity, then opacity.
        distance (`np.ndarray` of shape `(height, width)`):
            Distance in metres, infinite where the layer does not hide what is behind it.
        rows (`slice`), columns (`slice`):
            The window.
    """

    planes: np.ndarray
    distance: np.ndarray
    rows: slice
    columns: slice


@dataclass(frozen=True)
class Light:
    """Linear-light colours of sun, sky and air, and how far one sees (`sight`, in metres)."""

    direction: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    bounce: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    sight: float

    def shade(
        self,
        albedo: np.ndarray,
        facing: np.ndarray | np.floating,
        up: np.ndarray | float,
        sunlit: np.ndarray | float = 1.0,
    ) -> np.ndarray:
        """Colour of a matte surface: `facing` and `up` are the cosines to the sun and to the zenith."""
        direct = np.maximum(facing, 0) * sunlit
        sky = 0.5 + 0.5 * np.asarray(up, np.float32)
        light = [self.sun[i] * direct + (self.bounce[i] + (self.ambient[i] - self.bounce[i]) * sky) for i in range(3)]
        return np.stack([albedo[i] * light[i] for i in range(3)])

    def add_haze(self, colour: np.ndarray, distance: np.ndarray | float, opacity: np.ndarray | float = 1.0) -> None:
        """Mixes the air's colour into `colour` in place; never all of it, so that mountains stay visible."""
        share = 0.9 * (1 - np.exp(np.asarray(distance, np.float32) / np.float32(-self.sight)))
        for i in range(3):
            colour[i] += (np.float32(0.92) * self.horizon[i] * opacity - colour[i]) * share


def light_of(recipe: SceneRecipe) -> Light:
    """The light that a recipe's mood and sun make."""
    mood = recipe.mood
    sun, ambient, zenith, horizon = linear(mood.sun, mood.ambient, mood.zenith, mood.horizon)
    return Light(
        direction=recipe.sun,
        sun=sun * np.float32(mood.sun_strength),
        ambient=ambient * np.float32(mood.ambient_strength),
        bounce=linear(recipe.land.bright)[0] * np.float32(0.25),
        zenith=zenith * np.float32(1.1),
        horizon=horizon * np.float32(1.25),
        sight=mood.haze * recipe.bodies[0].distance,
    )


@lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    """1024 x 1024 values of smooth, tileable noise, 32 to a wave, of mean 0 and standard deviation 1."""
    grid = np.random.Generator(np.random.PCG64(20)).standard_normal((32, 32)).astype(np.float32)
    grid = np.pad(grid, 2, mode="wrap")
    tile = np.asarray(PILImage.fromarray(grid).resize((1152, 1152), PILImage.Resampling.BICUBIC))[64:-64, 64:-64]
    return np.ascontiguousarray((tile - tile.mean()) / tile.std()).ravel()


def noise(u: np.ndarray | float, v: np.ndarray | float) -> np.ndarray:
    """Smooth random values over the plane, of wavelength about 1 and standard deviation 1."""
    column = np.floor(np.asarray(u) * 32).astype(np.int32) & 1023
    row = np.floor(np.asarray(v) * 32).astype(np.int32) & 1023
    return _noise_tile().take((row << 10) + column)


def smooth_noise(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """[`noise`], interpolated between the values of the tile, for waves of many pixels."""
    u, v = u * 32, v * 32
    column, row = np.floor(u), np.floor(v)
    across, down = u - column, v - row
    corner = [noise((column + right) / 32, (row + below) / 32) for below in (0, 1) for right in (0, 1)]
    upper = corner[0] + (corner[1] - corner[0]) * across
    return upper + (corner[2] + (corner[3] - corner[2]) * across - upper) * down


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def pixel_centres(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of pixel centres, float32."""
    return np.arange(camera.width, dtype=np.float32) + 0.5, np.arange(camera.height, dtype=np.float32) + 0.5
