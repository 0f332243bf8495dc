"""
Explanations by the pixels, for every scorer: what they add on the way from an empty picture, and what covering costs.

Knows nothing about features; it needs scores and gradients of pixels that a [`Prediction`] gives.
"""

import torch

from .prediction import Prediction


def integrated_gradients(prediction: Prediction, num_steps: int = 64, batch_size: int = 16) -> torch.Tensor:
    r"""
    Integrated gradients ([Sundararajan et al. 2017](https://huggingface.co/papers/1703.01365)): what each pixel adds
    on the straight way from an empty picture \\(x'\\), of the mean colour, to the picture \\(x\\).

    $$M = \sum_c (x_c - x'_c) \int_0^1 \frac{\partial s}{\partial x_c}\big(x' + t (x - x')\big)\, dt$$

    Completeness: the map adds up to the score less that of the empty picture, as exactly as the steps allow.

    Args:
        prediction ([`Prediction`]):
            Of any model.
        num_steps (`int`, *optional*, defaults to 64):
            Places of the way at which the gradient is taken, in the middle of equal parts.
        batch_size (`int`, *optional*, defaults to 16):
            Steps that go through the model together.

    Returns:
        `torch.Tensor` of shape `(height, width)`, in the unit of the target: positive where a pixel raises it.
    """
    difference = prediction.pixel_values - prediction.baseline
    steps = (torch.arange(num_steps, device=difference.device) + 0.5) / num_steps
    total = torch.zeros_like(difference)
    for part in steps.split(batch_size):
        pictures = prediction.baseline + part[:, None, None, None] * difference
        total += prediction.pixel_gradients(pictures).sum(dim=0, keepdim=True)
    return (difference * total / num_steps).sum(dim=1)[0]


def occlusion(prediction: Prediction, window: float = 1 / 7, batch_size: int = 16) -> torch.Tensor:
    r"""
    Occlusion ([Zeiler & Fergus 2014](https://huggingface.co/papers/1311.2901)): how much of the target is lost where a
    window of the picture's mean colour covers it.

    The window moves by half its sides. A place gets the loss of the window in whose middle it is, and between four
    such places what lies between their losses.

    Args:
        prediction ([`Prediction`]):
            Of any model.
        window (`float`, *optional*, defaults to 1/7):
            Sides of the window as a share of those of the picture.
        batch_size (`int`, *optional*, defaults to 16):
            Covered pictures that go through the model together.

    Returns:
        `torch.Tensor` of shape `(height, width)`, in the unit of the target: positive where a part raises it.

    Raises:
        ValueError: If `window` is not a share.
    """
    if not 0 < window < 1:
        raise ValueError(f"`window` must be a share of the picture's sides, between 0 and 1, got {window}.")
    rows, columns = (_distances(side, window) for side in prediction.pixel_values.shape[-2:])
    covers = (rows <= 1)[:, None, :, None] & (columns <= 1)[None, :, None, :]
    losses = prediction.values(prediction.pixel_values) - prediction.covered_values(covers.flatten(0, 1), batch_size)
    # each window weighs the more, the nearer its middle
    rows, columns = ((1 - each).clamp(min=0) / (1 - each).clamp(min=0).sum(dim=0) for each in (rows, columns))
    return torch.einsum("rc,ry,cx->yx", losses.cpu().unflatten(0, (len(rows), len(columns))), rows, columns)


def _distances(side: int, window: float) -> torch.Tensor:
    """Distances of windows' middles to each pixel along one side, in halves of a window, `(num_windows, side)`."""
    half = max(1, round(side * window / 2))
    # the last window lies beyond the border, so that the border, too, lies between two middles
    middles = torch.arange(0, side + half, half)
    return (torch.arange(side) + 0.5 - middles[:, None]).abs() / half
