"""CECS: embeddings that tell nearly identical pictures apart, over an interchangeable vision backbone.

Knows nothing about data sets, training runs or files.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .compositional_views import masked_view, replaced_view
from .configuration_cecs import CecsConfig
from .modeling_nima import NimaPreTrainedModel
from .similarity_losses import SIMILARITY_LOSSES


@dataclass
class CecsOutput(ModelOutput):
    """
    Output of [`CecsModel`].

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is given):
            Cross entropies of the picture and its views, and the similarity loss over all of them.
        logits (`torch.FloatTensor` of shape `(batch_size, num_labels)`):
            Of the categories that the model was trained on.
        image_embeds (`torch.FloatTensor` of shape `(batch_size, embedding_size)`):
            Embeddings of length 1: their products are cosines. They also compare pictures of other categories.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    image_embeds: torch.Tensor | None = None


class CecsHead(nn.Module):
    """Pooled feature `(B, feature_size)` -> embedding `(B, embedding_size)` and logits `(B, num_labels)`."""

    def __init__(self, config: CecsConfig, feature_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(feature_size, config.embedding_size)
        self.classifier = nn.Linear(config.embedding_size, config.num_labels)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # float32 also under autocast, as in NIMA
        with torch.autocast(device_type=features.device.type, enabled=False):
            embeds = self.projection(features.to(self.projection.weight.dtype))
            return embeds, self.classifier(embeds)


class CecsModel(NimaPreTrainedModel):
    r"""
    Compositional feature embedding and similarity metric ([Sun et al. 2021](https://huggingface.co/papers/2109.12380)):
    in training, each picture is seen three times, as it is, with patches of a picture of another category in the same
    places, and with masked patches, so that no single detail is all that is learnt; and a metric pulls a category
    together.

    $$L = \mathrm{CE}(x) + \mathrm{CE}(x_{rep}) + \mathrm{CE}(x_{mask}) + \gamma\, L_{sim}(x, x_{rep}, x_{mask})$$

    The abstract alone was at hand, so this is a reading of it: that views keep the label of their picture, the linear
    embedding, the grid and the two metrics to choose from are our choice. Views are drawn in training mode alone.

    Args:
        config ([`CecsConfig`]):
            Backbone, embedding, views and losses.
        backbone (`PreTrainedModel`, *optional*):
            A backbone that is loaded already; built from `config.backbone_config` where it is left out.

    Example:
        >>> from transformers import ResNetConfig
        >>> tiny = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic")
        >>> model = CecsModel(CecsConfig(backbone_config=tiny, num_labels=5, embedding_size=12)).eval()
        >>> outputs = model(torch.rand(2, 3, 64, 64))
        >>> outputs.image_embeds.shape, outputs.logits.shape
        (torch.Size([2, 12]), torch.Size([2, 5]))
    """  # noqa: E501

    config: CecsConfig

    def build_head(self, feature_size: int) -> nn.Module:
        return CecsHead(self.config, feature_size)

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Unpack[TransformersKwargs]
    ) -> CecsOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                Pictures as [`ModalityImageProcessor`] returns them.
            labels (`torch.LongTensor` of shape `(batch_size,)`, *optional*):
                Their categories.

        Raises:
            ValueError: If `pixel_values` has another shape, or patches are to come from other categories and all
                pictures of the batch are of one.
        """
        size, seen = pixel_values.shape[0], pixel_values  # `len` would fix it where the model is exported
        if self.training and labels is not None and self.config.views:
            seen = torch.cat([pixel_values, *self._draw_views(pixel_values, labels)])
            labels = labels.repeat(seen.shape[0] // size)
        features, _ = self.extract_features(seen, None, dict(kwargs))
        embeds, logits = self.score_head(features)
        loss = None
        if labels is not None:
            loss = labels.shape[0] / size * F.cross_entropy(logits.float(), labels)  # one mean for each view
            if self.config.similarity_loss_weight:
                similarity = SIMILARITY_LOSSES[self.config.similarity_loss]
                loss = loss + self.config.similarity_loss_weight * similarity(
                    embeds, labels, self.config.similarity_scale
                )
        if seen is not pixel_values:
            embeds, logits = embeds[:size], logits[:size]
        return CecsOutput(loss, logits, F.normalize(embeds.float(), dim=1))

    def _draw_views(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        config, views = self.config, []
        if "replaced" in config.views:
            views.append(replaced_view(pixel_values, labels, config.view_grid, config.view_share))
        if "masked" in config.views:
            views.append(masked_view(pixel_values, config.view_grid, config.view_share, config.mask_fill))
        return views


__all__ = ["CecsModel", "CecsOutput"]
