"""Configuration of the network with attributes and content clusters. Knows nothing about weights."""

from huggingface_hub.dataclasses import strict

from .configuration_backbone_scorer import BackboneScorerConfig
from .configuration_rating_scale import ScoreDistributionConfig


@strict
class AadbNetConfig(ScoreDistributionConfig, BackboneScorerConfig):
    r"""
    Configuration of [`AadbNetForAestheticAssessment`]: a backbone, a rating scale, attributes that are predicted on
    the way to the score, and kinds of content that are scored apart. Without attributes and with one cluster it is
    NIMA. Backbone, scale and loss are described in [`BackboneScorerConfig`], [`RatingScaleConfig`] and
    [`ScoreDistributionConfig`].

    Args:
        attribute_names (`list[str]`, *optional*):
            Attributes beside the score, such as columns of a collection; none by default.
        attribute_loss_weight (`float`, *optional*, defaults to 0.1):
            Weight of the squared error of the standardised attributes.
        num_content_clusters (`int`, *optional*, defaults to 1):
            Kinds of content, each with a score branch of its own; 10 in the paper, 1 for no gate.
        ranking_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of [`margin_ranking_loss`] between the scores of a batch.
        ranking_margin (`float`, *optional*, defaults to 0.05):
            Its margin, as a share of the scale's length.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> AadbNetConfig(attribute_names=["good_lighting", "symmetry"]).num_attributes
        2
    """

    model_type = "aadb_net"
    # what the Trainer hands to its metrics is the logits alone
    keys_to_ignore_at_inference = [
        *("score", "score_std", "attributes", "content_probabilities", "features"),
        *("spatial_features", "hidden_states", "attentions"),
    ]

    attribute_names: list[str] | None = None
    attribute_loss_weight: float | int = 0.1
    num_content_clusters: int = 1
    ranking_loss_weight: float | int = 0.0
    ranking_margin: float | int = 0.05

    @property
    def num_attributes(self) -> int:
        """How many attributes there are."""
        return len(self.attribute_names or [])

    def validate_attributes(self):
        names = self.attribute_names or []
        if len(set(names)) < len(names) or "" in names:
            raise ValueError(f"`attribute_names` must be different names, got {names}.")
        if self.num_content_clusters < 1:
            raise ValueError(f"`num_content_clusters` must be at least 1, got {self.num_content_clusters}.")

    def validate_multi_task_loss(self):
        for name in ("attribute_loss_weight", "ranking_loss_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")
        if not self.ranking_margin > 0:
            raise ValueError(f"`ranking_margin` must exceed 0, got {self.ranking_margin}.")


__all__ = ["AadbNetConfig"]
