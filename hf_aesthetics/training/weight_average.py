"""A running average of the weights of a network in training. Knows nothing about losses, data or the loop."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


AVERAGE_FILE = "weight_average.pt"


class WeightAverage(AveragedModel):
    r"""
    Exponential moving average of the weights of a network, after Polyak & Juditsky (1992, doi 10.1137/0330046).

    $$\bar\theta_t = d_t\, \bar\theta_{t-1} + (1 - d_t)\, \theta_t, \qquad d_t = \min(d, \tfrac{1 + t}{10 + t})$$

    The running statistics of batch norms are averaged, too; counters are copied. That the decay $d_t$ grows towards
    $d$ is our choice: otherwise the weights of the start would stay in the average of a short run.

    Args:
        model (`nn.Module`):
            The network, which is copied.
        decay (`float`):
            How much of the average is kept at a step, at most; in (0, 1). It looks back over `1 / (1 - decay)` steps.

    Raises:
        ValueError: If `decay` is not in (0, 1).

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = WeightAverage(model, decay=0.5)
        >>> for weight in (1.0, 2.0):
        ...     _ = nn.init.constant_(model.weight, weight)
        ...     average.update_parameters(model)
        >>> round(average.module.weight.item(), 4)  # 2/11 of the old, 9/11 of the new
        1.8182
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"`ema_decay` must be in (0, 1), got {decay}. Leave it out for no average.")
        super().__init__(model, multi_avg_fn=partial(_average, decay=decay), use_buffers=True)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Generator[None]:
        """Gives a network the averaged weights for a while."""
        own = [tensor.detach().clone() for tensor in _tensors(model)]
        self.copy_to(model)
        try:
            yield
        finally:
            torch._foreach_copy_(_tensors(model), own)

    def copy_to(self, model: nn.Module) -> None:
        """Gives a network the averaged weights for good."""
        torch._foreach_copy_(_tensors(model), _tensors(self.module))

    def save(self, folder: str | Path) -> None:
        """Writes the average into the folder of a checkpoint."""
        torch.save(self.state_dict(), Path(folder, AVERAGE_FILE))

    def load(self, folder: str | Path) -> None:
        """
        Goes on from what [`~WeightAverage.save`] wrote.

        Raises:
            FileNotFoundError: If the checkpoint has no average.
        """
        path = Path(folder, AVERAGE_FILE)
        if not path.is_file():
            raise FileNotFoundError(
                f"Expected the average of the weights at {path}, found none: the run began without --ema_decay. "
                "Go on without it, or begin anew."
            )
        self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]


def _average(averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor, decay: float) -> None:
    step = int(num_averaged)
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + step) / (10 + step)))
    else:
        torch._foreach_copy_(averaged, current)
