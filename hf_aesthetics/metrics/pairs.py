"""
How well scores tell which of two pictures people prefer.

Knows nothing about the pictures. Where two scores are equal, every function here gives what breaking the tie by lot
would give on average, so that a scorer gains nothing by saying nothing.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_vector, as_wins, require_same_length
from .sources import Metric, ratio, ratio_of_sums, source_of_series, summarize_by_source


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
    return ratio(np.where(is_first, chosen, 1 - chosen).sum(), len(chosen))


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
    chosen = preferred(difference)
    return ratio((chosen * wins_first + (1 - chosen) * wins_second).sum(), (wins_first + wins_second).sum())


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
    metrics: dict[str, Metric] = {
        "pair_accuracy": (ratio_of_sums, (right, total)),
        "pair_f1": (lambda *counts: _mean_f1(*(count.sum() for count in counts)), answers),
    }
    source_of = None
    if sources is not None:
        sources = np.asarray(sources)
        require_same_length(difference=decided, sources=sources)
        source_of = source_of_series(sources[decided], names, inverse)
    return summarize_by_source(metrics, {"num_pairs": total.astype(int)}, source_of, num_resamples, seed)


def preferred(difference: np.ndarray) -> np.ndarray:
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
    return preferred(difference[decided]), preference[decided] > 0.5


def _answers(chosen: np.ndarray, is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each pair whether "first" is a hit, a miss or a false alarm, and whether "second" is a hit."""
    hit, alarm = chosen * is_first, chosen * ~is_first
    return hit, is_first - hit, alarm, ~is_first - alarm


def _mean_f1(first_hit: float, first_missed: float, second_missed: float, second_hit: float) -> float:
    # what is a false alarm of one answer is a miss of the other
    errors = first_missed + second_missed
    found = [2 * hit / (2 * hit + errors) for hit in (first_hit, second_hit) if hit + errors > 0]
    return float(np.mean(found)) if found else math.nan
