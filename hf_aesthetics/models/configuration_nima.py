"""Configuration of NIMA. Knows nothing about weights."""

from huggingface_hub.dataclasses import strict

from .configuration_backbone_scorer import BackboneScorerConfig
from .configuration_rating_scale import ScoreDistributionConfig


@strict
class NimaConfig(ScoreDistributionConfig, BackboneScorerConfig):
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
        distribution_loss (`str`, *optional*, defaults to `"emd"`):
            Distance between predicted and true distributions in the loss: `"emd"`, or for comparison `"chi_square"`,
            `"kl"`, `"js"` or `"cjs"`; see [`score_distribution_loss`].
        emd_order (`float`, *optional*, defaults to 2.0):
            Exponent of the earth mover's distance.
        mean_loss_weight (`float`, *optional*, defaults to 0.0):
            Weight of an additional loss on the mean score.
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


__all__ = ["NimaConfig"]
