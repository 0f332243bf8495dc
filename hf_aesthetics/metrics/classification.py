"""The two-class view of aesthetics, high or low. Knows nothing about how far a picture is from the threshold."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_bin_values, as_vector_pair, as_vote_counts


def default_threshold(bin_values: ArrayLike) -> float:
    """
    Score that divides high from low unless another is given: the middle bin, or the lower one of two middle bins.

    That is AVA's published threshold, 5 on its scale of 1 to 10 (not the centre of the scale, 5.5), and the centre
    of every scale with an odd number of bins.

    Args:
        bin_values (array of shape `(num_bins,)`): The rating of each bin, strictly increasing.

    Returns:
        `float`: The threshold; a picture is high if its mean is strictly greater.

    Raises:
        ValueError: If `bin_values` does not increase.

    Example:
        >>> from hf_aesthetics.metrics import default_threshold
        >>> default_threshold(range(1, 11)), default_threshold(range(1, 8))
        (5.0, 4.0)
    """
    bins = as_bin_values(bin_values, np.size(bin_values))
    return float(bins[(len(bins) - 1) // 2])


def is_high(vote_counts: ArrayLike, bin_values: ArrayLike, threshold: float | None = None) -> np.ndarray:
    r"""
    True label of each picture, computed exactly from its votes: high if $\sum_k c_k (s_k - t) > 0$, strictly.

    The sum is over integers: with floating-point means, some pictures whose mean *is* the threshold would turn high.
    Ratings such as 3.5 are taken as fractions (denominators up to a million), so scales in half steps are exact too.
    Where votes are unknown, compare the mean: `score_mean > threshold`.

    Args:
        vote_counts (array of shape `(num_images, num_bins)`): Number of votes $c_k$ in each bin.
        bin_values (array of shape `(num_bins,)`): The rating $s_k$ of each bin, strictly increasing.
        threshold (`float`, *optional*): The threshold $t$; defaults to [`default_threshold`] of the bins.

    Returns:
        `np.ndarray` of shape `(num_images,)` and type `bool`.

    Raises:
        ValueError: If a count is not a whole number, a picture has no vote or `bin_values` does not fit.

    Example:
        >>> from hf_aesthetics.metrics import is_high
        >>> is_high([[1, 0, 1], [1, 0, 2]], bin_values=[1, 2, 3])  # means 2 and 7/3, threshold 2
        array([False,  True])
    """
    counts = as_vote_counts(vote_counts)
    bins = as_bin_values(bin_values, counts.shape[1])
    cut = _as_fraction(default_threshold(bins) if threshold is None else threshold)
    excesses = [_as_fraction(value) - cut for value in bins.tolist()]
    denominator = math.lcm(*(excess.denominator for excess in excesses))
    # Python integers, which cannot overflow whatever the scale.
    weights = np.array([int(excess * denominator) for excess in excesses], dtype=object)
    return (counts.astype(object) @ weights > 0).astype(bool)


def _as_fraction(value: float) -> Fraction:
    return Fraction(float(value)).limit_denominator(1_000_000)


def _as_labels(predicted_high: ArrayLike, target_high: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predicted, target = as_vector_pair(predicted_high, target_high)
    for name, labels in (("predicted_high", predicted), ("target_high", target)):
        wrong = ~np.isin(labels, (0, 1))
        if wrong.any():
            raise ValueError(
                f"`{name}` must be true or false, got {labels[wrong][0]:g}. "
                "Pass is_high(vote_counts, bin_values) or score_mean > threshold."
            )
    return predicted.astype(bool), target.astype(bool)


def accuracy(predicted_high: ArrayLike, target_high: ArrayLike) -> float:
    """
    Share of pictures put in their class. Read it next to [`majority_accuracy`], which needs no model: about 0.70
    on AVA.

    Args:
        predicted_high (array of shape `(num_images,)`): Predicted labels, true for high.
        target_high (array of shape `(num_images,)`): True labels, see [`is_high`].

    Returns:
        `float`: Between 0 and 1.

    Raises:
        ValueError: If the shapes differ, a value is no label or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import accuracy
        >>> accuracy([True, True, True, False], [True, True, False, False])
        0.75
    """
    predicted, target = _as_labels(predicted_high, target_high)
    return float(np.mean(predicted == target))


def majority_accuracy(target_high: ArrayLike) -> float:
    """
    Accuracy of giving every picture the more frequent class: the floor that [`accuracy`] has to beat.

    Args:
        target_high (array of shape `(num_images,)`): True labels, see [`is_high`].

    Returns:
        `float`: Between 0.5 and 1.

    Raises:
        ValueError: If a value is no label or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import majority_accuracy
        >>> majority_accuracy([True, True, True, False])
        0.75
    """
    _, target = _as_labels(target_high, target_high)
    return float(max(np.mean(target), np.mean(~target)))


def balanced_accuracy(predicted_high: ArrayLike, target_high: ArrayLike) -> float:
    """
    Mean of the two classes' recalls: 0.5 for every predictor that ignores the picture, whatever the share of high
    pictures.

    Args:
        predicted_high (array of shape `(num_images,)`): Predicted labels, true for high.
        target_high (array of shape `(num_images,)`): True labels, see [`is_high`].

    Returns:
        `float`: Between 0 and 1; NaN if the targets hold only one class.

    Raises:
        ValueError: If the shapes differ, a value is no label or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import balanced_accuracy
        >>> balanced_accuracy([True, True, True, True], [True, True, True, False])
        0.5
    """
    predicted, target = _as_labels(predicted_high, target_high)
    if target.all() or not target.any():
        return math.nan
    return float((predicted[target].mean() + (~predicted[~target]).mean()) / 2)


def f1(predicted_high: ArrayLike, target_high: ArrayLike) -> float:
    r"""
    F1 of the class high, $2\,TP / (2\,TP + FP + FN)$.

    Args:
        predicted_high (array of shape `(num_images,)`): Predicted labels, true for high.
        target_high (array of shape `(num_images,)`): True labels, see [`is_high`].

    Returns:
        `float`: Between 0 and 1; NaN if no picture is high, neither in truth nor predicted.

    Raises:
        ValueError: If the shapes differ, a value is no label or there are fewer than 2 pictures.

    Example:
        >>> from hf_aesthetics.metrics import f1
        >>> f1([True, True, True, False], [True, True, False, False])
        0.8
    """
    predicted, target = _as_labels(predicted_high, target_high)
    positives = np.count_nonzero(predicted) + np.count_nonzero(target)
    return float(2 * np.count_nonzero(predicted & target) / positives) if positives else math.nan
