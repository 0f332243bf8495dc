"""Ranking losses against torch.nn, plain loops and the enumeration of all orders."""

import itertools
import math

import pytest
import torch

from hf_aesthetics.models.ranking_losses import list_mle_loss, margin_ranking_loss, triplet_ranking_loss


RATINGS = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 2.0])
LOSSES = [margin_ranking_loss, triplet_ranking_loss, list_mle_loss]


def random_scores(seed: int, count: int = 6) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("margin", [0.1, 1.0, 3.0])
def test_margin_loss_is_torchs_over_the_pairs_that_differ(margin):
    scores = random_scores(0)
    pairs = [(i, j) for i, j in itertools.combinations(range(6), 2) if RATINGS[i] != RATINGS[j]]
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    sign = (RATINGS[first] - RATINGS[second]).sign()
    expected = torch.nn.MarginRankingLoss(margin=margin)(scores[first], scores[second], sign)
    torch.testing.assert_close(margin_ranking_loss(scores, RATINGS, margin), expected)


@pytest.mark.parametrize("margin", [0.1, 1.0, 3.0])
def test_triplet_loss_is_that_of_every_ordered_triple_from_both_ends(margin):
    scores, losses = random_scores(1).tolist(), []
    for high, middle, low in itertools.permutations(range(6), 3):
        if RATINGS[high] > RATINGS[middle] > RATINGS[low]:
            whole = scores[high] - scores[low]
            losses += [max(0, margin + abs(scores[end] - scores[middle]) - whole) for end in (high, low)]
    expected = sum(losses) / len(losses)
    assert triplet_ranking_loss(torch.tensor(scores), RATINGS, margin).item() == pytest.approx(expected, abs=1e-6)


def test_triplet_loss_of_scores_in_place_is_torchs():
    scores, ratings = torch.tensor([0.0, 0.4, 1.5]), torch.tensor([1.0, 2.0, 3.0])
    low, middle, high = scores[:, None, None]
    torchs = torch.nn.TripletMarginLoss(margin=1.0, eps=0)
    expected = (torchs(high, middle, low) + torchs(low, middle, high)) / 2
    torch.testing.assert_close(triplet_ranking_loss(scores, ratings, 1.0), expected)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_list_mle_is_the_likelihood_of_one_of_all_orders(order):
    scores = random_scores(2, 3)

    def chance(ranking) -> float:
        left, product = [math.exp(scores[k]) for k in ranking], 1.0
        while left:
            product *= left[0] / sum(left)
            left = left[1:]
        return product

    assert sum(chance(ranking) for ranking in itertools.permutations(range(3))) == pytest.approx(1)
    ratings = torch.empty(3)
    ratings[list(order)] = torch.tensor([9.0, 5.0, 1.0])
    assert list_mle_loss(scores, ratings).item() == pytest.approx(-math.log(chance(order)) / 3, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_turning_scores_and_ratings_round_is_the_same_for_distances_and_the_wrong_way_costs_more(loss):
    scores = RATINGS + 0.1 * random_scores(3)
    assert loss(scores, RATINGS) < loss(-scores, RATINGS)
    if loss is not list_mle_loss:  # which draws the best first
        torch.testing.assert_close(loss(-scores, -RATINGS), loss(scores, RATINGS))
    torch.testing.assert_close(loss(scores + 7, RATINGS), loss(scores, RATINGS))


def test_pair_of_any_ranking_is_antisymmetric():
    scores = random_scores(4, 2).requires_grad_()
    better_first, better_last = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 2.0])
    for loss in (margin_ranking_loss, list_mle_loss):
        (forth,) = torch.autograd.grad(loss(scores, better_first), scores)
        (back,) = torch.autograd.grad(loss(scores.flip(0), better_last), scores)
        torch.testing.assert_close(forth, back)
        assert forth[0] < 0 < forth[1] and forth.sum().abs() < 1e-6


@pytest.mark.parametrize("loss", [margin_ranking_loss, triplet_ranking_loss])
def test_nothing_is_lost_exactly_where_neighbours_are_a_margin_apart(loss):
    ratings = torch.tensor([1.0, 2.0, 3.0, 4.0])
    apart = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert loss(apart, ratings, margin=1.0) == 0
    assert loss(0.9 * apart, ratings, margin=1.0) > 0
    assert loss(apart[[0, 2, 1, 3]], ratings, margin=1.0) > 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "ratings", [torch.tensor([1.0, 2.0, 3.0]), torch.ones(3), torch.ones(1), torch.tensor([1.0, 2.0])]
)
def test_loss_and_gradient_are_finite_at_equal_scores_and_ratings(loss, ratings):
    scores = torch.zeros(len(ratings), requires_grad=True)
    value = loss(scores, ratings)
    value.backward()
    assert value.shape == () and torch.isfinite(value) and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_anything_but_two_vectors_is_refused(loss):
    with pytest.raises(ValueError, match=r"\(4, 1\) and \(4,\)"):
        loss(torch.zeros(4, 1), torch.zeros(4))
