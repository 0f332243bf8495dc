"""Configuration of NIMA. Knows nothing about weights."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_torchvision_wrapper import TorchvisionWrapperConfig


@strict
class NimaConfig(PreTrainedConfig):
    r"""
    Configuration of [`NimaForAestheticAssessment`]: a backbone, a rating scale and a loss.

    The defaults are those of [NIMA](https://huggingface.co/papers/1709.05424): AVA's scale, dropout 0.75, EMD of order
    2. The number of bins is `num_labels` (10 by default); the labels are the ratings themselves, so stock image
    classification tools show `"1"` to `"10"`.

    Args:
        backbone_config (`dict` or `PreTrainedConfig`, *optional*):
            Configuration of any vision model of transformers, a `timm_wrapper` or a `torchvision_wrapper`. MobileNetV2
            where it is left out.
        min_score (`float`, *optional*, defaults to 1.0):
            Rating of the lowest bin.
        max_score (`float`, *optional*, defaults to 10.0):
            Rating of the highest bin. The bins are equally spaced.
        num_channels (`int`, *optional*, defaults to 3):
            3 for a picture or a map, 4 for a picture with a map behind it; see [`EarlyFusion`].
        head_dropout (`float`, *optional*, defaults to 0.75):
            Dropout before the last layer.
        pooling (`str`, *optional*, defaults to `"auto"`):
            `"auto"` (the backbone's own), `"cls"` or `"mean"`.
        pooled_stages (`list[int]`, *optional*):
            Stages of the backbone whose averaged outputs the head reads beside the pooled feature, after
            [MLSP](https://huggingface.co/papers/1904.01382); `[-2]` is the last but one. NIMA has none.
        emd_order (`float`, *optional*, defaults to 2.0):
            Exponent of the earth mover's distance in the loss.
        mean_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of an additional loss on the mean score; see [`score_distribution_loss`].
        std_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of an additional loss on the standard deviation.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the head's initial weights.
        score_quantiles (`list[float]`, *optional*):
            The model's own scores of its training pictures at equally spaced quantiles, lowest first. They turn a
            score into a percentile. Written by training.
        notice (`str`, *optional*):
            What has to be said wherever a score is shown, such as "demonstration, trained on rendered scenes".

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> config = NimaConfig(min_score=1.0, max_score=5.0, num_labels=9)
        >>> config.id2label[1], config.bin_scores[-1]
        ('1.5', 5.0)
    """

    model_type = "nima"
    keys_to_ignore_at_inference = ["score", "score_std", "spatial_features", "hidden_states", "attentions"]
    sub_configs = {"backbone_config": AutoConfig}

    backbone_config: dict | PreTrainedConfig | None = None
    min_score: float | int = 1.0
    max_score: float | int = 10.0
    num_channels: int = 3
    head_dropout: float | int = 0.75
    pooling: Literal["auto", "cls", "mean"] = "auto"
    pooled_stages: list[int] | None = None
    emd_order: float | int = 2.0
    mean_loss_weight: float | int = 0.0
    std_loss_weight: float | int = 0.0
    initializer_range: float = 0.02
    score_quantiles: list[float] | None = None
    notice: str | None = None

    def __post_init__(self, **kwargs):
        if self.backbone_config is None:
            self.backbone_config = CONFIG_MAPPING["mobilenet_v2"]()
        elif isinstance(self.backbone_config, dict):
            self.backbone_config = self._build_backbone_config(self.backbone_config)
        if self.id2label is None and kwargs.get("num_labels") is None:
            kwargs["num_labels"] = 10
        super().__post_init__(**kwargs)
        # bins are named by their score, so that image classification tools show "1" to "10"
        self.id2label = {i: f"{score:g}" for i, score in enumerate(self.bin_scores)}
        self.label2id = {label: i for i, label in self.id2label.items()}

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

    @property
    def bin_scores(self) -> list[float]:
        """Rating of every bin, lowest first."""
        step = (self.max_score - self.min_score) / max(self.num_labels - 1, 1)
        return [self.min_score + i * step for i in range(self.num_labels)]

    def validate_scale(self):
        if self.num_labels < 2:
            raise ValueError(f"`num_labels` must be at least 2, the bins of the rating scale, got {self.num_labels}.")
        if not self.max_score > self.min_score:
            raise ValueError(f"`max_score` must exceed `min_score` = {self.min_score}, got {self.max_score}.")
        quantiles = self.score_quantiles
        if quantiles is not None and (len(quantiles) < 2 or sorted(quantiles) != quantiles):
            raise ValueError(f"`score_quantiles` must be at least 2 ascending scores, got {quantiles}.")

    def validate_channels(self):
        if self.num_channels not in (3, 4):
            raise ValueError(f"`num_channels` must be 3 or, for a picture with a map, 4, got {self.num_channels}.")

    def validate_loss(self):
        if not 0 <= self.head_dropout < 1:
            raise ValueError(f"`head_dropout` must be in [0, 1), got {self.head_dropout}.")
        if not self.emd_order >= 1:
            raise ValueError(f"`emd_order` must be at least 1, got {self.emd_order}.")
        for name in ("mean_loss_weight", "std_loss_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")


__all__ = ["NimaConfig"]
