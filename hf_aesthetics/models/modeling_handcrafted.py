"""The distribution of human scores from features that have names, so that a score can be told in words.

Knows nothing about data sets, training or files.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_handcrafted import HandcraftedConfig
from .image_features import IMAGE_FEATURES, image_features
from .score_contributions import ScoreContributions, score_contributions
from .score_outputs import ScoreOutput, score_outputs


@dataclass
class HandcraftedOutput(ScoreOutput):
    """
    Output of [`HandcraftedForAestheticAssessment`]: that of every scorer, and what was measured.

    Args:
        features (`torch.FloatTensor` of shape `(batch_size, num_features)`):
            The features in their units, in the order of `IMAGE_FEATURES`.
    """

    features: torch.Tensor | None = None


FARTHEST = 4.0  # standard deviations


class FeatureStatistics(nn.Module):
    r"""
    What a collection is like, as persistent tensors: mean and spread of its features, and how they go together.

    The last feature is the distance of a picture from the collection,
    \\(u = \lVert W z \rVert / \sqrt{n}\\) over the other \\(n\\) standardised features \\(z\\), with the whitening
    \\(W\\) of the collection: that of Mahalanobis, about 1 for its usual pictures. Until the statistics are fitted
    features count as they are.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("scale", torch.ones(num_features))
        self.register_buffer("whitening", torch.eye(num_features - 1))

    def complete(self, features: torch.Tensor) -> torch.Tensor:
        """Adds the distance from the collection to what pictures have by themselves."""
        others = (features - self.mean[:-1]) / self.scale[:-1]
        distance = ((others @ self.whitening.T).square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
        return torch.cat([features, distance], dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """All features in units of their spread, from their mean; what is far off is drawn in to 4 of them at most."""
        return FARTHEST * torch.tanh((features - self.mean) / self.scale / FARTHEST)


class HandcraftedForAestheticAssessment(PreTrainedModel):
    """
    The classical road ([Datta et al. 2006](https://doi.org/10.1007/11744078_23), Ke, Tang & Jing 2006, Luo & Tang
    2008): some thirty features that photographers have words for, standardised, and one linear layer, or two. Instead
    of the good and the bad it predicts the whole distribution of the scores, as
    [NIMA](https://huggingface.co/papers/1709.05424) does, which is our choice.

    Args:
        config ([`HandcraftedConfig`]):
            Head, scale and loss.

    Example:
        >>> model = HandcraftedForAestheticAssessment(HandcraftedConfig()).eval()
        >>> outputs = model(torch.rand(2, 3, 64, 64), aspect_ratio=torch.tensor([1.5, 0.75]))
        >>> outputs.score.shape, outputs.features.shape
        (torch.Size([2]), torch.Size([2, 35]))
    """

    config: HandcraftedConfig
    base_model_prefix = ""
    main_input_name = "pixel_values"
    supports_spatial_explanation = False
    score_is_calibrated = True
    # whoever trains has to call `fit_feature_statistics` before
    needs_feature_statistics = True
    accepts_loss_kwargs = False
    _keep_in_fp32_modules_strict = ["statistics", "hidden", "score_head"]

    def __init__(self, config: HandcraftedConfig) -> None:
        super().__init__(config)
        num_features = len(IMAGE_FEATURES)
        self.statistics = FeatureStatistics(num_features)
        self.hidden = None
        if config.hidden_size is not None:
            # smooth, so that contributions add up
            self.hidden = nn.Sequential(nn.Linear(num_features, config.hidden_size), nn.GELU())
        self.score_head = nn.Linear(config.hidden_size or num_features, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, FeatureStatistics):
            init.zeros_(module.mean)
            init.ones_(module.scale)
            init.copy_(module.whitening, torch.eye(len(module.whitening)))

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in their order; `IMAGE_FEATURES` says what they mean."""
        return list(IMAGE_FEATURES)

    def extract_features(self, pixel_values: torch.Tensor, aspect_ratio: torch.Tensor | None = None) -> torch.Tensor:
        """
        What pictures have by themselves, `(batch_size, num_features - 1)` in float32: all but the distance from the
        collection. Takes what [`forward`] takes.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, 3, height, width), got {tuple(pixel_values.shape)}. "
                "Is it the processor of this checkpoint?"
            )
        with torch.autocast(device_type=pixel_values.device.type, enabled=False):
            return image_features(pixel_values, aspect_ratio)

    def predict_logits(self, standardised: torch.Tensor) -> torch.Tensor:
        """Standardised features `(batch_size, num_features)` -> logits `(batch_size, num_labels)`, in float32."""
        with torch.autocast(device_type=standardised.device.type, enabled=False):
            return self.score_head(standardised if self.hidden is None else self.hidden(standardised))

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        aspect_ratio: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> HandcraftedOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                sRGB pictures in [0, 1], as [`HandcraftedImageProcessor`] returns them.
            aspect_ratio (`torch.FloatTensor` of shape `(batch_size,)`, *optional*):
                Width / height of the pictures before they were squashed; by default that of `pixel_values`.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares; rows sum to 1.

        Raises:
            ValueError: If `pixel_values` or `labels` has another shape, or rows of `labels` do not sum to 1.
        """
        features = self.statistics.complete(self.extract_features(pixel_values, aspect_ratio))
        logits = self.predict_logits(self.statistics(features))
        return HandcraftedOutput(**score_outputs(logits, self.config, labels), features=features)

    def feature_contributions(self, features: torch.Tensor, num_nodes: int = 32) -> ScoreContributions:
        """
        What each feature adds to the scores of pictures, see [`score_contributions`]; the base is the score of a
        picture whose features are all as in the mean of the collection.

        Args:
            features (`torch.FloatTensor` of shape `(batch_size, num_features)`):
                `outputs.features`.
            num_nodes (`int`, *optional*, defaults to 32):
                Places on the path where the slope is taken.

        Example:
            >>> model = HandcraftedForAestheticAssessment(HandcraftedConfig()).eval()
            >>> outputs = model(torch.rand(2, 3, 64, 64))
            >>> base, contributions = model.feature_contributions(outputs.features)
            >>> torch.allclose(base + contributions.sum(dim=1), outputs.score, atol=1e-4)
            True
        """
        standardised = self.statistics(features)
        return score_contributions(self._score, torch.zeros_like(standardised[0]), standardised, num_nodes)

    def _score(self, standardised: torch.Tensor) -> torch.Tensor:
        return score_outputs(self.predict_logits(standardised), self.config)["score"]


__all__ = ["HandcraftedForAestheticAssessment", "HandcraftedOutput"]
