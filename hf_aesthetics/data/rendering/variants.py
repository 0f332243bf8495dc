"""Rendered categories that hardly differ: one scene with a few small marks, in each category striped another way.

Knows nothing about data sets or models. Which category a picture is of is planted.
"""

import numpy as np

from . import compose_scene, paint_scene
from .optics import develop, expose


MARK_SIDE = 16  # pixels
PERIOD = 4.0  # of the stripes, in pixels
CONTRASTS = (0.24, 0.12, 0.12)  # of the stripes in red, green and blue


class SceneVariants:
    """
    A scene with three marks, squares of 16 pixels with red, green and blue stripes. Each category has a direction of
    its own at each mark, so each mark tells all of them apart; the red one is twice as clear as the others. Nothing
    else says which category a picture is of: place of the camera, light and noise are drawn for each picture.

    Args:
        seed (`int`):
            Which scene and which directions. Not negative.
        num_categories (`int`, *optional*, defaults to 16):
            At least 2. Directions are equally spaced, in another order at each mark.
        side (`int`, *optional*, defaults to 64):
            Height and width of the pictures in pixels, at least 64.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> variants = SceneVariants(3)
        >>> first, again, other = variants.render(0, 0), variants.render(0, 1), variants.render(5, 0)
        >>> first.shape, bool((first == again).all())  # two pictures of one category
        ((64, 64, 3), False)
        >>> changed = (first != other).any(axis=2)  # the same picture in two categories
        >>> bool(changed.sum() <= 3 * 16 * 16)
        True
    """

    def __init__(self, seed: int, num_categories: int = 16, side: int = 64) -> None:
        if num_categories < 2 or side < 64:
            raise ValueError(
                f"Variants need at least 2 categories and pictures of 64 pixels, got {num_categories} and {side}."
            )
        rng = np.random.Generator(np.random.PCG64([seed, 3]))
        self.seed, self.side, self.num_categories = seed, side, num_categories
        self.reach = side // 12  # by which the camera moves either way
        canvas = side + 2 * self.reach
        self.recipe = compose_scene(seed, long_side=canvas * 13 // 8)
        self.light = paint_scene(self.recipe)[:, -canvas:, :canvas]
        self.places = self._draw_places(rng)
        directions = np.arange(num_categories) * np.pi / num_categories
        self.directions = np.stack([rng.permutation(directions) for _ in CONTRASTS], axis=1)

    def _draw_places(self, rng: np.random.Generator) -> list[tuple[int, int]]:
        """First row and column of each mark on the canvas: in every picture, and none over another."""
        low, high = 2 * self.reach, self.side - MARK_SIDE
        while True:
            places = rng.integers(low, high + 1, (len(CONTRASTS), 2))
            distances = np.abs(places[:, None] - places[None]).max(axis=2)
            if distances[np.triu_indices(len(CONTRASTS), 1)].min() >= MARK_SIDE + 4:
                return [(int(row), int(column)) for row, column in places]

    def render(self, category: int, number: int, is_covered: bool = False) -> np.ndarray:
        """
        Photographs one of the categories.

        Args:
            category (`int`):
                Which one.
            number (`int`):
                Which picture: the same number means the same camera, light and noise in every category.
            is_covered (`bool`, *optional*, defaults to `False`):
                Whether something flat lies over one of the marks, drawn for each picture.

        Returns:
            `np.ndarray`: uint8 of shape `(side, side, 3)`.
        """
        rng = np.random.Generator(np.random.PCG64([self.seed, number, 4]))
        recipe = self.recipe
        stops, warmth = recipe.stops + rng.uniform(-0.5, 0.5), recipe.warmth + rng.uniform(-0.1, 0.1)
        top, left = rng.integers(0, 2 * self.reach + 1, 2)
        phases = rng.uniform(0, 2 * np.pi, len(CONTRASTS))
        covered, color = int(rng.integers(len(CONTRASTS))), rng.uniform(0.2, 0.8, 3)
        overhang, noise_seed = rng.integers(2, 7, 4), int(rng.integers(2**31))
        shown = develop(self.light, stops, warmth, recipe.saturation)
        rows, columns = np.indices((MARK_SIDE, MARK_SIDE))
        for channel, (row, column) in enumerate(self.places):
            window = shown[:, row : row + MARK_SIDE, column : column + MARK_SIDE]
            if is_covered and channel == covered:
                up, down, before, after = overhang
                cover = np.s_[:, row - up : row + MARK_SIDE + down, column - before : column + MARK_SIDE + after]
                shown[cover] = color[:, None, None]
                continue
            direction = self.directions[category, channel]
            across = rows * np.sin(direction) + columns * np.cos(direction)
            stripes = CONTRASTS[channel] * np.sin(2 * np.pi * across / PERIOD + phases[channel])
            window[channel] = np.clip(window[channel], 0.3, 0.7) + stripes
        view = shown[:, top : top + self.side, left : left + self.side]
        return expose(view, max(recipe.noise, 0.01), np.random.Generator(np.random.PCG64(noise_seed)))
