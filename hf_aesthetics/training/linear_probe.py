"""The last layer of a scorer, fitted in closed form on what reaches it: a start for training, or all of it.

Knows nothing about backbones: whatever ends in one linear layer can be fitted.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, default_data_collator

from ..data.training_rows import IndexedRows
from ..metrics import earth_mover_distance
from .frozen_features import FrozenFeatureRows, evaluating, input_of, inputs_of


SHARE_FLOOR = 0.005  # half a vote in a hundred
ROUNDING = 1e-4  # of a feature's size


def fit_linear_probe(
    model: PreTrainedModel,
    train_rows: IndexedRows | FrozenFeatureRows,
    validation_rows: IndexedRows | FrozenFeatureRows,
    num_views: int = 1,
    strengths: Sequence[float] = (0.1, 0.3, 1.0, 3.0, 10.0),
    batch_size: int = 64,
) -> float:
    r"""
    Gives the last layer the weights of a ridge regression on the log-odds of the vote shares.

    $$W = \arg\min_W \sum_i \lVert W x_i - z_i \rVert^2 + \lambda \lVert W \rVert^2, \qquad
      z_{ik} = \log(p_{ik} + \epsilon) - \tfrac{1}{N} \sum_l \log(p_{il} + \epsilon)$$

    Features \\(x\\) are standardised. Where they are of several parts, as with `pooled_stages`, each part has the same
    weight, however wide it is. The whole has length 1 on average, so that \\(\lambda\\) means the same for every
    backbone. All of that is folded into the layer. Of several \\(\lambda\\) the one with the least earth mover's
    distance (order 1) on the validation pictures is taken. The floor \\(\epsilon\\) = 0.005 under the shares is our
    choice.

    Args:
        model (`PreTrainedModel`):
            A scorer whose logits come from one linear layer.
        train_rows, validation_rows ([`IndexedRows`] or [`FrozenFeatureRows`]):
            What the model reads.
        num_views (`int`, *optional*, defaults to 1):
            How many random views of each training picture to fit on, as in so many epochs.
        strengths (`Sequence[float]`, *optional*):
            The \\(\lambda\\) to try.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures that go through the model together.

    Returns:
        `float`: The \\(\lambda\\) that was taken.

    Raises:
        ValueError: If the model has more than one linear layer above its backbone, or one without an output for each
            rating.

    Relations:
        On a few hundred pictures, training from a random head may end below it. Where training goes on from here, take
        small learning rates, for the head, too.

    Example:
        >>> from datasets import Dataset
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> from hf_aesthetics.data.columns import RatingScale, rating_features, vote_statistics
        >>> from hf_aesthetics.data.transforms import EvaluationTransform
        >>> pictures = [
        ...     {"image": Image.new("RGB", (32, 32), 3 * (80 * n,)), "image_id": str(n)}
        ...     | vote_statistics([3 - n, n], RatingScale(1, 2, 2), "a plain picture")
        ...     for n in range(4)
        ... ]
        >>> processor = ModalityImageProcessor(size={"height": 32, "width": 32})
        >>> rows = IndexedRows(
        ...     Dataset.from_list(pictures, features=rating_features(2)), EvaluationTransform(processor, [1, 2])
        ... )
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny, num_labels=2, max_score=2)).eval()
        >>> fit_linear_probe(model, rows, rows, strengths=[0.01])
        0.01
        >>> scores = [model(rows[n]["pixel_values"][None]).score.item() for n in (0, 3)]
        >>> scores[0] < scores[1]
        True
    """
    layer = _last_layer(model)
    views = []
    for view in range(num_views):
        train_rows.set_epoch(view)
        views.append(_features_and_shares(model, layer, train_rows, batch_size))
    features, shares = (np.concatenate(parts) for parts in zip(*views, strict=True))
    validation_features, validation_shares = _features_and_shares(model, layer, validation_rows, batch_size)

    sizes = getattr(model, "feature_sizes", [features.shape[1]])
    widths = np.repeat(sizes, sizes)  # of the part of each feature
    center, spread = features.mean(axis=0), features.std(axis=0)
    # what varies by rounding errors alone, as all does where pictures show nothing, has no weight
    spread[spread <= ROUNDING * np.abs(features).max(axis=0)] = np.inf
    scale = spread * np.sqrt(widths * len(sizes))
    if layer.out_features != shares.shape[1]:
        raise ValueError(
            f"A linear probe needs a last layer with an output for each of {shares.shape[1]} ratings, got "
            f"{layer.out_features} in {type(model).__name__}. Train without it."
        )
    log_odds = np.log(shares + SHARE_FLOOR)
    log_odds -= log_odds.mean(axis=1, keepdims=True)
    offset = log_odds.mean(axis=0)
    inputs = (features - center) / scale
    candidates = []
    for strength, weight in zip(
        strengths, _ridge_weights(inputs, log_odds - offset, num_views, strengths), strict=True
    ):
        weight = weight / scale[:, None]
        bias = offset - center @ weight
        predicted = softmax(validation_features @ weight + bias, axis=1)
        candidates.append((earth_mover_distance(predicted, validation_shares, order=1).mean(), strength, weight, bias))
    _, strength, weight, bias = min(candidates, key=lambda candidate: candidate[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T))
        layer.bias.copy_(torch.from_numpy(bias))
    return strength


def _ridge_weights(
    inputs: np.ndarray, target: np.ndarray, num_views: int, strengths: Sequence[float]
) -> Iterator[np.ndarray]:
    """Weights for each strength, from the smaller of both systems of equations."""
    # views of a picture are not new pictures: they share its weight
    if inputs.shape[1] <= len(inputs):
        gram, moments = inputs.T @ inputs / num_views, inputs.T @ target / num_views
        for strength in strengths:
            yield np.linalg.solve(gram + strength * np.eye(len(gram)), moments)
    else:
        kernel = inputs @ inputs.T / num_views
        for strength in strengths:
            yield inputs.T @ np.linalg.solve(kernel + strength * np.eye(len(kernel)), target) / num_views


def _last_layer(model: PreTrainedModel) -> nn.Linear:
    heads = [module for module in model.children() if module is not model.base_model]
    layers = [layer for head in heads for layer in head.modules() if isinstance(layer, nn.Linear)]
    if len(layers) != 1:
        raise ValueError(
            f"A linear probe needs a model with one linear layer above its backbone, got {type(model).__name__} with "
            f"{len(layers)}. Train without it."
        )
    return layers[0]


def _features_and_shares(
    model: PreTrainedModel, layer: nn.Linear, rows: IndexedRows | FrozenFeatureRows, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    features, shares = [], []
    with evaluating(model), torch.no_grad():
        for batch in DataLoader(rows, batch_size, collate_fn=default_data_collator):
            features.append(input_of(layer, model, inputs_of(batch, model)).cpu())
            shares.append(batch["labels"])
    return torch.cat(features).double().numpy(), torch.cat(shares).double().numpy()
