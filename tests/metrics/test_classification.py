import math
from fractions import Fraction

import numpy as np
import pytest

from hf_aesthetics.metrics import accuracy, balanced_accuracy, default_threshold, f1, is_high, majority_accuracy


SCALES = {
    "1 to 10": ([Fraction(k) for k in range(1, 11)], Fraction(5)),
    "1 to 7": ([Fraction(k) for k in range(1, 8)], Fraction(4)),
    "1 to 5 in halves": ([Fraction(k, 2) for k in range(2, 11)], Fraction(3)),
    "0 to 1 in tenths": ([Fraction(k, 10) for k in range(11)], Fraction(3, 10)),
    "uneven thirds": ([Fraction(0), Fraction(1, 3), Fraction(2, 3), Fraction(5)], Fraction(2, 3)),
}


def counts_with_ties(bins: list[Fraction], threshold: Fraction, seed: int = 0) -> np.ndarray:
    """Random histograms, and as many whose mean is exactly the threshold: votes balanced on both sides of it."""
    rng = np.random.default_rng(seed)
    low = [k for k, value in enumerate(bins) if value < threshold]
    high = [k for k, value in enumerate(bins) if value > threshold]
    ties = np.zeros((300, len(bins)), dtype=np.int64)
    for row in ties:
        for _ in range(rng.integers(1, 12)):
            below, above = rng.choice(low), rng.choice(high)
            balance = (threshold - bins[below]) / (bins[above] - threshold)
            times = rng.integers(1, 4)
            row[below] += times * balance.denominator
            row[above] += times * balance.numerator
    return np.concatenate([rng.integers(0, 40, size=(300, len(bins))) + np.eye(len(bins), dtype=int)[0], ties])


@pytest.mark.parametrize("scale", SCALES)
def test_label_equals_exact_arithmetic_even_on_ties(scale):
    bins, threshold = SCALES[scale]
    counts = counts_with_ties(bins, threshold)
    means = [Fraction(sum(int(c) * s for c, s in zip(row, bins, strict=True)), int(row.sum())) for row in counts]
    expected = [mean > threshold for mean in means]
    assert means.count(threshold) >= 300
    labels = is_high(counts, [float(value) for value in bins], float(threshold))
    assert labels.dtype == bool
    assert labels.tolist() == expected


def test_floating_point_would_have_turned_ties_high():
    bins, threshold = SCALES["1 to 10"]
    counts = counts_with_ties(bins, threshold)
    shares = counts / counts.sum(axis=1, keepdims=True)
    in_floating_point = (shares * np.arange(1, 11)).sum(axis=1) > 5
    exact = is_high(counts, range(1, 11))
    assert np.count_nonzero(in_floating_point & ~exact) > 10
    assert not (exact & ~in_floating_point).any()


def test_counts_do_not_overflow():
    bins = [Fraction(k, 999_983) for k in range(5)]
    huge = 2**52
    assert is_high([[0, huge, 0, huge, 0], [0, huge, 0, huge, 1]], [float(b) for b in bins]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("bin_values", "expected"),
    [(range(1, 11), 5), (range(1, 8), 4), (range(1, 6), 3), (np.linspace(1, 5, 9), 3), (range(0, 10), 4), ([1, 2], 1)],
)
def test_default_threshold_is_the_middle_bin_or_the_lower_of_two(bin_values, expected):
    assert default_threshold(bin_values) == expected


def test_default_threshold_of_labels_is_that_of_the_bins():
    counts = np.random.default_rng(0).integers(0, 9, size=(100, 10)) + 1
    assert is_high(counts, range(1, 11)).tolist() == is_high(counts, range(1, 11), threshold=5).tolist()
    assert is_high(counts, range(1, 11), threshold=5.5).sum() < is_high(counts, range(1, 11)).sum()


# 3 true positives, 2 false positives, 1 false negative, 4 true negatives.
PREDICTED = [True] * 5 + [False] * 5
TARGET = [True] * 3 + [False] * 2 + [True] + [False] * 4


def test_rates_by_hand():
    assert accuracy(PREDICTED, TARGET) == pytest.approx(7 / 10)
    assert balanced_accuracy(PREDICTED, TARGET) == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert f1(PREDICTED, TARGET) == pytest.approx(2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4))
    assert majority_accuracy(TARGET) == pytest.approx(6 / 10)


def test_numbers_zero_and_one_are_labels():
    assert accuracy(np.array(PREDICTED, dtype=int), np.array(TARGET, dtype=float)) == pytest.approx(7 / 10)


def test_one_answer_for_all_reaches_the_majority_and_half():
    always_high = [True] * len(TARGET)
    assert accuracy(np.invert(always_high), TARGET) == majority_accuracy(TARGET)
    assert balanced_accuracy(always_high, TARGET) == 0.5


def test_undefined_rates_are_nan():
    assert math.isnan(balanced_accuracy([True, False], [True, True]))
    assert math.isnan(balanced_accuracy([True, False], [False, False]))
    assert math.isnan(f1([False, False], [False, False]))
    assert f1([True, False], [False, False]) == 0


@pytest.mark.parametrize("rate", [accuracy, balanced_accuracy, f1])
def test_what_is_no_label_is_refused(rate):
    with pytest.raises(ValueError, match="`predicted_high` must be true or false, got 5.2"):
        rate([5.2, 1.0], [True, False])
    with pytest.raises(ValueError, match="rows: `predicted` 2, `target` 3"):
        rate([True, False], [True, False, True])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2], [0.3, 0.7]], "whole numbers of votes, got 0.3 in row 1"),
        ([[1, 2], [3, -4]], "whole numbers of votes, got -4 in row 1"),
        ([[1, 2], [0, 0]], "must hold a vote, got none in row 1"),
        ([[1, 2], [np.nan, 3]], "`vote_counts` must be finite"),
        ([1, 2], r"must have shape \(num_images, num_bins\) .* got \(2,\)"),
        ([[1, 2], None], "`vote_counts` must hold numbers in rows of equal length"),
    ],
)
def test_what_is_no_vote_count_is_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        is_high(counts, [1, 2])
