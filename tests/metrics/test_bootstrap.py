import math
import time

import numpy as np
import pytest
import scipy.stats

from hf_aesthetics.metrics import (
    bootstrap_interval,
    earth_mover_distance,
    mean_absolute_error,
    paired_bootstrap,
    pearson_correlation,
    spearman_correlation,
)


def noisy_predictions(num_images: int, *noises: float, seed: int = 0) -> list[np.ndarray]:
    """Returns the truth, then one prediction for each standard deviation of its noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(5, 1, num_images)
    return [truth, *(truth + rng.normal(0, noise, num_images) for noise in noises)]


def test_interval_of_a_mean_agrees_with_normal_theory():
    values = np.random.default_rng(0).normal(5, 2, size=400)
    half_width = 1.96 * values.std() / math.sqrt(400)
    low, high = bootstrap_interval(np.mean, values, num_resamples=2000)
    assert (low, high) == pytest.approx(
        (values.mean() - half_width, values.mean() + half_width), abs=0.15 * half_width
    )


def test_interval_agrees_with_scipy():
    truth, predicted = noisy_predictions(150, 0.8)
    theirs = scipy.stats.bootstrap(
        (predicted, truth),
        lambda first, second: scipy.stats.spearmanr(first, second).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=1,
    ).confidence_interval
    ours = bootstrap_interval(spearman_correlation, predicted, truth, num_resamples=2000)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.015)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_interval_covers_the_true_correlation_as_often_as_it_says(confidence):
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        predicted, target = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=60).T
        low, high = bootstrap_interval(
            pearson_correlation, predicted, target, num_resamples=200, confidence=confidence, seed=seed
        )
        covered += low <= 0.6 <= high
    assert covered / 200 == pytest.approx(confidence - 0.015, abs=0.055)


def test_same_seed_same_interval():
    truth, predicted = noisy_predictions(40, 1.0)
    first, again, other = (
        bootstrap_interval(pearson_correlation, predicted, truth, num_resamples=50, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again != other


def test_arrays_are_drawn_together():
    truth, _ = noisy_predictions(30, 1.0)
    assert bootstrap_interval(pearson_correlation, truth, 2 * truth + 1, num_resamples=50) == pytest.approx((1, 1))


def test_whole_distributions_can_be_drawn():
    rng = np.random.default_rng(0)
    predicted, target = rng.dirichlet(np.ones(10), 80), rng.dirichlet(np.ones(10), 80)
    low, high = bootstrap_interval(
        lambda p, t: earth_mover_distance(p, t, 1).mean(), predicted, target, num_resamples=200
    )
    assert low < earth_mover_distance(predicted, target, 1).mean() < high


def test_undefined_draws_are_left_out_and_an_undefined_statistic_is_nan():
    low, high = bootstrap_interval(pearson_correlation, [1.0, 2.0, 3.0], [1.0, 2.0, 2.5], num_resamples=300)
    assert -1 <= low <= high <= 1
    assert bootstrap_interval(
        pearson_correlation, [1.0, 1.0, 1.0], [1.0, 2.0, 2.5], num_resamples=30
    ) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_a_thousand_draws_of_a_rank_correlation_over_two_thousand_pictures_are_quick():
    truth, predicted = noisy_predictions(2000, 1.0)
    start = time.process_time()
    bootstrap_interval(spearman_correlation, predicted, truth, num_resamples=1000)
    assert time.process_time() - start < 5


def test_identical_predictions_do_not_differ():
    truth, predicted = noisy_predictions(50, 1.0)
    result = paired_bootstrap(spearman_correlation, truth, predicted, predicted, num_resamples=100)
    assert result == (0.0, 0.0, 0.0, 0.5, 1.0)


def test_a_clearly_better_prediction_is_ahead_and_swapping_turns_the_sign():
    truth, better, worse = noisy_predictions(200, 0.5, 1.5)
    ahead = paired_bootstrap(spearman_correlation, truth, better, worse, num_resamples=300)
    behind = paired_bootstrap(spearman_correlation, truth, worse, better, num_resamples=300)
    assert 0 < ahead.low < ahead.difference < ahead.high
    assert ahead.probability == 1 and ahead.p_value == pytest.approx(2 / 301)
    assert (behind.difference, behind.low, behind.high) == pytest.approx((-ahead.difference, -ahead.high, -ahead.low))
    assert behind.probability == 0 and behind.p_value == ahead.p_value


def test_lower_is_better_gives_a_negative_difference():
    truth, better, worse = noisy_predictions(200, 0.5, 1.5)
    assert paired_bootstrap(mean_absolute_error, truth, better, worse, num_resamples=100).high < 0


def test_pairing_cancels_what_the_predictions_share():
    rng = np.random.default_rng(0)
    truth, shared = noisy_predictions(300, 1.0)
    first, second = (shared + rng.normal(0, 0.1, 300) for _ in range(2))
    paired = paired_bootstrap(pearson_correlation, truth, first, second, num_resamples=200)
    low, high = bootstrap_interval(pearson_correlation, first, truth, num_resamples=200)
    assert paired.high - paired.low < (high - low) / 3


def test_equally_good_predictions_are_seldom_told_apart():
    significant = 0
    for seed in range(150):
        truth, first, second = noisy_predictions(80, 1.0, 1.0, seed=seed)
        significant += paired_bootstrap(pearson_correlation, truth, first, second, num_resamples=150).p_value < 0.05
    assert significant / 150 < 0.11


def test_a_constant_prediction_makes_the_comparison_undefined():
    truth, predicted = noisy_predictions(20, 1.0)
    result = paired_bootstrap(spearman_correlation, truth, predicted, np.ones(20), num_resamples=20)
    assert all(math.isnan(value) for value in result)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0]), {}, "`array 0` 2, `array 1` 3"),
        (([1.0],), {}, "at least 2 pictures, got 1"),
        ((), {}, "at least 2 pictures, got no array"),
        (([1.0, 2.0],), {"num_resamples": 0}, "`num_resamples` must be at least 1, got 0"),
        (([1.0, 2.0],), {"confidence": 95}, "`confidence` must lie between 0 and 1, got 95"),
    ],
)
def test_bad_arguments_are_refused(arrays, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(np.mean, *arrays, **options)


def test_groups_of_one_picture_are_pictures():
    truth, predicted = noisy_predictions(80, 0.8)
    plain = bootstrap_interval(spearman_correlation, predicted, truth)
    assert bootstrap_interval(spearman_correlation, predicted, truth, groups=np.arange(80)) == plain


def test_interval_over_groups_agrees_with_the_theory_of_their_means():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(100), 5))
    effects = rng.normal(5, 2, size=100)
    values = effects[groups]  # pictures of one group are copies: there are 100 independent values, not 500
    half_width = 1.96 * effects.std() / math.sqrt(100)
    low, high = bootstrap_interval(np.mean, values, groups=[f"theme {group}" for group in groups], num_resamples=2000)
    assert (low, high) == pytest.approx(
        (effects.mean() - half_width, effects.mean() + half_width), abs=0.15 * half_width
    )
    low, high = bootstrap_interval(np.mean, values, num_resamples=2000)
    assert high - low == pytest.approx(2 * half_width / math.sqrt(5), rel=0.15)


def test_a_draw_takes_groups_whole_and_both_predictions_alike():
    groups = np.array([2, 0, 2, 1, 0, 2])
    seen = []

    def metric(prediction, target):
        seen.append((prediction, target))
        return 0.0

    rows = np.arange(6)
    paired_bootstrap(metric, rows, rows, rows + 10, groups=groups, num_resamples=50)
    for (first, target), (second, _) in zip(seen[0::2], seen[1::2], strict=True):
        assert np.array_equal(first, target) and np.array_equal(second, target + 10)
        counts = np.bincount(target, minlength=6)
        assert counts[0] == counts[2] == counts[5] and counts[1] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3


@pytest.mark.parametrize(
    ("groups", "message"), [([1, 1, 2], "`array 0` 4, `groups` 3"), ([1, 1, 1, 1], "at least 2 of them, got 1")]
)
def test_unusable_groups_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(np.mean, np.arange(4.0), groups=groups)
