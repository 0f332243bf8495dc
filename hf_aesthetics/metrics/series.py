"""
How well scores tell which pictures of a series are better.

Knows nothing about what a series shows, or how its ranks came about. Where two scores are equal, every function here
gives what breaking the tie by lot would give on average, so that a scorer gains nothing by saying nothing.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from .array_checks import as_vector, require_same_length
from .pairs import preferred
from .sources import Metric, mean, ratio_of_sums, source_of_series, summarize_by_source


class _Series(NamedTuple):
    """One row a series: its name, its metrics, its pairs of different rank, and how many of them are in order."""

    names: np.ndarray
    srcc: np.ndarray
    top1: np.ndarray
    full_order: np.ndarray
    num_in_order: np.ndarray
    num_pairs: np.ndarray


def series_correlation(scores: ArrayLike, ranks: ArrayLike, series: ArrayLike) -> float:
    """
    Mean over series of Spearman's rank correlation between scores and ranks: 1 if every series is in order.

    Every series counts once, however long it is; in one of two pictures the correlation is 1 or -1. Series of one
    picture, or of pictures of one rank, are left out. Equal scores for a whole series are a correlation of 0.

    Args:
        scores (array of shape `(num_images,)`): Predicted scores, higher is better.
        ranks (array of shape `(num_images,)`): Ranks inside of the series, 0 for the best; equal ranks are a tie.
        series (array of shape `(num_images,)`): Which series each picture belongs to.

    Returns:
        `float`: Between -1 and 1; NaN if no series has two ranks.

    Raises:
        ValueError: If the lengths differ or a value is not finite.

    Example:
        >>> from hf_aesthetics.metrics import series_correlation
        >>> round(series_correlation([6, 5, 4, 3, 4, 2], [0, 1, 2, 1, 0, 2], ["a", "a", "a", "b", "b", "b"]), 2)
        1.0
    """
    return mean(_measure(scores, ranks, series).srcc)


def top1_accuracy(scores: ArrayLike, ranks: ArrayLike, series: ArrayLike) -> float:
    """
    Share of series whose best picture has the highest score. Of several best ones, each will do.

    Takes what [`series_correlation`] takes, and leaves the same series out.

    Example:
        >>> from hf_aesthetics.metrics import top1_accuracy
        >>> top1_accuracy([6.0, 5.0, 4.0, 3.0, 4.0], [0, 1, 2, 0, 1], ["a", "a", "a", "b", "b"])
        0.5
    """
    return mean(_measure(scores, ranks, series).top1)


def full_order_accuracy(scores: ArrayLike, ranks: ArrayLike, series: ArrayLike) -> float:
    """
    Share of series in which every two pictures of different rank are in order. Pictures of one rank may come in any.

    Takes what [`series_correlation`] takes, and leaves the same series out. The longer the series, the harder: by lot
    one reaches 1 / n! where all ranks differ.

    Example:
        >>> from hf_aesthetics.metrics import full_order_accuracy
        >>> full_order_accuracy([6.0, 4.0, 5.0, 4.0, 3.0], [0, 1, 2, 0, 1], ["a", "a", "a", "b", "b"])
        0.5
    """
    return mean(_measure(scores, ranks, series).full_order)


def summarize_series(
    scores: ArrayLike,
    ranks: ArrayLike,
    series: ArrayLike,
    *,
    sources: ArrayLike | None = None,
    num_resamples: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Every metric of ranked series, over all of them and by source.

    | key | what |
    |---|---|
    | `num_images`, `num_series`, `num_pairs` | numbers of pictures, series with two ranks, pairs of unlike rank |
    | `pair_accuracy` | share of these pairs that are in order, over all series |
    | `series_srcc` | [`series_correlation`] |
    | `top1_accuracy`, `full_order_accuracy` | the functions of these names |
    | `intervals` | bootstrap interval `[low, high]` at 95 % by key, over series; `num_resamples` > 0 |
    | `by_source` | the same for each source; with `sources` |
    | `mean_of_sources` | the plain mean of the sources' metrics, however large they are; with `sources` |

    Args:
        scores, ranks, series (arrays of shape `(num_images,)`): As in [`series_correlation`].
        sources (array of shape `(num_images,)`, *optional*): Which kind of series it is, such as bursts or crops.
        num_resamples (`int`, *optional*, defaults to 0): Number of draws of series; 0 for no intervals.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.

    Returns:
        `dict`: Python numbers by key.

    Raises:
        ValueError: If the lengths differ, a value is not finite, or a series has several sources.

    Example:
        >>> from hf_aesthetics.metrics import summarize_series
        >>> summary = summarize_series([6.0, 5.0, 4.0, 3.0, 4.0], [0, 1, 2, 0, 1], ["a", "a", "a", "b", "b"])
        >>> summary["num_series"], summary["pair_accuracy"], summary["top1_accuracy"]
        (2, 0.75, 0.5)
    """
    measured = _measure(scores, ranks, series)
    metrics: dict[str, Metric] = {
        "pair_accuracy": (ratio_of_sums, (measured.num_in_order, measured.num_pairs)),
        "series_srcc": (mean, (measured.srcc,)),
        "top1_accuracy": (mean, (measured.top1,)),
        "full_order_accuracy": (mean, (measured.full_order,)),
    }
    names, inverse, sizes = np.unique(np.asarray(series), return_inverse=True, return_counts=True)
    numbers = {
        "num_images": sizes[np.isin(names, measured.names)],
        "num_series": np.ones(len(measured.names), dtype=int),
        "num_pairs": measured.num_pairs,
    }
    source_of = None
    if sources is not None:
        source_of = source_of_series(np.asarray(sources), names, inverse)[np.isin(names, measured.names)]
    return summarize_by_source(metrics, numbers, source_of, num_resamples, seed)


def _measure(scores: ArrayLike, ranks: ArrayLike, series: ArrayLike) -> _Series:
    scores, ranks = as_vector(scores, "scores"), as_vector(ranks, "ranks")
    series = np.asarray(series)
    require_same_length(scores=scores, ranks=ranks, series=series)
    names, starts = np.unique(series[(order := np.argsort(series, kind="stable"))], return_index=True)
    rows = [
        (name, *_measure_one(scores[members], ranks[members]))
        for name, members in zip(names, np.split(order, starts[1:]), strict=True)
        if np.ptp(ranks[members]) > 0
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(_Series._fields)
    return _Series(np.asarray(columns[0]), *(np.asarray(column, dtype=float) for column in columns[1:]))


def _measure_one(scores: np.ndarray, ranks: np.ndarray) -> tuple[float, float, float, float, float]:
    highest = scores == scores.max()
    top1 = float(np.mean(ranks[highest] == ranks.min()))
    above = ranks[:, None] < ranks[None, :]
    in_order = float(preferred(scores[:, None] - scores[None, :])[above].sum())
    correlation = 0.0 if highest.all() else float(np.corrcoef(rankdata(scores), rankdata(-ranks))[0, 1])
    return correlation, top1, _chance_of_order(scores, ranks), in_order, float(np.count_nonzero(above))


def _chance_of_order(scores: np.ndarray, ranks: np.ndarray) -> float:
    """Probability that the ranks never fall when pictures are sorted by falling scores, ties broken by lot."""
    by_score = np.lexsort((ranks, -scores))  # the luckiest way to break them
    if (np.diff(ranks[by_score]) < 0).any():
        return 0.0
    chance = 1.0
    for score in np.unique(scores):
        same, counts = np.unique(ranks[scores == score], return_counts=True)
        # of all orders of a tie, those in which equal ranks change places among themselves
        chance *= math.prod(math.factorial(count) for count in counts) / math.factorial(counts.sum())
    return chance
