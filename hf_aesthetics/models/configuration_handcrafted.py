"""Configuration of the model over named features. Knows nothing about weights."""

from huggingface_hub.dataclasses import strict

from .configuration_rating_scale import ScoreDistributionConfig


@strict
class HandcraftedConfig(ScoreDistributionConfig):
    r"""
    Configuration of [`HandcraftedForAestheticAssessment`]: a head, a rating scale and a loss. The features are all
    those of `IMAGE_FEATURES`. The number of bins is `num_labels` (10 by default).

    Args:
        hidden_size (`int`, *optional*):
            Width of a hidden layer between features and logits; `None` for one linear layer.
        min_score, max_score, score_quantiles, notice (*optional*):
            See [`RatingScaleConfig`].
        distribution_loss, emd_order, mean_loss_weight, std_loss_weight, initializer_range (*optional*):
            See [`ScoreDistributionConfig`].

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> HandcraftedConfig(max_score=7.0, num_labels=7).bin_scores[-1]
        7.0
    """

    model_type = "handcrafted"
    keys_to_ignore_at_inference = ["score", "score_std", "features"]

    hidden_size: int | None = None

    def validate_hidden_size(self):
        if self.hidden_size is not None and self.hidden_size < 1:
            raise ValueError(f"`hidden_size` must be at least 1, or None for a linear head, got {self.hidden_size}.")


__all__ = ["HandcraftedConfig"]
