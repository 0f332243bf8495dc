"""Cross-validation: folds that part no group, predictions pooled over the folds, figures with intervals over groups.

Knows nothing about how the models of the folds are trained.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from ..extras import require_extra
from ..metrics import (
    PairedDifference,
    accuracy,
    bootstrap_interval,
    default_threshold,
    distribution_mean,
    distribution_std,
    earth_mover_distance,
    f1,
    kendall_correlation,
    paired_bootstrap,
    pearson_correlation,
    spearman_correlation,
)


class Fold(NamedTuple):
    """
    One division of a collection.

    Args:
        train, validation, test (`np.ndarray`):
            Positions of the pictures; those of the validation part choose whatever there is to choose.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def grouped_folds(groups: ArrayLike, num_folds: int = 5, seed: int = 0, validation_share: float = 0.15) -> list[Fold]:
    """
    Divides pictures into folds, so that each is tested once, and no group lies in two parts of a fold.

    The test parts are those of scikit-learn's `GroupKFold(num_folds, shuffle=True, random_state=seed)`. Of the others,
    a share of the groups is set apart for validation.

    Args:
        groups (array of shape `(num_images,)`):
            What must not be parted, such as the theme. With the ids of the pictures the folds are random.
        num_folds (`int`, *optional*, defaults to 5):
            Number of folds.
        seed (`int`, *optional*, defaults to 0):
            Another seed gives another folding.
        validation_share (`float`, *optional*, defaults to 0.15):
            Share of the groups outside the test part that are for validation.

    Raises:
        ValueError: If there are fewer groups than folds.

    Example:
        >>> folds = grouped_folds(["lake", "lake", "dog", "car", "car", "cat"], num_folds=2)
        >>> [fold.test.tolist() for fold in folds]
        [[0, 1, 2], [3, 4, 5]]
    """
    require_extra(__name__, "evaluation", "sklearn")
    from sklearn.model_selection import GroupKFold, GroupShuffleSplit

    groups = np.asarray(groups)
    folds = []
    for rest, test in GroupKFold(num_folds, shuffle=True, random_state=seed).split(groups, groups=groups):
        inner = GroupShuffleSplit(1, test_size=validation_share, random_state=seed)
        train, validation = next(inner.split(rest, groups=groups[rest]))
        folds.append(Fold(rest[train], rest[validation], test))
    return folds


@dataclass(frozen=True, eq=False)
class OutOfFoldPredictions:
    """
    What was predicted of every picture by a model that had seen neither it nor its group, in one or more foldings.

    Args:
        image_ids (`np.ndarray` of shape `(num_images,)`):
            The pictures, sorted.
        groups (`np.ndarray` of shape `(num_images,)`):
            What was not parted.
        target (`np.ndarray` of shape `(num_images, num_bins)`):
            Vote shares.
        seeds (`tuple[int, ...]`):
            The foldings.
        predicted (`np.ndarray` of shape `(num_foldings, num_images, num_bins)`, *optional*):
            Predicted distributions; `None` for a recipe that predicts none.
        scores (`np.ndarray` of shape `(num_foldings, num_images)`, *optional*):
            Predicted mean scores; by default those of the distributions.
        constant (`np.ndarray` of shape `(num_foldings, num_images, num_bins)`):
            Mean distribution of the pictures with which the model of the picture was trained.
    """

    image_ids: np.ndarray
    groups: np.ndarray
    target: np.ndarray
    seeds: tuple[int, ...]
    predicted: np.ndarray | None
    constant: np.ndarray
    scores: np.ndarray | None = None

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """
        Pools the predictions of all folds.

        Args:
            table (`pyarrow.Table`):
                One row a picture and folding: `image_id`, `group`, `seed`, `distribution`, `constant`, `vote_shares`,
                and `score` where distributions are null.

        Raises:
            ValueError: If a folding lacks a picture or has one twice.
        """
        seeds = sorted(set(table["seed"].to_pylist()))
        parts = [table.filter(pc.field("seed") == seed).sort_by("image_id") for seed in seeds]
        ids = parts[0]["image_id"].to_pylist()
        for seed, part in zip(seeds, parts, strict=True):
            found = part["image_id"].to_pylist()
            if found != ids or len(set(found)) != len(found):
                raise ValueError(
                    f"Every folding must hold the same {len(set(ids))} pictures once, but that of seed {seed} has "
                    f"{len(found)} rows of {len(set(found))} pictures. Finish its folds."
                )

        def stack(name: str) -> np.ndarray:
            return np.array([part[name].to_pylist() for part in parts], dtype=np.float64)

        predicted, scores = (
            stack(name) if name in table.column_names and table[name].null_count == 0 else None
            for name in ("distribution", "score")
        )
        groups = np.array(parts[0]["group"].to_pylist())
        return cls(np.array(ids), groups, stack("vote_shares")[0], tuple(seeds), predicted, stack("constant"), scores)

    def select_seeds(self, seeds: Sequence[int]) -> Self:
        """Some of the foldings."""
        rows = [self.seeds.index(seed) for seed in seeds]
        predicted, scores = (None if each is None else each[rows] for each in (self.predicted, self.scores))
        return replace(self, seeds=tuple(seeds), predicted=predicted, constant=self.constant[rows], scores=scores)

    def mean_scores(self, bin_scores: ArrayLike) -> np.ndarray:
        """Predicted mean scores of shape `(num_foldings, num_images)`: of the distributions, where there are any."""
        if self.predicted is None:
            return np.asarray(self.scores)
        num_bins = self.predicted.shape[-1]
        means = distribution_mean(self.predicted.reshape(-1, num_bins), bin_scores)
        return means.reshape(self.predicted.shape[:-1])

    def without(self, image_ids: Collection[str]) -> Self:
        """All but some of the pictures."""
        keep = ~np.isin(self.image_ids, list(image_ids))
        by_picture = {name: getattr(self, name)[keep] for name in ("image_ids", "groups", "target")}
        foldings = {name: getattr(self, name) for name in ("predicted", "constant", "scores")}
        return replace(self, **by_picture, **{k: v if v is None else v[:, keep] for k, v in foldings.items()})


class CrossValidatedFigure(NamedTuple):
    """
    One figure of a cross-validation.

    Args:
        value (`float`):
            Mean over the foldings of the figure over all their pooled predictions.
        by_folding (`list[float]`):
            The figure of each folding.
        interval (`tuple[float, float]`):
            95 % bootstrap interval of the mean, over groups.
    """

    value: float
    by_folding: list[float]
    interval: tuple[float, float]


def _skill(errors: np.ndarray, constant_errors: np.ndarray) -> float:
    return float(1 - errors.mean() / constant_errors.mean())


# names are those of `summarize`
FIGURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "srcc": spearman_correlation,
    "plcc": pearson_correlation,
    "krcc": kendall_correlation,
    "accuracy": accuracy,
    "f1": f1,
    "srcc_std": spearman_correlation,
    "emd_skill": _skill,
}


def cross_validated_figures(
    predictions: OutOfFoldPredictions,
    bin_scores: ArrayLike,
    num_resamples: int = 1000,
    seed: int = 0,
    names: Collection[str] = tuple(FIGURES),
) -> dict[str, CrossValidatedFigure]:
    """
    SRCC, PLCC and KRCC of the mean scores, accuracy and F1 of high and low ones, split at the middle or lower middle
    rating; where distributions are predicted, SRCC of their standard deviations and EMD skill (order 1). All over the
    pooled predictions.

    Args:
        predictions ([`OutOfFoldPredictions`]):
            Of one recipe.
        bin_scores (array of shape `(num_bins,)`):
            Rating of every bin.
        num_resamples (`int`, *optional*, defaults to 1000), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.
        names (`Collection[str]`, *optional*):
            The figures that are wanted; all by default.
    """
    figures = {}
    compared = _compared(predictions, bin_scores)
    for name in (each for each in compared if each in names):
        predicted, target = compared[name]
        by_folding = [FIGURES[name](p, t) for p, t in zip(predicted.T, target.T, strict=True)]
        interval = bootstrap_interval(
            _mean_over_foldings(FIGURES[name]),
            predicted,
            target,
            groups=predictions.groups,
            num_resamples=num_resamples,
            seed=seed,
        )
        figures[name] = CrossValidatedFigure(float(np.mean(by_folding)), by_folding, interval)
    return figures


def compare_recipes(
    first: OutOfFoldPredictions,
    second: OutOfFoldPredictions,
    bin_scores: ArrayLike,
    num_resamples: int = 1000,
    seed: int = 0,
    names: Collection[str] = tuple(FIGURES),
) -> dict[str, PairedDifference]:
    """
    How far one recipe is ahead of another in the figures of [`cross_validated_figures`], over the same draws of groups
    and those foldings that both have.

    Args:
        first, second ([`OutOfFoldPredictions`]):
            Of the same pictures.
        bin_scores (array of shape `(num_bins,)`):
            Rating of every bin.
        num_resamples (`int`, *optional*, defaults to 1000), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.
        names (`Collection[str]`, *optional*):
            The figures that are wanted; all by default.

    Raises:
        ValueError: If the pictures or their groups differ, or there is no common folding.
    """
    for name in ("image_ids", "groups"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise ValueError(
                f"Both recipes must have the same pictures in the same groups, but their {name} differ "
                f"({len(first.image_ids)} and {len(second.image_ids)} pictures). Run both on the same collection."
            )
    seeds = [each for each in first.seeds if each in second.seeds]
    if not seeds:
        raise ValueError(f"Both recipes must share a folding, got the seeds {first.seeds} and {second.seeds}.")
    first_arrays, second_arrays = (_compared(each.select_seeds(seeds), bin_scores) for each in (first, second))
    return {
        name: paired_bootstrap(
            _mean_over_foldings(FIGURES[name]),
            first_arrays[name][1],
            first_arrays[name][0],
            second_arrays[name][0],
            groups=first.groups,
            num_resamples=num_resamples,
            seed=seed,
        )
        for name in names
        if name in first_arrays and name in second_arrays
    }


def explained_share(correlation: float, reliability: float) -> float:
    r"""
    Share of the explainable variance that a model explains, \\(r^2 / \rho\\).

    The reliability \\(\rho\\) is the correlation of the mean scores of two independent panels of the full size. It is
    the share of the variance of the observed means that is not noise, and \\(\sqrt\rho\\) is what a perfect model
    would reach (Spearman 1904, doi 10.2307/1412159).

    Args:
        correlation (`float`):
            Between predicted and observed mean scores; a rank correlation where the reliability is one.
        reliability (`float`):
            In (0, 1].

    Raises:
        ValueError: If the reliability is not in (0, 1].

    Example:
        >>> round(explained_share(0.7, 0.98), 3)
        0.5
    """
    if not 0 < reliability <= 1:
        raise ValueError(f"`reliability` must be in (0, 1], got {reliability}. Pass for example 0.98.")
    return correlation**2 / reliability


def _compared(predictions: OutOfFoldPredictions, bin_scores: ArrayLike) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What each figure compares, two arrays of shape `(num_images, num_foldings)`."""
    num_foldings, num_images, num_bins = predictions.constant.shape
    target, constant = np.tile(predictions.target, (num_foldings, 1)), predictions.constant.reshape(-1, num_bins)

    def columns(values: np.ndarray) -> np.ndarray:
        return values.reshape(num_foldings, num_images).T

    predicted = None if predictions.predicted is None else predictions.predicted.reshape(-1, num_bins)
    means = predictions.mean_scores(bin_scores).T
    true_means, threshold = columns(distribution_mean(target, bin_scores)), default_threshold(bin_scores)
    compared = dict.fromkeys(("srcc", "plcc", "krcc"), (means, true_means))
    compared |= dict.fromkeys(("accuracy", "f1"), (means > threshold, true_means > threshold))
    if predicted is None:
        return compared
    stds, true_stds = (columns(distribution_std(each, bin_scores)) for each in (predicted, target))
    errors, constant_errors = (columns(earth_mover_distance(each, target, order=1)) for each in (predicted, constant))
    return {**compared, "srcc_std": (stds, true_stds), "emd_skill": (errors, constant_errors)}


def _mean_over_foldings(figure: Callable[[np.ndarray, np.ndarray], float]) -> Callable[..., float]:
    def mean(predicted: np.ndarray, target: np.ndarray) -> float:
        return float(np.mean([figure(p, t) for p, t in zip(predicted.T, target.T, strict=True)]))

    return mean


def figures_table(figures: Mapping[str, Any]) -> str:
    """
    The figures of a cross-validation as a table for the terminal.

    Args:
        figures (`Mapping[str, Any]`):
            By name the fields of a [`CrossValidatedFigure`]; `train_srcc`, `validation_srcc`; `explained_share` where
            known; under `ahead_of`, for each other recipe, the fields of a
            [`~hf_aesthetics.metrics.PairedDifference`] by name.
    """
    lines = [f"{'':<12}{'mean':>8}{'95 % interval':>20}   by folding"]
    for name in FIGURES:
        if name not in figures:
            continue
        low, high = figures[name]["interval"]
        values = " ".join(f"{value:.3f}" for value in figures[name]["by_folding"])
        lines.append(f"{name:<12}{figures[name]['value']:>8.3f}{f'[{low:.3f}, {high:.3f}]':>20}   {values}")
    if "explained_share" in figures:
        lines.append(f"share of the explainable variance (srcc^2 / reliability): {figures['explained_share']:.1%}")
    lines.append(
        f"srcc of the inner validation parts: {figures['validation_srcc']:.3f}, of the training pictures: "
        f"{figures['train_srcc']:.3f}"
    )
    for other, differences in figures["ahead_of"].items():
        for name, d in differences.items():
            interval = f"[{d['low']:+.3f}, {d['high']:+.3f}]"
            lines.append(
                f"{name:<12}{d['difference']:>+8.3f}{interval:>20}   ahead of {other}, p = {d['p_value']:.3f}"
            )
    return "\n".join(lines)
