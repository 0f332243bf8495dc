import math

import numpy as np
import pytest

from hf_aesthetics.metrics import error_by_score_band, mean_absolute_error, mean_squared_error


def test_errors_by_hand():
    predicted, target = [5.0, 6.0, 3.5], [4.0, 6.0, 5.5]
    assert mean_squared_error(predicted, target) == pytest.approx((1 + 0 + 4) / 3)
    assert mean_absolute_error(predicted, target) == pytest.approx((1 + 0 + 2) / 3)


def test_squared_error_is_variance_plus_squared_bias():
    rng = np.random.default_rng(0)
    target = rng.normal(5, 1, 100)
    errors = rng.normal(0.3, 0.5, 100)
    assert mean_squared_error(target + errors, target) == pytest.approx(errors.var() + errors.mean() ** 2)


def test_bands_by_hand():
    table = error_by_score_band([3.0, 5.0, 5.0, 6.0], [1.0, 4.0, 6.0, 9.0], bands=[1, 4, 5, 9])
    assert table[0] == {"low": 1.0, "high": 4.0, "num_images": 1, "bias": 2.0, "mae": 2.0}
    assert (table[1]["num_images"], table[1]["bias"], table[1]["mae"]) == (1, 1.0, 1.0)
    assert (table[2]["num_images"], table[2]["bias"], table[2]["mae"]) == (2, -2.0, 2.0)


def test_bands_partition_the_pictures():
    rng = np.random.default_rng(0)
    target = rng.uniform(1, 10, 500)
    predicted = 5.4 + 0.4 * (target - 5.4) + rng.normal(0, 0.3, 500)
    table = error_by_score_band(predicted, target, bands=[1, 3, 4, 5, 6, 7, 10])
    counts = np.array([row["num_images"] for row in table])
    assert counts.sum() == 500
    assert counts @ [row["mae"] for row in table] / 500 == pytest.approx(mean_absolute_error(predicted, target))
    assert counts @ [row["bias"] for row in table] / 500 == pytest.approx((predicted - target).mean())


def test_huddling_predictions_are_too_high_below_and_too_low_above():
    target = np.linspace(1, 10, 200)
    table = error_by_score_band(5.5 + 0.3 * (target - 5.5), target, bands=[1, 4, 7, 10])
    biases = [row["bias"] for row in table]
    assert biases[0] > 1 > abs(biases[1]) and biases[2] < -1


def test_empty_band_has_no_error():
    empty = error_by_score_band([2.0, 8.0], [2.0, 8.0], bands=[1, 4, 6, 10])[1]
    assert empty["num_images"] == 0
    assert math.isnan(empty["bias"]) and math.isnan(empty["mae"])


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ([1, 4, 5], "edges from 1 to 5 and scores from 2 to 8"),
        ([3, 9], "edges from 3 to 9 and scores from 2 to 8"),
        ([1, 6, 4, 10], r"at least 2 increasing edges, got \[1.0, 6.0, 4.0, 10.0\]"),
        ([5], r"at least 2 increasing edges, got \[5.0\]"),
    ],
)
def test_bad_bands_are_refused(bands, message):
    with pytest.raises(ValueError, match=message):
        error_by_score_band([2.0, 8.0], [2.0, 8.0], bands=bands)
