"""Metrics of whole rating distributions. Knows nothing about votes or about how a distribution was predicted."""

import math

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_bin_values, as_distribution_pair, as_distributions, as_floats


def _without_rounding_noise(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """
    Rounds to 12 digits of the scale. Different votes often have equal means, and those must come out as ties: plain
    floating point ranks them by their last bit, and a mean of exactly the threshold may land above it.
    """
    return np.round(values, 12 - math.ceil(math.log10(np.abs(bins).max())))


def distribution_mean(distribution: ArrayLike, bin_values: ArrayLike) -> np.ndarray:
    r"""
    Mean rating of each distribution, $\mu = \sum_k s_k p_k$, rounded to 12 digits so that equal means are equal.

    Args:
        distribution (array of shape `(num_images, num_bins)`):
            Probabilities over rating bins, lowest rating first. Rows sum to 1.
        bin_values (array of shape `(num_bins,)`): The rating $s_k$ of each bin, strictly increasing.

    Returns:
        `np.ndarray` of shape `(num_images,)`.

    Raises:
        ValueError: If a row is no distribution or `bin_values` does not fit.

    Example:
        >>> from hf_aesthetics.metrics import distribution_mean
        >>> distribution_mean([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], bin_values=[1, 2, 3])
        array([2.5, 1. ])
    """
    rows = as_distributions(distribution, "distribution")
    bins = as_bin_values(bin_values, rows.shape[1])
    return _without_rounding_noise((rows * bins).sum(axis=1), bins)


def distribution_std(distribution: ArrayLike, bin_values: ArrayLike) -> np.ndarray:
    r"""
    Standard deviation of each distribution, $\sigma = \sqrt{\sum_k (s_k - \mu)^2 p_k}$: how much the raters disagree.
    Rounded to 12 digits, like the mean.

    Args:
        distribution (array of shape `(num_images, num_bins)`):
            Probabilities over rating bins, lowest rating first. Rows sum to 1.
        bin_values (array of shape `(num_bins,)`): The rating $s_k$ of each bin, strictly increasing.

    Returns:
        `np.ndarray` of shape `(num_images,)`.

    Raises:
        ValueError: If a row is no distribution or `bin_values` does not fit.

    Example:
        >>> from hf_aesthetics.metrics import distribution_std
        >>> distribution_std([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]], bin_values=[1, 2, 3])
        array([0.5, 0. ])
    """
    rows = as_distributions(distribution, "distribution")
    bins = as_bin_values(bin_values, rows.shape[1])
    deviations = bins - (rows * bins).sum(axis=1, keepdims=True)  # (num_images, num_bins)
    return _without_rounding_noise(np.sqrt((rows * deviations**2).sum(axis=1)), bins)


def earth_mover_distance(predicted: ArrayLike, target: ArrayLike, order: float) -> np.ndarray:
    r"""
    Earth mover's distance of each picture between two distributions over ordered bins
    ([NIMA](https://huggingface.co/papers/1709.05424), eq. 1).

    $$\mathrm{EMD}_r(p, q) =
    \Big(\tfrac{1}{N}\sum_{k=1}^{N} \lvert \mathrm{CDF}_p(k) - \mathrm{CDF}_q(k) \rvert^r\Big)^{1/r}$$

    NIMA trains with $r = 2$ and reports $r = 1$, and the two differ by about 1.4 times on real votes: `order` has
    no default so that a number always says which one it is. The mean runs over all $N$ bins, as in the paper, so
    the largest value at $r = 1$ is $(N - 1)/N$. Bins count as equally spaced.

    Args:
        predicted (array of shape `(num_images, num_bins)`):
            Predicted distributions, lowest rating first. Rows sum to 1.
        target (array of shape `(num_images, num_bins)`): True distributions.
        order (`float`): The exponent $r$, at least 1.

    Returns:
        `np.ndarray` of shape `(num_images,)`.

    Raises:
        ValueError: If the shapes differ, a row is no distribution or `order` is below 1.

    Example:
        >>> from hf_aesthetics.metrics import earth_mover_distance
        >>> earth_mover_distance([[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]], order=1)
        array([0.75])
    """
    if not 1 <= order < math.inf:
        raise ValueError(
            f"`order` must be a finite number of at least 1, got {order}. Pass 1 (reported) or 2 (trained)."
        )
    predicted, target = as_distribution_pair(predicted, target)
    differences = np.abs(np.cumsum(predicted - target, axis=1))
    return (differences**order).mean(axis=1) ** (1 / order)


def constant_rows(constant: ArrayLike, target: np.ndarray) -> np.ndarray:
    """Returns the prediction that gives every picture of `target` the same distribution."""
    row = as_distributions(np.atleast_2d(as_floats(constant, "constant distribution")), "constant distribution")
    if row.shape != (1, target.shape[1]):
        raise ValueError(
            f"The constant distribution must have shape ({target.shape[1]},), one value a bin of the target, "
            f"got {np.shape(constant)}. Pass train_distributions.mean(axis=0)."
        )
    return np.broadcast_to(row, target.shape)


def skill(errors: np.ndarray, constant_errors: np.ndarray) -> float:
    """Returns 1 minus the ratio of two mean errors, NaN where the constant predictor makes no error at all."""
    constant_error = constant_errors.mean()
    return float(1 - errors.mean() / constant_error) if constant_error > 0 else math.nan


def emd_skill(predicted: ArrayLike, target: ArrayLike, constant: ArrayLike, order: float = 1) -> float:
    r"""
    Share of a constant predictor's error that the model removes, $1 - \overline{\mathrm{EMD}}_r /
    \overline{\mathrm{EMD}}_r^{\,\mathrm{const}}$.

    0 means no better than giving every picture the same distribution, 1 is perfect, negative is harmful. An earth
    mover's distance alone does not tell these apart: on AVA the constant already reaches about 0.064 at $r = 1$.

    Args:
        predicted (array of shape `(num_images, num_bins)`):
            Predicted distributions, lowest rating first. Rows sum to 1.
        target (array of shape `(num_images, num_bins)`): True distributions.
        constant (array of shape `(num_bins,)`):
            The distribution that the constant predictor gives to every picture: the mean distribution of the
            *training* pictures.
        order (`float`, *optional*, defaults to 1): The exponent of the distance.

    Returns:
        `float`: At most 1; NaN if the constant predictor makes no error.

    Raises:
        ValueError: If shapes differ, a row is no distribution or `order` is below 1.

    Example:
        >>> from hf_aesthetics.metrics import emd_skill
        >>> target = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
        >>> predicted = [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]]
        >>> round(emd_skill(predicted, target, constant=[0.5, 0.0, 0.5]), 4)
        0.5
    """
    target = as_distributions(target, "target")
    constant_errors = earth_mover_distance(constant_rows(constant, target), target, order)
    return skill(earth_mover_distance(predicted, target, order), constant_errors)
