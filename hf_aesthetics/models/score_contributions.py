"""What each of several inputs adds to a score, in parts that sum to it. Knows nothing about what the inputs are."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch


class ScoreContributions(NamedTuple):
    """
    What each input adds to the score of a picture.

    Args:
        base (`torch.FloatTensor` of shape `()`):
            Score where the path begins, of a picture that is average in all of them.
        contributions (`torch.FloatTensor` of shape `(batch_size, num_inputs)`):
            In rating units; their sum is the score minus `base`.
    """

    base: torch.Tensor
    contributions: torch.Tensor


def score_contributions(
    score: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, end: torch.Tensor, num_nodes: int = 32
) -> ScoreContributions:
    r"""
    Divides scores among the inputs (Aumann & Shapley 1974; integrated gradients of
    [Sundararajan et al. 2017](https://huggingface.co/papers/1703.01365)):

    $$c_i = (z_i - b_i) \int_0^1 \frac{\partial s}{\partial z_i}(b + t (z - b))\, dt,
        \qquad \sum_i c_i = s(z) - s(b)$$

    The integral is Gauss-Legendre's; the sum is right up to float32 with the default number of nodes, where the score
    is smooth.

    Args:
        score (`Callable`):
            Inputs `(n, num_inputs)` -> scores `(n,)`, each of its own row alone.
        start (`torch.FloatTensor` of shape `(num_inputs,)`):
            Where the path begins, \\(b\\).
        end (`torch.FloatTensor` of shape `(batch_size, num_inputs)`):
            What the pictures have, \\(z\\).
        num_nodes (`int`, *optional*, defaults to 32):
            Places on the path where the slope is taken.

    Example:
        >>> base, parts = score_contributions(lambda z: 5 + z @ torch.tensor([1.0, -2.0]), torch.zeros(2), torch.ones(1, 2))
        >>> base, parts.round(decimals=4)
        (tensor(5.), tensor([[ 1., -2.]]))
    """  # noqa: E501
    with torch.inference_mode(False), torch.no_grad():
        start, step = start.clone(), end.clone() - start
        nodes, weights = (torch.from_numpy(x).to(step) for x in np.polynomial.legendre.leggauss(num_nodes))
        path = (start + (nodes[:, None, None] + 1) / 2 * step).flatten(0, 1)  # (num_nodes * B, num_inputs)
        base = score(start[None])[0]
    with torch.inference_mode(False), torch.enable_grad():
        path.requires_grad_()
        (slopes,) = torch.autograd.grad(score(path).sum(), path)
    mean_slope = (slopes.view(num_nodes, *step.shape) * weights[:, None, None]).sum(dim=0) / 2
    return ScoreContributions(base, step * mean_slope)


def describe_contributions(contributions: torch.Tensor, names: Sequence[str], num_largest: int = 5) -> list[str]:
    """
    What matters most for each picture, in words.

    Args:
        contributions (`torch.FloatTensor` of shape `(batch_size, num_inputs)`):
            Of [`score_contributions`].
        names (`Sequence[str]` of length `num_inputs`):
            What the inputs are called.
        num_largest (`int`, *optional*, defaults to 5):
            How many are named, those that change the score most; none that changes it by less than 0.005.

    Example:
        >>> describe_contributions(torch.tensor([[0.42, -0.3, 0.001]]), ["exposure", "blown_highlights", "aspect"])
        ['+0.42 exposure, -0.30 blown highlights']
    """
    spoken = [name.replace("_", " ") for name in names]
    descriptions = []
    for row in contributions.tolist():
        largest = sorted(zip(row, spoken, strict=True), key=lambda part: -abs(part[0]))[:num_largest]
        descriptions.append(", ".join(f"{value:+.2f} {name}" for value, name in largest if abs(value) >= 0.005))
    return descriptions
