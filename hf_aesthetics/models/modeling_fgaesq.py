"""FGAesQ: which picture of a series is the best, and how good a single one is, over the vision tower of CLIP.

Knows nothing about data sets, training or how pictures become tokens.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import nn
from transformers import CLIPVisionModelWithProjection, PreTrainedModel
from transformers import initialization as init
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_fgaesq import TOWERS, FgaesqConfig
from .diff_tokens import PADDING
from .score_outputs import ScoreOutput, score_outputs
from .series_losses import (
    comparative_alignment_loss,
    mean_by_group,
    pair_probabilities,
    series_losses,
)
from .similarity_losses import cosine_triplet_loss


@dataclass
class FgaesqOutput(ScoreOutput):
    """
    Output of [`FgaesqForAestheticAssessment`]: that of every scorer, one row a picture or, of pairs, two rows a pair.

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` or `ranks` is given):
            Distance between predicted and true distributions, or that of the series.
        image_embeds (`torch.FloatTensor` of shape `(batch_size, projection_dim)`):
            Projected features.
        pair_probabilities (`torch.FloatTensor` of shape `(num_pairs,)`, *optional*, returned when `pair_images` is \
        given):
            How likely the first picture of each pair is better than the second.
    """

    image_embeds: torch.Tensor | None = None
    pair_probabilities: torch.Tensor | None = None


class FgaesqHead(nn.Sequential):
    """Projected feature `(B, projection_dim)` -> logits `(B, num_labels)`, in float32 also under autocast."""

    def __init__(self, config: FgaesqConfig) -> None:
        sizes = [config.backbone_config.projection_dim, *config.head_hidden_sizes]
        layers: list[nn.Module] = []
        for index, dropout in enumerate(config.head_dropouts):
            layers += [nn.Linear(sizes[index], sizes[index + 1]), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(sizes[-1], config.num_labels))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device_type=input.device.type, enabled=False):
            return super().forward(input.to(self[-1].weight.dtype))


class FgaesqForAestheticAssessment(PreTrainedModel):
    r"""
    FGAesQ ([Yang et al. 2026](https://huggingface.co/papers/2603.03907)): tokens of two sizes through the vision tower
    of CLIP, the distribution of the scores from its projected feature, and the order of a series from the scores of
    its pairs, \\(P(x > y) = \sigma(S_{x|y} - S_{y|x})\\), where \\(S_{x|y}\\) is the score of x seen beside y.

    Positions are interpolated, bicubically, at the centre of each token, so coarse and fine ones share one table. The
    defects of the released code have switches in the configuration and in the processor.

    Args:
        config ([`FgaesqConfig`]):
            Tower, head, scale and losses.
        backbone (`CLIPVisionModelWithProjection`, *optional*):
            A tower that is loaded already; built from `config.backbone_config` where it is left out.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import FgaesqImageProcessor
        >>> tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> model = FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=tiny)).eval()
        >>> burst = [Image.new("RGB", (96, 64), color) for color in ("red", "green", "blue")]
        >>> outputs = model(**FgaesqImageProcessor().preprocess_series(burst))
        >>> outputs.score.shape, outputs.pair_probabilities.shape  # every picture beside both others
        (torch.Size([6]), torch.Size([3]))
    """

    config: FgaesqConfig
    backbone: CLIPVisionModelWithProjection
    # what whoever trains may start from: a pretrained CLIP, or one of these from nothing
    default_tower = "openai/clip-vit-base-patch16"
    towers = TOWERS
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    supports_spatial_explanation = False  # the last tokens are no grid
    score_is_calibrated = True
    accepts_loss_kwargs = False
    _keep_in_fp32_modules_strict = ["score_head"]

    def __init__(self, config: FgaesqConfig, backbone: CLIPVisionModelWithProjection | None = None) -> None:
        super().__init__(config)
        width = config.backbone_config.hidden_size
        self.backbone = backbone or CLIPVisionModelWithProjection._from_config(config.backbone_config)
        self.scale_embedding = nn.Parameter(torch.zeros(2, width))
        # of slots that nobody attends to it would never learn
        self.mask_token = nn.Parameter(torch.zeros(width)) if config.use_padding_attention else None
        self.score_head = FgaesqHead(config)
        self.post_init()
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; what the released code does not train stays frozen, also after loading, which frees it."""
        if self.config.use_detached_scales:
            self.scale_embedding.requires_grad_(False)
        if self.config.use_frozen_positions:
            self.backbone.vision_model.embeddings.position_embedding.requires_grad_(False)
        return super().train(mode)

    @classmethod
    def from_backbone_pretrained(cls, checkpoint: str, *, dtype: torch.dtype = torch.float32, **config_fields) -> Self:
        """
        The vision tower of a pretrained CLIP under a new head.

        Args:
            checkpoint (`str`):
                Hub repository or local folder of a CLIP, such as `"openai/clip-vit-base-patch16"`.
            dtype (`torch.dtype`, *optional*, defaults to `torch.float32`):
                Type of the weights.
            **config_fields:
                Fields of the configuration.

        Raises:
            ValueError: If the checkpoint lacks weights of the tower.
            OSError: If there is no such checkpoint.
        """
        backbone, report = CLIPVisionModelWithProjection.from_pretrained(
            checkpoint, dtype=dtype, output_loading_info=True
        )
        if missing := report["missing_keys"]:
            raise ValueError(
                f"{checkpoint} must hold every weight of CLIP's vision tower and its projection, but lacks "
                f"{len(missing)}, such as {min(missing)!r}. Is it a checkpoint of another model type?"
            )
        return cls(cls.config_class(backbone_config=backbone.config, **config_fields), backbone=backbone)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self:
            init.normal_(self.scale_embedding, std=0.02)
            if self.mask_token is not None:
                init.zeros_(self.mask_token)

    def encode_tokens(
        self, pixel_values: torch.Tensor, token_positions: torch.Tensor, token_scales: torch.Tensor
    ) -> torch.Tensor:
        """Tokens as in [`forward`] -> projected features of shape `(batch_size, projection_dim)`."""
        tower = self.backbone.vision_model
        table = tower.embeddings.position_embedding.weight
        is_padding = token_scales == PADDING
        # (B, L, 3, p, p) -> (B, L, hidden_size); a patch is one place of the convolution
        kernel = tower.embeddings.patch_embedding.weight.flatten(1)
        hidden = pixel_values.to(kernel.dtype).flatten(2) @ kernel.T
        mask = None
        if self.mask_token is not None:
            hidden = torch.where(is_padding[..., None], self.mask_token, hidden)
        else:
            mask = hidden.new_zeros(is_padding.shape).masked_fill(is_padding, torch.finfo(hidden.dtype).min)
            mask = nn.functional.pad(mask, (1, 0))[:, None, None]  # (B, L) -> (B, 1, 1, 1 + L), added to attention
        side = int((len(table) - 1) ** 0.5)
        rows, columns = (bicubic_weights(shares, side) for shares in token_positions.float().unbind(dim=-1))
        weights = (rows[..., :, None] * columns[..., None, :]).flatten(2)  # (B, L, side * side)
        hidden = hidden + weights.to(table.dtype) @ table[1:] + self.scale_embedding[token_scales.clamp(min=0)]
        start = (tower.embeddings.class_embedding + table[0]).expand(hidden.shape[0], 1, -1)
        hidden = tower.pre_layrnorm(torch.cat([start, hidden], dim=1))
        hidden = tower.encoder(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
        return self.backbone.visual_projection(tower.post_layernorm(hidden[:, 0]))

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        token_positions: torch.Tensor | None = None,
        token_scales: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        pair_images: torch.Tensor | None = None,
        ranks: torch.Tensor | None = None,
        series: torch.Tensor | None = None,
        preferences: torch.Tensor | None = None,
        text_embeds: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FgaesqOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_tokens, 3, patch_size, patch_size)`):
                Tokens as [`FgaesqImageProcessor`] returns them. Also pictures, `(batch_size, 3, height, width)`, all
                of whose patches are coarse tokens.
            token_positions (`torch.FloatTensor` of shape `(batch_size, num_tokens, 2)`):
                Centres of the tokens as shares of height and width.
            token_scales (`torch.LongTensor` of shape `(batch_size, num_tokens)`):
                0 coarse, 1 fine, -1 for slots that are not used.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares of single pictures; rows sum to 1.
            pair_images (`torch.LongTensor` of shape `(batch_size / 2, 2)`, *optional*):
                Of pairs, whose pictures are rows one after the other: which pictures of the series these are.
            ranks (`torch.LongTensor` of shape `(num_images,)`, *optional*):
                Places of the pictures in their series, 0 the best.
            series (`torch.LongTensor` of shape `(num_images,)`, *optional*):
                Series of the pictures, counted from 0; by default all are of one.
            preferences (`torch.FloatTensor` of shape `(batch_size / 2,)`, *optional*):
                Share of people who prefer the first picture of each pair, NaN where unknown.
            text_embeds (`torch.FloatTensor` of shape `(batch_size / 2, projection_dim)`, *optional*):
                Of sentences that say how the first picture of each pair differs from the second, NaN where there is
                none.

        Raises:
            ValueError: If an input has another shape, or rows of `labels` do not sum to 1.
        """
        tokens = self._tokens(pixel_values, token_positions, token_scales)
        embeds = self.encode_tokens(*tokens)
        outputs = score_outputs(self.score_head(embeds), self.config, labels)
        probabilities = None
        if pair_images is not None:
            if 2 * len(pair_images) != len(embeds):
                raise ValueError(
                    f"`pair_images` must have shape ({len(embeds) // 2}, 2), half of the rows of `pixel_values`, got "
                    f"{tuple(pair_images.shape)}. Make both with FgaesqImageProcessor.preprocess_series."
                )
            probabilities = pair_probabilities(outputs["score"])
            if ranks is not None:
                series = torch.zeros_like(ranks) if series is None else series
                outputs["loss"] = self._series_loss(
                    outputs["score"], embeds, pair_images, ranks, series, preferences, text_embeds
                )
        return FgaesqOutput(**outputs, image_embeds=embeds.float(), pair_probabilities=probabilities)

    def _series_loss(
        self,
        scores: torch.Tensor,
        embeds: torch.Tensor,
        pair_images: torch.Tensor,
        ranks: torch.Tensor,
        series: torch.Tensor,
        preferences: torch.Tensor | None,
        text_embeds: torch.Tensor | None,
    ) -> torch.Tensor:
        """Mean over the series, each of which counts once however many pairs it has."""
        config = self.config
        losses = series_losses(config.series_loss, scores, pair_images, ranks, series, preferences)
        losses = config.series_loss_weight * losses
        if text_embeds is not None and config.align_loss_weight:
            has_text = ~text_embeds.isnan().any(dim=1)
            first, second = embeds.float().view(len(text_embeds), 2, -1)[has_text].unbind(dim=1)
            align = comparative_alignment_loss(first, second, text_embeds[has_text].float())
            align = mean_by_group(align, series[pair_images[has_text, 0]], len(losses))
            losses = losses + config.align_loss_weight * align
        loss = losses.mean()
        if config.similarity_loss_weight:
            category = series * (ranks.max() + 1) + ranks  # a rank of a series
            loss = loss + config.similarity_loss_weight * cosine_triplet_loss(embeds, category[pair_images.flatten()])
        return loss

    def _tokens(
        self, pixel_values: torch.Tensor, positions: torch.Tensor | None, scales: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        size = self.config.backbone_config.patch_size
        if pixel_values.ndim == 4:
            batch_size, channels, height, width = pixel_values.shape
            if channels != 3 or height % size or width % size:
                raise ValueError(
                    f"Pictures must have shape (batch_size, 3, height, width) and sides divisible by {size}, "
                    f"got {tuple(pixel_values.shape)}. Make `pixel_values` with FgaesqImageProcessor."
                )
            grid = height // size, width // size
            patches = pixel_values.view(batch_size, 3, grid[0], size, grid[1], size).permute(0, 2, 4, 1, 3, 5)
            shares = [(torch.arange(count, device=pixel_values.device) + 0.5) / count for count in grid]
            centres = torch.stack(torch.meshgrid(*shares, indexing="ij"), dim=-1).flatten(0, 1)
            scales = torch.zeros(batch_size, len(centres), dtype=torch.long, device=pixel_values.device)
            return patches.flatten(1, 2), centres.expand(batch_size, -1, -1), scales
        if positions is None or scales is None or pixel_values.shape[2:] != (3, size, size):
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, num_tokens, 3, {size}, {size}), with `token_positions` "
                f"and `token_scales` beside it, got {tuple(pixel_values.shape)}. Make them with FgaesqImageProcessor."
            )
        return pixel_values, positions, scales


def bicubic_weights(shares: torch.Tensor, size: int) -> torch.Tensor:
    r"""
    How much each of `size` equally spaced places counts at a point, by cubic convolution with \\(a = -3/4\\); beyond
    its ends a row is repeated. This is what `torch.nn.functional.interpolate(mode="bicubic")` does on each axis.

    Args:
        shares (`torch.Tensor`):
            Where the points are, in [0, 1] from one end to the other.
        size (`int`):
            Number of places, at the centres of `size` equal parts.

    Returns:
        `torch.Tensor` of the shape of `shares` and `size` behind it, whose last axis sums to 1.

    Example:
        >>> bicubic_weights(torch.tensor([0.375, 0.5]), 4)  # a place, and the middle between two
        tensor([[ 0.0000,  1.0000,  0.0000,  0.0000],
                [-0.0938,  0.5938,  0.5938, -0.0938]])
    """
    point = shares[..., None] * size - 0.5
    place = point.floor() + torch.arange(-1, 3, device=shares.device)
    x = (point - place).abs()
    near = (1.25 * x - 2.25) * x * x + 1
    far = ((-0.75 * x + 3.75) * x - 6) * x + 3
    weights = torch.where(x <= 1, near, far)  # (..., 4)
    places = nn.functional.one_hot(place.clamp(0, size - 1).long(), size).to(weights.dtype)
    return (weights[..., None] * places).sum(dim=-2)


__all__ = ["FgaesqForAestheticAssessment", "FgaesqOutput"]
