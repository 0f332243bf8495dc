"""Losses between embeddings, against loops written out and by finite differences."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from hf_aesthetics.models.similarity_losses import (
    SIMILARITY_LOSSES,
    cosine_triplet_loss,
    supervised_contrastive_loss,
)


LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])  # 2 and 3 are alone


def embeddings(size: int = 5) -> torch.Tensor:
    return torch.randn(len(LABELS), size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def cosines(vectors: torch.Tensor) -> list[list[float]]:
    rows = vectors.tolist()
    dots = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    return [[dots[i][j] / math.sqrt(dots[i][i] * dots[j][j]) for j in range(len(rows))] for i in range(len(rows))]


def triplet_by_hand(vectors: torch.Tensor, labels: list[int], margin: float) -> float:
    table, losses = cosines(vectors), []
    for anchor, label in enumerate(labels):
        same = [table[anchor][i] for i, other in enumerate(labels) if other == label and i != anchor]
        others = [table[anchor][i] for i, other in enumerate(labels) if other != label]
        if same and others:
            losses.append(max(0.0, margin - min(same) + max(others)))
    return sum(losses) / len(losses)


def contrastive_by_hand(vectors: torch.Tensor, labels: list[int], temperature: float) -> float:
    table, losses = cosines(vectors), []
    for anchor, label in enumerate(labels):
        rest = [i for i in range(len(labels)) if i != anchor]
        total = sum(math.exp(table[anchor][i] / temperature) for i in rest)
        same = [table[anchor][i] / temperature - math.log(total) for i in rest if labels[i] == label]
        if same:
            losses.append(-sum(same) / len(same))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0])
def test_both_agree_with_loops(scale):
    vectors, labels = embeddings(), LABELS.tolist()
    assert cosine_triplet_loss(vectors, LABELS, scale).item() == pytest.approx(
        triplet_by_hand(vectors, labels, scale), abs=1e-5
    )
    assert supervised_contrastive_loss(vectors, LABELS, scale).item() == pytest.approx(
        contrastive_by_hand(vectors, labels, scale), abs=1e-5
    )


@pytest.mark.parametrize("loss", SIMILARITY_LOSSES.values(), ids=SIMILARITY_LOSSES)
def test_closer_within_and_farther_between_is_better(loss):
    """Two categories on a circle, each of two pictures `inner` apart, the categories `outer` apart, in radians."""

    def at(inner: float, outer: float) -> float:
        angles = torch.tensor([0, inner, outer, outer + inner], dtype=torch.float64)
        return loss(torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 1, 1])).item()

    step = 1e-3
    for inner, outer in ((0.3, 0.5), (0.5, 0.6), (0.2, 0.3)):
        assert at(inner - step, outer) < at(inner, outer)
        assert at(inner, outer + step) < at(inner, outer)


@pytest.mark.parametrize("loss", SIMILARITY_LOSSES.values(), ids=SIMILARITY_LOSSES)
def test_lengths_of_embeddings_do_not_count(loss):
    vectors = embeddings().requires_grad_()
    lengths = torch.rand(len(LABELS), 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 9 + 0.5
    torch.testing.assert_close(loss(vectors * lengths, LABELS), loss(vectors, LABELS))
    (gradient,) = torch.autograd.grad(loss(vectors, LABELS), vectors)
    torch.testing.assert_close((gradient * vectors).sum(dim=1), torch.zeros(len(LABELS)).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("loss", SIMILARITY_LOSSES.values(), ids=SIMILARITY_LOSSES)
@pytest.mark.parametrize("labels", [[0, 1, 2], [4]])
def test_without_two_of_a_category_there_is_nothing_to_learn(loss, labels):
    vectors = torch.randn(len(labels), 4, requires_grad=True)
    value = loss(vectors, torch.tensor(labels))
    value.backward()
    assert value.item() == 0 and not vectors.grad.any()


def test_gradients_are_those_of_finite_differences():
    vectors = embeddings(3).requires_grad_()
    for loss in SIMILARITY_LOSSES.values():
        assert gradcheck(lambda x, loss=loss: loss(x, LABELS, 0.5), (vectors,), eps=1e-3, atol=1e-2)
