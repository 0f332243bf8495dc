"""Draws of groups as weights of their pictures, and statistics of all draws at once.

Knows nothing about modalities.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from .findings import Estimate


# weights that are held at a time
CHUNK_SIZE = 4_000_000


def number_groups(groups: ArrayLike) -> np.ndarray:
    """
    The groups of the pictures, numbered from 0.

    Raises:
        ValueError: If there are fewer than 2.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Intervals need at least 2 groups, got {len(names)}. Use the ids of the pictures as groups.")
    return group_of


def draw_weights(group_of: np.ndarray, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """
    How often each picture is in each draw of whole groups, those of [`~hf_aesthetics.metrics.bootstrap_interval`].

    Args:
        group_of (`np.ndarray` of shape `(num_images,)`):
            Numbers from [`number_groups`].
        num_resamples (`int`), seed (`int`):
            Of the draws.

    Yields:
        `np.ndarray` of shape `(num_draws, num_images)`, for some draws at a time.
    """
    num_groups = group_of.max() + 1
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK_SIZE // len(group_of))
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        drawn = rng.integers(num_groups, size=(size, num_groups)) + num_groups * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups)
        yield times[:, group_of].astype(np.float64)


def observe_and_draw(group_of: np.ndarray, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Every picture once, then what [`draw_weights`] draws: of what [`estimate`] reads a figure and its interval."""
    yield np.ones((1, len(group_of)))
    yield from draw_weights(group_of, num_resamples, seed)


def weighted_ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Ranks of the values in each draw, of shape `(num_draws, num_images)`; tied values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    sorted_weights = weights[:, np.argsort(place, kind="stable")]
    tied = np.add.reduceat(sorted_weights, np.cumsum(counts) - counts, axis=1)
    ranks = np.cumsum(tied, axis=1) - (tied - 1) / 2
    return ranks[:, place]


def weighted_spread(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the squared deviations from the mean in each draw."""
    centred = values - values.mean()
    return weights @ centred**2 - (weights @ centred) ** 2 / weights.sum(axis=1)


def weighted_correlation(weights: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation in each draw, NaN where one side is constant; all of shape `(num_draws, num_images)`."""
    total = weights.sum(axis=1, keepdims=True)
    first, second = (each - (weights * each).sum(axis=1, keepdims=True) / total for each in (first, second))
    norms = [np.sqrt((weights * each**2).sum(axis=1)) for each in (first, second)]
    return ratio((weights * first * second).sum(axis=1), norms[0] * norms[1])


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=np.abs(denominator) > 1e-12)


def estimate(values: np.ndarray | None) -> Estimate | None:
    """The first value with the 95 % interval of the others; `None` where it is undefined."""
    if values is None or np.isnan(values[0]):
        return None
    draws = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(draws, [0.025, 0.975]) if len(draws) else (values[0], values[0])
    return Estimate(float(values[0]), float(low), float(high))
