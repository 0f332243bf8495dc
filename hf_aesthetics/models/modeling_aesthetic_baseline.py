"""Heads without a distribution over an interchangeable backbone: high or low, classes, regression, ranking.

Knows nothing about data sets, training or files.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_aesthetic_baseline import AestheticBaselineConfig
from .distributions import distribution_mean
from .modeling_nima import NimaOutput, NimaPreTrainedModel
from .ranking_losses import list_mle_loss, margin_ranking_loss, triplet_ranking_loss
from .score_outputs import check_labels


ROUNDING = 1e-5  # of the scale's length: means of float32 shares are not exact


@dataclass
class AestheticBaselineOutput(NimaOutput):
    """
    Output of [`AestheticBaselineForAestheticAssessment`]: that of NIMA, but for the following.

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is given):
            That of the objective.
        logits (`torch.FloatTensor` of shape `(batch_size, num_labels)` or `(batch_size, 1)`):
            One for each class with `objective="classes"`, else a single number; higher is better. No distribution of
            votes.
        score (`torch.FloatTensor` of shape `(batch_size,)`):
            Score on the rating scale; higher is better. In rating units where `model.score_is_calibrated`.
        score_std (`None`):
            Nothing is said about how much people disagree.
    """


class AestheticBaselineForAestheticAssessment(NimaPreTrainedModel):
    r"""
    What was predicted before distributions were, over the same backbones as NIMA: one layer that is taught classes
    with cross entropy, the mean score, or the order of pictures.

    The score is a monotone function of what the head says, on the rating scale. With \\(x\\) the single logit and
    \\([a, b]\\) the scale, before calibration

    $$\mathrm{score} = a + \frac{b - a}{2} \Big(1 + \frac{x}{1 + \lvert x \rvert}\Big)$$

    which, unlike a sigmoid, keeps the order of far logits in float32; for classes it is their mean. Only regression
    is taught rating units; the others need `hf_aesthetics.training.score_calibration.fit_score_calibration`, which
    puts a piecewise linear, strictly increasing function of that score into the configuration. Both are our choice.

    Args:
        config ([`AestheticBaselineConfig`]):
            Backbone, scale and objective.
        backbone (`PreTrainedModel`, *optional*):
            A backbone that is loaded already; built from `config.backbone_config` where it is left out.

    Example:
        >>> from transformers import ResNetConfig
        >>> tiny = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic")
        >>> config = AestheticBaselineConfig(backbone_config=tiny, objective="ranking", ranking_loss="list_mle")
        >>> model = AestheticBaselineForAestheticAssessment(config).eval()
        >>> pictures = torch.rand(2, 3, 64, 64)
        >>> model(pictures).score.shape, model.score_is_calibrated
        (torch.Size([2]), False)
        >>> model.compare(pictures, pictures)
        tensor([0.5000, 0.5000], grad_fn=<SigmoidBackward0>)
    """

    config: AestheticBaselineConfig
    supports_spatial_explanation = True

    @property
    def num_outputs(self) -> int:
        return self.config.num_outputs

    @property
    def score_is_calibrated(self) -> bool:
        """Whether `score` is in rating units: taught by regression, or calibrated on pictures with votes."""
        return self.config.objective == "regression" or self.config.calibration_inputs is not None

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> AestheticBaselineOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                Pictures as [`ModalityImageProcessor`] returns them.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares; rows sum to 1. The targets follow from them.
            output_hidden_states (`bool`, *optional*):
                Whether to return `spatial_features` and the backbone's hidden states.

        Raises:
            ValueError: If `pixel_values` or `labels` has another shape, or rows of `labels` do not sum to 1.
        """
        answer = self.run_backbone_and_head(pixel_values, output_hidden_states, dict(kwargs))
        logits = answer["logits"] = answer["logits"].float()
        raw_score = self._raw_score(logits)
        loss = None
        if labels is not None:
            check_labels(labels, len(logits), self.config)
            loss = self._loss(logits, raw_score, labels.float())
        return AestheticBaselineOutput(loss=loss, score=self._calibrate(raw_score), **answer)

    def compare(self, pixel_values_a: torch.Tensor, pixel_values_b: torch.Tensor) -> torch.Tensor:
        r"""
        Siamese use of a model that was taught to rank: how likely the pictures of one batch are better than those of
        another, \\(\sigma(x_a - x_b)\\).

        For `"list_mle"` this is the probability under the model of Plackett and Luce; margin and triplet losses say
        nothing about probabilities, so that there only its side of 1/2 has a meaning.

        Args:
            pixel_values_a, pixel_values_b (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                The pictures to compare, pair by pair.

        Returns:
            `torch.FloatTensor` of shape `(batch_size,)`, which changes to one minus itself with the order of the two.

        Raises:
            ValueError: If the model was taught something else.
        """
        if self.config.objective != "ranking":
            raise ValueError(
                f"A comparison needs a model with objective='ranking', got {self.config.objective!r}. "
                "Compare `score` of the outputs instead."
            )
        logits = self(torch.cat([pixel_values_a, pixel_values_b])).logits.squeeze(-1)
        better, worse = logits.split([len(pixel_values_a), len(pixel_values_b)])
        return (better - worse).sigmoid()

    def _tensor(self, values: list[float]) -> torch.Tensor:
        # made anew: a buffer that is not saved would be garbage after `from_pretrained`
        return torch.tensor(values, dtype=torch.float32, device=self.score_head.dense.weight.device)

    def _raw_score(self, logits: torch.Tensor) -> torch.Tensor:
        """The score before calibration."""
        config = self.config
        if config.objective == "classes":
            return distribution_mean(logits.softmax(dim=-1), self._tensor(config.bin_scores))
        share = (1 + F.softsign(logits.squeeze(-1))) / 2
        return config.min_score + (config.max_score - config.min_score) * share

    def _calibrate(self, score: torch.Tensor) -> torch.Tensor:
        config = self.config
        if config.calibration_inputs is None:
            return score
        inputs, scores = self._tensor(config.calibration_inputs), self._tensor(config.calibration_scores)
        right = torch.searchsorted(inputs, score.detach()).clamp(1, len(inputs) - 1)
        low, high = inputs[right - 1], inputs[right]
        return torch.lerp(scores[right - 1], scores[right], (score - low) / (high - low))

    def ideal_logits(self, labels: torch.Tensor) -> torch.Tensor:
        r"""
        Logits that say what the labels do, as far as the objective asks for it: what a linear probe aims at.

        Their score is the mean score for `"regression"` and `"ranking"`, but not in the outer tenths of the scale,
        which logits reach from afar only. For `"binary"` they are 2 or -2, which stands for 88 % or 12 %, and for
        `"classes"` the log-odds of a share of 0.005 more for every class (all our choice).

        Args:
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`):
                Vote shares.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, num_outputs)`.

        Example:
            >>> config = AestheticBaselineConfig(objective="binary", max_score=3, num_labels=3)
            >>> model = AestheticBaselineForAestheticAssessment(config)
            >>> model.ideal_logits(torch.eye(3)).squeeze()
            tensor([-2., -2.,  2.])
        """
        config = self.config
        mean = distribution_mean(labels, self._tensor(config.bin_scores).to(labels))
        if config.objective == "binary":
            return torch.where(self._is_high(mean), 2.0, -2.0).to(labels).unsqueeze(-1)
        if config.objective == "classes":
            log_odds = (F.one_hot(self._classes(labels, mean), config.num_labels).to(labels) + 0.005).log()
            return log_odds - log_odds.mean(dim=-1, keepdim=True)
        share = ((mean - config.min_score) / (config.max_score - config.min_score)).clamp(0.1, 0.9)
        signed = 2 * share - 1
        return (signed / (1 - signed.abs())).unsqueeze(-1)  # the inverse of softsign

    def _is_high(self, mean: torch.Tensor) -> torch.Tensor:
        return (mean - self.config.high_above) > ROUNDING * (self.config.max_score - self.config.min_score)

    def _classes(self, labels: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        config = self.config
        if config.class_vote == "modal":
            return labels.argmax(dim=-1)
        position = (mean - config.min_score) / (config.max_score - config.min_score) * (config.num_labels - 1)
        return (position - 0.5 - ROUNDING).ceil().long().clamp(min=0)

    def _loss(self, logits: torch.Tensor, raw_score: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        config = self.config
        mean = distribution_mean(labels, self._tensor(config.bin_scores))
        if config.objective == "binary":
            return F.binary_cross_entropy_with_logits(logits.squeeze(-1), self._is_high(mean).float())
        if config.objective == "classes":
            return F.cross_entropy(logits, self._classes(labels, mean))
        if config.objective == "ranking":
            if config.ranking_loss == "list_mle":
                return list_mle_loss(logits.squeeze(-1), mean)
            ranking_loss = margin_ranking_loss if config.ranking_loss == "margin" else triplet_ranking_loss
            return ranking_loss(logits.squeeze(-1), mean, config.ranking_margin)
        # in units of the scale's length, so that learning rates do not depend on the scale
        span = config.max_score - config.min_score
        predicted, target = raw_score / span, mean / span
        if config.regression_loss == "huber":
            return F.huber_loss(predicted, target, delta=1 / (config.num_labels - 1))
        return F.mse_loss(predicted, target) if config.regression_loss == "mse" else F.l1_loss(predicted, target)


__all__ = ["AestheticBaselineForAestheticAssessment", "AestheticBaselineOutput"]
