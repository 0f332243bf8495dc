"""
How faithful an explanation is to its model: does what it names move the score, and does it depend on what was learned?

Knows nothing about how explanations are made. Needs the extra `evaluation` for the rank correlation.
"""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from transformers import PreTrainedModel

from ..metrics import spearman_correlation
from .explanation import explain_prediction
from .prediction import Prediction


def deletion_curve(prediction: Prediction, heat: ArrayLike, num_steps: int = 32) -> np.ndarray:
    """
    The target while the picture is covered, what raises it most first
    ([RISE](https://huggingface.co/papers/1806.07421)). The better the explanation, the sooner it falls.

    Args:
        prediction ([`Prediction`]):
            Model and inputs.
        heat (array of shape `(height, width)`):
            As large as `pixel_values`, as [`explain_prediction`] gives it.
        num_steps (`int`, *optional*, defaults to 32):
            Equal parts of the picture that are covered one after another.

    Returns:
        `np.ndarray` of shape `(num_steps + 1,)`: the whole picture first, its mean colour alone last.

    Raises:
        ValueError: If the heat is not as large as the inputs.
    """
    return prediction.covered_values(_first_shares(prediction, heat, num_steps)).cpu().numpy()


def insertion_curve(prediction: Prediction, heat: ArrayLike, num_steps: int = 32) -> np.ndarray:
    """
    The target while the picture is uncovered, what raises it most first
    ([RISE](https://huggingface.co/papers/1806.07421)). The better the explanation, the sooner it rises.

    The paper starts from a blurred picture, here it is the mean colour as for [`deletion_curve`] (our choice): a blur
    would have to be wider than the subject, whose size is not known.

    Args:
        prediction ([`Prediction`]), heat (array of shape `(height, width)`), num_steps (`int`, *optional*):
            As in [`deletion_curve`].

    Returns:
        `np.ndarray` of shape `(num_steps + 1,)`: the mean colour alone first, the whole picture last.

    Raises:
        ValueError: If the heat is not as large as the inputs.
    """
    return prediction.covered_values(~_first_shares(prediction, heat, num_steps)).cpu().numpy()


def area_under_curve(curve: ArrayLike) -> float:
    """
    The mean height of a curve over equal steps, by the trapezoidal rule, in the unit of the target.

    Example:
        >>> area_under_curve([4.0, 2.0, 2.0])
        2.5
    """
    values = np.asarray(curve, dtype=np.float64)
    return float(np.trapezoid(values, dx=1 / (len(values) - 1)))


def pointing_game(heats: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> float:
    """
    Share of pictures in which the strongest place, whether it raises or lowers the score, lies on the subject
    ([Zhang et al. 2016](https://huggingface.co/papers/1608.00507)), without their margin of 15 pixels.

    Args:
        heats (sequence of arrays of shape `(height, width)`), masks (the same, bool):
            Explanations, and where the subjects are.

    Raises:
        ValueError: If there is not one mask a heat, or one is of another shape.

    Example:
        >>> pointing_game([[[0.1, -0.9]], [[0.5, 0.2]]], [[[False, True]], [[False, True]]])
        0.5
    """
    hits = []
    for heat, mask in zip(map(np.asarray, heats), map(np.asarray, masks), strict=True):
        if heat.shape != mask.shape:
            raise ValueError(f"A mask must be as large as its heat, {heat.shape}, got {mask.shape}.")
        hits.append(bool(mask.flat[np.abs(heat).argmax()]))
    return float(np.mean(hits))


def with_random_weights(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """
    A model of the same kind that has learned nothing, on the same device.

    Args:
        model (`PreTrainedModel`):
            Any model that is built from its configuration.
        seed (`int`, *optional*, defaults to 0):
            Of its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(copy.deepcopy(model.config)).to(model.device, model.dtype)


def randomisation_correlation(
    prediction: Prediction, random_model: PreTrainedModel, method: str = "grad_cam", **options: Any
) -> float:
    """
    Rank correlation of an explanation with that of a model which has learned nothing
    ([Adebayo et al. 2018](https://huggingface.co/papers/1810.03292)). Near 0 for a good method; a map that stays the
    same shows the picture, its edges for example, rather than the model.

    Args:
        prediction ([`Prediction`]):
            Model and inputs.
        random_model (`PreTrainedModel`):
            See [`with_random_weights`]; all layers are random at once, the last step of the paper's cascade.
        method (`str`, *optional*, defaults to `"grad_cam"`), **options:
            As in [`explain`].
    """
    predictions = prediction, dataclasses.replace(prediction, model=random_model)
    learned, random = (explain_prediction(each, method, **options).flatten().numpy() for each in predictions)
    return spearman_correlation(learned, random)


def _first_shares(prediction: Prediction, heat: ArrayLike, num_steps: int) -> torch.Tensor:
    """The hottest places, more of them in each step, `(num_steps + 1, height, width)`, bool."""
    ranks = prediction.rank_places(heat)
    counts = torch.linspace(0, ranks.numel(), num_steps + 1).round()
    return ranks < counts[:, None, None]
