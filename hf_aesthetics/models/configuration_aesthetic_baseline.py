"""Configuration of the heads without a distribution: classes, regression, ranking. Knows nothing about weights."""

from itertools import pairwise
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_backbone_scorer import BackboneScorerConfig


@strict
class AestheticBaselineConfig(BackboneScorerConfig):
    r"""
    Configuration of [`AestheticBaselineForAestheticAssessment`]: a backbone, a rating scale, and what the head is
    taught. Backbone and scale are described in [`BackboneScorerConfig`] and [`RatingScaleConfig`].

    Args:
        objective (`str`, *optional*, defaults to `"regression"`):
            `"binary"` (high or low), `"classes"` (the bins as classes), `"regression"` (of the mean score) or
            `"ranking"` (of the pictures of a batch).
        high_above (`float`, *optional*):
            For `"binary"`: a picture is high if its mean score is strictly above. By default the middle bin, or the
            lower one of two: 5 on AVA's scale of 1 to 10, as is usual there.
        class_vote (`str`, *optional*, defaults to `"rounded"`):
            For `"classes"`: the bin nearest to the mean score, or with `"modal"` the most frequent rating; of equals
            the lower one.
        regression_loss (`str`, *optional*, defaults to `"mse"`):
            For `"regression"`: `"mse"`, `"mae"` or `"huber"`, which turns from squares to absolutes at an error of one
            step between bins.
        ranking_loss (`str`, *optional*, defaults to `"margin"`):
            For `"ranking"`: `"margin"`, `"triplet"` or `"list_mle"`, see [`margin_ranking_loss`],
            [`triplet_ranking_loss`] and [`list_mle_loss`].
        ranking_margin (`float`, *optional*, defaults to 1.0):
            Margin of the first two.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the head's initial weights.
        calibration_inputs (`list[float]`, *optional*):
            Ascending scores before calibration, from the lowest to the highest of the scale; written by
            `fit_score_calibration`.
        calibration_scores (`list[float]`, *optional*):
            Ascending ratings on the scale that they stand for. Between them scores are interpolated.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> config = AestheticBaselineConfig(objective="binary", max_score=5, num_labels=5)
        >>> config.high_above, config.num_outputs
        (3.0, 1)
    """

    model_type = "aesthetic_baseline"
    # what the Trainer hands to its metrics is the score alone: logits differ in number and meaning by objective
    keys_to_ignore_at_inference = ["logits", "spatial_features", "hidden_states", "attentions"]

    objective: Literal["binary", "classes", "regression", "ranking"] = "regression"
    high_above: float | int | None = None
    class_vote: Literal["rounded", "modal"] = "rounded"
    regression_loss: Literal["mse", "mae", "huber"] = "mse"
    ranking_loss: Literal["margin", "triplet", "list_mle"] = "margin"
    ranking_margin: float | int = 1.0
    initializer_range: float = 0.02
    calibration_inputs: list[float] | None = None
    calibration_scores: list[float] | None = None

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.high_above is None:
            self.high_above = self.bin_scores[(self.num_labels - 1) // 2]

    @property
    def num_outputs(self) -> int:
        """Width of the last layer: one for each class, else a single number."""
        return self.num_labels if self.objective == "classes" else 1

    def validate_objective(self):
        if self.high_above is not None and not self.min_score <= self.high_above < self.max_score:
            raise ValueError(
                f"`high_above` must be on the scale and below its end, {self.min_score} to {self.max_score}, got "
                f"{self.high_above}."
            )
        if not self.ranking_margin > 0:
            raise ValueError(f"`ranking_margin` must exceed 0, got {self.ranking_margin}.")

    def validate_calibration(self):
        inputs, scores = self.calibration_inputs, self.calibration_scores
        if inputs is None and scores is None:
            return
        if inputs is None or scores is None or len(inputs) != len(scores):
            raise ValueError(
                "`calibration_inputs` and `calibration_scores` must be lists of one length, got "
                f"{inputs} and {scores}."
            )
        for name, knots in (("calibration_inputs", inputs), ("calibration_scores", scores)):
            if not all(low < high for low, high in pairwise(knots)):
                raise ValueError(f"`{name}` must ascend strictly, got {knots}.")
        if inputs[:1] + inputs[-1:] != [self.min_score, self.max_score]:
            raise ValueError(
                f"`calibration_inputs` must begin with `min_score` = {self.min_score} and end with `max_score` = "
                f"{self.max_score}, got {inputs}."
            )
        if not self.min_score <= scores[0] < scores[-1] <= self.max_score:
            raise ValueError(
                f"`calibration_scores` must be on the scale, {self.min_score} to {self.max_score}, got {scores}."
            )


__all__ = ["AestheticBaselineConfig"]
