"""Calibration of predicted distributions against the votes. Knows nothing about how sharp the predictions are."""

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_distribution_pair


def probability_integral_transform(predicted: ArrayLike, target: ArrayLike, num_cells: int = 10) -> np.ndarray:
    r"""
    Histogram of where the votes fall inside their predicted distributions: flat if the predicted spread is right.

    A vote in bin $k$ is spread evenly over $[F(k - 1), F(k)]$, with $F$ the picture's predicted cumulative
    distribution. That is the exact mean of the randomised transform for ordinal data: nothing is drawn. Every
    picture weighs the same, however many votes it has.

    A U shape says that the predictions are too narrow, a hump that they are too wide, a slope that they are too
    low (votes in the last cells) or too high. Flat does not mean good: predicting the mean histogram of these very
    pictures for each of them is flat too.

    Args:
        predicted (array of shape `(num_images, num_bins)`):
            Predicted distributions, lowest rating first. Rows sum to 1.
        target (array of shape `(num_images, num_bins)`): Shares of the votes.
        num_cells (`int`, *optional*, defaults to 10): Number of equal cells of [0, 1].

    Returns:
        `np.ndarray` of shape `(num_cells,)`: Share of the votes in each cell; sums to 1.

    Raises:
        ValueError: If the shapes differ, a row is no distribution or `num_cells` is below 2.

    Example:
        >>> from hf_aesthetics.metrics import probability_integral_transform
        >>> too_narrow = [[0.0, 0.25, 0.5, 0.25, 0.0]]
        >>> votes = [[0.2, 0.2, 0.2, 0.2, 0.2]]
        >>> probability_integral_transform(too_narrow, votes, num_cells=4)
        array([0.4, 0.1, 0.1, 0.4])
    """
    predicted, target = as_distribution_pair(predicted, target)
    if num_cells < 2:
        raise ValueError(f"`num_cells` must be at least 2, got {num_cells}. Pass for example 10.")
    lower = np.cumsum(predicted, axis=1) - predicted
    # A vote where nothing was predicted falls on one point: a vanishing width keeps the division defined.
    width = np.maximum(predicted, np.finfo(np.float64).tiny)
    share_below = [0.0]
    for edge in np.arange(1, num_cells) / num_cells:
        below = np.clip((edge - lower) / width, 0.0, 1.0)  # (num_images, num_bins)
        share_below.append(float((target * below).sum(axis=1).mean()))
    return np.diff([*share_below, 1.0])


def calibration_error(predicted: ArrayLike, target: ArrayLike, num_cells: int = 10) -> float:
    r"""
    Share of the votes that would have to change cells for the [`probability_integral_transform`] to be flat,
    $\tfrac{1}{2}\sum_j \lvert h_j - 1/J \rvert$ (our choice: the total variation distance from the uniform
    distribution).

    Like the histogram, it says nothing about sharpness: read it next to [`emd_skill`]. A few votes alone never
    make it exactly 0.

    Args:
        predicted (array of shape `(num_images, num_bins)`):
            Predicted distributions, lowest rating first. Rows sum to 1.
        target (array of shape `(num_images, num_bins)`): Shares of the votes.
        num_cells (`int`, *optional*, defaults to 10): Number $J$ of equal cells of [0, 1].

    Returns:
        `float`: Between 0 (calibrated) and 1 - 1/J.

    Raises:
        ValueError: If the shapes differ, a row is no distribution or `num_cells` is below 2.

    Example:
        >>> from hf_aesthetics.metrics import calibration_error
        >>> too_narrow, votes = [[0.0, 0.25, 0.5, 0.25, 0.0]], [[0.2, 0.2, 0.2, 0.2, 0.2]]
        >>> round(calibration_error(too_narrow, votes, num_cells=4), 4)
        0.3
    """
    cells = probability_integral_transform(predicted, target, num_cells)
    return float(np.abs(cells - 1 / num_cells).sum() / 2)
