"""What each modality predicts of the votes, and what it alone adds to the others, with intervals over groups.

Knows nothing about pictures or categories: all comes from the predictions of a panel.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import earth_mover_distance, spearman_correlation
from .cues import cue_of
from .findings import CONTROLS, REFERENCE, Estimate, ModalityFigures
from .panel import ModalityPanel
from .resampling import (
    estimate,
    number_groups,
    observe_and_draw,
    ratio,
    weighted_correlation,
    weighted_ranks,
    weighted_spread,
)


PENALTIES = np.logspace(-2, 4, 13)  # of the ridge regressions


def modality_figures(
    panel: ModalityPanel, sources: Mapping[str, str], num_resamples: int = 1000, seed: int = 0
) -> list[ModalityFigures]:
    r"""
    SRCC, skill, retention and contributions of each modality (our choice of definitions).

    - skill $S_m = 1 - \overline{\mathrm{EMD}}_m / \overline{\mathrm{EMD}}_{const}$ of order 1; 0 where the constant
      predictor makes no error, for then there is nothing to remove.
    - retention $R_m = \mathrm{SRCC}_m / \mathrm{SRCC}_{rgb}$, where the interval of the latter lies above 0.
    - unique contribution $U_m = R^2(\text{all}) - R^2(\text{all but } m)$: ridge regressions of the true mean score on
      the predicted means, cross-fitted over groups. They hold the cues alone, neither what has seen the whole picture
      nor controls, and variants of the same cue (`saliency_u2net` beside `saliency`) only in turn, because each would
      make the other superfluous.
    - contribution beyond the picture $B_m = R^2(\{rgb, m\}) - R^2(\{rgb\})$, of each cue: what its map tells that the
      network which sees the picture has not learnt to read.

    The intervals draw whole groups. The regressions are fitted once: their intervals are those of the squared errors,
    and leave out what other coefficients would change. A cue that adds nothing comes out slightly below 0, for its
    coefficient costs something, too.

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes.
        sources (`Mapping[str, str]`):
            For each modality what made the map, in words.
        num_resamples (`int`, *optional*, defaults to 1000), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.

    Returns:
        `list[ModalityFigures]`: `rgb` first, then best SRCC first, then the controls.

    Raises:
        KeyError: If a modality has no source.
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
        ...     predicted={"constant": np.full((60, 5), 0.2), "depth": 0.5 * votes + 0.1},
        ... )
        >>> depth, constant = modality_figures(panel, {"depth": "planted", "constant": "closed form"})
        >>> round(depth.skill.value, 2), round(depth.unique.value, 1), constant.srcc
        (0.5, 1.0, None)
    """
    for name in panel.modalities:
        if name not in sources:
            raise KeyError(
                f"{name!r} has no source. Say in words what made its map: sources[{name!r}] = 'closed form'."
            )
    group_of = number_groups(panel.groups)
    errors = {name: earth_mover_distance(rows, panel.target, order=1) for name, rows in panel.predicted.items()}
    constant_errors = earth_mover_distance(panel.constant, panel.target, order=1)
    grown = _grown_errors(panel, seed)

    parts = []
    for weights in observe_and_draw(group_of, num_resamples, seed):
        spread = weighted_spread(weights, panel.true_means)
        true_ranks = weighted_ranks(weights, panel.true_means)
        part = {}
        for name in panel.modalities:
            part["skill", name] = 1 - ratio(weights @ errors[name], weights @ constant_errors)
            if panel.varies(name):
                ranks = weighted_ranks(weights, panel.predicted_means[name])
                part["srcc", name] = weighted_correlation(weights, ranks, true_ranks)
        part |= {key: ratio(weights @ errors_of, spread) for key, errors_of in grown.items()}
        parts.append(part)
    values = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    reference = estimate(values.get(("srcc", REFERENCE)))
    figures = []
    for name in panel.modalities:
        srcc = values.get(("srcc", name))
        retention = None
        if srcc is not None and name != REFERENCE and reference is not None and reference.low > 0:
            retention = estimate(ratio(srcc, values["srcc", REFERENCE]))
        figures.append(
            ModalityFigures(
                modality=name,
                source=sources[name],
                srcc=estimate(srcc),
                skill=estimate(values["skill", name]) or Estimate(0.0, 0.0, 0.0),
                retention=retention,
                unique=estimate(values.get(("unique", name))),
                beyond_rgb=estimate(values.get(("beyond_rgb", name))),
            )
        )

    def place(row: ModalityFigures) -> tuple[int, float, float]:
        rank = 0 if row.modality == REFERENCE else 2 if row.modality in CONTROLS else 1
        return rank, -row.srcc.value if row.srcc else np.inf, -row.skill.value

    return sorted(figures, key=place)


def agreement(panel: ModalityPanel) -> dict[str, dict[str, float | None]]:
    """
    SRCC between the predicted mean scores of two modalities; `None` where one does not vary.

    Args:
        panel ([`ModalityPanel`]):
            Predictions of the modalities.

    Example:
        >>> votes = np.eye(5)[np.arange(60) % 5]
        >>> panel = ModalityPanel(
        ...     image_ids=np.arange(60),
        ...     groups=np.arange(60),
        ...     bin_scores=np.arange(1, 6),
        ...     target=votes,
        ...     num_votes=None,
        ...     constant=np.full((60, 5), 0.2),
        ...     predicted={"blur": votes[:, ::-1], "depth": votes, "constant": np.full((60, 5), 0.2)},
        ... )
        >>> {name: value and round(value, 2) for name, value in agreement(panel)["depth"].items()}
        {'blur': -1.0, 'depth': 1.0, 'constant': None}
    """
    varies = {name: panel.varies(name) for name in panel.modalities}
    means = panel.predicted_means
    return {
        first: {
            second: spearman_correlation(means[first], means[second]) if varies[first] and varies[second] else None
            for second in panel.modalities
        }
        for first in panel.modalities
    }


def cross_fitted_means(panel: ModalityPanel, modalities: Sequence[str], seed: int = 0) -> np.ndarray:
    """
    The true mean scores, predicted by a ridge regression on the mean scores of some modalities that was fitted on
    other groups; its penalty is that of the least leave-one-out error among them.

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes.
        modalities (`Sequence[str]`):
            What the regression sees; nothing gives the mean of the other groups.
        seed (`int`, *optional*, defaults to 0):
            Of the folding.

    Returns:
        `np.ndarray` of shape `(num_images,)`.
    """
    inputs = np.reshape([panel.predicted_means[name] for name in modalities], (-1, len(panel.true_means))).T
    return cross_fitted_ridge(inputs, panel.true_means, panel.groups, seed)


def cross_fitted_ridge(inputs: np.ndarray, target: np.ndarray, groups: ArrayLike, seed: int = 0) -> np.ndarray:
    """
    What [`fit_ridge`] predicts of pictures from those of other groups.

    Args:
        inputs (`np.ndarray` of shape `(num_images, num_inputs)`):
            What the regression sees; nothing gives the mean of the other groups.
        target (`np.ndarray` of shape `(num_images,)`), groups (array of shape `(num_images,)`):
            What is predicted, and what is not parted.
        seed (`int`, *optional*, defaults to 0):
            Of the folding.
    """
    from sklearn.model_selection import GroupKFold

    predicted = np.empty_like(target)
    folds = GroupKFold(min(5, len(np.unique(groups))), shuffle=True, random_state=seed)
    for others, held_out in folds.split(inputs, groups=groups):
        intercept, coefficients = fit_ridge(inputs[others], target[others])
        predicted[held_out] = intercept + inputs[held_out] @ coefficients
    return predicted


def fit_ridge(inputs: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """
    Ridge regression on standardised inputs, with the penalty of `PENALTIES` whose leave-one-out error is least.

    The same as scikit-learn's `RidgeCV`, whose checks take far longer than the fit: many panels are studied in a row.

    Returns:
        `tuple[float, np.ndarray]`: Intercept, and coefficients of shape `(num_inputs,)`.
    """
    center, scale = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-12)
    left, sizes, right = np.linalg.svd((inputs - center) / scale, full_matrices=False)
    projected = left.T @ (target - target.mean())
    kept = sizes[:, None] ** 2 / (sizes[:, None] ** 2 + PENALTIES)  # (num_inputs, num_penalties)
    residuals = (target - target.mean())[:, None] - left @ (kept * projected[:, None])
    leave_one_out = residuals / (1 - 1 / len(target) - left**2 @ kept)
    best = np.square(leave_one_out).sum(axis=0).argmin()
    coefficients = right.T @ (projected * sizes / (sizes**2 + PENALTIES[best])) / scale
    return float(target.mean() - center @ coefficients), coefficients


def _grown_errors(panel: ModalityPanel, seed: int, num_foldings: int = 3) -> dict[tuple[str, str], np.ndarray]:
    """How much the squared error of each picture grows without a cue, mean over foldings: by figure and modality."""

    @cache
    def squared_errors(modalities: tuple[str, ...]) -> np.ndarray:
        predicted = [cross_fitted_means(panel, modalities, seed + folding) for folding in range(num_foldings)]
        return np.mean((predicted - panel.true_means) ** 2, axis=0)

    grown = {}
    for name in panel.cues:
        others = tuple(other for other in panel.cues if cue_of(other) != cue_of(name))
        with_it = tuple(other for other in panel.cues if other in others or other == name)
        grown["unique", name] = squared_errors(others) - squared_errors(with_it)
        if REFERENCE in panel.modalities:
            grown["beyond_rgb", name] = squared_errors((REFERENCE,)) - squared_errors((REFERENCE, name))
    return grown
