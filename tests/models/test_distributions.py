"""Distributions and losses against scipy, hand-made numbers and properties."""

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from hf_aesthetics.models.distributions import (
    distribution_mean,
    distribution_std,
    maximum_entropy_distribution,
    normalize_votes,
)
from hf_aesthetics.models.losses import (
    earth_mover_distance,
    mean_score_squared_error,
    score_distribution_loss,
)


BINS = torch.arange(1.0, 11.0)


def random_distributions(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(10), size=count)).float()


def spike(rating: int) -> torch.Tensor:
    return torch.eye(10)[rating - 1 : rating]


# the values were computed by hand from the definition
@pytest.mark.parametrize(
    ("p", "q", "order", "expected"),
    [
        (spike(1), spike(10), 1, 0.9),
        (spike(1), spike(10), 2, 0.948683),
        (spike(5), spike(6), 1, 0.1),
        (spike(5), spike(6), 2, 0.316228),
        (torch.full((1, 10), 0.1), spike(1), 1, 0.45),
        (torch.full((1, 10), 0.1), spike(1), 2, 0.533854),
    ],
)
def test_distance_of_known_pairs(p, q, order, expected):
    assert earth_mover_distance(p, q, order).item() == pytest.approx(expected, abs=1e-6)
    assert earth_mover_distance(q, p, order).item() == pytest.approx(expected, abs=1e-6)


def test_distance_of_order_one_is_wassersteins_over_the_number_of_bins():
    p, q = random_distributions(20, 1), random_distributions(20, 2)
    expected = [
        stats.wasserstein_distance(range(10), range(10), u.numpy(), v.numpy()) / 10 for u, v in zip(p, q, strict=True)
    ]
    np.testing.assert_allclose(earth_mover_distance(p, q, 1), expected, atol=1e-6)


def test_distance_grows_with_the_shift():
    distances = [earth_mover_distance(spike(1), spike(1 + k), 2).item() for k in range(10)]
    assert distances == sorted(distances) and distances[0] == pytest.approx(0, abs=1e-5)


def test_distance_is_taken_picture_by_picture():
    p, q = random_distributions(6, 3), random_distributions(6, 4)
    alone = torch.cat([earth_mover_distance(p[i : i + 1], q[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(earth_mover_distance(p, q), alone)


def test_gradient_is_finite_at_a_perfect_match():
    logits = torch.zeros(2, 10, requires_grad=True)
    target = torch.full((2, 10), 0.1)
    score_distribution_loss(logits.softmax(-1), target, BINS, mean_weight=1.0, std_weight=1.0).backward()
    assert torch.isfinite(logits.grad).all()


def test_difference_of_means_is_the_sum_of_the_differences_of_cumulative_shares():
    p, q = random_distributions(5, 5).double(), random_distributions(5, 6).double()
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    difference = (p.cumsum(-1) - q.cumsum(-1)).sum(-1)
    torch.testing.assert_close(distribution_mean(q, BINS.double()) - distribution_mean(p, BINS.double()), difference)


def test_moments_equal_numpys_over_the_single_votes():
    counts = torch.tensor([0, 1, 5, 17, 38, 36, 15, 6, 5, 1])
    votes = np.repeat(np.arange(1, 11), counts.numpy())
    shares = normalize_votes(counts)
    assert distribution_mean(shares, BINS).item() == pytest.approx(votes.mean(), abs=1e-5)
    assert distribution_std(shares, BINS).item() == pytest.approx(votes.std(), abs=1e-5)


def test_loss_terms_do_not_depend_on_the_unit_of_the_scale():
    p, q = random_distributions(4, 7), random_distributions(4, 8)
    for weights in ({"mean_weight": 1.0}, {"std_weight": 1.0}):
        a = score_distribution_loss(p, q, BINS, **weights)
        b = score_distribution_loss(p, q, BINS * 3 - 40, **weights)
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
    torch.testing.assert_close(mean_score_squared_error(p, q, BINS), mean_score_squared_error(p, q, BINS / 9 + 2))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 10\) and \(2, 5\)"):
        earth_mover_distance(torch.zeros(2, 10), torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("votes", "message"),
    [([1, -1, 3], "between -1"), ([float("nan"), 1, 1], "nan"), ([0, 0, 0], "row of zeros")],
)
def test_votes_that_are_none_are_refused(votes, message):
    with pytest.raises(ValueError, match=message):
        normalize_votes(torch.tensor([votes]))


@pytest.mark.parametrize("with_std", [False, True])
def test_maximum_entropy_has_the_moments_and_beats_a_general_optimiser(with_std):
    means, stds = torch.tensor([2.2, 5.4, 8.9]), torch.tensor([1.1, 1.6, 0.9])
    found = maximum_entropy_distribution(means, BINS, stds if with_std else None)
    torch.testing.assert_close(found.sum(-1), torch.ones(3))
    torch.testing.assert_close(distribution_mean(found, BINS), means, atol=1e-3, rtol=0)
    if with_std:
        torch.testing.assert_close(distribution_std(found, BINS), stds, atol=1e-3, rtol=0)
    ratings = BINS.numpy().astype(float)
    for mean, std, shares in zip(means.tolist(), stds.tolist(), found.double().numpy(), strict=True):
        constraints = [
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "eq", "fun": lambda p, mean=mean: p @ ratings - mean},
        ]
        if with_std:
            constraints.append({"type": "eq", "fun": lambda p, mean=mean, std=std: p @ (ratings - mean) ** 2 - std**2})
        reference = optimize.minimize(
            lambda p: float((p * np.log(p + 1e-12)).sum()),
            np.full(10, 0.1),
            bounds=[(0, 1)] * 10,
            constraints=constraints,
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-10},
        )
        assert reference.success
        np.testing.assert_allclose(shares, reference.x, atol=5e-3)


def test_maximum_entropy_at_the_ends_of_the_scale_is_a_spike():
    found = maximum_entropy_distribution(torch.tensor([1.0, 10.0]), BINS)
    assert found[0, 0] > 0.99 and found[1, -1] > 0.99


def test_maximum_entropy_refuses_means_off_the_scale():
    with pytest.raises(ValueError, match="scale 1..10.*12"):
        maximum_entropy_distribution(torch.tensor([12.0]), BINS)
