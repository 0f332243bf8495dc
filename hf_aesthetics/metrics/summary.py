"""All metrics of one evaluation under their short keys. Knows nothing about where the arrays come from."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import as_bin_values, as_distributions, as_vector, as_vote_counts, require_same_length
from .bootstrap import bootstrap_interval
from .calibration import calibration_error
from .classification import accuracy, balanced_accuracy, default_threshold, f1, is_high, majority_accuracy
from .correlation import kendall_correlation, pearson_correlation, spearman_correlation
from .distribution import constant_rows, distribution_mean, distribution_std, earth_mover_distance, skill
from .score_error import mean_absolute_error, mean_squared_error


def summarize(
    predicted_distribution: ArrayLike | None,
    target_distribution: ArrayLike | None,
    bin_values: ArrayLike,
    *,
    predicted_mean: ArrayLike | None = None,
    vote_counts: ArrayLike | None = None,
    target_mean: ArrayLike | None = None,
    target_std: ArrayLike | None = None,
    constant_distribution: ArrayLike | None = None,
    threshold: float | None = None,
    num_resamples: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """
    Every metric that the given arrays allow, under the keys that reports and model cards use.

    | key | what | needs |
    |---|---|---|
    | `num_images` | number of pictures | mean scores |
    | `srcc`, `plcc`, `krcc` | Spearman, Pearson, Kendall (tau-b) correlation of the mean scores | mean scores |
    | `mse`, `mae` | errors of the mean scores, in rating units | mean scores |
    | `accuracy`, `balanced_accuracy`, `f1` | high or low: strictly greater than `threshold` is high | mean scores |
    | `majority_accuracy` | the floor of `accuracy`: always the more frequent class | true mean scores |
    | `srcc_std`, `plcc_std`, `krcc_std` | correlations of the standard deviations | those of both sides |
    | `emd`, `emd_2` | mean earth mover's distance, order 1 (reported) and 2 (trained) | both distributions |
    | `emd_skill` | share of the constant predictor's `emd` that is removed | and `constant_distribution` |
    | `pit_error` | calibration of the predicted distributions on the votes | both distributions |
    | `intervals` | bootstrap interval `[low, high]` at 95 % by key | `num_resamples` > 0 |

    `majority_accuracy` and `pit_error` have no interval: bootstrap draws inflate them.

    What cannot be computed is left out; what is undefined (a correlation with a constant prediction) is NaN.

    Args:
        predicted_distribution (array of shape `(num_images, num_bins)`, *optional*):
            Predicted distributions; None if only `predicted_mean` exists.
        target_distribution (array of shape `(num_images, num_bins)`, *optional*):
            Shares of the votes; defaults to those of `vote_counts`. None for data that publish only mean scores.
        bin_values (array of shape `(num_bins,)`): The rating of each bin, strictly increasing.
        predicted_mean (array of shape `(num_images,)`, *optional*):
            Predicted scores; defaults to the means of `predicted_distribution`.
        vote_counts (array of shape `(num_images, num_bins)`, *optional*):
            Numbers of votes, from which the true class is computed exactly and the true mean and standard deviation at
            full precision. Without them the true mean is compared with the threshold.
        target_mean (array of shape `(num_images,)`, *optional*):
            True mean scores; defaults to the means of the true distribution.
        target_std (array of shape `(num_images,)`, *optional*):
            True standard deviations; defaults to those of the true distribution.
        constant_distribution (array of shape `(num_bins,)`, *optional*): Mean distribution of the *training* pictures.
        threshold (`float`, *optional*): Divides high from low; defaults to [`default_threshold`] of the bins.
        num_resamples (`int`, *optional*, defaults to 0): Number of bootstrap draws over pictures; 0 for no intervals.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.

    Returns:
        `dict`: Python numbers by key, ready for JSON but for NaN.

    Raises:
        ValueError: If an array is malformed, the numbers of rows or bins differ, or a mean score is neither given
        nor computable.

    Example:
        >>> from hf_aesthetics.metrics import summarize
        >>> votes = [[4, 4, 2], [1, 4, 5], [0, 2, 8]]
        >>> predicted = [[0.3, 0.4, 0.3], [0.2, 0.4, 0.4], [0.1, 0.3, 0.6]]
        >>> result = summarize(predicted, None, [1, 2, 3], vote_counts=votes)
        >>> {key: round(result[key], 4) for key in ("num_images", "srcc", "mae", "emd", "accuracy")}
        {'num_images': 3, 'srcc': 1.0, 'mae': 0.2333, 'emd': 0.0778, 'accuracy': 1.0}
    """
    bins = as_bin_values(bin_values, np.size(bin_values))
    counts = None if vote_counts is None else as_vote_counts(vote_counts)
    shares = target_distribution if counts is None else counts / counts.sum(axis=1, keepdims=True)
    if target_distribution is None:
        target_distribution = shares
    predicted = None if predicted_distribution is None else as_distributions(predicted_distribution, "predicted")
    target = None if target_distribution is None else as_distributions(target_distribution, "target")

    if predicted_mean is None and predicted is not None:
        predicted_mean = distribution_mean(predicted, bins)
    if shares is not None:
        target_mean = distribution_mean(shares, bins) if target_mean is None else target_mean
        target_std = distribution_std(shares, bins) if target_std is None else target_std
    if predicted_mean is None or target_mean is None:
        side = "predicted" if predicted_mean is None else "target"
        raise ValueError(
            f"Either `{side}_distribution` or `{side}_mean` must be given, got neither. Pass one of them."
        )
    predicted_mean = as_vector(predicted_mean, "predicted_mean")
    target_mean = as_vector(target_mean, "target_mean")

    cut = default_threshold(bins) if threshold is None else threshold
    predicted_high = predicted_mean > cut
    target_high = target_mean > cut if counts is None else is_high(counts, bins, cut)
    require_same_length(predicted_mean=predicted_mean, target_mean=target_mean, target_high=target_high)

    statistics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]] = {
        "srcc": (spearman_correlation, (predicted_mean, target_mean)),
        "plcc": (pearson_correlation, (predicted_mean, target_mean)),
        "krcc": (kendall_correlation, (predicted_mean, target_mean)),
        "mse": (mean_squared_error, (predicted_mean, target_mean)),
        "mae": (mean_absolute_error, (predicted_mean, target_mean)),
        "accuracy": (accuracy, (predicted_high, target_high)),
        "balanced_accuracy": (balanced_accuracy, (predicted_high, target_high)),
        "f1": (f1, (predicted_high, target_high)),
    }
    if predicted is not None and target_std is not None:
        spreads = distribution_std(predicted, bins), as_vector(target_std, "target_std")
        statistics["srcc_std"] = (spearman_correlation, spreads)
        statistics["plcc_std"] = (pearson_correlation, spreads)
        statistics["krcc_std"] = (kendall_correlation, spreads)
    if predicted is not None and target is not None:
        distances = earth_mover_distance(predicted, target, order=1)
        statistics["emd"] = (np.mean, (distances,))
        statistics["emd_2"] = (np.mean, (earth_mover_distance(predicted, target, order=2),))
        if constant_distribution is not None:
            constant = constant_rows(constant_distribution, target)
            statistics["emd_skill"] = (skill, (distances, earth_mover_distance(constant, target, order=1)))

    summary: dict[str, Any] = {"num_images": len(predicted_mean)}
    summary |= {key: float(function(*arrays)) for key, (function, arrays) in statistics.items()}
    summary["majority_accuracy"] = majority_accuracy(target_high)
    if predicted is not None and target is not None:
        summary["pit_error"] = calibration_error(predicted, target)
    if num_resamples:
        summary["intervals"] = {
            key: list(bootstrap_interval(function, *arrays, num_resamples=num_resamples, seed=seed))
            for key, (function, arrays) in statistics.items()
        }
    return summary
