"""Configuration of the Fisher vector model. Knows nothing about weights."""

from dataclasses import field
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_rating_scale import ScoreDistributionConfig
from .local_descriptors import LOCAL_DESCRIPTORS, NUM_CELLS


@strict
class FisherVectorConfig(ScoreDistributionConfig):
    r"""
    Configuration of [`FisherVectorForAestheticAssessment`]: local descriptors, a vocabulary for each kind of them, a
    rating scale and a loss. The number of bins is `num_labels` (10 by default).

    The defaults are ours, for pictures of 256 x 256 pixels: 1460 patches at five scales, encoded in some 35
    milliseconds by one core, and 8192 numbers for each kind of descriptors. A spatial pyramid is left out: on a few
    hundred photographs, three strips beside the whole gave no better scores.

    Args:
        descriptors (`list[str]`, *optional*, defaults to `["gradients", "colors"]`):
            Kinds of local descriptors, see `LOCAL_DESCRIPTORS` in `local_descriptors.py`.
        patch_size (`int`, *optional*, defaults to 32):
            Side of a patch in pixels, a multiple of 4.
        patch_stride (`int`, *optional*, defaults to 8):
            Pixels between patches, a multiple of `patch_size / 4`.
        scales (`list[float]`, *optional*, defaults to `[1.0, 0.7, 0.5, 0.35, 0.25]`):
            Factors of height and width at which patches are taken. Those at which none fits are left out.
        pca_size (`int`, *optional*, defaults to 64):
            Principal components of a descriptor that are kept.
        num_components (`int`, *optional*, defaults to 64):
            Gaussians of a mixture, the visual words.
        encoding (`str`, *optional*, defaults to `"fisher"`):
            `"fisher"`, the gradient of the likelihood of a picture's descriptors, or `"bag_of_words"`, how often each
            word occurs.
        min_score, max_score, score_quantiles, notice (*optional*):
            See [`RatingScaleConfig`].
        distribution_loss, emd_order, mean_loss_weight, std_loss_weight, initializer_range (*optional*):
            See [`ScoreDistributionConfig`].

    Raises:
        ValueError: If a field is of the wrong type or out of its bounds.

    Example:
        >>> FisherVectorConfig(descriptors=["colors"]).feature_sizes
        [8192]
    """

    model_type = "fisher_vector"
    keys_to_ignore_at_inference = ["score", "score_std"]

    descriptors: list[str] = field(default_factory=lambda: ["gradients", "colors"])
    patch_size: int = 32
    patch_stride: int = 8
    scales: list[float | int] = field(default_factory=lambda: [1.0, 0.7, 0.5, 0.35, 0.25])
    pca_size: int = 64
    num_components: int = 64
    encoding: Literal["fisher", "bag_of_words"] = "fisher"

    @property
    def feature_sizes(self) -> list[int]:
        """Lengths of the parts of a picture's vector, one a kind of descriptors."""
        word_size = 2 * self.pca_size if self.encoding == "fisher" else 1
        return [self.num_components * word_size] * len(self.descriptors)

    def validate_descriptors(self):
        known = set(LOCAL_DESCRIPTORS)
        if not self.descriptors or not known.issuperset(self.descriptors):
            raise ValueError(f"`descriptors` must be some of {sorted(known)}, got {self.descriptors}.")
        if len(set(self.descriptors)) < len(self.descriptors):
            raise ValueError(f"`descriptors` must differ, got {self.descriptors}.")
        smallest = min(LOCAL_DESCRIPTORS[name].size for name in self.descriptors)
        if not 1 <= self.pca_size <= smallest:
            raise ValueError(f"`pca_size` must be from 1 to {smallest}, a descriptor's length, got {self.pca_size}.")

    def validate_patches(self):
        if self.patch_size < NUM_CELLS or self.patch_size % NUM_CELLS:
            raise ValueError(f"`patch_size` must be a positive multiple of {NUM_CELLS}, got {self.patch_size}.")
        cell_size = self.patch_size // NUM_CELLS
        if self.patch_stride < cell_size or self.patch_stride % cell_size:
            raise ValueError(
                f"`patch_stride` must be a positive multiple of {cell_size}, the cells of a patch, got "
                f"{self.patch_stride}."
            )
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"`scales` must be positive factors, got {self.scales}.")

    def validate_vocabulary(self):
        if self.num_components < 1:
            raise ValueError(f"`num_components` must be at least 1, got {self.num_components}.")


__all__ = ["FisherVectorConfig"]
