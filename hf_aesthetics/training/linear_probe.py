"""The last layers of a scorer, fitted in closed form on what reaches them: a start for training, or all of it.

Knows nothing about backbones: whatever ends in one linear layer can be fitted, or says which layers are to learn what.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, default_data_collator

from ..data.training_rows import IndexedRows
from ..metrics import earth_mover_distance
from .frozen_features import FrozenFeatureRows, evaluating, input_of, inputs_of, labels_of


SHARE_FLOOR = 0.005  # half a vote in a hundred
ROUNDING = 1e-4  # of a feature's size
NUM_BLOCKS = 5  # of training pictures, whose attributes are predicted by a fit on the others


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

    A model whose logits are no distribution says in `ideal_logits` what they should be; \\(\lambda\\) is then the one
    with the least squared error.

    A model with `probed_layers` may have attributes on the way to its logits. Their layer is fitted first, each
    attribute by a ridge regression on its standardised values where they are known, with its own \\(\lambda\\) by
    the squared error. The last layer then reads the attributes as a further part beside the features. Of the training
    pictures these are predictions of fits that have not seen the picture or its neighbours, in five blocks of the
    rows: a fit agrees too well with what it was made of, and would be trusted too much.

    Args:
        model (`PreTrainedModel`):
            A scorer whose logits come from one linear layer, or with `probed_layers`.
        train_rows, validation_rows ([`IndexedRows`] or [`FrozenFeatureRows`]):
            What the model reads.
        num_views (`int`, *optional*, defaults to 1):
            How many random views of each training picture to fit on, as in so many epochs.
        strengths (`Sequence[float]`, *optional*):
            The \\(\lambda\\) to try.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures that go through the model together.

    Returns:
        `float`: The \\(\lambda\\) that was taken for the logits.

    Raises:
        ValueError: If the model has more than one linear layer above its backbone and no `probed_layers`.

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
    probed = _probed_layers(model)
    first = next(layers[0] for layers in probed.values() if layers)
    views = []
    for view in range(num_views):
        train_rows.set_epoch(view)
        views.append(_inputs_and_labels(model, first, train_rows, batch_size))
    inputs = np.concatenate([view[0] for view in views])
    labels = {name: torch.cat([view[1][name] for view in views]) for name in views[0][1]}
    held_inputs, held_labels = _inputs_and_labels(model, first, validation_rows, batch_size)
    sizes = getattr(model, "feature_sizes", [inputs.shape[1]])

    if attribute_layers := probed.get("attribute_labels"):
        target, held_target = (
            model.standardize_attributes(each["attribute_labels"].float().to(model.device)).cpu().double().numpy()
            for each in (labels, held_labels)
        )
        fits, said = [], []
        for values, held_values in zip(target.T, held_target.T, strict=True):
            fit, held_out = _fit_attribute(inputs, values, held_inputs, held_values, sizes, num_views, strengths)
            fits.append(fit)
            said.append(held_out)
        weight, bias = (np.concatenate(parts, axis=-1) for parts in zip(*fits, strict=True))
        _copy_to(attribute_layers, weight, bias)
        inputs = np.column_stack([inputs, *said])
        held_inputs = np.column_stack([held_inputs, held_inputs @ weight + bias])
        sizes = [*sizes, len(said)]

    shares, held_shares = labels["labels"].numpy(), held_labels["labels"].numpy()
    target = _ideal_logits(model, shares)
    if hasattr(model, "ideal_logits"):
        held_target = _ideal_logits(model, held_shares)

        def error(fit: tuple[float, np.ndarray, np.ndarray]) -> float:
            return np.square(held_inputs @ fit[1] + fit[2] - held_target).mean()
    else:

        def error(fit: tuple[float, np.ndarray, np.ndarray]) -> float:
            predicted = softmax(held_inputs @ fit[1] + fit[2], axis=1)
            return earth_mover_distance(predicted, held_shares, order=1).mean()

    strength, weight, bias = min(_ridge_fits(inputs, target, sizes, num_views, strengths), key=error)
    _copy_to(probed["labels"], weight, bias)
    return strength


def _ideal_logits(model: PreTrainedModel, shares: np.ndarray) -> np.ndarray:
    if hasattr(model, "ideal_logits"):
        return model.ideal_logits(torch.from_numpy(shares)).numpy()
    log_odds = np.log(shares + SHARE_FLOOR)
    return log_odds - log_odds.mean(axis=1, keepdims=True)


def _fit_attribute(
    inputs: np.ndarray,
    values: np.ndarray,
    held_inputs: np.ndarray,
    held_values: np.ndarray,
    sizes: Sequence[int],
    num_views: int,
    strengths: Sequence[float],
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Weight and bias for an attribute, and predictions of it for the training pictures, block by block."""
    known, held_known = ~np.isnan(values), ~np.isnan(held_values)

    def fits(rows: np.ndarray, strengths: Sequence[float]) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        return _ridge_fits(inputs[rows], values[rows, None], sizes, num_views, strengths)

    def squared_error(fit: tuple[float, np.ndarray, np.ndarray]) -> float:
        predicted = (held_inputs[held_known] @ fit[1] + fit[2]).squeeze(1)
        return np.square(predicted - held_values[held_known]).sum()

    strength, weight, bias = min(fits(known, strengths), key=squared_error)
    num_pictures = len(inputs) // num_views
    blocks = np.tile(np.arange(num_pictures) * NUM_BLOCKS // num_pictures, num_views)
    held_out = (inputs @ weight + bias).squeeze(1)
    for block in range(NUM_BLOCKS):
        inside, others = blocks == block, known & (blocks != block)
        if others.any():
            ((_, *parts),) = fits(others, [strength])
            held_out[inside] = (inputs[inside] @ parts[0] + parts[1]).squeeze(1)
    return (weight, bias), held_out


def _ridge_fits(
    features: np.ndarray, target: np.ndarray, sizes: Sequence[int], num_views: int, strengths: Sequence[float]
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Each strength with weight and bias for features as they are."""
    center, scale = part_scales(features, sizes)
    offset = target.mean(axis=0)
    inputs = (features - center) / scale
    for strength, weight in zip(strengths, _ridge_weights(inputs, target - offset, num_views, strengths), strict=True):
        weight = weight / scale[:, None]
        yield strength, weight, offset - center @ weight


def part_scales(features: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Center and scale that standardise features, give each of their parts the same weight, and the whole length 1.

    Args:
        features (`np.ndarray` of shape `(num_rows, num_features)`):
            Of the training pictures.
        sizes (`Sequence[int]`):
            Widths of the parts.
    """
    widths = np.repeat(sizes, sizes)  # of the part of each feature
    spread = features.std(axis=0)
    # what varies by rounding errors alone, as all does where pictures show nothing, has no weight
    spread[spread <= ROUNDING * np.abs(features).max(axis=0)] = np.inf
    return features.mean(axis=0), spread * np.sqrt(widths * len(sizes))


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


def _probed_layers(model: PreTrainedModel) -> dict[str, list[nn.Linear]]:
    """The layers that learn each kind of labels; those of one kind learn alike."""
    if hasattr(model, "probed_layers"):
        return model.probed_layers
    heads = [module for module in model.children() if module is not model.base_model]
    layers = [layer for head in heads for layer in head.modules() if isinstance(layer, nn.Linear)]
    if len(layers) != 1:
        raise ValueError(
            f"A linear probe needs a model with one linear layer above its backbone, got {type(model).__name__} with "
            f"{len(layers)}. Train without it."
        )
    return {"labels": layers}


def _inputs_and_labels(
    model: PreTrainedModel, layer: nn.Linear, rows: IndexedRows | FrozenFeatureRows, batch_size: int
) -> tuple[np.ndarray, dict[str, torch.Tensor]]:
    inputs, labels = [], defaultdict(list)
    with evaluating(model), torch.no_grad():
        for batch in DataLoader(rows, batch_size, collate_fn=default_data_collator):
            inputs.append(input_of(layer, model, inputs_of(batch, model)).cpu())
            for name, values in labels_of(batch).items():
                labels[name].append(values)
    return torch.cat(inputs).double().numpy(), {name: torch.cat(each).double() for name, each in labels.items()}


def _copy_to(layers: Sequence[nn.Linear], weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
