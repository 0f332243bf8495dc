"""Configuration of FGAesQ. Knows nothing about weights or pixels."""

from dataclasses import field
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import CLIPVisionConfig, PreTrainedConfig

from .configuration_rating_scale import ScoreDistributionConfig


TOWERS = {
    # trains on two cores from nothing, on pictures of a few hundred pixels
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 128,
        "projection_dim": 64,
    }
}
"""Vision towers by name, as fields of `backbone_config`."""


@strict
class FgaesqConfig(ScoreDistributionConfig):
    r"""
    Configuration of [`FgaesqForAestheticAssessment`]: a vision tower of CLIP, a head, a rating scale and the losses.
    What the tokens are is a matter of [`FgaesqImageProcessor`]. Scale and loss on single pictures are described in
    [`RatingScaleConfig`] and [`ScoreDistributionConfig`].

    Args:
        backbone_config (`dict` or `CLIPVisionConfig`, *optional*):
            The vision tower; CLIP's ViT-B/16 where it is left out.
        head_hidden_sizes (`list[int]`, *optional*, defaults to `[256, 64]`):
            Widths of the hidden layers above the projected feature.
        head_dropouts (`list[float]`, *optional*, defaults to `[0.2, 0.1]`):
            Dropout behind each of them.
        series_loss (`str`, *optional*, defaults to `"rank_reg"`):
            What series teach: `"rank_reg"`, ListMLE over how often each picture wins; `"rank_reg_pairs"`, over the
            comparisons themselves, another reading of the paper; or `"bradley_terry"`, the comparisons alone. See
            `series_losses.py`.
        series_loss_weight (`float`, *optional*, defaults to 1.0):
            Its weight.
        align_loss_weight (`float`, *optional*, defaults to 10.0):
            Weight of [`comparative_alignment_loss`] on comparisons that have a caption.
        similarity_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of [`cosine_triplet_loss`] on the projected features, after
            [CECS](https://huggingface.co/papers/2109.12380): what a picture looks like beside each of the others is
            pulled together, and pictures of other ranks or series are pushed away. Series of two alone have nothing to
            pull.
        use_detached_scales (`bool`, *optional*, defaults to `False`):
            Defect of the released code: the embedding of the two scales never learns.
        use_padding_attention (`bool`, *optional*, defaults to `False`):
            Defect: slots without a token are attended to, as an embedding of their own.
        use_frozen_positions (`bool`, *optional*, defaults to `False`):
            Defect: the position embedding stays what it was before training.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> config = FgaesqConfig(backbone_config=TOWERS["tiny"])
        >>> config.backbone_config.hidden_size, config.backbone_config.patch_size, config.num_labels
        (64, 16, 10)
    """

    model_type = "fgaesq"
    sub_configs = {"backbone_config": CLIPVisionConfig}
    # what the Trainer hands to its metrics is the logits alone
    keys_to_ignore_at_inference = ["score", "score_std", "image_embeds", "pair_probabilities"]

    backbone_config: dict | PreTrainedConfig | None = None
    head_hidden_sizes: list[int] = field(default_factory=lambda: [256, 64])
    head_dropouts: list[float | int] = field(default_factory=lambda: [0.2, 0.1])
    series_loss: Literal["rank_reg", "rank_reg_pairs", "bradley_terry"] = "rank_reg"
    series_loss_weight: float | int = 1.0
    align_loss_weight: float | int = 10.0
    similarity_loss_weight: float | int = 0.0
    use_detached_scales: bool = False
    use_padding_attention: bool = False
    use_frozen_positions: bool = False

    def __post_init__(self, **kwargs):
        if self.backbone_config is None:
            self.backbone_config = CLIPVisionConfig(patch_size=16)
        elif isinstance(self.backbone_config, dict):
            self.backbone_config = CLIPVisionConfig(**{"patch_size": 16, **self.backbone_config})
        super().__post_init__(**kwargs)

    def validate_tower(self):
        backbone = self.backbone_config
        if not isinstance(backbone, CLIPVisionConfig):
            raise ValueError(
                f"`backbone_config` must be that of CLIP's vision tower, 'clip_vision_model', got "
                f"{getattr(backbone, 'model_type', backbone)!r}."
            )
        if backbone.image_size % backbone.patch_size:
            raise ValueError(
                f"`image_size` of the tower must be a multiple of its `patch_size` = {backbone.patch_size}, got "
                f"{backbone.image_size}."
            )

    def validate_head(self):
        if min(self.head_hidden_sizes, default=1) < 1 or len(self.head_hidden_sizes) != len(self.head_dropouts):
            raise ValueError(
                "`head_hidden_sizes` must be positive and as many as `head_dropouts`, got "
                f"{self.head_hidden_sizes} and {self.head_dropouts}."
            )
        if not all(0 <= dropout < 1 for dropout in self.head_dropouts):
            raise ValueError(f"`head_dropouts` must be in [0, 1), got {self.head_dropouts}.")

    def validate_series_loss(self):
        for name in ("series_loss_weight", "align_loss_weight", "similarity_loss_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")


__all__ = ["TOWERS", "FgaesqConfig"]
