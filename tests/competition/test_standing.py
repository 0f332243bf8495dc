"""Scorers of known quality, judged by an oracle and by people with noise: their order is found again."""

import itertools

import numpy as np
import pytest

from hf_aesthetics.competition import (
    confident_annotators,
    level_weights,
    pair_accuracy_ranking,
    perron_vector,
    rank_scorers,
    select_attacks,
)
from hf_aesthetics.competition.score_tables import to_percentiles


def compete(sigmas, seed, num_annotators=1, noise=0.0, num_images=2000, **options):
    """Scorers with growing noise, pairs by which they attack each other, and what people who know the truth say."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, num_images)
    corpus = {f"s{n}": to_percentiles(truth + rng.normal(0, s, num_images)) for n, s in enumerate(sigmas)}
    pairs = select_attacks(corpus, num_pairs=2)
    seen = np.array([truth[pair.better] - truth[pair.worse] for pair in pairs])
    answers = 100 * np.tanh(seen + rng.normal(0, noise, (num_annotators, len(pairs))))
    weights = {name: level_weights(values) for name, values in corpus.items()}
    return rank_scorers(pairs, answers, weights, **options), pairs, answers, weights


@pytest.mark.parametrize("seed", range(3))
def test_an_oracle_recovers_the_order_of_scorers(seed):
    standing, *_ = compete([0.3, 0.7, 1.2, 2.5], seed)
    assert standing.order == ["s0", "s1", "s2", "s3"]
    assert (np.diff(standing.global_resistance) < 0).all() and (np.diff(standing.global_aggressiveness) < 0).all()


def test_people_with_noise_do_too_and_intervals_say_how_sure():
    standing, *_ = compete([0.3, 0.9, 2.5], 0, num_annotators=15, noise=1.0, num_resamples=200)
    assert standing.order == ["s0", "s1", "s2"]
    for name, bounds in standing.intervals.items():
        values = getattr(standing, name)
        assert (bounds[:, 0] <= values).all() and (values <= bounds[:, 1]).all()
        assert bounds[0, 0] > bounds[2, 1]  # the best and the worst are told apart


def test_a_scorer_that_is_right_is_aggressive_and_resists_by_hand():
    """Two scorers; where the good one attacks people side with it, where the bad one attacks they see nothing."""
    _, pairs, _, weights = compete([0.3, 2.5], 1)
    answers = np.array([[80.0 if pair.attacker == "s0" else 0.0 for pair in pairs]])
    standing = rank_scorers(pairs, answers, weights)
    attacked = {name: {pair.level for pair in pairs if pair.attacker == name} for name in ("s0", "s1")}
    reached = weights["s1"][sorted(attacked["s0"])].sum()
    assert standing.aggressiveness[0, 1] == pytest.approx(80 * reached)
    assert standing.aggressiveness[1, 0] == 0
    assert standing.resistance[0, 1] == pytest.approx(100)
    assert standing.resistance[1, 0] == pytest.approx(100 - 80 * reached)
    assert np.isnan(np.diag(standing.resistance)).all()


def test_answers_that_are_missing_are_left_out_of_means():
    _, pairs, answers, weights = compete([0.5, 2.0], 2, num_annotators=4, noise=0.5)
    some = answers.copy()
    some[0, ::2], some[1, 1::2] = np.nan, np.nan
    standing = rank_scorers(pairs, some, weights, num_resamples=20)
    alone = rank_scorers(pairs, np.nanmean(some, axis=0, keepdims=True), weights)
    np.testing.assert_allclose(standing.aggressiveness, alone.aggressiveness)
    some[:, 3] = np.nan
    with pytest.raises(ValueError, match="pair 3 has none"):
        rank_scorers(pairs, some, weights)
    with pytest.raises(ValueError, match="between -100 and 100, got 200"):
        rank_scorers(pairs, np.full((1, len(pairs)), 200.0), weights)
    with pytest.raises(ValueError, match="'s1' is not there"):
        rank_scorers(pairs, answers, {"s0": weights["s0"]})


def test_who_answers_without_a_plan_is_found():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-40, 40, 120)
    answers = truth + rng.normal(0, 8, (25, 120))
    answers[7] = rng.choice([-95, 95], 120)  # on both sides, whatever is shown
    answers[3] = truth + 25  # always kinder than the others, but by a plan
    assert np.flatnonzero(~confident_annotators(answers)).tolist() == [7]


def test_perron_vectors_of_consistent_matrices():
    weights = np.array([0.5, 0.3, 0.15, 0.05])
    np.testing.assert_allclose(perron_vector(weights[:, None] / weights), weights)
    matrix = np.random.default_rng(0).uniform(0.1, 3, (5, 5))
    vector = perron_vector(matrix)
    growth = matrix @ vector / vector
    np.testing.assert_allclose(growth, growth[0])
    powers = np.linalg.matrix_power(matrix / matrix.max(), 60).sum(axis=1)  # as the limit of powers
    np.testing.assert_allclose(vector, powers / powers.sum(), atol=1e-9)
    with pytest.raises(ValueError, match="entries above 0"):
        perron_vector([[1, 0], [1, 1]])


def test_accuracies_rank_classifiers_even_where_one_is_never_right():
    quality = np.array([0.9, 0.6, 0.3, 0.0])
    accuracies = np.zeros((4, 4))
    for i, j in itertools.permutations(range(4), 2):
        accuracies[i, j] = quality[i] * (1 - quality[j] / 2)
    scores = pair_accuracy_ranking(accuracies, num_images=30)
    assert (np.diff(scores) < 0).all() and scores.sum() == pytest.approx(1) and (scores > 0).all()
