"""Metrics of image aesthetic assessment: arrays in, floats out. Knows nothing about models, data sets or PyTorch."""

from ..extras import require_extra


require_extra(__name__, "evaluation", "scipy")

from .bootstrap import PairedDifference, bootstrap_interval, paired_bootstrap
from .calibration import calibration_error, probability_integral_transform
from .ceiling import vote_resampling_ceiling
from .classification import accuracy, balanced_accuracy, default_threshold, f1, is_high, majority_accuracy
from .correlation import kendall_correlation, pearson_correlation, spearman_correlation
from .distribution import distribution_mean, distribution_std, earth_mover_distance, emd_skill
from .score_error import error_by_score_band, mean_absolute_error, mean_squared_error
from .summary import summarize


__all__ = [
    "PairedDifference",
    "accuracy",
    "balanced_accuracy",
    "bootstrap_interval",
    "calibration_error",
    "default_threshold",
    "distribution_mean",
    "distribution_std",
    "earth_mover_distance",
    "emd_skill",
    "error_by_score_band",
    "f1",
    "is_high",
    "kendall_correlation",
    "majority_accuracy",
    "mean_absolute_error",
    "mean_squared_error",
    "paired_bootstrap",
    "pearson_correlation",
    "probability_integral_transform",
    "spearman_correlation",
    "summarize",
    "vote_resampling_ceiling",
]
