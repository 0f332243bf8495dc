"""
What sets of inputs tell of a score: each alone, without the others' help, and beyond a reference.

Knows nothing about what the inputs are: features by criterion, or predictions of models by class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from .contributions import cross_fitted_ridge
from .findings import Estimate
from .resampling import estimate, number_groups, observe_and_draw, ratio, weighted_spread


@dataclass(frozen=True)
class InputSetFigures:
    """
    What one set of inputs tells.

    Args:
        name (`str`):
            Its name.
        alone (`Estimate`, *optional*):
            R² of a regression on it.
        unique (`Estimate`, *optional*):
            R² that all sets together lose without it.
        beyond (`Estimate`, *optional*):
            R² that the reference gains by it; `None` where there is no reference.
    """

    name: str
    alone: Estimate | None
    unique: Estimate | None
    beyond: Estimate | None = None


def input_set_figures(
    sets: Mapping[str, ArrayLike],
    target: ArrayLike,
    groups: ArrayLike,
    reference: ArrayLike | None = None,
    num_resamples: int = 1000,
    num_foldings: int = 3,
    seed: int = 0,
) -> list[InputSetFigures]:
    """
    Ridge regressions on sets of inputs, cross-fitted over groups, so that what knows nothing adds nothing.

    Intervals draw whole groups; the regressions are fitted once.

    Args:
        sets (`Mapping[str, array of shape (num_images, num_inputs)]`):
            The inputs of each set.
        target (array of shape `(num_images,)`):
            Mean scores.
        groups (array of shape `(num_images,)`):
            What is not parted.
        reference (array of shape `(num_images, num_inputs)`, *optional*):
            What is known already, such as the predictions of a network.
        num_resamples (`int`, *optional*, defaults to 1000), num_foldings (`int`, *optional*, defaults to 3),
        seed (`int`, *optional*, defaults to 0):
            Of the bootstrap and of the cross-fitting.

    Example:
        >>> lines = np.random.default_rng(0).normal(size=(3, 200))
        >>> found = input_set_figures({"told": lines[0], "noise": lines[1]}, lines[0] + lines[2], np.arange(200))
        >>> [(figures.name, bool(figures.unique.low > 0)) for figures in found]
        [('told', True), ('noise', False)]
    """
    observed = np.asarray(target, dtype=np.float64)
    columns = {name: np.reshape(values, (len(observed), -1)).astype(np.float64) for name, values in sets.items()}
    known = np.empty((len(observed), 0)) if reference is None else np.reshape(reference, (len(observed), -1))

    @cache
    def errors(names: tuple[str, ...], with_reference: bool = False) -> np.ndarray:
        """Squared error of each picture, mean over foldings."""
        inputs = np.hstack([*(columns[name] for name in names), *[known] * with_reference, known[:, :0]])
        predicted = [cross_fitted_ridge(inputs, observed, groups, seed + folding) for folding in range(num_foldings)]
        return np.mean((np.array(predicted) - observed) ** 2, axis=0)

    def gained(names: tuple[str, ...], less: tuple[str, ...], with_reference: bool = False) -> Estimate | None:
        grown = errors(less, with_reference) - errors(names, with_reference)
        draws = [
            ratio(weights @ grown, weighted_spread(weights, observed))
            for weights in observe_and_draw(number_groups(np.asarray(groups)), num_resamples, seed)
        ]
        return estimate(np.concatenate(draws))

    every = tuple(columns)
    return [
        InputSetFigures(
            name,
            gained((name,), ()),
            gained(every, tuple(other for other in every if other != name)),
            None if reference is None else gained((name,), (), with_reference=True),
        )
        for name in columns
    ]
