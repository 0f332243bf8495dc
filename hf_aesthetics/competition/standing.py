"""
Answers of people -> which scorer attacks well, which withstands attacks, and one ranking with intervals.

Knows nothing about pictures or how pairs were chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import fit_bradley_terry
from .selection import AttackPair


@dataclass(frozen=True)
class Standing:
    """
    How scorers stand against each other.

    Args:
        names (`list[str]`):
            The scorers, in the order of all that follows.
        aggressiveness (`np.ndarray` of shape `(num_scorers, num_scorers)`):
            Row i, column j: how far people side with i where i attacks j, from -100 to 100; NaN in the diagonal.
        resistance (`np.ndarray` of shape `(num_scorers, num_scorers)`):
            Row i, column j: how little people see in what j attacks i with, from 0 to 100; NaN in the diagonal.
        global_aggressiveness (`np.ndarray`), global_resistance (`np.ndarray`) of shape `(num_scorers,)`:
            Bradley-Terry strengths over both matrices.
        intervals (`dict[str, np.ndarray]`, *optional*):
            For `global_aggressiveness` and `global_resistance` bounds at 95 % over annotators, `(num_scorers, 2)`.
    """

    names: list[str]
    aggressiveness: np.ndarray
    resistance: np.ndarray
    global_aggressiveness: np.ndarray
    global_resistance: np.ndarray
    intervals: dict[str, np.ndarray] | None = None

    @property
    def order(self) -> list[str]:
        """The scorers, the best first: by the sum of both strengths."""
        total = self.global_aggressiveness + self.global_resistance
        return [self.names[place] for place in np.argsort(-total, kind="stable")]


def rank_scorers(
    pairs: Sequence[AttackPair],
    answers: ArrayLike,
    weights: Mapping[str, ArrayLike],
    *,
    num_resamples: int = 0,
    seed: int = 0,
) -> Standing:
    r"""
    Ranks scorers by what people say of the pairs of [`select_attacks`].

    With the mean answer \\(p_l\\) over a level, its weight \\(w_l\\) among the defender's levels, and i and j the
    scorers:

    $$A_{ij} = \sum_l w_l^{(j)} \, p_l(i \text{ attacks } j), \qquad
      R_{ij} = \sum_l w_l^{(i)} \, \big(100 - \lvert p_l(j \text{ attacks } i) \rvert\big).$$

    A level in which no pair was found counts as an attack that failed, 0. The global strengths are maximum-likelihood
    scales of max(A, 0) and R, by [`fit_bradley_terry`] with the entries as shares of a choice a level and a prior of
    0.5, without which a scorer that never lost a level would be infinitely strong (our choice).

    Args:
        pairs (`Sequence[AttackPair]`):
            The pairs.
        answers (array of shape `(num_annotators, num_pairs)`):
            From -100, the picture is surely better that the attacker holds to be worse, over 0 to 100; NaN where
            someone was not asked.
        weights (`Mapping[str, ArrayLike]`):
            For each scorer [`level_weights`] of it.
        num_resamples (`int`, *optional*, defaults to 0):
            Number of draws of annotators; 0 for no intervals.
        seed (`int`, *optional*, defaults to 0):
            Seed of the draws.

    Returns:
        [`Standing`].

    Raises:
        ValueError: If shapes do not fit, answers are out of range, or a pair has no answer.
    """
    answers = np.asarray(answers, dtype=float)
    if answers.ndim != 2 or answers.shape[1] != len(pairs) or not len(pairs):
        raise ValueError(
            f"`answers` must have shape (num_annotators, {len(pairs)}), got {answers.shape}. Pass one row a person."
        )
    if np.nanmax(np.abs(answers), initial=0) > 100:
        raise ValueError(f"Answers must lie between -100 and 100, got {np.nanmax(np.abs(answers)):g}.")
    if (silent := np.flatnonzero(np.isnan(answers).all(axis=0))).size:
        raise ValueError(f"Every pair needs an answer, but pair {silent[0]} has none. Leave it out.")
    names = list(weights)
    known = {pair.defender for pair in pairs} | {pair.attacker for pair in pairs}
    if missing := sorted(known - set(names)):
        raise ValueError(f"`weights` must hold every scorer of the pairs, but {missing[0]!r} is not there.")
    standing = _stand(names, pairs, np.nanmean(answers, axis=0), weights)
    if not num_resamples:
        return standing
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {"global_aggressiveness": [], "global_resistance": []}
    own_mean = np.nanmean(answers, axis=0)
    for _ in range(num_resamples):
        some = answers[rng.integers(len(answers), size=len(answers))]
        asked = ~np.isnan(some).all(axis=0)
        means = np.where(asked, np.nansum(some, axis=0) / np.maximum((~np.isnan(some)).sum(axis=0), 1), own_mean)
        again = _stand(names, pairs, means, weights)
        for name, values in drawn.items():
            values.append(getattr(again, name))
    bounds = {name: np.quantile(values, [0.025, 0.975], axis=0).T for name, values in drawn.items()}
    return replace(standing, intervals=bounds)


def confident_annotators(answers: ArrayLike) -> np.ndarray:
    """
    Which annotators to keep, by the rule of ITU-R BT.500.

    For every pair an answer is an outlier where it is more than 2 standard deviations from the mean if the answers are
    about normal, with a kurtosis from 2 to 4, and else more than the root of 20. Who has more than 5 % of outliers,
    which lie on both sides about alike, is left out: such a person answers without a plan, and does not just use the
    scale in another way.

    Args:
        answers (array of shape `(num_annotators, num_pairs)`):
            The answers; NaN where someone was not asked.

    Returns:
        `np.ndarray` of shape `(num_annotators,)` and type `bool`.
    """
    answers = np.asarray(answers, dtype=float)
    centred = answers - np.nanmean(answers, axis=0)
    spread = np.sqrt(np.nanmean(centred**2, axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = np.nanmean(centred**4, axis=0) / spread**4
    bound = np.where((kurtosis >= 2) & (kurtosis <= 4), 2.0, np.sqrt(20.0)) * spread
    above, below = ((sign * centred > bound) & (spread > 0) for sign in (1, -1))
    num_above, num_below = above.sum(axis=1), below.sum(axis=1)
    outliers = num_above + num_below
    share = outliers / np.maximum((~np.isnan(answers)).sum(axis=1), 1)
    balance = np.abs(num_above - num_below) / np.maximum(outliers, 1)
    return ~((share > 0.05) & (balance < 0.3))


def pair_accuracy_ranking(accuracies: ArrayLike, num_images: int) -> np.ndarray:
    r"""
    One ranking of classifiers from how they do on the pictures of each two of them
    ([MAD](https://huggingface.co/papers/2002.10648)).

    \\(b_{ij} = a_{ij} / a_{ji}\\), with one right and one wrong answer added to both accuracies so that none is 0
    (Laplace's rule), and the scores are the Perron vector of B.

    Args:
        accuracies (array of shape `(num_models, num_models)`):
            Row i, column j: accuracy of i on the pictures of i and j. The diagonal does not count.
        num_images (`int`):
            Number of pictures of each two.

    Returns:
        `np.ndarray` of shape `(num_models,)`, which sums to 1.

    Example:
        >>> pair_accuracy_ranking([[0, 0.75], [0.25, 0]], 100).round(3).tolist()
        [0.745, 0.255]
    """
    smoothed = (np.asarray(accuracies, dtype=float) * num_images + 1) / (num_images + 2)
    matrix = smoothed / smoothed.T
    np.fill_diagonal(matrix, 1.0)
    return perron_vector(matrix)


def perron_vector(matrix: ArrayLike) -> np.ndarray:
    """
    The one positive eigenvector of a positive matrix, of the sum 1.

    Args:
        matrix (array of shape `(size, size)`):
            Of numbers above 0.

    Raises:
        ValueError: If one is not.

    Example:
        >>> perron_vector([[1, 3], [1 / 3, 1]]).round(2).tolist()
        [0.75, 0.25]
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not (matrix > 0).all():
        raise ValueError(f"`matrix` must be square with entries above 0, got shape {matrix.shape}. Smooth it before.")
    values, vectors = np.linalg.eig(matrix)
    vector = np.abs(vectors[:, np.argmax(values.real)].real)
    return vector / vector.sum()


def _stand(
    names: list[str], pairs: Sequence[AttackPair], means: np.ndarray, weights: Mapping[str, ArrayLike]
) -> Standing:
    place = {name: number for number, name in enumerate(names)}
    shares = [np.asarray(weights[name], dtype=float) for name in names]
    num_levels = len(shares[0])
    sums, counts = np.zeros((2, len(names), len(names), num_levels))
    for pair, mean in zip(pairs, means, strict=True):
        at = place[pair.attacker], place[pair.defender], pair.level
        sums[at] += mean
        counts[at] += 1
    sided = sums / np.maximum(counts, 1)  # by attacker, defender, level; an attack that was not found has failed
    aggressiveness, resistance = np.full((2, len(names), len(names)), np.nan)
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j:
                aggressiveness[i, j] = shares[j] @ sided[i, j]
                resistance[i, j] = shares[i] @ (100 - np.abs(sided[j, i]))
    return Standing(
        names,
        aggressiveness,
        resistance,
        _scale(np.maximum(aggressiveness, 0), num_levels),
        _scale(resistance, num_levels),
    )


def _scale(matrix: np.ndarray, num_levels: int) -> np.ndarray:
    first, second = np.triu_indices(len(matrix), 1)
    # a touch of both sides links scorers of which neither did anything to the other
    wins = num_levels * matrix / 100 + 1e-6
    return fit_bradley_terry(first, second, wins[first, second], wins[second, first], len(matrix), prior=0.5).strengths
