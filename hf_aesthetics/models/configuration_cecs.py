"""Configuration of CECS. Knows nothing about weights."""

from dataclasses import field
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_backbone_scorer import BackboneConfig


@strict
class CecsConfig(BackboneConfig):
    r"""
    Configuration of [`CecsModel`]: a backbone, an embedding, the categories it was trained on (`num_labels`,
    `id2label`), and what training sees beside the pictures. Backbone and pooling are described in [`BackboneConfig`].

    Args:
        embedding_size (`int`, *optional*, defaults to 128):
            Length of `image_embeds`.
        views (`list[str]`, *optional*, defaults to `["replaced", "masked"]`):
            Which views of a picture are trained on beside it: with patches of another category, with masked ones.
        view_grid (`int`, *optional*, defaults to 4):
            Cells along each side of a picture.
        view_share (`float`, *optional*, defaults to 0.3):
            Share of the cells that a view exchanges.
        mask_fill (`str`, *optional*, defaults to `"zero"`):
            What masked cells show: `"zero"`, `"mean"` or `"noise"`, see [`masked_view`].
        similarity_loss (`str`, *optional*, defaults to `"triplet"`):
            `"triplet"` or `"supervised_contrastive"`, see `similarity_losses.py`.
        similarity_loss_weight (`float`, *optional*, defaults to 0.2):
            Its weight; 0 is cross entropy alone. The paper's is not known, this one is our choice.
        similarity_scale (`float`, *optional*):
            Margin of the triplets, 0.2 by default, or temperature of the contrast, 0.1.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> config = CecsConfig(backbone_config={"model_type": "resnet"}, num_labels=80)
        >>> config.views, config.similarity_scale, config.num_labels
        (['replaced', 'masked'], 0.2, 80)
    """

    model_type = "cecs"

    embedding_size: int = 128
    views: list[Literal["replaced", "masked"]] = field(default_factory=lambda: ["replaced", "masked"])
    view_grid: int = 4
    view_share: float | int = 0.3
    mask_fill: Literal["zero", "mean", "noise"] = "zero"
    similarity_loss: Literal["triplet", "supervised_contrastive"] = "triplet"
    similarity_loss_weight: float | int = 0.2
    similarity_scale: float | int | None = None

    def __post_init__(self, **kwargs):
        if self.similarity_scale is None:
            self.similarity_scale = {"triplet": 0.2, "supervised_contrastive": 0.1}.get(self.similarity_loss)
        super().__post_init__(**kwargs)

    def validate_embedding(self):
        if self.embedding_size < 1 or self.num_labels < 2:
            raise ValueError(
                f"`embedding_size` must be at least 1 and `num_labels`, the categories, at least 2, got "
                f"{self.embedding_size} and {self.num_labels}."
            )

    def validate_views(self):
        if self.view_grid < 1 or not 0 <= self.view_share <= 1:
            raise ValueError(
                f"`view_grid` must be at least 1 and `view_share` in [0, 1], got {self.view_grid} and "
                f"{self.view_share}."
            )

    def validate_similarity(self):
        if not self.similarity_loss_weight >= 0:
            raise ValueError(f"`similarity_loss_weight` must be at least 0, got {self.similarity_loss_weight}.")
        if self.similarity_scale is not None and not self.similarity_scale > 0:
            raise ValueError(f"`similarity_scale` must be above 0, got {self.similarity_scale}.")


__all__ = ["CecsConfig"]
