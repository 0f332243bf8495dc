import math
import warnings
from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from hf_aesthetics.metrics import kendall_correlation, pearson_correlation, spearman_correlation


ALL = [pearson_correlation, spearman_correlation, kendall_correlation]


def scores_with_ties(num_images: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.normal(5, 1, num_images)
    predicted = 0.6 * target + rng.normal(2, 0.8, num_images)
    return np.round(predicted, 1), np.round(target * 2) / 2


def tau_b_by_counting_pairs(first: np.ndarray, second: np.ndarray) -> float:
    concordant = discordant = tied_first = tied_second = 0
    for i, j in combinations(range(len(first)), 2):
        a, b = first[i] - first[j], second[i] - second[j]
        concordant += a * b > 0
        discordant += a * b < 0
        tied_first += a == 0 and b != 0
        tied_second += b == 0 and a != 0
    untied = concordant + discordant
    return (concordant - discordant) / math.sqrt((untied + tied_first) * (untied + tied_second))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(pearson_correlation, scipy.stats.pearsonr), (spearman_correlation, scipy.stats.spearmanr)],
)
def test_equals_scipy_with_ties(ours, theirs, seed):
    predicted, target = scores_with_ties(seed=seed)
    assert ours(predicted, target) == pytest.approx(theirs(predicted, target).statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_kendall_equals_counting_pairs_with_ties(seed):
    predicted, target = scores_with_ties(num_images=40, seed=seed)
    assert kendall_correlation(predicted, target) == pytest.approx(
        tau_b_by_counting_pairs(predicted, target), abs=1e-12
    )


@pytest.mark.parametrize("correlation", ALL)
def test_two_pictures_agree_or_disagree(correlation):
    assert correlation([1.0, 2.0], [3.0, 5.0]) == pytest.approx(1)
    assert correlation([1.0, 2.0], [5.0, 3.0]) == pytest.approx(-1)


def test_hand_computed_values():
    predicted, target = [1, 2, 3, 4], [1, 3, 2, 4]
    assert spearman_correlation(predicted, target) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert kendall_correlation(predicted, target) == pytest.approx((5 - 1) / 6)
    assert pearson_correlation([0, 1, 2], [0, 0, 3]) == pytest.approx(math.sqrt(3) / 2)


@pytest.mark.parametrize("correlation", [spearman_correlation, kendall_correlation])
@pytest.mark.parametrize("monotone", [np.exp, np.cbrt, lambda x: 100 * x - 3])
def test_rank_correlations_ignore_monotone_maps(correlation, monotone):
    predicted, target = scores_with_ties()
    assert correlation(monotone(predicted), target) == pytest.approx(correlation(predicted, target), abs=1e-12)


@pytest.mark.parametrize("correlation", ALL)
def test_symmetric_and_odd_under_reversal(correlation):
    predicted, target = scores_with_ties()
    value = correlation(predicted, target)
    assert correlation(target, predicted) == pytest.approx(value, abs=1e-12)
    assert correlation(-predicted, target) == pytest.approx(-value, abs=1e-12)
    assert correlation(target, target) == pytest.approx(1)


@pytest.mark.parametrize("correlation", ALL)
@pytest.mark.parametrize(
    "constant", [[5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 0.0, 0.0], [5.0, 5.0 + 1e-15, 5.0, 5.0 - 1e-15]]
)
def test_constant_prediction_gives_nan_without_warning(correlation, constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(correlation(constant, [1.0, 2.0, 3.0, 4.0]))
        assert math.isnan(correlation([1.0, 2.0, 3.0, 4.0], constant))


@pytest.mark.parametrize("correlation", ALL)
@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0], "`predicted` 3, `target` 2"),
        ([1.0], [1.0], "at least 2 of them, got 1"),
        ([1.0, math.nan, math.nan], [1.0, 2.0, 3.0], "`predicted` must be finite, got 2 .* first in row 1"),
        ([1.0, 2.0], [1.0, math.inf], "`target` must be finite"),
        ([[0.5, 0.5], [0.1, 0.9]], [1.0, 2.0], r"`predicted` must have shape \(num_images,\), got \(2, 2\)"),
        (["low", "high"], [1.0, 2.0], "`predicted` must hold numbers"),
    ],
)
def test_bad_arrays_are_refused(correlation, predicted, target, message):
    with pytest.raises(ValueError, match=message):
        correlation(predicted, target)
