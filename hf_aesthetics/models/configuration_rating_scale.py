"""The rating scale of a scorer, and the loss of those that predict a distribution. Knows nothing about networks."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class RatingScaleConfig(PreTrainedConfig):
    r"""
    What every scorer's configuration has: the scale of its scores. The number of bins is `num_labels` (10 by default);
    the labels are the ratings themselves, so stock image classification tools show `"1"` to `"10"`.

    Args:
        min_score (`float`, *optional*, defaults to 1.0):
            Rating of the lowest bin.
        max_score (`float`, *optional*, defaults to 10.0):
            Rating of the highest bin. The bins are equally spaced.
        score_quantiles (`list[float]`, *optional*):
            The model's own scores of its training pictures at equally spaced quantiles, lowest first. They turn a
            score into a percentile. Written by training.
        notice (`str`, *optional*):
            What has to be said wherever a score is shown, such as "demonstration, trained on rendered scenes".

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> RatingScaleConfig(min_score=1, max_score=5, num_labels=5).bin_scores
        [1.0, 2.0, 3.0, 4.0, 5.0]
    """

    min_score: float | int = 1.0
    max_score: float | int = 10.0
    score_quantiles: list[float] | None = None
    notice: str | None = None

    def __post_init__(self, **kwargs):
        if self.id2label is None and kwargs.get("num_labels") is None:
            kwargs["num_labels"] = 10
        super().__post_init__(**kwargs)
        # bins are named by their score, so that image classification tools show "1" to "10"
        self.id2label = {i: f"{score:g}" for i, score in enumerate(self.bin_scores)}
        self.label2id = {label: i for i, label in self.id2label.items()}

    @property
    def bin_scores(self) -> list[float]:
        """Rating of every bin, lowest first."""
        step = (self.max_score - self.min_score) / max(self.num_labels - 1, 1)
        return [self.min_score + i * step for i in range(self.num_labels)]

    def validate_scale(self):
        if self.num_labels < 2:
            raise ValueError(f"`num_labels` must be at least 2, the bins of the rating scale, got {self.num_labels}.")
        if not self.max_score > self.min_score:
            raise ValueError(f"`max_score` must exceed `min_score` = {self.min_score}, got {self.max_score}.")
        quantiles = self.score_quantiles
        if quantiles is not None and (len(quantiles) < 2 or sorted(quantiles) != quantiles):
            raise ValueError(f"`score_quantiles` must be at least 2 ascending scores, got {quantiles}.")


@strict
class ScoreDistributionConfig(RatingScaleConfig):
    r"""
    A scorer that predicts the whole distribution of the ratings, trained by [`score_distribution_loss`].

    Args:
        distribution_loss (`str`, *optional*, defaults to `"emd"`):
            Distance between predicted and true distributions in the loss: `"emd"`, or for comparison `"chi_square"`,
            `"kl"`, `"js"` or `"cjs"`.
        emd_order (`float`, *optional*, defaults to 2.0):
            Exponent of the earth mover's distance.
        mean_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of an additional loss on the mean score.
        std_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of an additional loss on the standard deviation.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the head's initial weights.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> ScoreDistributionConfig(emd_order=1).emd_order
        1
    """

    distribution_loss: Literal["emd", "chi_square", "kl", "js", "cjs"] = "emd"
    emd_order: float | int = 2.0
    mean_loss_weight: float | int = 0.0
    std_loss_weight: float | int = 0.0
    initializer_range: float = 0.02

    def validate_loss(self):
        if not self.emd_order >= 1:
            raise ValueError(f"`emd_order` must be at least 1, got {self.emd_order}.")
        for name in ("mean_loss_weight", "std_loss_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")


__all__ = ["RatingScaleConfig", "ScoreDistributionConfig"]
