"""
Whether what an explanation points at matters to the model: its hottest places covered, against as much elsewhere.

Knows nothing about how the explanation was made. What `faithfulness.py` measures over a collection, this tells of one
picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from .prediction import Prediction


_CLEARLY = 0.9  # share of the other places that cost less


@dataclass(frozen=True)
class CoveringCost:
    """
    What covering parts of a picture costs.

    Args:
        hottest (`float`):
            Loss of the target where the hottest places are covered, in its unit.
        elsewhere (`float`):
            Mean loss where places of the same shape elsewhere are.
        share_below (`float`):
            Share of those other places that cost less than the hottest ones.
        share (`float`):
            Part of the picture that is covered.
    """

    hottest: float
    elsewhere: float
    share_below: float
    share: float

    @property
    def is_telling(self) -> bool:
        """Whether the hottest places cost more than nine of ten others of their shape."""
        return self.hottest > 0 and self.share_below >= _CLEARLY

    def __str__(self) -> str:
        if not self.is_telling:
            return (
                f"Covering what is marked most, {self.share:.0%} of the picture, costs no more than covering as much "
                "elsewhere: the colours say little here."
            ).replace("%", " %", 1)
        return (
            f"Covering what is marked most, {self.share:.0%} of the picture, costs {self.hottest:.2f}; as much "
            f"elsewhere costs {self.elsewhere:.2f} on average."
        ).replace("%", " %", 1)


def covering_cost(
    prediction: Prediction, heat: ArrayLike, share: float = 0.1, num_others: int = 24, seed: int = 0
) -> CoveringCost:
    """
    Covers the hottest places of a picture with its mean colour, and then as much elsewhere: the same shape moved,
    around the borders where it has to be, by random steps. A shape that is only scattered anew would be covered more
    softly, and cost less for that alone.

    Args:
        prediction ([`Prediction`]):
            Model and inputs.
        heat (array of shape `(height, width)`):
            As large as `pixel_values`, as [`explain_prediction`] gives it.
        share (`float`, *optional*, defaults to 0.1):
            Part of the picture to cover.
        num_others (`int`, *optional*, defaults to 24):
            How many other places to cover.
        seed (`int`, *optional*, defaults to 0):
            Of the steps.

    Raises:
        ValueError: If the heat is not as large as the inputs, or `share` is none.

    Example:
        >>> print(CoveringCost(hottest=0.41, elsewhere=0.12, share_below=1.0, share=0.1))
        Covering what is marked most, 10 % of the picture, costs 0.41; as much elsewhere costs 0.12 on average.
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1, got {share}.")
    ranks = prediction.rank_places(heat)
    hottest = ranks < max(1, round(share * ranks.numel()))
    # not so near that it would be the same place
    steps = np.random.default_rng(seed).uniform(0.2, 0.8, (num_others, 2)) * hottest.shape
    moved = [hottest.roll(tuple(round(step) for step in pair), dims=(0, 1)) for pair in steps.tolist()]
    values = prediction.covered_values(torch.stack([torch.zeros_like(hottest), hottest, *moved])).cpu()
    costs = values[0] - values[1:]
    others = costs[1:]
    return CoveringCost(costs[0].item(), others.mean().item(), (others < costs[0]).float().mean().item(), share)
