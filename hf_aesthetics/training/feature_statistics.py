"""What a collection is like, fitted on the features of its pictures, without ratings.

Knows nothing about which features they are, or what is learnt of them.
"""

from typing import cast

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, default_data_collator

from ..data.training_rows import IndexedRows, StreamedRows
from ..models.modeling_handcrafted import HandcraftedForAestheticAssessment
from .frozen_features import evaluating, inputs_of
from .linear_probe import ROUNDING


SHRINKAGE = 0.1  # of correlations towards none, because distances weigh most what varies least


def fit_feature_statistics(model: PreTrainedModel, rows: IndexedRows | StreamedRows, batch_size: int = 64) -> None:
    r"""
    Gives a model with `needs_feature_statistics` the mean and spread of its features, and how they go together.

    A feature that is the same in all pictures gets the spread infinity and says nothing from then on. The distance
    from the collection is taken in correlations that are shrunk by a tenth,
    \\(W = (0.9\, C + 0.1\, I)^{-1/2}\\), our choice. Its own mean and spread are those of the same pictures, which
    each are a part of what they are compared with: of another picture it is a little larger on average.

    Args:
        model ([`HandcraftedForAestheticAssessment`]):
            Its statistics are overwritten. Call it before anything is learnt over them.
        rows ([`IndexedRows`] or [`StreamedRows`]):
            The training pictures. Their ratings are not looked at.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures that go through the model together.

    Raises:
        TypeError: If the model has no such statistics.
        ValueError: If there are fewer than two pictures.

    Example:
        >>> from datasets import Dataset
        >>> from PIL import Image
        >>> from hf_aesthetics import HandcraftedConfig, HandcraftedImageProcessor
        >>> from hf_aesthetics.data.transforms import EvaluationTransform
        >>> columns = {"image": [Image.new("RGB", (48, 32), (80 * n,) * 3) for n in range(4)], "vote_counts": [[1, 2]] * 4}
        >>> rows = IndexedRows(
        ...     Dataset.from_dict(columns | {"score_mean": [0.7] * 4, "score_std": [0.5] * 4}),
        ...     EvaluationTransform(HandcraftedImageProcessor(size={"height": 32, "width": 32}), [0, 1]),
        ... )
        >>> model = HandcraftedForAestheticAssessment(HandcraftedConfig(min_score=0.0, max_score=1.0, num_labels=2))
        >>> fit_feature_statistics(model, rows)
        >>> model.statistics.mean[model.feature_names.index("aspect")].item()  # log2(1.5)
        0.5849624872207642
    """  # noqa: E501
    if not getattr(model, "needs_feature_statistics", False):
        raise TypeError(
            f"Expected a model over named features, such as HandcraftedForAestheticAssessment, got "
            f"{type(model).__name__}. Leave its statistics out."
        )
    model = cast(HandcraftedForAestheticAssessment, model)
    set_feature_statistics(model, measure_features(model, rows, batch_size))


def measure_features(
    model: HandcraftedForAestheticAssessment, rows: IndexedRows | StreamedRows, batch_size: int = 64
) -> torch.Tensor:
    """What pictures have by themselves, `(num_rows, num_features - 1)` in float32."""
    with evaluating(model), torch.no_grad():
        loader = DataLoader(rows, batch_size, collate_fn=default_data_collator)
        return torch.cat([model.extract_features(**inputs_of(batch, model)).cpu() for batch in loader])


def set_feature_statistics(model: HandcraftedForAestheticAssessment, features: torch.Tensor) -> None:
    """What [`fit_feature_statistics`] does, with features from [`measure_features`]."""
    if len(features) < 2:
        raise ValueError(f"Statistics need at least 2 pictures, got {len(features)}. Give the training split.")
    values = features.double().numpy()
    mean, scale = _center_and_scale(values)
    standardised = (values - mean) / scale
    correlations = standardised.T @ standardised / len(values)
    eigenvalues, axes = np.linalg.eigh((1 - SHRINKAGE) * correlations + SHRINKAGE * np.eye(len(correlations)))
    whitening = axes / np.sqrt(eigenvalues) @ axes.T
    distances = np.sqrt(np.square(standardised @ whitening).mean(axis=1, keepdims=True))
    distance_mean, distance_scale = _center_and_scale(distances)
    fitted = {
        "mean": np.append(mean, distance_mean),
        "scale": np.append(scale, distance_scale),
        "whitening": whitening,
    }
    with torch.no_grad():
        for name, value in fitted.items():
            model.statistics.get_buffer(name).copy_(torch.from_numpy(value))


def _center_and_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = values.std(axis=0)
    scale[scale <= ROUNDING * np.abs(values).max(axis=0)] = np.inf
    return values.mean(axis=0), scale
