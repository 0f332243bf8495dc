"""
Is fast mode close enough to exact mode, for this checkpoint and these pictures? Measured before it is relied on.

Knows nothing about how either is computed.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .batch import score_batch
from .scorer import AestheticScorer, ScorerSpec, load_scorer


MAX_DIFFERENCE = 0.02
MIN_SRCC = 0.999


@dataclass(frozen=True, slots=True)
class ModeAgreement:
    """
    How well two modes agree on some pictures.

    Args:
        mean_difference (`float`):
            Mean of |score difference|, in rating units.
        max_difference (`float`):
            The largest.
        srcc (`float`):
            Spearman's rank correlation; NaN where all pictures score alike.
        num_pictures (`int`):
            Number of pictures.
    """

    mean_difference: float
    max_difference: float
    srcc: float
    num_pictures: int

    def __str__(self) -> str:
        return (
            f"mean |difference| {self.mean_difference:.4f}, largest {self.max_difference:.4f}, Spearman's correlation "
            f"{self.srcc:.5f}, {self.num_pictures:,} pictures"
        )


def compare_modes(exact_scores: ArrayLike, fast_scores: ArrayLike) -> ModeAgreement:
    """
    How well the scores of two modes agree.

    Args:
        exact_scores, fast_scores (`ArrayLike` of shape `(num_pictures,)`):
            Scores of the same pictures.

    Raises:
        ValueError: If the numbers of scores differ, or there are fewer than two.

    Example:
        >>> print(compare_modes([4.0, 5.0, 6.0], [4.01, 5.0, 5.98]))
        mean |difference| 0.0100, largest 0.0200, Spearman's correlation 1.00000, 3 pictures
    """
    from ..metrics import spearman_correlation  # not at the top: exact mode, all of scoring, needs no scipy

    exact, fast = np.asarray(exact_scores, dtype=float), np.asarray(fast_scores, dtype=float)
    if exact.shape != fast.shape or exact.ndim != 1 or len(exact) < 2:
        raise ValueError(
            f"Expected the scores of the same two or more pictures, got shapes {exact.shape} and {fast.shape}. "
            "Score more pictures that can be read."
        )
    differences = np.abs(exact - fast)
    return ModeAgreement(
        mean_difference=float(differences.mean()),
        max_difference=float(differences.max()),
        srcc=float(spearman_correlation(fast, exact)),
        num_pictures=len(exact),
    )


def check_fast_mode(
    exact: AestheticScorer | ScorerSpec,
    fast: AestheticScorer | ScorerSpec,
    pictures: Iterable[Any],
    *,
    batch_size: int = 16,
    max_difference: float = MAX_DIFFERENCE,
    min_srcc: float = MIN_SRCC,
) -> ModeAgreement:
    """
    Refuses fast mode where it changes scores too much: the gate before a job.

    Take a few hundred pictures of the job. The correlation of few, or of pictures that score nearly alike, is low
    however small the differences are.

    Args:
        exact, fast ([`AestheticScorer`] or [`ScorerSpec`]):
            The same checkpoint in the two modes, `fast` with the runtime of the job.
        pictures (`Iterable`):
            What [`score_batch`] takes for pictures. Those that cannot be read are left out.
        batch_size (`int`, *optional*, defaults to 16):
            Number of pictures that go through the model together.
        max_difference (`float`, *optional*, defaults to 0.02):
            Mean |score difference| that is allowed, in rating units.
        min_srcc (`float`, *optional*, defaults to 0.999):
            Spearman's correlation that is needed.

    Raises:
        ValueError: If they agree less than that, or are two checkpoints; or if fewer than two pictures can be read.
    """
    exact, fast = (load_scorer(one) if isinstance(one, ScorerSpec) else one for one in (exact, fast))
    if exact.id != fast.id:
        raise ValueError(f"Expected one checkpoint in two modes, got {exact.id} and {fast.id}. Load the same one.")
    remaining, pairs = iter(pictures), []
    while batch := list(itertools.islice(remaining, batch_size)):
        scores = (score_batch({"image": batch}, scorer)["score"] for scorer in (exact, fast))
        pairs += [pair for pair in zip(*scores, strict=True) if None not in pair]
    agreement = compare_modes([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    # written so that NaN fails too
    if not (agreement.mean_difference <= max_difference and agreement.srcc >= min_srcc):
        raise ValueError(
            f"Fast mode of {fast.id} is too far from exact mode: expected a mean |difference| of at most "
            f"{max_difference:g} and a Spearman's correlation of at least {min_srcc:g}, got {agreement}. "
            "Use mode='exact'."
        )
    return agreement
