"""
How well votes, and choices between two pictures, could be predicted at best.

Knows nothing about raters, only how many votes each picture got, and how often each of a pair was chosen.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_bin_values, as_vote_counts, as_wins, require_same_length
from .bradley_terry import fit_bradley_terry
from .correlation import spearman_correlation
from .pairs import choice_accuracy


def vote_resampling_ceiling(
    vote_counts: ArrayLike, bin_values: ArrayLike, num_resamples: int = 100, seed: int = 0
) -> float:
    """
    SRCC between the mean scores and the mean scores of a second vote, drawn from each picture's own histogram with
    the same number of votes (our choice; averaged over `num_resamples` second votes).

    It answers how much of the order of the pictures is vote noise. Two things make it optimistic: it takes the
    observed histogram for the truth, and it ignores the pool of raters (other people, or the same people sharing a
    taste, would differ by more than chance). Where single ratings are known, a split of the raters into halves is
    the better ceiling.

    Args:
        vote_counts (array of shape `(num_images, num_bins)`): Number of votes in each bin.
        bin_values (array of shape `(num_bins,)`): The rating of each bin, strictly increasing.
        num_resamples (`int`, *optional*, defaults to 100): Number of second votes to average over.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.

    Returns:
        `float`: At most 1; NaN if all mean scores are equal.

    Raises:
        ValueError: If a count is not a whole number, a picture has no vote, `bin_values` does not fit or
        `num_resamples` is below 1.

    Example:
        >>> from hf_aesthetics.metrics import vote_resampling_ceiling
        >>> unanimous = [[9, 0, 0], [0, 9, 0], [0, 0, 9]]
        >>> round(vote_resampling_ceiling(unanimous, bin_values=[1, 2, 3]), 4)
        1.0
    """
    counts = as_vote_counts(vote_counts)
    bins = as_bin_values(bin_values, counts.shape[1])
    if num_resamples < 1:
        raise ValueError(f"`num_resamples` must be at least 1, got {num_resamples}. Pass for example 100.")
    num_votes = counts.sum(axis=1)
    shares = counts / num_votes[:, None]
    means = (counts * bins).sum(axis=1) / num_votes
    rng = np.random.default_rng(seed)
    correlations = [
        spearman_correlation((rng.multinomial(num_votes, shares) * bins).sum(axis=1) / num_votes, means)
        for _ in range(num_resamples)
    ]
    return float(np.mean(correlations))


class ChoiceCeiling(NamedTuple):
    """
    How well single choices could be foreseen; see [`choice_ceiling`].

    Attributes:
        agreement (`float`): How often two people, asked about one pair, choose the same picture.
        low (`float`): The best possible share of foreseen choices is at least this,
        high (`float`): and at most this.
        num_pairs (`int`): Number of pairs with several choices, of which this is known.
    """

    agreement: float
    low: float
    high: float
    num_pairs: int


def choice_ceiling(wins_first: ArrayLike, wins_second: ArrayLike) -> ChoiceCeiling:
    r"""
    What share of single choices could be foreseen by who knows how people choose: bounds that assume no model.

    If a share $p$ of people prefer the first picture of a pair, two of them agree with probability $p^2 + (1 - p)^2$,
    and the best guess is right with $\max(p, 1 - p)$. With $d = \lvert 2p - 1 \rvert$ these are $(1 + d^2) / 2$ and
    $(1 + d) / 2$, so that with a mean agreement $A$ over pairs, because $E[d^2] \le E[d] \le \sqrt{E[d^2]}$,

    $$A \;\le\; E[\max(p, 1 - p)] \;\le\; \tfrac{1}{2} \big(1 + \sqrt{2A - 1}\big).$$

    Only pairs with several choices tell $A$; that they are pairs like the others, and their choices those of different
    people, is assumed. They may be few: put [`bootstrap_interval`] round the agreement.

    Args:
        wins_first (array of shape `(num_pairs,)`): How often the first picture was chosen, in whole numbers.
        wins_second (array of shape `(num_pairs,)`): How often the second was.

    Returns:
        [`ChoiceCeiling`]: NaN where no pair has several choices. Where people agree less often than by lot, which
        only chance can bring about, both bounds are at least 0.5.

    Raises:
        ValueError: If the lengths differ, or a number of choices is negative or not finite.

    Example:
        >>> from hf_aesthetics.metrics import choice_ceiling
        >>> agreement, low, high, num_pairs = choice_ceiling([2, 1, 3, 1], [0, 1, 0, 0])
        >>> round(agreement, 3), round(low, 3), round(high, 3), num_pairs
        (0.667, 0.667, 0.789, 3)
    """
    first, second = as_wins(wins_first, "wins_first"), as_wins(wins_second, "wins_second")
    require_same_length(wins_first=first, wins_second=second)
    total = first + second
    several = total > 1
    if not several.any():
        return ChoiceCeiling(math.nan, math.nan, math.nan, 0)
    first, second, total = first[several], second[several], total[several]
    agreement = float(np.mean((first * (first - 1) + second * (second - 1)) / (total * (total - 1))))
    low = max(agreement, 0.5)
    return ChoiceCeiling(agreement, low, (1 + math.sqrt(2 * low - 1)) / 2, int(several.sum()))


def strength_ceiling(
    first: ArrayLike,
    second: ArrayLike,
    wins_first: ArrayLike,
    wins_second: ArrayLike,
    *,
    prior: float = 0.5,
    num_folds: int = 10,
    seed: int = 0,
) -> float:
    """
    Share of choices that are foreseen by one number a picture, when the number comes from the other choices.

    Pairs are parted into folds; the Bradley-Terry strengths of [`fit_bradley_terry`] over the other folds foresee the
    choices of each. It is what a scorer of single pictures could reach that knows what people said of these very
    pictures, a little less for the noise of the strengths; preferences that run in circles are beyond it.

    Args:
        first, second, wins_first, wins_second (arrays of shape `(num_pairs,)`): As in [`fit_bradley_terry`].
        prior (`float`, *optional*, defaults to 0.5): As there.
        num_folds (`int`, *optional*, defaults to 10): Number of folds of pairs.
        seed (`int`, *optional*, defaults to 0): Seed of the folds.

    Returns:
        `float`: Between 0 and 1.

    Raises:
        ValueError: If the choices outside a fold do not link all pictures, or an array is malformed.

    Example:
        >>> import itertools
        >>> from hf_aesthetics.metrics import strength_ceiling
        >>> first, second = zip(*itertools.combinations(range(12), 2))  # the lower number always wins
        >>> strength_ceiling(first, second, [1] * 66, [0] * 66) > 0.9
        True
    """
    first, second = np.asarray(first), np.asarray(second)
    won, lost = as_wins(wins_first, "wins_first"), as_wins(wins_second, "wins_second")
    require_same_length(first=first, second=second, wins_first=won, wins_second=lost)
    if not 2 <= num_folds <= len(first):
        raise ValueError(f"`num_folds` must lie between 2 and the {len(first)} pairs, got {num_folds}.")
    num_items = int(max(first.max(), second.max())) + 1
    folds = np.random.default_rng(seed).permutation(len(first)) % num_folds
    difference = np.empty(len(first))
    for fold in range(num_folds):
        held, rest = folds == fold, folds != fold
        fit = fit_bradley_terry(first[rest], second[rest], won[rest], lost[rest], num_items, prior)
        difference[held] = fit.strengths[first[held]] - fit.strengths[second[held]]
    return choice_accuracy(difference, won, lost)
