"""Metrics of image aesthetic assessment: arrays in, floats out. Knows nothing about models, data sets or PyTorch."""

from ..extras import require_extra


require_extra(__name__, "evaluation", "scipy")

from .bootstrap import PairedDifference, bootstrap_interval, paired_bootstrap
from .bradley_terry import BradleyTerryFit, UnlinkedError, fit_bradley_terry
from .calibration import calibration_error, probability_integral_transform
from .ceiling import ChoiceCeiling, choice_ceiling, strength_ceiling, vote_resampling_ceiling
from .classification import accuracy, balanced_accuracy, default_threshold, f1, is_high, majority_accuracy
from .correlation import kendall_correlation, pearson_correlation, spearman_correlation
from .distribution import distribution_mean, distribution_std, earth_mover_distance, emd_skill
from .pairs import choice_accuracy, pair_accuracy, pair_f1, summarize_pairs
from .retrieval import recall_at_k
from .score_error import error_by_score_band, mean_absolute_error, mean_squared_error
from .series import full_order_accuracy, series_correlation, summarize_series, top1_accuracy
from .summary import summarize


__all__ = [
    "BradleyTerryFit",
    "ChoiceCeiling",
    "PairedDifference",
    "UnlinkedError",
    "accuracy",
    "balanced_accuracy",
    "bootstrap_interval",
    "calibration_error",
    "choice_accuracy",
    "choice_ceiling",
    "default_threshold",
    "distribution_mean",
    "distribution_std",
    "earth_mover_distance",
    "emd_skill",
    "error_by_score_band",
    "f1",
    "fit_bradley_terry",
    "full_order_accuracy",
    "is_high",
    "kendall_correlation",
    "majority_accuracy",
    "mean_absolute_error",
    "mean_squared_error",
    "pair_accuracy",
    "pair_f1",
    "paired_bootstrap",
    "pearson_correlation",
    "recall_at_k",
    "probability_integral_transform",
    "series_correlation",
    "spearman_correlation",
    "strength_ceiling",
    "summarize",
    "summarize_pairs",
    "summarize_series",
    "top1_accuracy",
    "vote_resampling_ceiling",
]
