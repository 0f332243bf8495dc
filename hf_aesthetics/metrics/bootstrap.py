"""
Uncertainty of a metric over pictures. Knows nothing about any particular metric: it draws pictures and calls the
metric again.

Pictures count as independent; where several show the same subject, give `groups`, and whole groups are drawn, because
the true uncertainty is larger. A draw repeats pictures, and so ties scores; the rank correlations share mean ranks
among ties. One thousand draws of SRCC over 2,000 pictures take about a second.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import require_same_length


class PairedDifference(NamedTuple):
    """
    How far one prediction is ahead of another in a metric, over the same pictures; see [`paired_bootstrap`].

    Attributes:
        difference (`float`): Metric of `prediction_a` minus metric of `prediction_b`, over all pictures.
        low (`float`): Lower end of the interval of the difference.
        high (`float`): Upper end of the interval of the difference.
        probability (`float`): Share of the draws in which the difference is positive, equal ones counting half.
        p_value (`float`): Two-sided: how often chance in the choice of pictures would turn the sign.
    """

    difference: float
    low: float
    high: float
    probability: float
    p_value: float


def _resample(
    statistic: Callable[..., float],
    arrays: list[np.ndarray],
    groups: ArrayLike | None,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> tuple[np.ndarray, float, float]:
    """Returns the defined values of the statistic over draws of rows, and the ends of the percentile interval."""
    named = {f"array {position}": array for position, array in enumerate(arrays)}
    require_same_length(**named, **({} if groups is None else {"groups": np.asarray(groups)}))
    if not arrays or len(arrays[0]) < 2:
        got = len(arrays[0]) if arrays else "no array"
        raise ValueError(f"A bootstrap needs at least 2 pictures, got {got}. Pass more pictures.")
    members = None if groups is None else _members(groups)
    if num_resamples < 1:
        raise ValueError(f"`num_resamples` must be at least 1, got {num_resamples}. Pass for example 1000.")
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1, got {confidence}. Pass for example 0.95.")
    rng = np.random.default_rng(seed)
    num_units = len(arrays[0]) if members is None else len(members)
    values = np.empty(num_resamples)
    for draw in range(num_resamples):
        rows = rng.integers(num_units, size=num_units)
        if members is not None:
            rows = np.concatenate([members[unit] for unit in rows])
        values[draw] = statistic(*(array[rows] for array in arrays))
    values = values[~np.isnan(values)]
    if not len(values):
        return values, math.nan, math.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return values, float(low), float(high)


def _members(groups: ArrayLike) -> list[np.ndarray]:
    """Positions of the pictures of each group."""
    _, group_of, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError("A bootstrap over groups needs at least 2 of them, got 1. Leave `groups` out.")
    return np.split(np.argsort(group_of, kind="stable"), np.cumsum(sizes)[:-1])


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """
    Percentile bootstrap interval of a statistic over pictures.

    Draws in which the statistic is undefined (a correlation over a draw of one repeated picture) are left out. The
    interval is the plain percentile one: it keeps to the range of the statistic and covers well from about 50
    pictures on. It does not fit distances from an ideal that cannot be negative, such as [`calibration_error`],
    because a draw inflates them.

    Args:
        statistic (`Callable`):
            Takes the arrays, returns a float; for example [`spearman_correlation`], or `numpy.mean` of one value a
            picture.
        arrays (arrays of shape `(num_images, ...)`): Drawn together along their first axis.
        groups (array of shape `(num_images,)`, *optional*): What each picture shows, such as its theme: whole groups
            are drawn instead of pictures.
        num_resamples (`int`, *optional*, defaults to 1000): Number of draws.
        confidence (`float`, *optional*, defaults to 0.95): Probability that the interval should cover.
        seed (`int`, *optional*, defaults to 0): Seed of the draws; the same seed draws the same pictures.

    Returns:
        `tuple[float, float]`: Lower and upper end; NaN where the statistic is never defined.

    Raises:
        ValueError: If lengths differ, there are fewer than 2 pictures or groups, or `num_resamples` or `confidence` is
        out of range.

    Example:
        >>> import numpy as np
        >>> from hf_aesthetics.metrics import bootstrap_interval
        >>> low, high = bootstrap_interval(np.mean, np.arange(100.0))
        >>> low < 49.5 < high
        True
    """
    _, low, high = _resample(
        statistic, [np.asarray(array) for array in arrays], groups, num_resamples, confidence, seed
    )
    return low, high


def paired_bootstrap(
    metric: Callable[..., float],
    target: ArrayLike,
    prediction_a: ArrayLike,
    prediction_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    r"""
    Compares two predictions of the same pictures: each draw scores both on the same pictures, so that what they
    share cancels.

    It covers the choice of test pictures only, not what another training seed would change. For a metric where
    lower is better (`emd`, `mse`) a *negative* difference says that `prediction_a` is ahead. The p-value inverts
    the percentile interval, $2 \min(P(d \le 0), P(d \ge 0))$, with one draw added to either side so that it is
    never 0.

    Args:
        metric (`Callable`): Called as `metric(prediction, target)`; for example [`spearman_correlation`].
        target (array of shape `(num_images, ...)`): What both predict.
        prediction_a (array of shape `(num_images, ...)`): First prediction.
        prediction_b (array of shape `(num_images, ...)`): Second prediction.
        groups (array of shape `(num_images,)`, *optional*): Draws whole groups of pictures.
        num_resamples (`int`, *optional*, defaults to 1000): Number of draws.
        confidence (`float`, *optional*, defaults to 0.95): Probability that the interval should cover.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.

    Returns:
        [`PairedDifference`]: NaN throughout where the metric of a prediction is undefined.

    Raises:
        ValueError: If lengths differ, there are fewer than 2 pictures or groups, or `num_resamples` or `confidence` is
        out of range.

    Example:
        >>> from hf_aesthetics.metrics import paired_bootstrap, spearman_correlation
        >>> target = list(range(20))
        >>> result = paired_bootstrap(spearman_correlation, target, target, target[::-1], num_resamples=200)
        >>> round(result.difference, 4), round(result.probability, 4), round(result.p_value, 4)
        (2.0, 1.0, 0.01)
    """

    def difference(target: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
        return metric(first, target) - metric(second, target)

    arrays = [np.asarray(array) for array in (target, prediction_a, prediction_b)]
    values, low, high = _resample(difference, arrays, groups, num_resamples, confidence, seed)
    observed = float(difference(*arrays))
    if math.isnan(observed) or not len(values):
        return PairedDifference(math.nan, math.nan, math.nan, math.nan, math.nan)
    positive, equal = np.count_nonzero(values > 0), np.count_nonzero(values == 0)
    negative = len(values) - positive - equal
    probability = float((positive + equal / 2) / len(values))
    p_value = float(min(1.0, 2 * (min(positive, negative) + equal + 1) / (len(values) + 1)))
    return PairedDifference(observed, low, high, probability, p_value)
