"""Fisher vectors and bags of visual words: generic statistics of local descriptors, and one linear layer over them.

Knows nothing about how the vocabularies are fitted, data sets or files.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import can_return_tuple

from .configuration_fisher_vector import FisherVectorConfig
from .local_descriptors import LOCAL_DESCRIPTORS, pyramid_sizes
from .score_outputs import ScoreOutput, score_outputs


ROOT_FLOOR = 1e-6  # keeps the slope of the signed root finite at 0


def posterior_probabilities(
    points: torch.Tensor, weights: torch.Tensor, means: torch.Tensor, variances: torch.Tensor
) -> torch.Tensor:
    r"""
    How likely each component of a Gaussian mixture with diagonal covariances has drawn a point.

    $$\gamma_t(k) =
        \frac{w_k\, \mathcal{N}(x_t; \mu_k, \sigma_k^2)}{\sum_l w_l\, \mathcal{N}(x_t; \mu_l, \sigma_l^2)}$$

    Args:
        points (`torch.Tensor` of shape `(..., num_points, size)`):
            The points \\(x_t\\).
        weights (`torch.Tensor` of shape `(num_components,)`):
            Shares of the components, which sum to 1.
        means, variances (`torch.Tensor` of shape `(num_components, size)`):
            Of each component.

    Returns:
        `torch.Tensor` of shape `(..., num_points, num_components)`, whose rows sum to 1. Nothing larger is made.

    Example:
        >>> means, ones = torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1)
        >>> posterior_probabilities(torch.tensor([[0.0], [9.0]]), ones[:, 0] / 2, means, ones)
        tensor([[5.0000e-01, 5.0000e-01],
                [1.5230e-08, 1.0000e+00]])
    """
    precisions = 1 / variances
    constant = weights.log() - 0.5 * (variances.log() + means.square() * precisions).sum(dim=1)
    return (points @ (means * precisions).T - 0.5 * points.square() @ precisions.T + constant).softmax(dim=-1)


def fisher_vectors(
    points: torch.Tensor,
    posteriors: torch.Tensor,
    weights: torch.Tensor,
    means: torch.Tensor,
    variances: torch.Tensor,
) -> torch.Tensor:
    r"""
    Fisher vectors: how the mixture would have to change to fit the points of a picture better, its gradient in units
    of the Fisher information (Sánchez, Perronnin, Mensink & Verbeek, IJCV 2013, doi 10.1007/s11263-013-0636-x).

    $$\mathcal{G}_{\mu_k} = \frac{1}{T \sqrt{w_k}} \sum_t \gamma_t(k)\, \frac{x_t - \mu_k}{\sigma_k}, \qquad
      \mathcal{G}_{\sigma_k} = \frac{1}{T \sqrt{2 w_k}} \sum_t \gamma_t(k)
          \left[ \frac{(x_t - \mu_k)^2}{\sigma_k^2} - 1 \right]$$

    The gradient with respect to the weights is left out, as usual: there is little in it.

    Args:
        points (`torch.Tensor` of shape `(batch_size, num_points, size)`):
            The points \\(x_t\\) of each picture.
        posteriors (`torch.Tensor` of shape `(batch_size, num_points, num_components)`):
            Of [`posterior_probabilities`].
        weights (`torch.Tensor` of shape `(num_components,)`):
            Shares of the components.
        means, variances (`torch.Tensor` of shape `(num_components, size)`):
            Of each component.

    Returns:
        `torch.Tensor` of shape `(batch_size, 2 * num_components * size)`: the gradients with respect to all means,
        component by component, then to all deviations.

    Example:
        >>> one, points = torch.ones(1, 1), torch.tensor([[[-1.0], [1.0]]])
        >>> fisher_vectors(points, torch.ones(1, 2, 1), one[0], one * 0.5, one)  # too far right, too narrow
        tensor([[-0.5000,  0.1768]])
    """
    num_points = points.shape[1]
    counts = posteriors.sum(dim=1).unsqueeze(-1)  # (B, K, 1)
    sums, squares = posteriors.mT @ points, posteriors.mT @ points.square()  # (B, K, D)
    roots = weights.sqrt()[:, None]
    by_means = (sums - means * counts) / (variances.sqrt() * roots)
    by_deviations = (squares - 2 * means * sums + (means.square() - variances) * counts) / (variances * roots * 2**0.5)
    return torch.cat([by_means, by_deviations], dim=1).flatten(1) / num_points


def normalize_vectors(vectors: torch.Tensor) -> torch.Tensor:
    r"""
    The improvement of Fisher vectors: \\(z \leftarrow \mathrm{sign}(z) \sqrt{\lvert z \rvert}\\), so that what is
    frequent does not outweigh all else, then length 1 (Perronnin, Sánchez & Mensink, ECCV 2010,
    doi 10.1007/978-3-642-15561-1_11). A floor of 1e-6 makes the root a line near 0, where its slope would be infinite.

    Args:
        vectors (`torch.Tensor` of shape `(batch_size, size)`):
            Any vectors.

    Example:
        >>> normalize_vectors(torch.tensor([[9.0, 0.0, -16.0]]))
        tensor([[ 0.6000,  0.0000, -0.8000]])
    """
    return F.normalize(vectors * (vectors.abs() + ROOT_FLOOR).rsqrt(), dim=1)


class VisualVocabulary(nn.Module):
    """
    What is known of one kind of descriptors, as persistent tensors: their principal components, and a Gaussian mixture
    of these. Until both are fitted, the components are the first numbers of a descriptor, and the words are random.
    """

    def __init__(self, config: FisherVectorConfig, descriptor_size: int) -> None:
        super().__init__()
        self.encoding = config.encoding
        words = config.num_components, config.pca_size
        self.register_buffer("descriptor_mean", torch.zeros(descriptor_size))
        self.register_buffer("projection", torch.eye(descriptor_size, config.pca_size))
        self.register_buffer("weights", torch.full((config.num_components,), 1 / config.num_components))
        self.register_buffer("means", torch.zeros(words))
        self.register_buffer("variances", torch.ones(words))

    def project(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Principal components, `(..., descriptor_size)` -> `(..., pca_size)`."""
        return (descriptors - self.descriptor_mean) @ self.projection

    def forward(self, descriptors: torch.Tensor) -> torch.Tensor:
        """
        Encodes the descriptors of pictures.

        Args:
            descriptors (`torch.Tensor` of shape `(batch_size, num_patches, descriptor_size)`):
                Of one kind.

        Returns:
            `torch.Tensor` of shape `(batch_size, feature_size)`, whose rows have length 1.
        """
        points, mixture = self.project(descriptors), (self.weights, self.means, self.variances)
        posteriors = posterior_probabilities(points, *mixture)
        is_fisher = self.encoding == "fisher"
        return normalize_vectors(fisher_vectors(points, posteriors, *mixture) if is_fisher else posteriors.mean(dim=1))


class FisherVectorEncoder(nn.Module):
    """Pictures `(B, 3, H, W)` -> vectors `(B, sum(feature_sizes))`: everything that is fitted without ratings."""

    def __init__(self, config: FisherVectorConfig) -> None:
        super().__init__()
        self.config = config
        self.vocabularies = nn.ModuleDict(
            {name: VisualVocabulary(config, LOCAL_DESCRIPTORS[name].size) for name in config.descriptors}
        )

    def describe(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """
        Local descriptors of all scales.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                sRGB pictures in [0, 1].

        Returns:
            `dict` from each kind to `(batch_size, num_patches, descriptor_size)`.

        Raises:
            ValueError: If the pictures are smaller than a patch at all scales.
        """
        size, stride = self.config.patch_size, self.config.patch_stride
        levels = [
            F.interpolate(pixel_values, size=level, mode="bilinear", antialias=True)
            for level in pyramid_sizes(*pixel_values.shape[-2:], self.config.scales, size)
        ]
        return {
            name: torch.cat([LOCAL_DESCRIPTORS[name].function(level, size, stride) for level in levels], dim=1)
            for name in self.vocabularies
        }

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        # float32 also under autocast: likelihoods are differences of large numbers
        with torch.autocast(device_type=pixel_values.device.type, enabled=False):
            descriptors = self.describe(pixel_values.float())
            return torch.cat([words(descriptors[name]) for name, words in self.vocabularies.items()], dim=1)


class FisherVectorForAestheticAssessment(PreTrainedModel):
    """
    Generic image descriptors for aesthetics (Marchesotti, Perronnin, Larlus & Csurka, ICCV 2011,
    doi 10.1109/ICCV.2011.6126444): local descriptors of gradients and colours, improved Fisher vectors or a bag of
    visual words, and one linear layer. Nothing in it was made for aesthetics, and nothing but that layer has seen a
    rating.

    The paper trains a classifier of good and bad for each kind of descriptors and averages their scores; that one
    layer reads all kinds and predicts the distribution of scores is our choice. Vocabularies are fitted by
    `scripts/fit_fisher_vector.py`.

    Args:
        config ([`FisherVectorConfig`]):
            Descriptors, vocabularies, scale and loss.

    Example:
        >>> model = FisherVectorForAestheticAssessment(FisherVectorConfig(pca_size=8, num_components=4)).eval()
        >>> outputs = model(torch.rand(2, 3, 96, 96))
        >>> outputs.logits.shape, outputs.score.shape
        (torch.Size([2, 10]), torch.Size([2]))
    """

    config: FisherVectorConfig
    base_model_prefix = "encoder"
    main_input_name = "pixel_values"
    _keep_in_fp32_modules_strict = ["encoder", "score_head"]
    # the loss is a plain mean over the batch, so the Trainer has to scale it under gradient accumulation
    accepts_loss_kwargs = False
    # what reaches the last layer has no places
    supports_spatial_explanation = False
    score_is_calibrated = True

    def __init__(self, config: FisherVectorConfig) -> None:
        super().__init__(config)
        self.encoder = FisherVectorEncoder(config)
        self.score_head = nn.Linear(sum(config.feature_sizes), config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, VisualVocabulary):
            init.zeros_(module.descriptor_mean)
            init.eye_(module.projection)
            init.constant_(module.weights, 1 / len(module.weights))
            init.normal_(module.means)
            init.ones_(module.variances)

    @property
    def feature_sizes(self) -> list[int]:
        """Lengths of the parts of what the head reads, one a kind of descriptors."""
        return self.config.feature_sizes

    @can_return_tuple
    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs) -> ScoreOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                sRGB pictures in [0, 1], as [`ModalityImageProcessor`] with mean 0 and deviation 1 returns them.
            labels (`torch.FloatTensor` of shape `(batch_size, num_labels)`, *optional*):
                Vote shares; rows sum to 1.

        Raises:
            ValueError: If `pixel_values` or `labels` has another shape, or rows of `labels` do not sum to 1.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, 3, height, width), got {tuple(pixel_values.shape)}. Is "
                "it the processor of this checkpoint?"
            )
        vectors = self.encoder(pixel_values)
        with torch.autocast(device_type=vectors.device.type, enabled=False):
            logits = self.score_head(vectors)
        return ScoreOutput(**score_outputs(logits, self.config, labels))


__all__ = [
    "FisherVectorForAestheticAssessment",
    "fisher_vectors",
    "normalize_vectors",
    "posterior_probabilities",
]
