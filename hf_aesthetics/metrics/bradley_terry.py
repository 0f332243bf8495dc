"""
Strengths of pictures from choices between two of them, with intervals.

Knows nothing about pictures or people; it counts who won against whom.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit
from scipy.stats import norm

from .array_checks import as_wins, require_same_length


_TOLERANCE = 1e-10
_MAX_STEPS = 200


class UnlinkedError(ValueError):
    """Choices that do not link all items: nothing compares the items at positions `part` with the others."""

    def __init__(self, message: str, part: list[int]) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class BradleyTerryFit:
    """
    What [`fit_bradley_terry`] finds.

    Args:
        strengths (`np.ndarray` of shape `(num_items,)`):
            Strengths on the logistic scale; their mean is 0.
        covariance (`np.ndarray` of shape `(num_items, num_items)`):
            Of the strengths, from the curvature of the likelihood at its maximum.
        log_likelihood (`float`):
            Of the choices at these strengths, without the prior.
    """

    strengths: np.ndarray
    covariance: np.ndarray
    log_likelihood: float

    @property
    def standard_errors(self) -> np.ndarray:
        """Of the strengths, each against the mean of all."""
        return np.sqrt(np.diag(self.covariance))

    def probability(self, first: ArrayLike, second: ArrayLike) -> np.ndarray:
        """Probability that items `first` are chosen over items `second`, given by their positions."""
        return expit(self.strengths[np.asarray(first)] - self.strengths[np.asarray(second)])

    def interval(self, first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """
        Intervals of [`probability`]: normal ones on the logistic scale.

        Args:
            first, second (arrays of positions): As there.
            confidence (`float`, *optional*, defaults to 0.95): Probability that an interval should cover.

        Returns:
            `tuple[np.ndarray, np.ndarray]`: Lower and upper ends.
        """
        first, second = np.asarray(first), np.asarray(second)
        difference = self.strengths[first] - self.strengths[second]
        variances = np.diag(self.covariance)
        variance = variances[first] + variances[second] - 2 * self.covariance[first, second]
        half = norm.ppf((1 + confidence) / 2) * np.sqrt(np.clip(variance, 0, None))
        return expit(difference - half), expit(difference + half)


def fit_bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    wins_first: ArrayLike,
    wins_second: ArrayLike,
    num_items: int | None = None,
    prior: float = 0.0,
) -> BradleyTerryFit:
    r"""
    Maximum likelihood of the Bradley-Terry model,

    $$P(i \succ j) = \frac{1}{1 + e^{-(\theta_i - \theta_j)}}, \qquad
      \ell(\theta) = \sum_{(i, j)} w_{ij} \log P(i \succ j) + w_{ji} \log P(j \succ i)
      + \frac{\alpha}{2} \sum_i \log P(i \succ 0) + \log P(0 \succ i),$$

    by Newton's method on a concave function. With $\alpha$ = `prior` = 0 it is the plain likelihood, which has a
    maximum only if no set of items won every choice against the others. Few choices nearly always leave such a set: an
    item that won them all, say, would be infinitely strong. The prior is as if every item had been compared $\alpha$
    times with an imagined one of strength 0, and won half of it (our choice): then there is always a maximum, the
    strengths are pulled together, and less so, the more choices there are. Each term of it is symmetric, so that no
    item is favoured.

    Args:
        first, second (arrays of shape `(num_pairs,)`): Positions of the two items; a pair may come several times.
        wins_first, wins_second (arrays of shape `(num_pairs,)`): How often each was chosen over the other.
        num_items (`int`, *optional*): How many items there are; one more than the largest position by default.
        prior (`float`, *optional*, defaults to 0): Imagined comparisons $\alpha$ an item; 0.5 is little, and enough.

    Returns:
        [`BradleyTerryFit`].

    Raises:
        UnlinkedError: If the choices do not link all items, so that nothing compares the parts.
        ValueError: If `prior` is 0 and the likelihood has no maximum, or an array is malformed.

    Example:
        >>> from hf_aesthetics.metrics import fit_bradley_terry
        >>> fit = fit_bradley_terry([0, 0, 1], [1, 2, 2], wins_first=[3, 4, 3], wins_second=[1, 1, 2])
        >>> fit.strengths.round(2).tolist(), fit.probability(0, 2).round(2).item()
        ([0.83, -0.23, -0.6], 0.81)
    """
    first, second, won, lost, num_items = _check(first, second, wins_first, wins_second, num_items)
    if not (np.isfinite(prior) and prior >= 0):
        raise ValueError(f"`prior` must be a number of at least 0, got {prior}. Pass for example 0.5.")
    wins = coo_array(
        (np.concatenate([won, lost]), (np.concatenate([first, second]), np.concatenate([second, first]))),
        shape=(num_items, num_items),
    ).toarray()
    _require_links(wins, prior)
    total = wins + wins.T

    def log_posterior(strengths: np.ndarray) -> float:
        imagined = log_expit(strengths) + log_expit(-strengths)
        return float((wins * log_expit(strengths[:, None] - strengths)).sum() + prior / 2 * imagined.sum())

    strengths, reached = np.zeros(num_items), log_posterior(np.zeros(num_items))
    for _ in range(_MAX_STEPS):
        gradient, curvature = _derivatives(strengths, wins, total, prior)
        step = np.linalg.solve(curvature, gradient)
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
        size = 1.0
        while (now := log_posterior(strengths + size * step)) < reached and size > 1e-6:
            size /= 2
        strengths, reached = strengths + size * step, now
    centring = np.eye(num_items) - 1 / num_items
    covariance = centring @ np.linalg.inv(_derivatives(strengths, wins, total, prior)[1]) @ centring
    likelihood = float((wins * log_expit(strengths[:, None] - strengths)).sum())
    return BradleyTerryFit(strengths - strengths.mean(), covariance, likelihood)


def _check(
    first: ArrayLike, second: ArrayLike, wins_first: ArrayLike, wins_second: ArrayLike, num_items: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    first, second = np.asarray(first), np.asarray(second)
    won, lost = as_wins(wins_first, "wins_first"), as_wins(wins_second, "wins_second")
    require_same_length(first=first, second=second, wins_first=won, wins_second=lost)
    if not len(first) or first.dtype.kind not in "iu" or second.dtype.kind not in "iu":
        raise ValueError(f"`first` and `second` must be positions of items, got {first!r:.60} and {second!r:.60}.")
    highest = int(max(first.max(), second.max()))
    num_items = highest + 1 if num_items is None else num_items
    if min(first.min(), second.min()) < 0 or highest >= num_items:
        raise ValueError(f"Positions must lie between 0 and {num_items - 1}, got up to {highest}.")
    if (same := np.flatnonzero(first == second)).size:
        raise ValueError(f"A picture cannot be compared with itself, but {first[same[0]]} is in row {same[0]}.")
    return first, second, won, lost, num_items


def _require_links(wins: np.ndarray, prior: float) -> None:
    num_parts, part_of = connected_components(wins > 0, directed=True, connection="weak")
    if num_parts > 1:
        smallest = np.flatnonzero(part_of == np.bincount(part_of).argmin())
        raise UnlinkedError(
            f"The choices must link all {len(wins)} items, but fall into {num_parts} parts without a choice between "
            f"them, one of them {_listed(smallest)}. Compare across the parts, or fit each part alone.",
            smallest.tolist(),
        )
    num_parts, part_of = connected_components(wins > 0, directed=True, connection="strong")
    if num_parts > 1 and prior == 0:
        beaten = [
            np.flatnonzero(part_of == part)
            for part in range(num_parts)
            if not wins[part_of == part][:, part_of != part].any()
        ]
        raise ValueError(
            f"The likelihood has no maximum: item(s) {_listed(beaten[0])} never won against the others, so that their "
            "strengths would be infinitely low. Pass prior=0.5, or ask for more choices."
        )


def _listed(items: np.ndarray) -> str:
    return ", ".join(map(str, items[:5].tolist())) + (", ..." if len(items) > 5 else "")


def _derivatives(
    strengths: np.ndarray, wins: np.ndarray, total: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the log posterior, and its negative Hessian, made regular where a shift of all changes nothing."""
    probability = expit(strengths[:, None] - strengths)
    gradient = (wins - total * probability).sum(axis=1) + prior * (0.5 - expit(strengths))
    weights = total * probability * (1 - probability)
    curvature = np.diag(weights.sum(axis=1) + prior * expit(strengths) * expit(-strengths)) - weights
    return gradient, curvature + (0.0 if prior else 1.0 / len(strengths))
