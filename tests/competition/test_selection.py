"""Pictures selected for a competition, against a search through everything and the properties they must have."""

import itertools
from copy import deepcopy

import numpy as np
import pytest

from hf_aesthetics.competition import level_weights, mad_images, mad_labels, select_attacks, tree_distance
from hf_aesthetics.competition.score_tables import to_percentiles


def noisy(truth, *sigmas, seed=0):
    """Scorers that see the truth through noise, as percentiles."""
    rng = np.random.default_rng(seed)
    return {f"s{number}": to_percentiles(truth + rng.normal(0, s, len(truth))) for number, s in enumerate(sigmas)}


@pytest.fixture(scope="module")
def corpus():
    return noisy(np.random.default_rng(1).normal(0, 1, 50), 0.5, 1.5)


def test_each_pair_is_the_farthest_apart_that_the_pool_has(corpus):
    middles = [100 * (level + 0.5) / 6 for level in range(6)]
    for pair in select_attacks(corpus):
        defender, attacker = corpus[pair.defender], corpus[pair.attacker]
        inside = [i for i in range(50) if abs(defender[i] - middles[pair.level]) <= 9]
        assert {pair.better, pair.worse} <= set(inside)
        assert pair.defender_gap == abs(defender[pair.better] - defender[pair.worse]) <= 18
        used = {
            image
            for other in select_attacks(corpus)
            for image in (other.better, other.worse)
            if (other.defender, other.level) != (pair.defender, pair.level)
        }
        free = [i for i in inside if i not in used]
        best = max(attacker[i] - attacker[j] for i, j in itertools.permutations(free, 2))
        assert pair.attacker_gap == pytest.approx(best)  # of 50 pictures, by trying all pairs


def test_no_picture_is_shown_twice_to_the_same_two(corpus):
    shown = [image for pair in select_attacks(corpus, num_pairs=3) for image in (pair.better, pair.worse)]
    assert len(shown) == len(set(shown)) > 12


def test_names_and_monotone_changes_of_scores_change_nothing():
    rng = np.random.default_rng(3)
    scores = {"a": rng.normal(size=400), "b": rng.normal(size=400)}
    told = select_attacks({name: to_percentiles(values) for name, values in scores.items()})
    bent = {"a": to_percentiles(np.exp(scores["a"])), "b": to_percentiles(scores["b"] ** 3)}
    assert select_attacks(bent) == told
    swapped = select_attacks({"b": to_percentiles(scores["a"]), "a": to_percentiles(scores["b"])})
    other = {"a": "b", "b": "a"}
    assert [(other[p.defender], other[p.attacker], p.level, p.better, p.worse) for p in swapped] == [
        (p.defender, p.attacker, p.level, p.better, p.worse) for p in told
    ]


def test_scorers_that_say_the_same_never_meet(corpus):
    assert select_attacks({"a": corpus["s0"], "b": corpus["s0"].copy()}) == []
    assert mad_images(corpus["s0"], corpus["s0"], 5).tolist() == []


def test_groups_are_shown_as_often_as_allowed():
    corpus = noisy(np.random.default_rng(1).normal(0, 1, 600), 0.5, 1.5)
    groups = np.random.default_rng(2).integers(0, 15, 600)
    pairs = select_attacks(corpus, num_pairs=4, groups=groups, max_per_group=2)
    shown = [groups[image] for pair in pairs for image in (pair.better, pair.worse)]
    assert max(np.bincount(shown)) == 2 and len(pairs) >= 10


def test_pictures_without_a_score_are_not_shown():
    corpus = noisy(np.random.default_rng(1).normal(0, 1, 300), 0.5, 1.5)
    gone = np.arange(0, 300, 2)
    for values in corpus.values():
        values[gone] = np.nan
    pairs = select_attacks(corpus)
    assert pairs and all(image % 2 for pair in pairs for image in (pair.better, pair.worse))


def test_weights_of_levels_are_the_shares_of_their_pools(corpus):
    weights = level_weights(corpus["s0"])
    counts = [sum(abs(value - 100 * (level + 0.5) / 6) <= 9 for value in corpus["s0"]) for level in range(6)]
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, np.array(counts) / sum(counts))


def test_single_pictures_are_those_with_the_largest_gap(corpus):
    gaps = np.abs(corpus["s0"] - corpus["s1"])
    chosen = mad_images(corpus["s0"], corpus["s1"], 7)
    assert set(gaps[chosen]) == set(sorted(gaps)[-7:])
    groups = np.arange(50) % 5
    chosen = mad_images(corpus["s0"], corpus["s1"], 50, groups)
    assert sorted(chosen) == sorted(
        max((i for i in range(50) if groups[i] == g), key=lambda i: gaps[i]) for g in range(5)
    )


TREE = {
    "cat": [("thing", "animal", "cat")],
    "dog": [("thing", "animal", "dog")],
    "car": [("thing", "tool", "car")],
    "toy dog": [("thing", "animal", "dog", "toy dog"), ("thing", "tool", "toy", "toy dog")],
}


def test_distances_in_a_tree():
    before = deepcopy(TREE)
    distance = {(a, b): tree_distance(TREE[a], TREE[b]) for a in TREE for b in TREE}
    assert TREE == before  # paths stay as they are
    assert all(distance[a, b] == distance[b, a] for a, b in distance)
    assert all((value == 0) == (a == b) for (a, b), value in distance.items())
    assert distance["cat", "dog"] == 0.5 + 0.5
    assert distance["cat", "car"] == 2 * (1 + 0.5)
    assert distance["toy dog", "dog"] == 0.25  # by the nearer of two paths
    assert distance["toy dog", "car"] == pytest.approx(0.5 + 0.5 + 0.25)
    assert tree_distance([("thing",)], [("thing",)]) == 0  # and the root weighs nothing where all share it


def test_labels_far_apart_come_first_and_only_what_is_taken_counts():
    rng = np.random.default_rng(0)
    first, second = rng.choice(list(TREE), (2, 300))
    sure = rng.uniform(0.5, 1, (2, 300))

    def distance(a, b):
        return tree_distance(TREE[a], TREE[b])

    chosen = mad_labels(first, second, distance, 10, confidences=tuple(sure), max_per_class=3)
    pairs = [frozenset((first[i], second[i])) for i in chosen]
    far = [distance(first[i], second[i]) for i in chosen]
    assert far == sorted(far, reverse=True) and len(set(pairs)) == len(pairs) == 6  # all there are
    assert all(sure[:, i].min() >= 0.8 for i in chosen)
    few = mad_labels(first, second, distance, 10, max_per_class=1)
    assert len({label for i in few for label in (first[i], second[i])}) == 2 * len(few) == 4
    assert mad_labels(first, first, distance, 10) == []
    assert len(mad_labels(first, second, distance, 2)) == 2


def test_numbers_out_of_range_are_refused(corpus):
    with pytest.raises(ValueError, match="must be above 0, got 0, 6, 9.0 and 1"):
        select_attacks(corpus, num_pairs=0)
    with pytest.raises(ValueError, match=r"got lengths \[3, 50\]"):
        select_attacks(corpus, groups=[1, 2, 3])
