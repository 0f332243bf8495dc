import warnings

import numpy as np
import pytest
from scipy.stats import norm

from hf_aesthetics.metrics import calibration_error, probability_integral_transform


def discretised_normal(mean: np.ndarray, std: float, num_bins: int = 10) -> np.ndarray:
    edges = np.concatenate([[-np.inf], np.arange(1.5, num_bins), [np.inf]])
    return np.diff(norm.cdf((edges - mean[:, None]) / std), axis=1)


def drawn_shares(distributions: np.ndarray, num_votes: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(num_votes, distributions) / num_votes


MEANS = np.random.default_rng(1).normal(5.4, 0.8, size=1500)
TRUE = discretised_normal(MEANS, std=1.4)
VOTES = drawn_shares(TRUE)


@pytest.mark.parametrize("num_cells", [2, 7, 10, 40])
def test_flat_for_exact_expectations(num_cells):
    distributions = np.random.default_rng(0).dirichlet(np.ones(6), size=20)
    cells = probability_integral_transform(distributions, distributions, num_cells)
    assert cells == pytest.approx(np.full(num_cells, 1 / num_cells), abs=1e-12)
    assert calibration_error(distributions, distributions, num_cells) == pytest.approx(0, abs=1e-12)


def test_flat_for_votes_drawn_from_the_prediction():
    assert probability_integral_transform(TRUE, VOTES) == pytest.approx(np.full(10, 0.1), abs=0.003)
    assert calibration_error(TRUE, VOTES) < 0.005


def test_is_the_mean_of_the_randomised_transform():
    rng = np.random.default_rng(2)
    predicted = rng.dirichlet(np.ones(5), size=3)
    counts = np.tile([7, 1, 4, 0, 8], (3, 1))
    upper = np.cumsum(predicted, axis=1)
    values = []
    for row in range(3):
        votes = np.repeat(np.arange(5), counts[row] * 5000)
        values.append(upper[row, votes] - rng.uniform(size=len(votes)) * predicted[row, votes])
    drawn, _ = np.histogram(np.concatenate(values), bins=8, range=(0, 1))
    expected = drawn / drawn.sum()
    assert probability_integral_transform(predicted, counts / 20, num_cells=8) == pytest.approx(expected, abs=0.005)


def test_too_narrow_is_a_u_and_too_wide_a_hump():
    narrow = probability_integral_transform(discretised_normal(MEANS, std=0.7), VOTES)
    wide = probability_integral_transform(discretised_normal(MEANS, std=2.8), VOTES)
    assert (np.diff(narrow)[:4] < 0).all() and (np.diff(narrow)[5:] > 0).all()
    assert min(narrow[0], narrow[-1]) > 0.2
    assert (np.diff(wide)[:4] > 0).all() and (np.diff(wide)[5:] < 0).all()


def test_predictions_that_are_too_low_put_votes_in_the_last_cells():
    low = probability_integral_transform(discretised_normal(MEANS - 1, std=1.4), VOTES)
    assert (np.diff(low) > 0).all()


def test_error_grows_as_the_spread_moves_away_from_the_truth():
    errors = [calibration_error(discretised_normal(MEANS, std), VOTES) for std in (1.4, 1.1, 0.8, 0.5)]
    assert errors == sorted(errors)
    assert errors[1] > 0.03


def test_mean_histogram_is_calibrated_although_it_knows_nothing():
    constant = np.tile(VOTES.mean(axis=0), (len(VOTES), 1))
    assert calibration_error(constant, VOTES) == pytest.approx(0, abs=1e-12)


def test_votes_where_nothing_was_predicted_keep_the_sum_and_raise_no_warning():
    predicted = [[0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]]
    target = [[0.5, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = probability_integral_transform(predicted, target, num_cells=4)
    assert cells == pytest.approx([0.25, 0, 0, 0.75])
    assert calibration_error(predicted[1:], target[1:], num_cells=4) == pytest.approx(3 / 4)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`num_cells` must be at least 2, got 1"):
        probability_integral_transform(TRUE, VOTES, num_cells=1)
    with pytest.raises(ValueError, match=r"got \(1500, 10\) and \(1499, 10\)"):
        calibration_error(TRUE, VOTES[:-1])
