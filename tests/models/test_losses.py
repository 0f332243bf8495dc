"""Divergences between score distributions against scipy, hand-made numbers and properties."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import distance
from tiny import TINY_RESNET, tiny_model

from hf_aesthetics.models.losses import (
    DIVERGENCES,
    chi_square_distance,
    cumulative_jensen_shannon_divergence,
    earth_mover_distance,
    jensen_shannon_divergence,
    kullback_leibler_divergence,
    score_distribution_loss,
)


BINS = torch.arange(1.0, 11.0)


def random_distributions(count: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(10), size=count)).float()


def spike(rating: int) -> torch.Tensor:
    return torch.eye(10)[rating - 1 : rating]


PREDICTED, TARGET = random_distributions(20, 1), random_distributions(20, 2)
TARGET[:5, 3:6] = 0
TARGET = TARGET / TARGET.sum(dim=1, keepdim=True)


def test_kullback_leibler_is_scipys_relative_entropy():
    expected = stats.entropy(TARGET.double().numpy(), PREDICTED.double().numpy(), axis=1)
    np.testing.assert_allclose(kullback_leibler_divergence(PREDICTED, TARGET), expected, atol=1e-5)


def test_kullback_leibler_trains_as_cross_entropy_with_the_shares():
    logits = torch.randn(20, 10, requires_grad=True)
    (ours,) = torch.autograd.grad(kullback_leibler_divergence(logits.softmax(-1), TARGET).mean(), logits)
    (theirs,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, TARGET), logits)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_jensen_shannon_is_the_square_of_scipys_distance():
    expected = distance.jensenshannon(PREDICTED.double().numpy(), TARGET.double().numpy(), axis=1) ** 2
    np.testing.assert_allclose(jensen_shannon_divergence(PREDICTED, TARGET), expected, atol=1e-6)


def test_cumulative_jensen_shannon_is_scipys_relative_entropy_of_cumulative_shares():
    from scipy.special import rel_entr

    below, true_below = PREDICTED.double().cumsum(1).numpy(), TARGET.double().cumsum(1).numpy()
    middle = (below + true_below) / 2
    expected = (rel_entr(below, middle) + rel_entr(true_below, middle)).mean(axis=1) / 2
    np.testing.assert_allclose(cumulative_jensen_shannon_divergence(PREDICTED, TARGET), expected, atol=1e-6)


# by hand: apart they reach their bounds; from 1 to 3 a share of 1 against 0 lies below the ratings 1 and 2 of 10
@pytest.mark.parametrize(
    ("divergence", "p", "q", "expected"),
    [
        (chi_square_distance, spike(1), spike(10), 1.0),
        (chi_square_distance, torch.full((1, 10), 0.1), spike(1), (0.81 / 1.1 + 9 * 0.1) / 2),
        (kullback_leibler_divergence, torch.full((1, 10), 0.1), spike(4), math.log(10)),
        (kullback_leibler_divergence, spike(1), spike(4), 12 * math.log(10)),
        (jensen_shannon_divergence, spike(1), spike(10), math.log(2)),
        (cumulative_jensen_shannon_divergence, spike(1), spike(3), 2 / 10 * math.log(2) / 2),
        (cumulative_jensen_shannon_divergence, spike(1), spike(10), 9 / 10 * math.log(2) / 2),
    ],
)
def test_divergence_of_known_pairs(divergence, p, q, expected):
    assert divergence(p, q).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergence_is_positive_but_for_equals_and_taken_picture_by_picture(name):
    divergence = DIVERGENCES[name]
    together = divergence(PREDICTED, TARGET)
    assert together.shape == (20,) and together.min() > 1e-3
    torch.testing.assert_close(divergence(TARGET, TARGET), torch.zeros(20), atol=1e-6, rtol=0)
    alone = [divergence(PREDICTED[i : i + 1], TARGET[i : i + 1]) for i in range(20)]
    torch.testing.assert_close(torch.cat(alone), together)
    if name != "kl":
        torch.testing.assert_close(divergence(TARGET, PREDICTED), together)


def test_only_the_cumulative_one_knows_how_far_a_vote_is_off():
    near, far = spike(6), spike(10)
    for name, divergence in DIVERGENCES.items():
        knows = divergence(spike(5), near).item() < 0.9 * divergence(spike(5), far).item()
        assert knows is (name == "cjs"), name


def test_cumulative_one_is_stricter_at_the_low_end_of_the_scale():
    def at(first, second):
        p, q = torch.eye(10)[[first]], torch.eye(10)[[second]]
        return cumulative_jensen_shannon_divergence(0.5 * p + 0.5 * spike(5), 0.5 * q + 0.5 * spike(5)).item()

    assert at(0, 1) > 1.5 * at(8, 9)
    mirrored = earth_mover_distance(PREDICTED.flip(1), TARGET.flip(1))
    torch.testing.assert_close(mirrored, earth_mover_distance(PREDICTED, TARGET))


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("logits", [torch.zeros(1, 10), torch.tensor([[200.0] + 9 * [-200.0]])])
@pytest.mark.parametrize("target", [torch.full((1, 10), 0.1), spike(1), spike(10)])
def test_gradient_is_finite_at_empty_bins_and_at_a_perfect_match(name, logits, target):
    logits = logits.clone().requires_grad_()
    loss = score_distribution_loss(logits.softmax(-1), target, BINS, distance=name)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    if torch.equal(logits.softmax(-1), target):
        assert logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", DIVERGENCES)
def test_nima_trains_with_the_divergence_that_its_configuration_names(name):
    model = tiny_model(TINY_RESNET, distribution_loss=name).eval()
    pictures, labels = torch.rand(2, 3, 32, 32), torch.eye(5)[[0, 4]]
    outputs = model(pictures, labels=labels)
    torch.testing.assert_close(outputs.loss, DIVERGENCES[name](outputs.logits.softmax(-1), labels).mean())


def test_distances_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="'emd', 'chi_square', 'kl', 'js', 'cjs'.*'hellinger'"):
        score_distribution_loss(PREDICTED, TARGET, BINS, distance="hellinger")
    for divergence in DIVERGENCES.values():
        with pytest.raises(ValueError, match=r"\(2, 10\) and \(2, 5\)"):
            divergence(torch.zeros(2, 10), torch.zeros(2, 5))
