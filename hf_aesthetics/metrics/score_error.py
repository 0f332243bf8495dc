"""Errors of predicted mean scores, in rating units. Knows nothing about distributions or about the rating scale."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_floats, as_vector_pair


def mean_squared_error(predicted: ArrayLike, target: ArrayLike) -> float:
    """
    Mean squared difference of the scores.

    Args:
        predicted (array of shape `(num_images,)`): Predicted mean scores.
        target (array of shape `(num_images,)`): True mean scores.

    Returns:
        `float`: In squared rating units.

    Raises:
        ValueError: If the shapes differ, a value is not finite or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import mean_squared_error
        >>> mean_squared_error([5.0, 6.0], [5.0, 4.0])
        2.0
    """
    predicted, target = as_vector_pair(predicted, target)
    return float(np.mean((predicted - target) ** 2))


def mean_absolute_error(predicted: ArrayLike, target: ArrayLike) -> float:
    """
    Mean absolute difference of the scores.

    Args:
        predicted (array of shape `(num_images,)`): Predicted mean scores.
        target (array of shape `(num_images,)`): True mean scores.

    Returns:
        `float`: In rating units.

    Raises:
        ValueError: If the shapes differ, a value is not finite or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import mean_absolute_error
        >>> mean_absolute_error([5.0, 6.0], [5.0, 4.0])
        1.0
    """
    predicted, target = as_vector_pair(predicted, target)
    return float(np.mean(np.abs(predicted - target)))


def error_by_score_band(
    predicted_mean: ArrayLike, true_mean: ArrayLike, bands: Sequence[float]
) -> list[dict[str, float | int]]:
    """
    Error in bands of the true score: shows what a correlation hides, such as predictions that huddle in the middle
    of the scale.

    A model that predicts the expected score rates the best pictures too low and the worst too high, because part
    of every true score is not predictable; compare the size of that bias between models rather than with 0.

    Args:
        predicted_mean (array of shape `(num_images,)`): Predicted mean scores.
        true_mean (array of shape `(num_images,)`): True mean scores.
        bands (sequence of `float`):
            Increasing edges. A band holds its lower edge and not its upper one; the last band holds both.

    Returns:
        `list[dict]`: One row a band with `low`, `high`, `num_images`, `bias` (mean of predicted minus true) and `mae`;
        both errors are NaN in an empty band. The bands together hold every picture.

    Raises:
        ValueError: If the shapes differ, a value is not finite, the edges do not increase or a true score lies
        outside them.

    Example:
        >>> from hf_aesthetics.metrics import error_by_score_band
        >>> for row in error_by_score_band([4.5, 5.5, 6.0], [3.0, 5.0, 7.0], bands=[1, 4, 7]):
        ...     print(row)
        {'low': 1.0, 'high': 4.0, 'num_images': 1, 'bias': 1.5, 'mae': 1.5}
        {'low': 4.0, 'high': 7.0, 'num_images': 2, 'bias': -0.25, 'mae': 0.75}
    """
    predicted, true = as_vector_pair(predicted_mean, true_mean)
    edges = as_floats(bands, "bands")
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(
            f"`bands` must be at least 2 increasing edges, got {edges.tolist()}. Pass for example [1, 4, 7]."
        )
    if true.min() < edges[0] or true.max() > edges[-1]:
        raise ValueError(
            f"`bands` must cover every true score, got edges from {edges[0]:g} to {edges[-1]:g} "
            f"and scores from {true.min():g} to {true.max():g}. Widen the outer bands."
        )
    band_of_image = np.minimum(np.searchsorted(edges, true, side="right") - 1, len(edges) - 2)
    table = []
    for band, (low, high) in enumerate(pairwise(edges.tolist())):
        errors = (predicted - true)[band_of_image == band]
        bias, mae = (float(errors.mean()), float(np.abs(errors).mean())) if len(errors) else (math.nan, math.nan)
        table.append({"low": low, "high": high, "num_images": len(errors), "bias": bias, "mae": mae})
    return table
