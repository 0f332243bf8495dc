import json
import math

import numpy as np
import pytest
import scipy.stats

from hf_aesthetics.metrics import summarize


BINS = np.arange(1, 8)
ALWAYS = {
    "num_images",
    "srcc",
    "plcc",
    "krcc",
    "mse",
    "mae",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "majority_accuracy",
}
SPREAD = {"srcc_std", "plcc_std", "krcc_std"}
WHOLE = {"emd", "emd_2", "pit_error"}


def predictions_and_votes(num_images: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(7, 2.0), size=num_images)
    predicted = 0.6 * truth + 0.4 * rng.dirichlet(np.ones(7), size=num_images)
    return predicted, rng.multinomial(60, truth)


def test_every_value_equals_an_independent_computation():
    predicted, counts = predictions_and_votes()
    shares = counts / 60
    constant = np.full(7, 1 / 7)
    result = summarize(predicted, shares, BINS, vote_counts=counts, constant_distribution=constant)

    # Sums of integers, so that equal means and equal standard deviations are ties.
    sums, squares = counts @ BINS, counts @ BINS**2
    mean_p, mean_t = predicted @ BINS, sums / 60
    std_p, std_t = np.sqrt(predicted @ BINS**2 - mean_p**2), np.sqrt(60 * squares - sums**2) / 60
    assert len(set(mean_t)) < 80 and len(set(std_t)) < 80

    def emd(first, second):
        return np.mean(
            [scipy.stats.wasserstein_distance(BINS, BINS, p, q) / 7 for p, q in zip(first, second, strict=True)]
        )

    high_p, high_t = mean_p > 4, counts @ (BINS - 4) > 0
    recalls = [np.mean(high_p[high_t]), np.mean(~high_p[~high_t])]
    precision = np.mean(high_t[high_p])
    steps = np.cumsum(predicted, axis=1) - np.cumsum(shares, axis=1)
    expected = {
        "num_images": 80,
        "srcc": scipy.stats.spearmanr(mean_p, mean_t).statistic,
        "plcc": np.corrcoef(mean_p, mean_t)[0, 1],
        "krcc": scipy.stats.kendalltau(mean_p, mean_t).statistic,
        "srcc_std": scipy.stats.spearmanr(std_p, std_t).statistic,
        "plcc_std": np.corrcoef(std_p, std_t)[0, 1],
        "krcc_std": scipy.stats.kendalltau(std_p, std_t).statistic,
        "mse": np.mean((mean_p - mean_t) ** 2),
        "mae": np.mean(np.abs(mean_p - mean_t)),
        "accuracy": np.mean(high_p == high_t),
        "balanced_accuracy": np.mean(recalls),
        "f1": scipy.stats.hmean([recalls[0], precision]),
        "majority_accuracy": max(high_t.mean(), 1 - high_t.mean()),
        "emd": emd(predicted, shares),
        "emd_2": np.mean(np.linalg.norm(steps, axis=1) / math.sqrt(7)),
        "emd_skill": 1 - emd(predicted, shares) / emd(np.tile(constant, (80, 1)), shares),
    }
    assert set(result) == set(expected) | {"pit_error"}
    assert {key: result[key] for key in expected} == pytest.approx(expected, abs=1e-9)


def test_keys_follow_what_is_known():
    predicted, counts = predictions_and_votes()
    shares, means, stds = counts / 60, counts @ BINS / 60, np.full(80, 1.0)
    constant = shares.mean(axis=0)
    assert set(summarize(predicted, shares, BINS)) == ALWAYS | SPREAD | WHOLE
    assert set(summarize(predicted, None, BINS, vote_counts=counts)) == ALWAYS | SPREAD | WHOLE
    assert set(summarize(predicted, shares, BINS, constant_distribution=constant)) == ALWAYS | SPREAD | WHOLE | {
        "emd_skill"
    }
    assert set(summarize(predicted, None, BINS, target_mean=means)) == ALWAYS
    assert set(summarize(predicted, None, BINS, target_mean=means, target_std=stds)) == ALWAYS | SPREAD
    assert set(summarize(None, shares, BINS, predicted_mean=means)) == ALWAYS


def test_perfect_prediction():
    _, counts = predictions_and_votes()
    result = summarize(counts / 60, None, BINS, vote_counts=counts, constant_distribution=(counts / 60).mean(axis=0))
    ones = ["srcc", "plcc", "krcc", "srcc_std", "plcc_std", "krcc_std", "accuracy", "f1", "emd_skill"]
    zeros = ["mse", "mae", "emd", "emd_2", "pit_error"]
    assert [result[key] for key in ones + zeros] == pytest.approx([1] * len(ones) + [0] * len(zeros), abs=1e-12)


def test_constant_prediction_has_no_correlation_and_no_skill():
    _, counts = predictions_and_votes()
    constant = (counts / 60).mean(axis=0)
    result = summarize(np.tile(constant, (80, 1)), None, BINS, vote_counts=counts, constant_distribution=constant)
    assert all(math.isnan(result[key]) for key in ("srcc", "plcc", "krcc", "srcc_std", "plcc_std", "krcc_std"))
    assert result["emd_skill"] == pytest.approx(0, abs=1e-12)
    assert result["balanced_accuracy"] == 0.5


def test_a_mean_of_exactly_the_threshold_is_low():
    counts = np.array([[0, 4, 4, 0, 1, 0, 2, 1, 2, 1], [0, 0, 0, 0, 3, 2, 0, 0, 0, 0]])
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert counts[0] @ np.arange(1, 11) == 5 * counts[0].sum()
    assert (shares[0] * np.arange(1, 11)).sum() > 5  # what plain floating point makes of it
    predicted = np.eye(10)[[3, 8]]
    assert summarize(predicted, None, range(1, 11), vote_counts=counts)["accuracy"] == 1
    assert summarize(predicted, shares, range(1, 11))["accuracy"] == 1


def test_votes_restore_the_precision_that_32_bit_shares_lost():
    predicted, counts = predictions_and_votes()
    shares = (counts / 60).astype(np.float32)
    exact = scipy.stats.kendalltau(predicted @ BINS, counts @ BINS).statistic
    assert summarize(predicted, shares, BINS, vote_counts=counts)["krcc"] == pytest.approx(exact, abs=1e-12)
    assert summarize(predicted, shares, BINS)["krcc"] != pytest.approx(exact, abs=1e-6)


def test_threshold_is_strict_for_mean_only_targets():
    result = summarize(None, None, [1, 2, 3], predicted_mean=[2.0, 2.5, 3.0], target_mean=[2.0, 2.0, 2.5])
    assert result["accuracy"] == pytest.approx(2 / 3)
    result = summarize(None, None, [1, 2, 3], predicted_mean=[2.0, 2.5, 3.0], target_mean=[2.0, 2.0, 2.5], threshold=1)
    assert result["accuracy"] == 1


def test_threshold_reaches_votes_and_predictions():
    predicted, counts = predictions_and_votes()
    result = summarize(predicted, None, BINS, vote_counts=counts, threshold=4.5)
    assert result["accuracy"] == np.mean((predicted @ BINS > 4.5) == (2 * counts @ BINS > 9 * 60))
    assert result["majority_accuracy"] == max(
        np.mean(2 * counts @ BINS > 9 * 60), np.mean(2 * counts @ BINS <= 9 * 60)
    )


def test_intervals_hold_their_values_and_are_json():
    predicted, counts = predictions_and_votes()
    constant = (counts / 60).mean(axis=0)
    result = summarize(predicted, None, BINS, vote_counts=counts, constant_distribution=constant, num_resamples=200)
    intervals = json.loads(json.dumps(result))["intervals"]
    assert set(intervals) == set(result) - {"num_images", "intervals", "majority_accuracy", "pit_error"}
    for key, (low, high) in intervals.items():
        assert low < result[key] < high, key
    again = summarize(predicted, None, BINS, vote_counts=counts, constant_distribution=constant, num_resamples=200)
    other = summarize(
        predicted, None, BINS, vote_counts=counts, constant_distribution=constant, num_resamples=200, seed=1
    )
    assert again == result
    assert other["intervals"] != result["intervals"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predicted_distribution": None}, "`predicted_distribution` or `predicted_mean` must be given"),
        ({"target_distribution": None}, "`target_distribution` or `target_mean` must be given"),
        ({"target_distribution": np.full((79, 7), 1 / 7)}, "`predicted_mean` 80, `target_mean` 79"),
        ({"target_distribution": np.full((80, 5), 0.2)}, r"each of the 5 bins, got shape \(7,\)"),
        ({"vote_counts": np.ones((81, 7))}, "`predicted_mean` 80, `target_mean` 81"),
        ({"target_mean": np.full(80, np.nan)}, "`target_mean` must be finite, got 80"),
        ({"bin_values": range(1, 11)}, r"each of the 7 bins, got shape \(10,\)"),
        ({"constant_distribution": np.full(5, 0.2)}, r"constant distribution must have shape \(7,\), .*, got \(5,\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    predicted, counts = predictions_and_votes()
    arguments = {
        "predicted_distribution": predicted,
        "target_distribution": counts / 60,
        "bin_values": BINS,
    } | arguments
    with pytest.raises(ValueError, match=message):
        summarize(**arguments)
