"""What an aadb_net knows of its training pictures before it learns: kinds of content, and what attributes are like.

Knows nothing about which pictures they are, or what is learnt of the scores.
"""

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch.utils.data import DataLoader
from transformers import default_data_collator

from ..data.training_rows import IndexedRows, StreamedRows
from ..models.modeling_aadb_net import AadbNetForAestheticAssessment
from .frozen_features import FrozenFeatureRows, evaluating, input_of, inputs_of
from .linear_probe import part_scales


def fit_aadb_net(
    model: AadbNetForAestheticAssessment,
    rows: IndexedRows | StreamedRows | FrozenFeatureRows,
    batch_size: int = 64,
    seed: int = 0,
) -> None:
    r"""
    Gives a model mean and spread of the attributes, the mean feature, and a gate that tells clusters of the pictures.

    As in [Kong et al. 2016](https://huggingface.co/papers/1606.01621), kinds of content are clusters of the features
    of a network that was trained for something else. With the centres \\(c_k\\) of k-means, the gate is

    $$g_k = \frac{\exp(-\lVert x - c_k \rVert^2 / 2t)}{\sum_l \exp(-\lVert x - c_l \rVert^2 / 2t)}
        = \mathrm{softmax}_k\Big(\frac{c_k \cdot x}{t} - \frac{\lVert c_k \rVert^2}{2t}\Big)$$

    that is, exactly a softmax of one linear layer. Features \\(x\\) are standardised, and each of their parts has the
    same weight. That, and \\(2t\\), the mean distance by which the second nearest centre is farther away (squared), so
    that the odds of the nearest are e on average, are our choice.

    Args:
        model ([`AadbNetForAestheticAssessment`]):
            Its persistent tensors and its gate are overwritten.
        rows ([`IndexedRows`], [`StreamedRows`] or [`FrozenFeatureRows`]):
            The training pictures. Their ratings are not looked at.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures that go through the model together.
        seed (`int`, *optional*, defaults to 0):
            Of k-means++.

    Raises:
        ValueError: If there are fewer pictures than clusters, or an attribute has no value.

    Example:
        >>> from hf_aesthetics import AadbNetConfig
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> config = AadbNetConfig(backbone_config=tiny, attribute_names=["lighting"], num_content_clusters=2)
        >>> model = AadbNetForAestheticAssessment(config).eval()
        >>> pictures = torch.cat([torch.zeros(3, 3, 32, 32), torch.ones(3, 3, 32, 32)])
        >>> lighting = torch.tensor([1.0, 1, 1, 3, 3, float("nan")])[:, None]
        >>> fit_aadb_net(model, FrozenFeatureRows(pictures[None], {"attribute_labels": lighting}))
        >>> model.score_head.attribute_mean
        tensor([1.8000])
        >>> model(pictures).content_probabilities.argmax(dim=1).unique_consecutive().numel()
        2
    """
    head, config = model.score_head, model.config
    features, attributes = [], []
    with evaluating(model), torch.no_grad():
        for batch in DataLoader(rows, batch_size, collate_fn=default_data_collator):
            features.append(input_of(head, model, inputs_of(batch, model)).cpu())
            if config.num_attributes:
                attributes.append(batch["attribute_labels"])
    found = torch.cat(features).double().numpy()
    fitted = {head.feature_mean: found.mean(axis=0)}
    if head.attributes is not None:
        values = torch.cat(attributes).double().numpy()
        for name, is_unknown in zip(config.attribute_names or [], np.isnan(values).T, strict=True):
            if is_unknown.all():
                raise ValueError(
                    f"Attributes need values among the training pictures, {name!r} has none. Leave it out."
                )
        spread = np.nanstd(values, axis=0)
        fitted[head.attribute_mean] = np.nanmean(values, axis=0)
        fitted[head.attribute_scale] = np.where(spread > 0, spread, 1)
    if head.gate is not None:
        weight, bias = _cluster_gate(found, model.feature_sizes, config.num_content_clusters, seed)
        fitted |= {head.gate.weight: weight, head.gate.bias: bias}
    with torch.no_grad():
        for tensor, array in fitted.items():
            tensor.copy_(torch.from_numpy(array))


def _cluster_gate(
    features: np.ndarray, sizes: list[int], num_clusters: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a linear layer on features as they are, whose softmax tells the clusters."""
    if len(features) < num_clusters:
        raise ValueError(
            f"At least {num_clusters} pictures are needed for {num_clusters} content clusters, got {len(features)}. "
            "Give more pictures, or take fewer clusters."
        )
    center, scale = part_scales(features, sizes)
    points = (features - center) / scale
    centers, _ = kmeans2(points, num_clusters, iter=50, minit="++", rng=seed)
    distances = np.sort(np.square(points[:, None] - centers).sum(axis=2), axis=1)
    twice_temperature = max((distances[:, 1] - distances[:, 0]).mean(), np.finfo(np.float32).eps)
    weight = 2 * centers / twice_temperature / scale
    return weight, -np.square(centers).sum(axis=1) / twice_temperature - weight @ center
