"""
How well scores tell which pictures of a series are better, and which of two pictures people prefer.

Knows nothing about what a series shows, or how its ranks came about. Where two scores are equal, every function here
gives what breaking the tie by lot would give on average, so that a scorer gains nothing by saying nothing.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from .array_checks import as_floats, as_vector, require_same_length
from .bootstrap import bootstrap_interval


class _Series(NamedTuple):
    """One row a series: its name, its metrics, its pairs of different rank, and how many of them are in order."""

    names: np.ndarray
    srcc: np.ndarray
    top1: np.ndarray
    full_order: np.ndarray
    num_in_order: np.ndarray
    num_pairs: np.ndarray


def pair_accuracy(difference: ArrayLike, preference: ArrayLike) -> float:
    """
    Share of pairs in which the picture that most people prefer has the higher score.

    A pair of which nobody knows the better one, `preference` 0.5, is left out; equal scores count half.

    Args:
        difference (array of shape `(num_pairs,)`): Score of the first picture minus score of the second.
        preference (array of shape `(num_pairs,)`): Share of people who prefer the first, between 0 and 1.

    Returns:
        `float`: Between 0 and 1, 0.5 for a scorer that ignores the pictures; NaN if no pair is decided.

    Raises:
        ValueError: If the lengths differ, or a value is not finite or no share.

    Example:
        >>> from hf_aesthetics.metrics import pair_accuracy
        >>> pair_accuracy([0.3, -1.2, 0.0, 2.0], [1.0, 0.8, 0.0, 0.5])  # right, wrong, undecided; the last left out
        0.5
    """
    chosen, is_first = _decided(difference, preference)
    return _ratio(np.where(is_first, chosen, 1 - chosen).sum(), len(chosen))


def pair_f1(difference: ArrayLike, preference: ArrayLike) -> float:
    r"""
    F1 of pairs: the mean of $2\,TP / (2\,TP + FP + FN)$ of the answers "the first" and "the second".

    Papers that report F1 of pairs seldom say of which answer. The mean of both is our choice, because it stays as it
    is when all pairs are turned round; which picture of a pair comes first should be left to chance all the same.
    Pairs with `preference` 0.5 are left out, and equal scores are half of either answer.

    Args:
        difference (array of shape `(num_pairs,)`): Score of the first picture minus score of the second.
        preference (array of shape `(num_pairs,)`): Share of people who prefer the first, between 0 and 1.

    Returns:
        `float`: Between 0 and 1; NaN if no pair is decided.

    Raises:
        ValueError: If the lengths differ, or a value is not finite or no share.

    Example:
        >>> from hf_aesthetics.metrics import pair_f1
        >>> round(pair_f1([0.3, 1.2, -0.4], [1.0, 0.0, 0.0]), 4)
        0.6667
    """
    chosen, is_first = _decided(difference, preference)
    return _mean_f1(*(counts.sum() for counts in _answers(chosen, is_first)))


def choice_accuracy(difference: ArrayLike, wins_first: ArrayLike, wins_second: ArrayLike) -> float:
    """
    Share of single choices of the picture with the higher score; equal scores count half.

    Unlike in [`pair_accuracy`] every choice counts, also the two of a pair over which two people part. Read it next to
    [`choice_ceiling`]: who knew the preferences of all people exactly could not foresee every choice.

    Args:
        difference (array of shape `(num_pairs,)`): Score of the first picture minus score of the second.
        wins_first (array of shape `(num_pairs,)`): How often the first picture was chosen.
        wins_second (array of shape `(num_pairs,)`): How often the second was.

    Returns:
        `float`: Between 0 and 1; NaN if there is no choice.

    Raises:
        ValueError: If the lengths differ, or a number of choices is negative or not finite.

    Example:
        >>> from hf_aesthetics.metrics import choice_accuracy
        >>> choice_accuracy([0.3, -1.2], wins_first=[2, 1], wins_second=[1, 0])
        0.5
    """
    difference = as_vector(difference, "difference")
    wins_first, wins_second = as_wins(wins_first, "wins_first"), as_wins(wins_second, "wins_second")
    require_same_length(difference=difference, wins_first=wins_first, wins_second=wins_second)
    chosen = _chosen(difference)
    return _ratio((chosen * wins_first + (1 - chosen) * wins_second).sum(), (wins_first + wins_second).sum())


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
        >>> series_correlation([6.0, 5.0, 4.0, 3.0, 4.0], [0, 1, 2, 0, 1], ["a", "a", "a", "b", "b"])
        0.0
    """
    return _mean(_measure(scores, ranks, series).srcc)


def top1_accuracy(scores: ArrayLike, ranks: ArrayLike, series: ArrayLike) -> float:
    """
    Share of series whose best picture has the highest score. Of several best ones, each will do.

    Takes what [`series_correlation`] takes, and leaves the same series out.

    Example:
        >>> from hf_aesthetics.metrics import top1_accuracy
        >>> top1_accuracy([6.0, 5.0, 4.0, 3.0, 4.0], [0, 1, 2, 0, 1], ["a", "a", "a", "b", "b"])
        0.5
    """
    return _mean(_measure(scores, ranks, series).top1)


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
    return _mean(_measure(scores, ranks, series).full_order)


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
    metrics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]] = {
        "pair_accuracy": (_ratio_of_sums, (measured.num_in_order, measured.num_pairs)),
        "series_srcc": (_mean, (measured.srcc,)),
        "top1_accuracy": (_mean, (measured.top1,)),
        "full_order_accuracy": (_mean, (measured.full_order,)),
    }
    names, inverse, sizes = np.unique(np.asarray(series), return_inverse=True, return_counts=True)
    numbers = {
        "num_images": sizes[np.isin(names, measured.names)],
        "num_series": np.ones(len(measured.names), dtype=int),
        "num_pairs": measured.num_pairs,
    }
    source_of = None
    if sources is not None:
        source_of = _source_of_series(np.asarray(sources), names, inverse)[np.isin(names, measured.names)]
    return _summarize(metrics, numbers, source_of, num_resamples, seed)


def summarize_pairs(
    difference: ArrayLike,
    preference: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sources: ArrayLike | None = None,
    num_resamples: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """
    `num_pairs`, `pair_accuracy` and `pair_f1`, over all pairs and by source, as [`summarize_series`] has them.

    Args:
        difference, preference (arrays of shape `(num_pairs,)`): As in [`pair_accuracy`].
        groups (array of shape `(num_pairs,)`, *optional*): The series of each pair: draws are then of whole series,
            whose pairs share pictures.
        sources (array of shape `(num_pairs,)`, *optional*): Which kind of series it is.
        num_resamples (`int`, *optional*, defaults to 0): Number of draws; 0 for no intervals.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.

    Returns:
        `dict`: Python numbers by key.

    Raises:
        ValueError: If the lengths differ, a value is not finite or no share, or a group has several sources.

    Example:
        >>> from hf_aesthetics.metrics import summarize_pairs
        >>> summarize_pairs([0.3, 1.2, -0.4, 0.1], [1.0, 0.0, 0.0, 0.5])["num_pairs"]
        3
    """
    chosen, is_first = _decided(difference, preference)
    decided = np.asarray(preference, dtype=float) != 0.5
    groups = np.arange(len(decided)) if groups is None else np.asarray(groups)
    require_same_length(difference=decided, groups=groups)
    names, inverse = np.unique(groups[decided], return_inverse=True)

    def of_groups(values: np.ndarray) -> np.ndarray:
        return np.bincount(inverse, weights=values, minlength=len(names))

    right, total = of_groups(np.where(is_first, chosen, 1 - chosen)), of_groups(np.ones(len(chosen)))
    answers = tuple(of_groups(counts) for counts in _answers(chosen, is_first))
    metrics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]] = {
        "pair_accuracy": (_ratio_of_sums, (right, total)),
        "pair_f1": (lambda *counts: _mean_f1(*(count.sum() for count in counts)), answers),
    }
    source_of = None
    if sources is not None:
        sources = np.asarray(sources)
        require_same_length(difference=decided, sources=sources)
        source_of = _source_of_series(sources[decided], names, inverse)
    return _summarize(metrics, {"num_pairs": total.astype(int)}, source_of, num_resamples, seed)


def as_wins(values: ArrayLike, name: str) -> np.ndarray:
    """Returns how often pictures were chosen, at least 0 each. Choices may have weights."""
    wins = as_vector(values, name)
    if (wins < 0).any():
        raise ValueError(f"`{name}` must not be negative, got {wins.min():g}. Pass numbers of choices.")
    return wins


def _chosen(difference: np.ndarray) -> np.ndarray:
    """1 where the first picture has the higher score, 0 where the second has, a half where neither has."""
    return (np.sign(difference) + 1) / 2


def _decided(difference: ArrayLike, preference: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """What scores choose in the pairs of which the better one is known, and whether that is the first."""
    difference, preference = as_vector(difference, "difference"), as_vector(preference, "preference")
    require_same_length(difference=difference, preference=preference)
    if ((preference < 0) | (preference > 1)).any():
        raise ValueError(
            f"`preference` must lie between 0 and 1, got {preference.min():g} to {preference.max():g}. "
            "Pass the share of people who prefer the first picture."
        )
    decided = preference != 0.5
    return _chosen(difference[decided]), preference[decided] > 0.5


def _answers(chosen: np.ndarray, is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each pair whether "first" is a hit, a miss or a false alarm, and whether "second" is a hit."""
    hit, alarm = chosen * is_first, chosen * ~is_first
    return hit, is_first - hit, alarm, ~is_first - alarm


def _mean_f1(first_hit: float, first_missed: float, second_missed: float, second_hit: float) -> float:
    # what is a false alarm of one answer is a miss of the other
    errors = first_missed + second_missed
    found = [2 * hit / (2 * hit + errors) for hit in (first_hit, second_hit) if hit + errors > 0]
    return float(np.mean(found)) if found else math.nan


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
    in_order = float(_chosen(scores[:, None] - scores[None, :])[above].sum())
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


def _source_of_series(sources: np.ndarray, names: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """One source a series."""
    require_same_length(series=inverse, sources=sources)
    _, first = np.unique(inverse, return_index=True)
    if (other := np.flatnonzero(sources[first][inverse] != sources)).size:
        name = names[inverse[other[0]]]
        raise ValueError(
            f"All pictures of a series must have one source, but series {str(name)!r} has "
            f"{str(sources[first][inverse[other[0]]])!r} and {str(sources[other[0]])!r}. Correct the sources."
        )
    return sources[first]


def _summarize(
    metrics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]],
    numbers: dict[str, np.ndarray],
    source_of: np.ndarray | None,
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    def summarize(rows: np.ndarray) -> dict[str, Any]:
        found: dict[str, Any] = {name: int(counts[rows].sum()) for name, counts in numbers.items()}
        found |= {name: metric(*(array[rows] for array in arrays)) for name, (metric, arrays) in metrics.items()}
        if num_resamples and rows.sum() > 1:
            found["intervals"] = {
                name: list(
                    bootstrap_interval(metric, *(a[rows] for a in arrays), num_resamples=num_resamples, seed=seed)
                )
                for name, (metric, arrays) in metrics.items()
            }
        return found

    everything = summarize(np.ones(len(next(iter(numbers.values()))), dtype=bool))
    if source_of is not None:
        by_source = {str(source): summarize(source_of == source) for source in np.unique(source_of)}
        everything["by_source"] = by_source
        everything["mean_of_sources"] = {
            name: _mean(as_floats([found[name] for found in by_source.values()], name)) for name in metrics
        }
    return everything


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _ratio_of_sums(part: np.ndarray, whole: np.ndarray) -> float:
    return _ratio(part.sum(), whole.sum())


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
