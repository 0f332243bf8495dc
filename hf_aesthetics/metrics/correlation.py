"""
Correlations between predicted and true scores. Knows nothing about distributions or about the units of a score.

A correlation with a constant is undefined: these functions then return NaN, without a warning. A vector counts as
constant when its range is below 1e-12 of its largest absolute value, because the order of such values is rounding
noise.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata

from .array_checks import as_vector_pair


def _is_constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _product_moment(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    correlation = (first / np.linalg.norm(first)) @ (second / np.linalg.norm(second))
    return float(np.clip(correlation, -1.0, 1.0))


def pearson_correlation(predicted: ArrayLike, target: ArrayLike) -> float:
    r"""
    Pearson's linear correlation (PLCC; the literature also writes LCC).

    $$r = \frac{\sum_i (p_i - \bar p)(t_i - \bar t)}{\sqrt{\sum_i (p_i - \bar p)^2 \sum_i (t_i - \bar t)^2}}$$

    No logistic function is fitted to the predictions first, as some papers on image quality do: the value is the
    plain correlation.

    Args:
        predicted (array of shape `(num_images,)`): Predicted scores.
        target (array of shape `(num_images,)`): True scores.

    Returns:
        `float`: Between -1 and 1; NaN if either argument is constant.

    Raises:
        ValueError: If the shapes differ, a value is not finite or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import pearson_correlation
        >>> round(pearson_correlation([4.8, 5.1, 6.0, 5.2], [4.1, 5.0, 6.5, 5.9]), 4)
        0.8969
    """
    predicted, target = as_vector_pair(predicted, target)
    if _is_constant(predicted) or _is_constant(target):
        return math.nan
    return _product_moment(predicted, target)


def spearman_correlation(predicted: ArrayLike, target: ArrayLike) -> float:
    """
    Spearman's rank correlation (SRCC): Pearson's correlation of the ranks, where tied values share their mean rank.

    Args:
        predicted (array of shape `(num_images,)`): Predicted scores, in any units: only their order counts.
        target (array of shape `(num_images,)`): True scores.

    Returns:
        `float`: Between -1 and 1; NaN if either argument is constant.

    Raises:
        ValueError: If the shapes differ, a value is not finite or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import spearman_correlation
        >>> round(spearman_correlation([4.8, 5.1, 6.0, 5.2], [4.1, 5.9, 6.5, 5.0]), 4)
        0.8
    """
    predicted, target = as_vector_pair(predicted, target)
    if _is_constant(predicted) or _is_constant(target):
        return math.nan
    return _product_moment(rankdata(predicted), rankdata(target))


def kendall_correlation(predicted: ArrayLike, target: ArrayLike) -> float:
    r"""
    Kendall's rank correlation, tau-b (KRCC): agreement over pairs of pictures, corrected for ties.

    $$\tau_b = \frac{C - D}{\sqrt{(C + D + T_p)(C + D + T_t)}}$$

    with $C$ concordant and $D$ discordant pairs, and $T_p$, $T_t$ pairs tied in the predictions only and in the
    targets only.

    Args:
        predicted (array of shape `(num_images,)`): Predicted scores, in any units: only their order counts.
        target (array of shape `(num_images,)`): True scores.

    Returns:
        `float`: Between -1 and 1; NaN if either argument is constant.

    Raises:
        ValueError: If the shapes differ, a value is not finite or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import kendall_correlation
        >>> round(kendall_correlation([4.8, 5.1, 6.0, 5.2], [4.1, 5.9, 6.5, 5.0]), 4)  # 5 pairs of 6 agree
        0.6667
    """
    predicted, target = as_vector_pair(predicted, target)
    if _is_constant(predicted) or _is_constant(target):
        return math.nan
    return float(kendalltau(predicted, target).statistic)
