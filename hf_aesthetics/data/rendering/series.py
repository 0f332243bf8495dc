"""Series of rendered pictures: one scene several times, and all that changes is a detail of a few pixels.

Knows nothing about ranks of real people, data sets or models. Which picture is the best is planted: that in which the
detail is sharpest.
"""

from dataclasses import dataclass

import numpy as np

from . import compose_scene, paint_scene
from .optics import develop, expose


SIDES = (96, 128, 160)  # of pictures, in pixels


@dataclass(frozen=True, eq=False)
class SceneSeries:
    """
    Pictures of one scene, the best first.

    Args:
        pictures (`list[np.ndarray]`):
            uint8 of shape `(height, width, 3)` each, sides of 96, 128 or 160 pixels.
        sharpness (`list[float]`):
            How much of the detail each shows, descending, in [0, 1].
        detail (`tuple[int, int, int]`):
            First row, first column and side of the detail in pixels.
    """

    pictures: list[np.ndarray]
    sharpness: list[float]
    detail: tuple[int, int, int]


def render_series(
    seed: int, num_pictures: int = 3, detail_side: int = 24, do_cut: bool = False, do_distract: bool = False
) -> SceneSeries:
    """
    Draws one scene and photographs it several times. A square of it is woven: threads of one pixel, lighter and darker
    in turn along rows and columns, whose mean over two by two pixels is none. So at half the resolution nothing of
    the weave is left, and nothing else differs: not the light, not the noise.

    Args:
        seed (`int`):
            Which scene. Not negative.
        num_pictures (`int`, *optional*, defaults to 3):
            At least 2.
        detail_side (`int`, *optional*, defaults to 24):
            Height and width of the weave, 96 at most.
        do_cut (`bool`, *optional*, defaults to `False`):
            Whether each picture is cut at its right by 0, 32 or 64 pixels, whatever its sharpness, so that the
            pictures of a series have several widths.
        do_distract (`bool`, *optional*, defaults to `False`):
            Whether the detail that counts is in the left half, and in the right half there is another one whose
            sharpness is drawn anew for each picture.

    Raises:
        ValueError: If there are fewer than 2 pictures, or the detail does not fit.

    Example:
        >>> series = render_series(3)
        >>> [picture.shape for picture in series.pictures]
        [(160, 96, 3), (160, 96, 3), (160, 96, 3)]
        >>> changed = (series.pictures[0] != series.pictures[-1]).any(axis=2)
        >>> bool(changed.any(axis=0).sum() <= 24 and changed.any(axis=1).sum() <= 24)
        True
    """
    if num_pictures < 2 or not 0 < detail_side <= min(SIDES):
        raise ValueError(
            f"A series needs at least 2 pictures, and a detail of 1 to {min(SIDES)} pixels, got {num_pictures} and "
            f"{detail_side}."
        )
    rng = np.random.Generator(np.random.PCG64([seed, 2]))
    height, width = rng.choice(SIDES, 2).tolist()
    recipe = compose_scene(seed, long_side=max(SIDES) * 13 // 8)  # whose shorter side is long enough for any part
    shown = develop(paint_scene(recipe), recipe.stops, recipe.warmth, recipe.saturation)
    top, left = (
        int(rng.integers(0, edge - side + 1)) for edge, side in zip(shown.shape[1:], (height, width), strict=True)
    )
    shown = shown[:, top : top + height, left : left + width]
    last_column = width // 2 if do_distract else min(SIDES) if do_cut else width
    places = [[int(rng.integers(0, side - detail_side + 1)) for side in (height, last_column)]]
    if do_distract:
        right = int(rng.integers(width // 2, width - detail_side + 1))
        places.append([int(rng.integers(0, height - detail_side + 1)), right])
    contrast = rng.uniform(0.1, 0.2) * rng.choice([-1, 1])
    rows, columns = np.indices((detail_side, detail_side))
    weave = (contrast * (1 - 2 * ((rows + columns) % 2))).astype(np.float32)
    windows = [np.s_[:, row : row + detail_side, column : column + detail_side] for row, column in places]
    for window in windows:
        # room above and below: what is clipped of the weave would leave something at half the resolution
        shown[window] = np.clip(shown[window], 0.3, 0.7)
    sharpness = np.linspace(1, 0, num_pictures)
    pictures = []
    for share in sharpness:
        woven = shown.copy()
        for window, strength in zip(windows, (share, rng.uniform() if do_distract else 0.0), strict=False):
            woven[window] += np.float32(strength) * weave
        pixels = expose(woven, recipe.noise, np.random.Generator(np.random.PCG64([seed, 1])))
        kept = int(rng.choice([side for side in SIDES if side <= width])) if do_cut else width
        pictures.append(pixels[:, :kept])
    return SceneSeries(pictures, sharpness.tolist(), (places[0][0], places[0][1], detail_side))
