"""Recall among the nearest others, against sorting by hand."""

import math

import numpy as np
import pytest

from hf_aesthetics.metrics import recall_at_k


def test_agrees_with_counting():
    generator = np.random.default_rng(0)
    vectors, labels = generator.normal(size=(40, 3)), generator.integers(0, 12, 40)
    for k in (1, 3, 10):
        found = []
        for row, label in enumerate(labels):
            others = [i for i in range(40) if i != row]
            others.sort(key=lambda i, row=row: -(vectors[row] @ vectors[i]) / math.dist(vectors[i], [0, 0, 0]))
            if label in labels[others]:
                found.append(label in labels[others[:k]])
        assert recall_at_k(vectors, labels, k) == pytest.approx(sum(found) / len(found))


def test_lengths_do_not_count_and_more_neighbours_find_more():
    generator = np.random.default_rng(1)
    vectors, labels = generator.normal(size=(30, 4)), np.repeat(np.arange(10), 3)
    recalls = [recall_at_k(vectors, labels, k) for k in range(1, 30)]
    assert recalls == sorted(recalls) and recalls[-1] == 1
    assert recall_at_k(vectors * generator.uniform(0.1, 9, (30, 1)), labels) == recalls[0]


def test_a_picture_is_not_its_own_neighbour_and_one_alone_does_not_count():
    assert recall_at_k([[1, 0], [1, 0.1], [0, 1]], ["a", "b", "a"]) == 0
    assert math.isnan(recall_at_k(np.eye(3), [0, 1, 2]))


@pytest.mark.parametrize(
    ("embeddings", "labels", "k", "message"),
    [
        ([[1.0, 0.0], [0.0, 0.0]], [0, 0], 1, "rows other than zero"),
        ([[1.0, math.nan], [0.0, 1.0]], [0, 0], 1, "matrix of finite rows"),
        ([[1.0, 2.0], [0.0, 1.0]], [0, 0], 0, "k=0"),
        ([1.0, 2.0], [0, 0], 1, r"got shape \(2,\)"),
        ([[1.0, 2.0]], [0, 0], 1, "`embeddings` 1, `labels` 2"),
    ],
)
def test_bad_inputs_are_named(embeddings, labels, k, message):
    with pytest.raises(ValueError, match=message):
        recall_at_k(embeddings, labels, k)
