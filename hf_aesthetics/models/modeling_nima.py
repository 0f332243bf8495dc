"""NIMA: the distribution of human scores over an interchangeable vision backbone.

Knows nothing about data sets, training or files.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .backbones import (
    average_places,
    backbone_feature_size,
    backbone_stages,
    build_backbone,
    freeze_stages,
    load_pretrained_backbone,
    pool_features,
    record_last_block_input,
    record_stage_outputs,
    run_backbone,
    stage_feature_sizes,
    unused_parameters,
)
from .configuration_backbone_scorer import BackboneConfig, BackboneScorerConfig
from .configuration_nima import NimaConfig
from .score_outputs import ScoreOutput, score_outputs


@dataclass
class NimaOutput(ScoreOutput):
    """
    Output of [`NimaForAestheticAssessment`]: that of every scorer, and what explanations start from.

    Args:
        spatial_features (`torch.FloatTensor`, *optional*, returned when `output_hidden_states=True`):
            The last feature that has places and acts on `score`: `(batch_size, channels, h, w)`, or
            `(batch_size, tokens, channels)` whose last `h * w` tokens are the patches.
        hidden_states (`tuple(torch.FloatTensor)`, *optional*, returned when `output_hidden_states=True`):
            The backbone's own.
        attentions (`tuple(torch.FloatTensor)`, *optional*, returned when `output_attentions=True`):
            The backbone's own.
    """

    spatial_features: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class NimaHead(nn.Module):
    """Dropout and one linear layer: pooled feature `(B, feature_size)` -> logits `(B, num_outputs)`."""

    def __init__(self, config: BackboneScorerConfig, feature_size: int, num_outputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.head_dropout)
        self.dense = nn.Linear(feature_size, num_outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        # float32 also under autocast and half-precision weights: bfloat16 logits tie, which lowers rank correlations
        with torch.autocast(device_type=features.device.type, enabled=False):
            return self.dense(self.dropout(features.to(self.dense.weight.dtype)))


class EarlyFusion(nn.Conv2d):
    """
    A picture with a map as its fourth channel, `(B, 4, H, W)` -> what a backbone reads, `(B, 3, H, W)`.

    A convolution of one pixel in front of the backbone, which starts as the picture alone: the model begins exactly as
    the one without the map. With a convolutional stem this is a wider stem whose new filters lie in the span of the
    old ones; it works for every backbone alike, which is why we chose it.
    """

    def __init__(self) -> None:
        super().__init__(4, 3, kernel_size=1, bias=False)


class NimaPreTrainedModel(PreTrainedModel):
    """
    All that is the same for every head over a backbone: weights, loading, freezing, and the way to the logits.

    Args:
        config ([`BackboneConfig`]):
            Backbone, and what the head needs.
        backbone (`PreTrainedModel`, *optional*):
            A backbone that is loaded already; built from `config.backbone_config` where it is left out.
    """

    config: BackboneConfig
    backbone: PreTrainedModel
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    # the wrapper has no attention of its own: it hands on whatever the backbone supports
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _keep_in_fp32_modules_strict = ["score_head"]
    # the loss is a plain mean over the batch, so the Trainer has to scale it under gradient accumulation
    accepts_loss_kwargs = False

    def __init__(self, config: BackboneConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        # before the backbone, as in the forward pass: what is frozen of it cannot be computed once while this learns
        self.early_fusion = EarlyFusion() if config.num_channels == 4 else None
        self.backbone = backbone if backbone is not None else build_backbone(config.backbone_config, config.pooling)
        self.score_head = self.build_head(sum(self.feature_sizes))
        self.supports_gradient_checkpointing = self.backbone.supports_gradient_checkpointing
        self.post_init()

    @classmethod
    def from_backbone_pretrained(cls, checkpoint: str, *, dtype: torch.dtype = torch.float32, **config_fields) -> Self:
        """
        A pretrained backbone under a new head.

        Args:
            checkpoint (`str`):
                Hub repository, local folder, or `torchvision/<architecture>`; of an image-text model the vision
                tower is taken.
            dtype (`torch.dtype`, *optional*, defaults to `torch.float32`):
                Type of the weights.
            **config_fields:
                Fields of the configuration, such as `min_score`, `max_score` and `num_labels`.

        Raises:
            ValueError: If the checkpoint lacks weights of the backbone.
            OSError: If there is no such checkpoint.
        """
        backbone, pooling = load_pretrained_backbone(checkpoint, dtype)
        # the labels of the backbone's own task would travel with every checkpoint
        backbone.config.num_labels = 2
        config = cls.config_class(backbone_config=backbone.config, **{"pooling": pooling, **config_fields})
        return cls(config, backbone=backbone)

    def build_head(self, feature_size: int) -> nn.Module:
        """What reads the pooled feature."""
        return NimaHead(self.config, feature_size, self.num_outputs)

    @property
    def feature_sizes(self) -> list[int]:
        """Widths of the parts of what the head reads: the pooled feature, then those of `pooled_stages`."""
        stages = stage_feature_sizes(self.backbone, self.config.pooled_stages or [])
        return [backbone_feature_size(self.backbone), *stages]

    @property
    def num_outputs(self) -> int:
        """Width of the last layer."""
        return self.config.num_labels

    def extract_features(
        self, pixel_values: torch.Tensor, output_hidden_states: bool | None, backbone_arguments: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """
        What the head reads, of shape `(batch_size, sum(feature_sizes))`, and `spatial_features`, `hidden_states` and
        `attentions` as in [`NimaOutput`].

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                Pictures as [`ModalityImageProcessor`] returns them.
            output_hidden_states (`bool`, *optional*):
                Whether to return `spatial_features` and the backbone's hidden states.
            backbone_arguments (`dict[str, Any]`):
                Handed on to the backbone.

        Raises:
            ValueError: If `pixel_values` has another shape.
        """
        if pixel_values.shape[1] != self.config.num_channels:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, {self.config.num_channels}, height, width), got "
                f"{tuple(pixel_values.shape)}. Is it the processor of this checkpoint?"
            )
        if self.early_fusion is not None:
            pixel_values = self.early_fusion(pixel_values)
        pooling, stages = self.config.pooling, self.config.pooled_stages
        with (
            record_last_block_input(self.backbone) if output_hidden_states else nullcontext([]) as block_inputs,
            record_stage_outputs(self.backbone, stages) if stages else nullcontext([]) as stage_outputs,
        ):
            if output_hidden_states:
                backbone_arguments = {**backbone_arguments, "output_hidden_states": True}
            outputs = run_backbone(self.backbone, pixel_values, **backbone_arguments)
        features = [pool_features(outputs, pooling), *(average_places(each, pooling) for each in stage_outputs)]
        spatial_features = None
        if output_hidden_states:
            last = outputs.last_hidden_state
            spatial_features = last if last.ndim == 4 else block_inputs[0]
        return torch.cat(features, dim=1) if stage_outputs else features[0], {
            "spatial_features": spatial_features,
            "hidden_states": getattr(outputs, "hidden_states", None),
            "attentions": getattr(outputs, "attentions", None),
        }

    def run_backbone_and_head(self, *arguments: Any) -> dict[str, Any]:
        """Takes what [`extract_features`] takes; `logits` `(batch_size, num_outputs)` and the rest of its answer."""
        features, answer = self.extract_features(*arguments)
        return {"logits": self.score_head(features), **answer}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, NimaHead):
            init.normal_(module.dense.weight, std=self.config.initializer_range)
            init.zeros_(module.dense.bias)
        elif isinstance(module, EarlyFusion):
            init.dirac_(module.weight)  # each output is the channel of its number

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """
        Also takes the names that `save_pretrained` writes, which for some backbones differ from those in memory.

        The Trainer resumes from a file of the former with `strict=False`, which would silently leave the backbone as
        it is.
        """
        if state_dict.keys() - self.state_dict().keys():
            converted, report = type(self).from_pretrained(
                None, config=self.config, state_dict=dict(state_dict), dtype=self.dtype, output_loading_info=True
            )
            lacking = set(report["missing_keys"]) | {name for name, *_ in report["mismatched_keys"]}
            unknown = {name: state_dict[name] for name in report["unexpected_keys"] if name in state_dict}
            state_dict = {k: v for k, v in converted.state_dict().items() if k not in lacking} | unknown
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; batch norms whose parameters are frozen keep their running statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm) and module.affine and not module.weight.requires_grad:
                module.eval()
        return self

    def _set_gradient_checkpointing(self, enable: bool = True, **kwargs) -> None:
        # handed on, because some backbones (timm) have their own way
        self.backbone._set_gradient_checkpointing(enable=enable, **kwargs)

    @property
    def num_stages(self) -> int:
        """Number of stages that [`freeze_stages`] counts."""
        return len(backbone_stages(self.backbone))

    def freeze_stages(self, num_stages: int) -> None:
        """
        Freezes the first stages of the backbone; their batch norms stay in eval mode while training.

        Args:
            num_stages (`int`):
                0 trains all, `model.num_stages` trains the head alone, -1 trains the last stage and the head.

        Raises:
            ValueError: If the backbone has fewer stages.
        """
        freeze_stages(self.backbone, num_stages)
        self.freeze_unused_parameters()
        self.train(self.training)

    def freeze_batch_norm(self) -> None:
        """
        Freezes every batch norm of the backbone, for small batches and for weights whose statistics are folded.

        Call it after [`freeze_stages`], which sets the parameters of the free stages going again.
        """
        for module in self.backbone.modules():
            if isinstance(module, _BatchNorm) and module.affine:
                module.weight.requires_grad_(False)
                module.bias.requires_grad_(False)
        self.train(self.training)

    def freeze_unused_parameters(self) -> list[str]:
        """Freezes parameters that the score never reads, and returns their names."""
        names = unused_parameters(self.backbone, self.config.pooling)
        for name in names:
            self.backbone.get_parameter(name).requires_grad_(False)
        return names


class NimaForAestheticAssessment(NimaPreTrainedModel):
    """
    NIMA ([Talebi & Milanfar 2018](https://huggingface.co/papers/1709.05424)): the distribution of human scores of a
    picture, from one linear layer over the pooled feature of a backbone.

    Differences from the paper are choices of the configuration: the backbone, the rating scale, and optional loss
    terms.

    Args:
        config ([`NimaConfig`]):
            Backbone, scale and loss.
        backbone (`PreTrainedModel`, *optional*):
            A backbone that is loaded already; built from `config.backbone_config` where it is left out.

    Example:
        >>> from transformers import ResNetConfig
        >>> tiny = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic")
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny)).eval()
        >>> outputs = model(torch.zeros(2, 3, 64, 64))
        >>> outputs.logits.shape, outputs.score.shape
        (torch.Size([2, 10]), torch.Size([2]))
    """

    config: NimaConfig
    supports_spatial_explanation = True
    score_is_calibrated = True

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> NimaOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_channels, height, width)`):
                Pictures as [`ModalityImageProcessor`] returns them.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares; rows sum to 1.
            output_hidden_states (`bool`, *optional*):
                Whether to return `spatial_features` and the backbone's hidden states.

        Raises:
            ValueError: If `pixel_values` or `labels` has another shape, or rows of `labels` do not sum to 1.
        """
        answer = self.run_backbone_and_head(pixel_values, output_hidden_states, dict(kwargs))
        return NimaOutput(**{**answer, **score_outputs(answer["logits"], self.config, labels)})


__all__ = ["NimaForAestheticAssessment", "NimaOutput", "NimaPreTrainedModel"]
