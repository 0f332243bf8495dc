"""Losses on series, against numbers by hand and formulas written out."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from hf_aesthetics.models.series_losses import (
    bradley_terry_loss,
    comparative_alignment_loss,
    grouped_list_mle,
    pair_probabilities,
    rank_reg_loss,
    win_shares,
)


def all_pairs(count: int) -> torch.Tensor:
    return torch.tensor(list(itertools.combinations(range(count), 2)))


def one_score_each(scores: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Probabilities of pictures whose scores do not depend on the other one."""
    return pair_probabilities(scores[pairs].flatten())


def rank_reg(scores: torch.Tensor, ranks: list[int], over_pairs: bool = False) -> torch.Tensor:
    pairs = all_pairs(len(ranks))
    probabilities = one_score_each(scores, pairs)
    series = torch.zeros(len(ranks), dtype=torch.long)
    return rank_reg_loss(probabilities, pairs, torch.tensor(ranks), series, over_pairs=over_pairs)


@pytest.mark.parametrize(("count", "floor"), [(2, 0.3133), (3, 1.1543), (5, 3.6664)])
def test_the_floor_is_above_zero_and_equal_scores_give_log_of_all_orders(count, floor):
    sure = rank_reg(-1e3 * torch.arange(count).float(), list(range(count)))
    assert sure.item() == pytest.approx(floor, abs=1e-4)
    undecided = rank_reg(torch.full((count,), 5.0), list(range(count)))
    assert undecided.item() == pytest.approx(math.log(math.factorial(count)), abs=1e-5)


@pytest.mark.parametrize("over_pairs", [False, True])
def test_two_pictures_by_hand(over_pairs):
    probability = 1 / (1 + math.exp(-0.7))
    loss = rank_reg(torch.tensor([5.2, 4.5]), [0, 1], over_pairs)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-(2 * probability - 1))), abs=1e-6)


@pytest.mark.parametrize("over_pairs", [False, True])
def test_a_constant_changes_nothing_and_the_gradient_is_towards_the_order(over_pairs):
    scores = torch.tensor([4.0, 6.0, 5.0, 5.5], dtype=torch.double, requires_grad=True)
    loss = rank_reg(scores, [2, 3, 0, 1], over_pairs)
    assert rank_reg(scores + 3, [2, 3, 0, 1], over_pairs).item() == pytest.approx(loss.item())
    (gradient,) = torch.autograd.grad(loss.sum(), scores)
    assert gradient.sum().abs() < 1e-9
    assert gradient[2] < 0 < gradient[1]  # a step down the gradient raises the best and lowers the worst


@pytest.mark.parametrize("over_pairs", [False, True])
@pytest.mark.parametrize("ranks", [[0, 1, 2, 3], [0, 0, 1, 2], [1, 1, 1, 1]])
def test_the_order_of_the_rows_does_not_matter(ranks, over_pairs):
    scores = torch.tensor([5.0, 4.2, 6.1, 5.3])
    expected = rank_reg(scores, ranks, over_pairs)
    for order in itertools.permutations(range(4)):
        shuffled = rank_reg(scores[list(order)], [ranks[place] for place in order], over_pairs)
        torch.testing.assert_close(shuffled, expected)


def test_ties_teach_equal_scores():
    scores = torch.tensor([6.0, 5.0, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(rank_reg(scores, [0, 0, 1]).sum(), scores)
    assert gradient[0] > gradient[1]
    equal = torch.full((3,), 5.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(rank_reg(equal, [0, 0, 0]).sum(), equal)
    torch.testing.assert_close(gradient, torch.zeros(3))


def test_lists_of_a_batch_are_lists_alone():
    values = torch.randn(9, generator=torch.Generator().manual_seed(0))
    order, groups = torch.tensor([0, 1, 2, 1, 0, 1, 2, 0, 3]), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    for group, loss in enumerate(grouped_list_mle(values, order, groups)):
        mine = [i for i in range(9) if groups[i] == group]
        ordered = [values[i].item() for i in sorted(mine, key=lambda i: order[i].item())]
        expected = -sum(
            value - math.log(sum(math.exp(other) for other in ordered[place:])) for place, value in enumerate(ordered)
        )
        assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_win_shares_are_the_mean_over_the_opponents():
    pairs = all_pairs(4)
    matrix = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    expected = []
    for i in range(4):
        won = [matrix[i, j] if i < j else 1 - matrix[j, i] for j in range(4) if i != j]
        expected.append(sum(won).item() / 3)
    shares = win_shares(matrix[pairs[:, 0], pairs[:, 1]], pairs, 4)
    assert shares.tolist() == pytest.approx(expected)


def test_preferences_stand_in_place_of_ranks():
    pairs, ranks, series = all_pairs(3), torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.long)
    scores = torch.tensor([5.0, 4.0, 5.0, 3.0, 4.0, 3.5])
    unknown = torch.full((3,), torch.nan)
    plain = bradley_terry_loss(scores, pairs, ranks, series)
    torch.testing.assert_close(bradley_terry_loss(scores, pairs, ranks, series, unknown), plain)
    shares = torch.tensor([0.8, torch.nan, 0.5])
    sigmoids = [1 / (1 + math.exp(-x)) for x in (1.0, 2.0, 0.5)]
    by_hand = [-q * math.log(p) - (1 - q) * math.log(1 - p) for p, q in zip(sigmoids, (0.8, 1.0, 0.5), strict=True)]
    loss = bradley_terry_loss(scores, pairs, ranks, series, shares)
    assert loss.item() == pytest.approx(sum(by_hand) / 3, abs=1e-6)


def test_over_pairs_the_surest_comparison_comes_first():
    pairs, ranks, series = all_pairs(3), torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.long)
    probabilities = torch.tensor([0.6, 0.9, 0.7])

    def loss(preferences: list[float]) -> float:
        return rank_reg_loss(probabilities, pairs, ranks, series, torch.tensor(preferences), over_pairs=True).item()

    assert loss([0.6, 0.95, 0.7]) < loss([0.95, 0.6, 0.7])


def test_alignment_turns_with_the_pair_and_is_zero_where_parallel():
    generator = torch.Generator().manual_seed(0)
    first, second, text = (torch.randn(4, 8, generator=generator) for _ in range(3))
    there, back = comparative_alignment_loss(first, second, text), comparative_alignment_loss(second, first, text)
    torch.testing.assert_close(there - 1, 1 - back)
    parallel = comparative_alignment_loss(second + 3 * text, second, text)
    torch.testing.assert_close(parallel, torch.zeros(4), atol=1e-6, rtol=0)
    equal = first.clone().requires_grad_()
    comparative_alignment_loss(equal, first, text).sum().backward()
    assert torch.isfinite(equal.grad).all()


def test_gradients_are_right():
    scores = torch.tensor([5.0, 4.2, 6.1, 5.3], dtype=torch.double, requires_grad=True)
    assert gradcheck(lambda values: rank_reg(values, [0, 2, 1, 1]), scores)
    assert gradcheck(lambda values: rank_reg(values, [0, 2, 1, 1], over_pairs=True), scores)
