import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from hf_aesthetics.metrics import (
    distribution_mean,
    distribution_std,
    earth_mover_distance,
    emd_skill,
    is_high,
    majority_accuracy,
)


BINS = np.arange(1, 11)


def random_distributions(num_images: int, num_bins: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(num_bins), size=num_images)


def delta(position: int, num_bins: int = 10) -> list[list[float]]:
    return np.eye(num_bins)[[position - 1]].tolist()


UNIFORM = [[0.1] * 10]


@pytest.mark.parametrize(
    ("predicted", "target", "order", "expected"),
    [
        (delta(1), delta(10), 1, 0.9),
        (delta(1), delta(10), 2, 0.948683),
        (delta(5), delta(6), 1, 0.1),
        (delta(5), delta(6), 2, 0.316228),
        (UNIFORM, delta(1), 1, 0.45),
        (UNIFORM, delta(1), 2, 0.533854),
    ],
)
def test_known_distances(predicted, target, order, expected):
    assert earth_mover_distance(predicted, target, order) == pytest.approx([expected], abs=5e-7)


@pytest.mark.parametrize("num_bins", [2, 7, 10])
def test_order_one_is_the_wasserstein_distance_over_the_number_of_bins(num_bins):
    predicted, target = random_distributions(20, num_bins, seed=1), random_distributions(20, num_bins, seed=2)
    positions = np.arange(num_bins)
    expected = [
        wasserstein_distance(positions, positions, p, q) / num_bins for p, q in zip(predicted, target, strict=True)
    ]
    assert earth_mover_distance(predicted, target, order=1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3.5])
def test_is_a_metric(order):
    p, q, r = (random_distributions(50, seed=seed) for seed in (1, 2, 3))
    assert earth_mover_distance(p, p, order) == pytest.approx(np.zeros(50), abs=1e-12)
    assert earth_mover_distance(p, q, order) == pytest.approx(earth_mover_distance(q, p, order))
    detour = earth_mover_distance(p, r, order) + earth_mover_distance(r, q, order)
    assert (earth_mover_distance(p, q, order) <= detour + 1e-12).all()


def test_grows_with_the_order():
    p, q = random_distributions(50, seed=1), random_distributions(50, seed=2)
    distances = [earth_mover_distance(p, q, order) for order in (1, 1.5, 2, 4)]
    assert all((low < high).all() for low, high in zip(distances, distances[1:], strict=False))


def test_shift_by_k_bins_costs_k_over_n():
    start = np.array([0.2, 0.5, 0.3, 0, 0, 0, 0, 0, 0, 0])
    shifted = np.stack([np.roll(start, k) for k in range(8)])
    distances = earth_mover_distance(np.tile(start, (8, 1)), shifted, order=1)
    assert distances == pytest.approx(np.arange(8) / 10, abs=1e-12)


def test_mean_error_never_exceeds_the_number_of_bins_times_the_distance():
    p, q = random_distributions(200, seed=1), random_distributions(200, seed=2)
    mean_error = np.abs(distribution_mean(p, BINS) - distribution_mean(q, BINS))
    assert (mean_error <= 10 * earth_mover_distance(p, q, order=1) + 1e-10).all()


@pytest.mark.parametrize("bin_values", [np.arange(1, 8), np.arange(1, 4.5, 0.5), [0, 1, 3, 10]])
def test_mean_and_std_equal_those_of_the_single_votes(bin_values):
    counts = np.random.default_rng(0).integers(1, 30, size=(5, len(bin_values)))
    shares = counts / counts.sum(axis=1, keepdims=True)
    votes = [np.repeat(bin_values, row) for row in counts]
    assert distribution_mean(shares, bin_values) == pytest.approx([row.mean() for row in votes])
    assert distribution_std(shares, bin_values) == pytest.approx([row.std() for row in votes])


@pytest.mark.parametrize("bin_values", [np.arange(1, 8), np.arange(1, 4.5, 0.5), np.arange(-3, 4), np.arange(7) / 10])
def test_equal_means_and_stds_of_different_votes_are_ties(bin_values):
    counts = np.random.default_rng(0).multinomial(30, np.full(7, 1 / 7), size=400)
    steps = np.arange(7)  # the same scale in whole numbers
    sums, squares = counts @ steps, counts @ steps**2
    assert len(set(sums)) < 100
    shares = counts / 30
    assert len(set(distribution_mean(shares, bin_values))) == len(set(sums))
    assert len(set(distribution_std(shares, bin_values))) == len(set(30 * squares - sums**2))


def test_rounded_histograms_are_renormalised():
    assert distribution_mean([[0.3334, 0.3334, 0.3334]], [1, 2, 3]) == pytest.approx([2.0], abs=1e-12)


def test_skill_is_one_for_truth_zero_for_the_constant_and_negative_below_it():
    target = random_distributions(30)
    constant = target.mean(axis=0)
    assert emd_skill(target, target, constant) == pytest.approx(1)
    assert emd_skill(np.tile(constant, (30, 1)), target, constant) == pytest.approx(0, abs=1e-12)
    assert emd_skill(np.tile(delta(10)[0], (30, 1)), target, constant) < 0
    halfway = (target + constant) / 2
    assert emd_skill(halfway, target, constant) == pytest.approx(0.5)
    assert emd_skill(halfway, target, constant, order=2) == pytest.approx(0.5)


def test_skill_is_undefined_where_the_constant_is_perfect():
    target = np.tile(random_distributions(1), (4, 1))
    assert np.isnan(emd_skill(random_distributions(4), target, target[0]))


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        ([[0.5, 0.5]], [[0.2, 0.3, 0.5]], r"same shape, got \(1, 2\) and \(1, 3\)"),
        ([[0.5, 0.5]], [[40, 33]], "Rows of `target` must sum to 1, got sums between 73 and 73"),
        ([[1.5, -0.5]], [[0.5, 0.5]], "`predicted` must not be negative, got -0.5"),
        ([[np.nan, 0.5]], [[0.5, 0.5]], "`predicted` must be finite, got 1 .* first in row 0"),
        ([0.5, 0.5], [0.5, 0.5], r"`predicted` must have shape \(num_images, num_bins\) .*, got \(2,\)"),
        (np.empty((0, 10)), np.empty((0, 10)), r"got \(0, 10\)"),
        ([[0.5, 0.5], [1.0]], [[0.5, 0.5], [1.0, 0.0]], "`predicted` must hold numbers in rows of equal length"),
    ],
)
def test_what_is_no_distribution_is_refused(predicted, target, message):
    with pytest.raises(ValueError, match=message):
        earth_mover_distance(predicted, target, order=1)


@pytest.mark.parametrize("order", [0, 0.5, -1, np.inf, np.nan])
def test_bad_order_is_refused(order):
    with pytest.raises(ValueError, match=f"`order` must be a finite number of at least 1, got {order}"):
        earth_mover_distance(UNIFORM, UNIFORM, order)


@pytest.mark.parametrize(
    ("bin_values", "message"),
    [
        (range(1, 10), r"each of the 10 bins, got shape \(9,\)"),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 9], "strictly increasing, got .*9.0, 9.0"),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, np.nan], "`bin_values` must be finite"),
    ],
)
def test_bad_bin_values_are_refused(bin_values, message):
    with pytest.raises(ValueError, match=message):
        distribution_mean(UNIFORM, bin_values)


def test_constant_predictor_on_ava_votes():
    folder = os.environ.get("HF_AESTHETICS_DATA_DIR")
    if folder is None:
        pytest.skip("HF_AESTHETICS_DATA_DIR is not set: it names the folder that holds ava_labels/")
    path = Path(folder) / "ava_labels" / "ava_votes_60564.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    counts = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)[:, 1:]
    shares = counts / counts.sum(axis=1, keepdims=True)
    constant = np.tile(shares.mean(axis=0), (len(shares), 1))
    # The values published for another 25,551 pictures of AVA.
    assert earth_mover_distance(constant, shares, order=1).mean() == pytest.approx(0.0636, abs=0.002)
    assert earth_mover_distance(constant, shares, order=2).mean() == pytest.approx(0.0893, abs=0.002)
    assert majority_accuracy(is_high(counts, BINS)) == pytest.approx(0.7031, abs=0.01)
