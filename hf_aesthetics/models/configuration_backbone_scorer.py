"""Configuration of every model that is a head over a backbone, scorers above all. Knows nothing about what it says."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_rating_scale import RatingScaleConfig
from .configuration_torchvision_wrapper import TorchvisionWrapperConfig


@strict
class BackboneConfig(PreTrainedConfig):
    r"""
    A backbone, and how its feature is pooled.

    Args:
        backbone_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of any vision model of transformers, a `timm_wrapper` or a `torchvision_wrapper`. MobileNetV2
            where it is left out.
        num_channels (`int`, *optional*, defaults to 3):
            3 for a picture or a map, 4 for a picture with a map behind it; see [`EarlyFusion`].
        pooling (`str`, *optional*, defaults to `"auto"`):
            `"auto"` (the backbone's own), `"cls"` or `"mean"`.
        pooled_stages (`list[int]`, *optional*):
            Stages of the backbone whose averaged outputs the head reads beside the pooled feature, after
            [MLSP](https://huggingface.co/papers/1904.01382); `[-2]` is the last but one.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> BackboneConfig(backbone_config={"model_type": "resnet"}).backbone_config.model_type
        'resnet'
    """

    sub_configs = {"backbone_config": AutoConfig}

    backbone_config: dict | PreTrainedConfig | None = None
    num_channels: int = 3
    pooling: Literal["auto", "cls", "mean"] = "auto"
    pooled_stages: list[int] | None = None

    def __post_init__(self, **kwargs):
        if self.backbone_config is None:
            self.backbone_config = CONFIG_MAPPING["mobilenet_v2"]()
        elif isinstance(self.backbone_config, dict):
            self.backbone_config = self._build_backbone_config(self.backbone_config)
        super().__post_init__(**kwargs)

    @staticmethod
    def _build_backbone_config(fields: dict) -> PreTrainedConfig:
        model_type = fields.get("model_type")
        if model_type == TorchvisionWrapperConfig.model_type:
            return TorchvisionWrapperConfig.from_dict(fields)
        if model_type not in CONFIG_MAPPING:
            raise ValueError(
                f"`backbone_config` must have the `model_type` of a transformers model, 'timm_wrapper' or "
                f"'torchvision_wrapper', got {model_type!r}."
            )
        if model_type == "timm_wrapper":
            # without it, `from_dict` looks for ImageNet's labels and fails
            fields = {"num_classes": 0, **fields}
        return CONFIG_MAPPING[model_type].from_dict(fields)

    def validate_channels(self):
        if self.num_channels not in (3, 4):
            raise ValueError(f"`num_channels` must be 3 or, for a picture with a map, 4, got {self.num_channels}.")


@strict
class BackboneScorerConfig(BackboneConfig, RatingScaleConfig):
    r"""
    A backbone and a head of one layer, on a rating scale. See [`BackboneConfig`] and [`RatingScaleConfig`].

    Args:
        head_dropout (`float`, *optional*, defaults to 0.75):
            Dropout before the last layer.

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> BackboneScorerConfig(backbone_config={"model_type": "resnet"}).num_labels
        10
    """

    head_dropout: float | int = 0.75

    def validate_dropout(self):
        if not 0 <= self.head_dropout < 1:
            raise ValueError(f"`head_dropout` must be in [0, 1), got {self.head_dropout}.")


__all__ = ["BackboneConfig", "BackboneScorerConfig"]
