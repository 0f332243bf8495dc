"""Strengths against a general optimiser, the numbers of two items by hand, and planted strengths."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from hf_aesthetics.metrics import choice_ceiling, fit_bradley_terry, strength_ceiling


def play(strengths, num_games, seed):
    """Choices between all pairs, as the model draws them."""
    first, second = np.array(list(itertools.combinations(range(len(strengths)), 2))).T
    won = np.random.default_rng(seed).binomial(num_games, expit(strengths[first] - strengths[second]))
    return first, second, won, num_games - won


@pytest.mark.parametrize("prior", [0.0, 0.5, 3.0])
def test_optimum_is_that_of_a_general_optimiser(prior):
    first, second, won, lost = play(np.linspace(-1, 1, 6), 8, seed=3)

    def cost(strengths):
        difference = strengths[first] - strengths[second]
        imagined = log_expit(strengths) + log_expit(-strengths)
        return -(won @ log_expit(difference) + lost @ log_expit(-difference) + prior / 2 * imagined.sum())

    found = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-9}).x
    fit = fit_bradley_terry(first, second, won, lost, prior=prior)
    np.testing.assert_allclose(fit.strengths, found - found.mean(), atol=1e-5)
    if prior == 0:
        assert fit.log_likelihood == pytest.approx(-cost(found))


def test_two_items_by_hand():
    fit = fit_bradley_terry([0], [1], [30], [10])
    assert fit.probability(0, 1) == pytest.approx(0.75)
    half = 1.959964 * np.sqrt(1 / 30 + 1 / 10)  # of the logarithm of odds
    np.testing.assert_allclose(fit.interval(0, 1), (expit(logit(0.75) - half), expit(logit(0.75) + half)), rtol=1e-6)


def test_rows_may_repeat_a_pair_and_turn_it_round():
    whole = fit_bradley_terry([0, 1, 0], [1, 2, 2], [3, 2, 4], [2, 3, 1])
    parts = fit_bradley_terry([0, 1, 2, 1, 0], [1, 0, 1, 2, 2], [2, 2, 3, 2, 4], [0, 1, 0, 0, 1])
    np.testing.assert_allclose(parts.strengths, whole.strengths, atol=1e-8)


def test_planted_strengths_are_found_and_intervals_cover_them():
    planted = np.array([1.2, 0.6, 0.1, -0.3, -1.6])
    covered = []
    for seed in range(80):
        first, second, won, lost = play(planted, 25, seed)
        fit = fit_bradley_terry(first, second, won, lost)
        low, high = fit.interval(first, second)
        covered.append(
            np.mean(
                (low <= expit(planted[first] - planted[second])) & (expit(planted[first] - planted[second]) <= high)
            )
        )
    assert 0.92 < np.mean(covered) < 0.98
    first, second, won, lost = play(planted, 5000, seed=0)
    np.testing.assert_allclose(fit_bradley_terry(first, second, won, lost).strengths, planted, atol=0.1)


def test_without_a_maximum_the_prior_is_asked_for_and_gives_the_order():
    first, second = [0, 0, 1], [1, 2, 2]  # 0 beats all, 1 beats 2
    with pytest.raises(ValueError, match=r"no maximum: item\(s\) 2 never won .* Pass prior=0.5"):
        fit_bradley_terry(first, second, [1, 1, 1], [0, 0, 0])
    fit = fit_bradley_terry(first, second, [1, 1, 1], [0, 0, 0], prior=0.5)
    assert fit.strengths.argsort().tolist() == [2, 1, 0]
    assert np.isfinite(fit.standard_errors).all()
    np.testing.assert_allclose(fit.strengths, -fit.strengths[::-1], atol=1e-8)  # the prior favours no item
    weaker = fit_bradley_terry(first, second, [1, 1, 1], [0, 0, 0], prior=0.1)
    assert np.ptp(weaker.strengths) > np.ptp(fit.strengths)


def test_many_choices_outweigh_the_prior():
    first, second, won, lost = play(np.array([1.0, 0.0, -1.0]), 20_000, seed=1)
    plain = fit_bradley_terry(first, second, won, lost)
    np.testing.assert_allclose(
        fit_bradley_terry(first, second, won, lost, prior=0.5).strengths, plain.strengths, atol=1e-3
    )


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_what_no_choice_links_is_told(prior):
    with pytest.raises(
        ValueError, match="all 5 items, but fall into 2 parts without a choice between them, one of them 3, 4"
    ):
        fit_bradley_terry([0, 1, 3], [1, 2, 4], [1, 1, 1], [1, 1, 1], prior=prior)
    with pytest.raises(ValueError, match="one of them 2"):
        fit_bradley_terry([0], [1], [1], [1], num_items=3, prior=prior)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0], [0], [1], [1]), "compared with itself, but 0 is in row 0"),
        (([0.5], [1], [1], [1]), "positions of items"),
        (([0], [1], [-1], [1]), "`wins_first` must not be negative, got -1"),
        (([0], [4], [1], [1], 3), "between 0 and 2, got up to 4"),
        (([0], [1], [1], [1], 2, -1.0), "`prior` must be a number of at least 0, got -1"),
    ],
)
def test_malformed_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_bradley_terry(*arguments)


@pytest.mark.parametrize("shape", [0.3, 1.0, 20.0])
def test_bounds_hold_whatever_people_prefer(shape):
    rng = np.random.default_rng(5)
    preference = rng.beta(shape, shape, size=40_000)
    wins = rng.binomial(2, preference)
    ceiling = choice_ceiling(wins, 2 - wins)
    best = np.maximum(preference, 1 - preference).mean()
    assert ceiling.agreement == pytest.approx((preference**2 + (1 - preference) ** 2).mean(), abs=0.01)
    assert ceiling.low - 0.01 < best < ceiling.high + 0.01


def test_bounds_meet_where_all_agree_and_where_nobody_does():
    assert choice_ceiling([2, 0, 3], [0, 2, 0])[:3] == (1.0, 1.0, 1.0)
    assert choice_ceiling([1, 1], [1, 1])[1:] == (0.5, 0.5, 2)
    assert np.isnan(choice_ceiling([1, 0], [0, 1]).low)


def test_strengths_from_other_choices_come_close_to_the_best_guess():
    planted = np.random.default_rng(2).normal(0, 1.5, 40)
    first, second, won, lost = play(planted, 1, seed=9)
    best = np.maximum(p := expit(planted[first] - planted[second]), 1 - p).mean()
    assert best - 0.05 < strength_ceiling(first, second, won, lost) < best + 0.03
