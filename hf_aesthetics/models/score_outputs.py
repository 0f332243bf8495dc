"""From logits over rating bins to the outputs of a scorer: score, spread, loss. Knows nothing about networks."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput

from .configuration_rating_scale import RatingScaleConfig, ScoreDistributionConfig
from .distributions import distribution_mean, distribution_std
from .losses import score_distribution_loss


@dataclass
class ScoreOutput(ModelOutput):
    """
    What every scorer answers.

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is given):
            Distance between predicted and true distributions, mean over the batch.
        logits (`torch.FloatTensor` of shape `(batch_size, num_labels)`):
            Their softmax is the predicted distribution of scores.
        score (`torch.FloatTensor` of shape `(batch_size,)`):
            Predicted mean score in rating units; higher is better.
        score_std (`torch.FloatTensor` of shape `(batch_size,)`):
            Predicted standard deviation of the scores in rating units: how much people disagree.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    score: torch.Tensor | None = None
    score_std: torch.Tensor | None = None


def score_outputs(
    logits: torch.Tensor, config: ScoreDistributionConfig, labels: torch.Tensor | None = None
) -> dict[str, torch.Tensor | None]:
    """
    What every scorer over rating bins answers.

    Args:
        logits (`torch.FloatTensor` of shape `(batch_size, num_labels)`):
            Their softmax is the predicted distribution of scores.
        config ([`ScoreDistributionConfig`]):
            Scale and loss.
        labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
            Vote shares; rows sum to 1.

    Returns:
        `dict` with `loss` (`None` without `labels`), `logits` in float32, `score` and `score_std`.

    Raises:
        ValueError: If `labels` has another shape than `logits`, or its rows do not sum to 1.

    Example:
        >>> outputs = score_outputs(torch.zeros(2, 3), ScoreDistributionConfig(max_score=3.0, num_labels=3))
        >>> outputs["score"]
        tensor([2., 2.])
    """
    logits = logits.float()
    distribution = logits.softmax(dim=-1)
    # made anew: a buffer that is not saved would be garbage after `from_pretrained`
    bins = torch.tensor(config.bin_scores, dtype=torch.float32, device=logits.device)
    loss = None
    if labels is not None:
        check_labels(labels, len(logits), config)
        loss = score_distribution_loss(
            distribution,
            labels.to(distribution.dtype),
            bins,
            order=config.emd_order,
            mean_weight=config.mean_loss_weight,
            std_weight=config.std_loss_weight,
            distance=config.distribution_loss,
        )
    return {
        "loss": loss,
        "logits": logits,
        "score": distribution_mean(distribution, bins),
        "score_std": distribution_std(distribution, bins),
    }


def check_labels(labels: torch.Tensor, batch_size: int, config: RatingScaleConfig) -> None:
    """
    Refuses labels that are not vote shares on a scorer's scale.

    Args:
        labels (`torch.Tensor`):
            What was given as labels.
        batch_size (`int`):
            Number of pictures.
        config ([`RatingScaleConfig`]):
            Scale.

    Raises:
        ValueError: If `labels` has not the shape `(batch_size, num_labels)`, or its rows do not sum to 1.
    """
    expected = batch_size, config.num_labels
    if labels.shape != expected:
        raise ValueError(
            f"`labels` must have shape (batch_size, num_labels) = {expected}, got "
            f"{tuple(labels.shape)}. Does the data set use another rating scale? Set `min_score`, `max_score` and "
            f"`num_labels` in {type(config).__name__}."
        )
    if torch.compiler.is_compiling():
        return
    sums = labels.float().sum(dim=-1)
    if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError(
            f"Rows of `labels` must sum to 1, got sums between {sums.min():.1f} and {sums.max():.1f}. "
            "Pass vote shares: normalize_votes(vote_counts)."
        )
