"""Metrics of series and pairs against brute force over all ways to break ties, scipy and numbers by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from hf_aesthetics.metrics import (
    choice_accuracy,
    full_order_accuracy,
    pair_accuracy,
    pair_f1,
    series_correlation,
    summarize_pairs,
    summarize_series,
    top1_accuracy,
)


def random_series(seed: int, num_levels: int = 4):
    """Short series with many ties, both of ranks and of scores."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 6, size=12)
    series = np.repeat([f"s{number}" for number in range(len(lengths))], lengths)
    return rng.integers(num_levels, size=len(series)) / 2, rng.integers(3, size=len(series)), series


def parted(scores, ranks, series):
    """The series that have two ranks, one by one."""
    for name in np.unique(series):
        members = series == name
        if len(set(ranks[members])) > 1:
            yield scores[members], ranks[members]


def orders_by_lot(scores):
    """Every order by falling scores that breaking the ties by lot can give, each as likely as the others."""
    return [o for o in itertools.permutations(range(len(scores))) if (np.diff(scores[list(o)]) <= 0).all()]


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_worth_what_breaking_them_by_lot_gives_on_average(seed):
    scores, ranks, series = random_series(seed)
    top1, full, pairs = [], [], []
    for s, r in parted(scores, ranks, series):
        orders = orders_by_lot(s)
        top1.append(np.mean([r[o[0]] == r.min() for o in orders]))
        full.append(np.mean([(np.diff(r[list(o)]) >= 0).all() for o in orders]))
        for a, b in itertools.combinations(range(len(s)), 2):
            if r[a] != r[b]:
                pairs.append(np.mean([(o.index(a) < o.index(b)) == (r[a] < r[b]) for o in orders]))
    assert top1_accuracy(scores, ranks, series) == pytest.approx(np.mean(top1))
    assert full_order_accuracy(scores, ranks, series) == pytest.approx(np.mean(full))
    summary = summarize_series(scores, ranks, series)
    assert summary["pair_accuracy"] == pytest.approx(np.mean(pairs))
    assert (summary["num_series"], summary["num_pairs"]) == (len(top1), len(pairs))


@pytest.mark.parametrize("seed", range(5))
def test_correlation_is_the_mean_of_those_of_scipy(seed):
    scores, ranks, series = random_series(seed)
    each = [spearmanr(s, -r).statistic if np.ptp(s) else 0.0 for s, r in parted(scores, ranks, series)]
    assert series_correlation(scores, ranks, series) == pytest.approx(np.mean(each))


def test_perfect_and_reversed_orders():
    ranks, series = np.array([0, 1, 2, 3, 0, 1]), ["a"] * 4 + ["b"] * 2
    right = summarize_series(-ranks, ranks, series)
    wrong = summarize_series(ranks, ranks, series)
    keys = ["pair_accuracy", "series_srcc", "top1_accuracy", "full_order_accuracy"]
    assert [right[key] for key in keys] == pytest.approx([1, 1, 1, 1])
    assert [wrong[key] for key in keys] == pytest.approx([0, -1, 0, 0])


def test_a_monotone_transform_and_the_order_of_rows_change_nothing():
    scores, ranks, series = random_series(7)
    shuffle = np.random.default_rng(0).permutation(len(scores))
    moved = summarize_series(np.exp(3 * scores[shuffle]), ranks[shuffle], series[shuffle])
    assert moved == pytest.approx(summarize_series(scores, ranks, series))


def test_series_without_two_ranks_say_nothing():
    assert math.isnan(top1_accuracy([1.0, 2.0, 3.0], [0, 0, 0], ["a", "a", "b"]))
    with_dull = summarize_series([1, 2, 3, 4, 5], [0, 0, 1, 0, 3], ["a", "a", "b", "b", "c"])
    assert (with_dull["num_series"], with_dull["num_images"], with_dull["top1_accuracy"]) == (1, 2, 1.0)


def test_sources_are_told_apart_and_weigh_alike_in_their_mean():
    scores = [1, 0, 1, 0, 1, 0, 0, 1]
    summary = summarize_series(scores, [0, 1] * 4, list("aabbccdd"), sources=["burst"] * 6 + ["crop"] * 2)
    assert summary["top1_accuracy"] == 0.75
    assert {source: found["top1_accuracy"] for source, found in summary["by_source"].items()} == {
        "burst": 1,
        "crop": 0,
    }
    assert summary["mean_of_sources"]["top1_accuracy"] == 0.5
    with pytest.raises(ValueError, match="series 'a' has 'x' and 'y'"):
        summarize_series([1, 2, 3, 4], [0, 1, 0, 1], list("aabb"), sources=["x", "y", "x", "x"])


def test_intervals_are_over_series_and_cover_the_truth():
    """A scorer that is right about a pair with probability 0.7, but the same for all pairs of a series."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        right = rng.random(40) < 0.7
        ranks = np.tile(np.arange(5), 40)
        scores = np.where(np.repeat(right, 5), -ranks, ranks)
        summary = summarize_series(scores, ranks, np.repeat(np.arange(40), 5), num_resamples=200)
        low, high = summary["intervals"]["pair_accuracy"]
        covered.append(low <= 0.7 <= high)
        assert high - low > 0.2  # of 400 single pairs it would be 0.09
    assert np.mean(covered) > 0.85


def test_pairs_against_scikit_learn():
    rng = np.random.default_rng(1)
    preference = rng.choice([0.0, 0.2, 0.5, 0.9], size=300)
    difference = rng.normal(size=300) + (preference - 0.5)
    decided = preference != 0.5
    true, predicted = preference[decided] > 0.5, difference[decided] > 0
    assert pair_accuracy(difference, preference) == pytest.approx(np.mean(true == predicted))
    assert pair_f1(difference, preference) == pytest.approx(f1_score(true, predicted, average="macro"))
    assert pair_f1(-difference, 1 - preference) == pytest.approx(pair_f1(difference, preference))


def test_a_scorer_that_says_nothing_gets_one_half():
    preference = np.array([1.0, 0.0, 1.0, 1.0])
    assert pair_accuracy(np.zeros(4), preference) == 0.5
    assert pair_f1(np.zeros(4), preference) == pytest.approx((2 * 1.5 / 5 + 2 * 0.5 / 3) / 2)
    assert choice_accuracy([0, 0], [3, 1], [0, 2]) == 0.5


def test_choices_count_one_by_one():
    assert choice_accuracy([1.0, -1.0, 0.0], [3, 1, 1], [1, 4, 0]) == pytest.approx((3 + 4 + 0.5) / 10)
    assert math.isnan(choice_accuracy([1.0], [0], [0]))
    with pytest.raises(ValueError, match="`wins_second` must not be negative, got -2"):
        choice_accuracy([1.0], [0], [-2])


def test_pairs_by_series_and_source():
    difference, preference = [1, 1, -1, -1, 1], [1, 1, 1, 0.5, 0]
    found = summarize_pairs(difference, preference, groups=list("aabbc"), sources=list("xxyyx"), num_resamples=50)
    assert (found["num_pairs"], found["pair_accuracy"]) == (4, 0.5)
    assert found["by_source"]["x"]["pair_accuracy"] == pytest.approx(2 / 3)
    assert found["by_source"]["y"]["num_pairs"] == 1
    assert found["mean_of_sources"]["pair_accuracy"] == pytest.approx(1 / 3)
    assert "intervals" not in found["by_source"]["y"]  # of one series nothing is known about others
    with pytest.raises(ValueError, match="between 0 and 1, got -1 to 1"):
        summarize_pairs(difference, [1, -1, 0, 0, 0])
