"""A simulated panel of raters who look at known causes of a picture's appeal, each with a bias, a scale and noise.

Knows nothing about pixels, and nothing about how people judge: it is a planted truth for demonstrations and tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .columns import RatingScale
from .rendering import CAUSES


# focus, light and depth are seen by a small network within a minute; mean colours and brightness tell little of them
DEFAULT_CAUSES = {"focus": 0.5, "light": 0.35, "depth": 0.35, "composition": 0.1, "saliency": 0.1}


class PanelRatings(NamedTuple):
    """
    What a panel says about pictures.

    Args:
        ratings (`np.ndarray` of shape `(num_pictures, num_raters)`):
            Single ratings on the scale, float32.
        vote_counts (`np.ndarray` of shape `(num_pictures, num_bins)`):
            Raters a bin, lowest rating first, int32.
    """

    ratings: np.ndarray
    vote_counts: np.ndarray


@dataclass(frozen=True)
class RaterPanel:
    r"""
    Raters who agree on what they like and differ in how they say it.

    $$r_{ij} = m + w \, \big( b_j + a_j (\sigma q_i + \nu e^{\tau d_i} \varepsilon_{ij}) \big), \qquad
      q_i = \frac{\sum_c \omega_c (x_{ic} - \mu_c) / s_c}{\sqrt{\sum_c \omega_c^2}}$$

    rounded to the nearest bin: picture $i$, rater $j$, causes $x_{ic}$ standardised by the mean $\mu_c$ and deviation
    $s_c$ of [`CAUSES`], weights $\omega_c$, and width $w$ of the scale; $d_i$ is such a mixture, too, with its own
    weights. Bias $b_j$ and noise are normal, $a_j$ log-normal (our choice of model). The default spreads give about
    the statistics of AVA, the data behind [NIMA](https://huggingface.co/papers/1709.05424): means around 5.4 that
    deviate by 0.8, votes that deviate by 1.4.

    Args:
        num_raters (`int`, *optional*, defaults to 120):
            Every rater rates every picture. At least 2.
        causes (`Mapping[str, float]`, *optional*):
            Weight of each cause in the quality; only their ratio counts. `DEFAULT_CAUSES` by default.
        min_score (`float`, *optional*, defaults to 1), max_score (`float`, *optional*, defaults to 10), \
        num_bins (`int`, *optional*, defaults to 10):
            The rating scale.
        mean (`float`, *optional*, defaults to 0.49):
            Rating of an average picture, as a share of the scale.
        quality_spread (`float`, *optional*, defaults to 0.088), rater_bias (`float`, *optional*, defaults to 0.06), \
        rater_noise (`float`, *optional*, defaults to 0.135):
            Standard deviations of $\sigma q$, $b$ and $\nu \varepsilon$, as shares of the scale.
        rater_scale (`float`, *optional*, defaults to 0.2):
            Standard deviation of $\log a$.
        disagreement_causes (`Mapping[str, float]`, *optional*):
            Weight of each cause in the disagreement $d$. By default all pictures are contested alike, $d = 0$.
        disagreement_spread (`float`, *optional*, defaults to 0.35):
            Standard deviation of $\tau d$.
        seed (`int`, *optional*, defaults to 0):
            Who the raters are.

    Raises:
        ValueError: If a cause is unknown, all weights are 0, a spread is negative, or there are fewer than 2 raters.

    Example:
        >>> panel = RaterPanel(num_raters=50, causes={"focus": 1.0}, min_score=1, max_score=5, num_bins=5)
        >>> blurred, sharp = panel.rate({"focus": [0.1, 0.9]}).ratings.mean(axis=1)
        >>> bool(blurred < sharp)
        True
    """

    num_raters: int = 120
    causes: Mapping[str, float] | None = None
    min_score: float = 1
    max_score: float = 10
    num_bins: int = 10
    mean: float = 0.49
    quality_spread: float = 0.088
    rater_bias: float = 0.06
    rater_scale: float = 0.2
    rater_noise: float = 0.135
    disagreement_causes: Mapping[str, float] | None = None
    disagreement_spread: float = 0.35
    seed: int = 0
    scale: RatingScale = field(init=False)

    def __post_init__(self) -> None:
        causes = dict(DEFAULT_CAUSES if self.causes is None else self.causes)
        for name, weights in (("causes", causes), ("disagreement_causes", self.disagreement_causes)):
            if weights is None:
                continue
            unknown = sorted(set(weights) - set(CAUSES))
            if unknown:
                raise ValueError(f"`{name}` must be among {sorted(CAUSES)}, got {unknown}.")
            if not any(weights.values()):
                raise ValueError(f"At least one weight in `{name}` must differ from 0, got {dict(weights)}.")
        if self.num_raters < 2:
            raise ValueError(f"`num_raters` must be at least 2, got {self.num_raters}.")
        for name in ("quality_spread", "rater_bias", "rater_scale", "rater_noise", "disagreement_spread"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"`{name}` is a standard deviation and must not be negative, got {getattr(self, name)}."
                )
        object.__setattr__(self, "causes", causes)
        object.__setattr__(self, "scale", RatingScale(self.min_score, self.max_score, self.num_bins))

    def quality(self, causes: Mapping[str, Sequence[float] | np.ndarray]) -> np.ndarray:
        """
        What the panel agrees on: the mixture of standardised causes, of about mean 0 and variance 1.

        Args:
            causes (`Mapping[str, Sequence[float]]`):
                Values of each cause, one a picture. Causes without a weight are ignored.

        Raises:
            KeyError: If a cause with a weight is missing.
        """
        return self._mix(self.causes or {}, causes)

    def disagreement(self, causes: Mapping[str, Sequence[float] | np.ndarray]) -> np.ndarray:
        """
        What the spread of the ratings follows: another mixture of causes, 0 without `disagreement_causes`.

        Args:
            causes (`Mapping[str, Sequence[float]]`):
                Values of each cause, one a picture. Causes without a weight are ignored.

        Raises:
            KeyError: If a cause with a weight is missing.
        """
        if self.disagreement_causes is None:
            return np.zeros(len(next(iter(causes.values()))))
        return self._mix(self.disagreement_causes, causes)

    @staticmethod
    def _mix(weights: Mapping[str, float], causes: Mapping[str, Sequence[float] | np.ndarray]) -> np.ndarray:
        missing = sorted(set(weights) - set(causes))
        if missing:
            raise KeyError(f"The panel looks at {sorted(weights)}, but {missing} are not among {sorted(causes)}.")
        total = sum(
            weight * (np.asarray(causes[name], dtype=np.float64) - CAUSES[name].mean) / CAUSES[name].std
            for name, weight in weights.items()
        )
        return np.asarray(total / np.sqrt(sum(weight**2 for weight in weights.values())))

    def rate(
        self, causes: Mapping[str, Sequence[float] | np.ndarray], picture_seeds: Sequence[int] | None = None
    ) -> PanelRatings:
        """
        Lets every rater rate every picture.

        Args:
            causes (`Mapping[str, Sequence[float]]`):
                Values of each cause, one a picture.
            picture_seeds (`Sequence[int]`, *optional*):
                Seed of the noise on each picture, so that its votes do not depend on the pictures beside it. The
                picture's position by default.

        Returns:
            [`PanelRatings`]
        """
        quality = self.quality(causes)
        picture_seeds = range(len(quality)) if picture_seeds is None else picture_seeds
        if len(picture_seeds) != len(quality):
            raise ValueError(
                f"Expected one picture seed for each of {len(quality)} pictures, got {len(picture_seeds)}."
            )
        raters = np.random.Generator(np.random.PCG64([self.seed, 1]))
        bias = self.rater_bias * raters.standard_normal(self.num_raters)
        stretch = np.exp(self.rater_scale * raters.standard_normal(self.num_raters))
        noise = np.stack(
            [
                np.random.Generator(np.random.PCG64([self.seed, 2, int(picture)])).standard_normal(self.num_raters)
                for picture in picture_seeds
            ]
        )
        spread = self.rater_noise * np.exp(self.disagreement_spread * self.disagreement(causes))
        opinion = self.quality_spread * quality[:, None] + spread[:, None] * noise
        share = self.mean + bias + stretch * opinion
        bins = np.clip(np.round(share * (self.num_bins - 1)), 0, self.num_bins - 1).astype(np.int64)
        offset = np.arange(len(bins))[:, None] * self.num_bins
        counts = np.bincount((bins + offset).ravel(), minlength=len(bins) * self.num_bins)
        return PanelRatings(
            self.scale.bin_scores.astype(np.float32)[bins], counts.reshape(-1, self.num_bins).astype(np.int32)
        )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, ties sharing their mean rank."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[position]


def split_half_correlation(ratings: np.ndarray, num_splits: int = 20, seed: int = 0) -> float:
    """
    How well one half of a panel predicts the other: Spearman correlation of the halves' means, over random splits.

    Args:
        ratings (`np.ndarray` of shape `(num_pictures, num_raters)`):
            Single ratings, every rater having rated every picture.
        num_splits (`int`, *optional*, defaults to 20):
            Number of random splits whose correlations are averaged.
        seed (`int`, *optional*, defaults to 0):
            Seed of the splits.

    Raises:
        ValueError: If there are fewer than 2 raters or pictures.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2 or min(ratings.shape) < 2:
        raise ValueError(
            f"`ratings` must have shape (num_pictures, num_raters) with at least 2 of each, got {ratings.shape}."
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    half = ratings.shape[1] // 2
    correlations = []
    for _ in range(num_splits):
        order = rng.permutation(ratings.shape[1])
        # the same addends in another order may differ in the last digit and break ties, so the means are rounded
        halves = [ratings[:, part].mean(axis=1).round(9) for part in (order[:half], order[half : 2 * half])]
        ranks = [_ranks(values) for values in halves]
        spread = ranks[0].std() * ranks[1].std()
        covariance = np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean()))
        correlations.append(covariance / spread if spread > 0 else 0.0)
    return float(np.mean(correlations))


def split_half_ceiling(ratings: np.ndarray, num_splits: int = 20, seed: int = 0) -> float:
    r"""
    How well another panel of the same size would rank the pictures: the ceiling for a model that is judged by SRCC.

    The [`split_half_correlation`] $r$ belongs to panels of half the size; the Spearman-Brown formula
    $2 r / (1 + r)$ corrects it to the full one.

    Args:
        ratings (`np.ndarray` of shape `(num_pictures, num_raters)`):
            Single ratings, every rater having rated every picture.
        num_splits (`int`), seed (`int`):
            See [`split_half_correlation`].

    Example:
        >>> panel = RaterPanel(num_raters=40, causes={"light": 1.0})
        >>> ratings = panel.rate({"light": np.linspace(0, 1, 200)}).ratings
        >>> split_half_correlation(ratings) < split_half_ceiling(ratings) < 1
        True
    """
    correlation = split_half_correlation(ratings, num_splits, seed)
    return 2 * correlation / (1 + correlation)
