"""How well votes could be predicted at best. Knows nothing about raters, only how many votes each picture got."""

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_bin_values, as_vote_counts
from .correlation import spearman_correlation


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
