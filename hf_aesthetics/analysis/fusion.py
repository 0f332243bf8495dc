"""Late fusion: one prediction from those of all cues, which tells what they know together.

Knows nothing about what the cues are; networks that see several maps at once are another matter.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from .contributions import modality_figures
from .findings import REFERENCE, ModalityFigures
from .panel import ModalityPanel


class Fusion(NamedTuple):
    """
    The late-fusion ensemble.

    Args:
        predicted (`np.ndarray` of shape `(num_images, num_bins)`):
            Its distributions, each with weights that were chosen on other groups.
        weights (`dict[str, float]`):
            Of each cue, mean over the folds; they sum to 1.
        figures ([`ModalityFigures`]):
            Of the ensemble, under the name `fusion`.
    """

    predicted: np.ndarray
    weights: dict[str, float]
    figures: ModalityFigures


def fuse_cues(panel: ModalityPanel, num_resamples: int = 1000, seed: int = 0) -> Fusion | None:
    """
    Mixes the distributions of all cues with weights of least squared earth mover's distance, cross-fitted over groups.

    Neither controls take part nor what has seen the whole picture.

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes.
        num_resamples (`int`, *optional*, defaults to 1000), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap; the seed is that of the folding, too.

    Returns:
        [`Fusion`], *optional*: `None` where there is no cue.

    Raises:
        ValueError: If there are fewer than 2 groups.

    Example:
        >>> votes = np.eye(5)[np.arange(60) % 5]
        >>> panel = ModalityPanel(
        ...     image_ids=np.arange(60),
        ...     groups=np.arange(60),
        ...     bin_scores=np.arange(1, 6),
        ...     target=votes,
        ...     num_votes=None,
        ...     constant=np.full((60, 5), 0.2),
        ...     predicted={"blur": np.roll(votes, 2, axis=1), "depth": 0.5 * votes + 0.1},
        ... )
        >>> {name: round(weight, 2) for name, weight in fuse_cues(panel).weights.items()}
        {'blur': 0.0, 'depth': 1.0}
    """
    from sklearn.model_selection import GroupKFold

    if not panel.cues:
        return None
    rows = np.stack([panel.predicted[name] for name in panel.cues])  # (num_cues, num_images, num_bins)
    fused, weights = np.empty_like(panel.target), []
    folds = GroupKFold(min(5, len(np.unique(panel.groups))), shuffle=True, random_state=seed)
    for others, held_out in folds.split(panel.target, groups=panel.groups):
        weights.append(simplex_weights(rows[:, others], panel.target[others]))
        fused[held_out] = np.tensordot(weights[-1], rows[:, held_out], axes=1)
    mean = dict(zip(panel.cues, np.mean(weights, axis=0).tolist(), strict=True))
    source = " + ".join(f"{mean[name]:.2f} {name}" for name in sorted(mean, key=lambda name: -mean[name]))
    predicted = {name: panel.predicted[name] for name in panel.modalities if name == REFERENCE} | {"fusion": fused}
    figures = modality_figures(
        replace(panel, predicted=predicted), {REFERENCE: "", "fusion": source}, num_resamples, seed
    )[-1]
    return Fusion(fused, mean, replace(figures, unique=None))


def simplex_weights(predicted: Sequence[np.ndarray] | np.ndarray, target: np.ndarray) -> np.ndarray:
    r"""
    Weights, none negative and of sum 1, with which a mixture of predictions has the least squared earth mover's
    distance of order 2.

    As the weights sum to 1, the error of the mixture is the mixture of the errors $D_m$ of the cumulative
    distributions, so that the weights minimise $w^T G w$ with $G_{mn} = \langle D_m, D_n \rangle$. The minimum of
    $\tfrac12 v^T G v - \mathbf{1}^T v$ over $v \ge 0$, a least squares problem, is a multiple of them.

    Args:
        predicted (array of shape `(num_predictions, num_images, num_bins)`):
            Distributions.
        target (array of shape `(num_images, num_bins)`):
            Vote shares.

    Returns:
        `np.ndarray` of shape `(num_predictions,)`.

    Example:
        >>> low, high = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        >>> simplex_weights([low, high], np.array([[0.25, 0.75]])).round(3)
        array([0.25, 0.75])
    """
    errors = np.cumsum(np.asarray(predicted) - target, axis=-1).reshape(len(predicted), -1)
    products = errors @ errors.T / errors.shape[1]
    # a trace of ridge: equal predictions share alike, and perfect ones divide by nothing
    products += (1e-9 * np.trace(products) + 1e-12) * np.eye(len(products))
    scale = np.trace(products)
    factor = np.linalg.cholesky(products / scale)
    weights, _ = nnls(factor.T, np.linalg.solve(factor, np.ones(len(factor))))
    return weights / weights.sum()
