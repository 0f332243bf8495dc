"""The vocabularies of Fisher vectors, fitted on local descriptors of pictures, without ratings.

Knows nothing about which pictures they are, or what is learnt of the vectors.
"""

import warnings

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from transformers import default_data_collator

from ..data.training_rows import IndexedRows
from ..models.modeling_fisher_vector import FisherVectorForAestheticAssessment, VisualVocabulary
from .frozen_features import evaluating


LEAST_OF_A_PICTURE = 50  # descriptors; of a large collection some pictures suffice
NUM_STEPS = 30  # of EM; on photographs 80 gave no better scores than 25
LEAST_VARIANCE = 1e-3  # of a component in any direction, where 1 is that of all descriptors


def fit_fisher_vector(
    model: FisherVectorForAestheticAssessment,
    rows: IndexedRows,
    num_descriptors: int = 200_000,
    batch_size: int = 32,
    seed: int = 0,
) -> None:
    """
    Gives a model the vocabularies that its configuration describes: principal components and a Gaussian mixture for
    each kind of descriptors. The last layer stays as it is; see [`fit_linear_probe`].

    Args:
        model ([`FisherVectorForAestheticAssessment`]):
            Its tensors are overwritten.
        rows ([`IndexedRows`]):
            The training pictures. Their ratings are not looked at.
        num_descriptors (`int`, *optional*, defaults to 200000):
            About how many descriptors of each kind to fit on: as many of each picture, at random places; of a
            collection with more than a fiftieth of that number of pictures, 50 of each of some.
        batch_size (`int`, *optional*, defaults to 32):
            Pictures that are described together.
        seed (`int`, *optional*, defaults to 0):
            Of what is drawn.

    Raises:
        ValueError: If there are fewer descriptors than visual words.

    Example:
        >>> from datasets import Dataset
        >>> from PIL import Image
        >>> from hf_aesthetics import FisherVectorConfig, ModalityImageProcessor
        >>> from hf_aesthetics.data.transforms import EvaluationTransform
        >>> noise = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
        >>> columns = {"image": [*map(Image.fromarray, noise)], "vote_counts": [[1, 2]] * 4}
        >>> processor = ModalityImageProcessor(size={"height": 48, "width": 48}, image_mean=[0.0] * 3, image_std=[1.0] * 3)
        >>> rows = IndexedRows(
        ...     Dataset.from_dict(columns | {"score_mean": [0.7] * 4, "score_std": [0.5] * 4}),
        ...     EvaluationTransform(processor, [0, 1]),
        ... )
        >>> model = FisherVectorForAestheticAssessment(FisherVectorConfig(pca_size=2, num_components=2))
        >>> fit_fisher_vector(model, rows)
        >>> round(model.encoder.vocabularies["colors"].weights.sum().item(), 5)
        1.0
    """  # noqa: E501
    for name, descriptors in _sample_descriptors(model, rows, num_descriptors, batch_size, seed).items():
        fit_vocabulary(model.encoder.vocabularies[name], descriptors, seed)


def fit_vocabulary(vocabulary: VisualVocabulary, descriptors: np.ndarray, seed: int = 0) -> None:
    """
    Principal components with variance 1 and a Gaussian mixture with diagonal covariances, by scikit-learn: at most 30
    steps of EM from k-means, itself from k-means++.

    Args:
        vocabulary (`VisualVocabulary`):
            Its tensors are overwritten.
        descriptors (`np.ndarray` of shape `(num_descriptors, descriptor_size)`):
            Of one kind, of many pictures.
        seed (`int`, *optional*, defaults to 0):
            Of k-means++.

    Raises:
        ValueError: If there are fewer descriptors than visual words.

    Relations:
        Diagonal covariances and Fisher vectors do not depend on the unit of a direction; variance 1 keeps the numbers
        small, and is our choice.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    num_components, pca_size = vocabulary.means.shape
    if len(descriptors) < max(num_components, pca_size):
        raise ValueError(
            f"At least {max(num_components, pca_size)} descriptors are needed for {num_components} visual words in "
            f"{pca_size} dimensions, got {len(descriptors)}. Give more pictures, or take fewer words."
        )
    pca = PCA(pca_size, svd_solver="covariance_eigh").fit(descriptors)
    # directions in which the descriptors do not vary, as where all pictures are flat, stay without weight
    spread = np.sqrt(pca.explained_variance_)
    is_flat = spread <= 1e-4 * spread[0]
    projection = np.where(is_flat, 0, pca.components_.T / np.where(is_flat, 1, spread))
    points = ((descriptors - pca.mean_) @ projection).astype(np.float32)  # twice as fast, and exact enough
    mixture = GaussianMixture(
        num_components, covariance_type="diag", reg_covar=LEAST_VARIANCE, random_state=seed, max_iter=NUM_STEPS
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a vocabulary need not be the most likely one
        mixture.fit(points)
    fitted = {
        "descriptor_mean": pca.mean_,
        "projection": projection,
        "weights": mixture.weights_,
        "means": mixture.means_,
        "variances": mixture.covariances_,
    }
    with torch.no_grad():
        for name, values in fitted.items():
            getattr(vocabulary, name).copy_(torch.from_numpy(values))


def _sample_descriptors(
    model: FisherVectorForAestheticAssessment, rows: IndexedRows, num_descriptors: int, batch_size: int, seed: int
) -> dict[str, np.ndarray]:
    """Descriptors at random places of all pictures or, where there are many, of random ones."""
    generator = torch.Generator().manual_seed(seed)
    num_pictures = min(len(rows), -(-num_descriptors // LEAST_OF_A_PICTURE))
    pictures = torch.randperm(len(rows), generator=generator)[:num_pictures].tolist()
    num_places = -(-num_descriptors // num_pictures)
    sampled = {name: [] for name in model.encoder.vocabularies}
    with evaluating(model), torch.no_grad():
        for batch in DataLoader(Subset(rows, pictures), batch_size, collate_fn=default_data_collator):
            for name, described in model.encoder.describe(batch["pixel_values"].to(model.device)).items():
                places = torch.rand(described.shape[:2], generator=generator).argsort(dim=1)[:, :num_places]
                sampled[name].append(described.cpu().take_along_dim(places.unsqueeze(-1), dim=1).flatten(0, 1))
    return {name: torch.cat(parts).double().numpy() for name, parts in sampled.items()}
