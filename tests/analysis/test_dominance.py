"""The dominant modality of single pictures on planted panels, and the noise of votes against exact expectations."""

import itertools

import numpy as np
import pytest
from planted_panels import distributions, panel_of

from hf_aesthetics.analysis.dominance import dominant_modalities, vote_noise


def test_pictures_are_counted_for_the_cue_they_follow():
    rng = np.random.default_rng(0)
    means, names = rng.normal(size=300), ["blur", "depth", "saliency"]
    follows = rng.choice(3, size=300, p=[0.5, 0.3, 0.2])
    astray = means + rng.choice([-2, 2], size=300)
    predicted = {name: np.where(follows == index, means, astray) for index, name in enumerate(names)}
    found = dominant_modalities(panel_of(means, {"rgb": means, "gray": means, **predicted}, num_votes=500))
    assert found.counts == {name: np.count_nonzero(follows == index) for index, name in enumerate(names)}
    assert found.undecided == 0
    for index, name in enumerate(names):
        assert len(found.exemplars[name]) == 6
        assert {follows[int(image_id[1:])] for image_id in found.exemplars[name]} == {index}


def test_where_all_are_equally_wrong_nearly_all_is_undecided():
    rng = np.random.default_rng(0)
    means = rng.normal(size=300)
    astray = means + rng.choice([-1, 1], size=300)
    predicted = {name: astray + 0.05 * rng.normal(size=300) for name in ("blur", "depth", "saliency")}
    found = dominant_modalities(panel_of(means, predicted, num_votes=100))
    assert found.undecided >= 0.95 * 300
    assert sum(found.counts.values()) + found.undecided == 300


def test_more_votes_decide_more_pictures():
    rng = np.random.default_rng(0)
    means = rng.normal(size=200)
    predicted = {name: means + rng.normal(size=200) for name in ("blur", "depth")}
    found = [dominant_modalities(panel_of(means, predicted, num_votes=votes)) for votes in (10, 100, 1000)]
    assert found[0].undecided > found[1].undecided > found[2].undecided
    assert found[0].noise > found[1].noise > found[2].noise


def test_the_largest_margins_come_first():
    means = np.zeros(20)
    predicted = {"depth": means, "blur": np.linspace(1, 2, 20)}
    assert dominant_modalities(panel_of(means, predicted)).exemplars["depth"] == [
        f"I{row:04d}" for row in range(19, 13, -1)
    ]


def test_noise_is_that_of_all_halves():
    votes = [0] * 2 + [1] * 3 + [3] * 3
    counts = np.bincount(votes, minlength=4)
    distances = []
    for half in itertools.combinations(range(8), 4):
        mine = np.bincount([votes[index] for index in half], minlength=4)
        distances.append(np.abs(np.cumsum(mine - (counts - mine)) / 4).mean())
    found = vote_noise(np.tile(counts / 8, (300, 1)), np.full(300, 8))
    assert found.mean() == pytest.approx(np.mean(distances), rel=0.02)


def test_noise_of_votes_like_those_of_ava_is_the_published_one():
    # 211 votes about 5.4 that deviate by 1.4: two halves were measured to be 0.025 apart
    assert vote_noise(distributions(np.linspace(-1, 1, 50)), np.full(50, 211)).mean() == pytest.approx(
        0.025, abs=0.002
    )


def test_a_given_noise_takes_the_place_of_unknown_votes():
    means = np.zeros(10)
    panel = panel_of(means, {"depth": means, "blur": means + 1}, num_votes=None)
    assert dominant_modalities(panel, noise=0.025).counts == {"depth": 10, "blur": 0}
    assert dominant_modalities(panel, noise=0.5).undecided == 10
    with pytest.raises(ValueError, match="no `num_votes`"):
        dominant_modalities(panel)


def test_a_single_vote_decides_nothing_and_a_single_cue_has_no_rival():
    means = np.zeros(10)
    assert dominant_modalities(panel_of(means, {"depth": means, "blur": means + 3}, num_votes=1)).undecided == 10
    assert dominant_modalities(panel_of(means, {"rgb": means, "depth": means, "constant": means})) is None
