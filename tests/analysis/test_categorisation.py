"""Clusters of pictures on planted panels: found where there are some, and not where there are none."""

import re

import numpy as np
import pytest
from planted_panels import panel_of, regime_panel
from sklearn.metrics import adjusted_rand_score

from hf_aesthetics.analysis.categorisation import categorise


def labels_of(found, num_images: int) -> np.ndarray:
    """Cluster of each picture, where all members are named as exemplars."""
    labels = np.full(num_images, -1)
    for number, cluster in enumerate(found.clusters):
        labels[[int(image_id[1:]) for image_id in cluster.exemplars]] = number
    return labels


def categorise_all(panel, seed: int = 0, **options):
    return categorise(panel, num_exemplars=len(panel.image_ids), num_resamples=3, seed=seed, **options)


PLANTED = {
    "themes": {},
    "themes of uneven size and outliers": {"sizes": [0.5, 0.3, 0.2], "outliers": True},
    "single pictures, closely predicted": {"theme_size": None, "noise": 0.05},
}


@pytest.mark.parametrize("seed", range(10))
def test_planted_groups_are_found(seed):
    # ten seeds go round the three plantings
    options = list(PLANTED.values())[seed % 3]
    panel, follows = regime_panel(seed, num_images=400, **options)
    labels = labels_of(categorise_all(panel, seed), 400)
    assert labels.min() == 0
    assert adjusted_rand_score(follows, labels) >= 0.7


def test_clusters_are_named_by_their_cue_and_their_categories():
    panel, follows = regime_panel(seed=3, num_images=400)
    names = np.array(["depth", "saliency", "blur"])[follows]
    rng = np.random.default_rng(0)
    categories = {
        "landscape": (names == "depth") & (rng.random(400) < 0.6),
        "portrait": (names == "blur") & (rng.random(400) < 0.4),
        "night": rng.random(400) < 0.3,
        "only one": np.arange(400) == 7,
        "nobody": np.zeros(400, dtype=bool),
    }
    found = categorise(panel, categories, num_resamples=5)
    assert found.reason is None and found.stability > 0.8
    by_name = {cluster.name: cluster for cluster in found.clusters}
    assert set(by_name) == {"depth: landscape", "saliency", "blur: portrait"}
    assert [cluster.size for cluster in found.clusters] == sorted((c.size for c in found.clusters), reverse=True)
    assert sum(cluster.size for cluster in found.clusters) == 400
    for name, cluster in by_name.items():
        cue = name.split(":")[0]
        assert max(cluster.profile, key=cluster.profile.__getitem__) == cue
        assert sum(cluster.profile.values()) == pytest.approx(0, abs=1e-9)
        assert len(cluster.exemplars) == 6
        assert {names[int(image_id[1:])] for image_id in cluster.exemplars} == {cue}


def one_way_panel(seed: int, kind: str):
    """All pictures follow three cues, which agree in part, in the same way."""
    rng = np.random.default_rng(seed)
    shared, *cues = rng.normal(size=(4, 400))
    cues = [cue + 0.8 * shared for cue in cues]
    groups = rng.integers(33, size=400)
    means, noise = 0.3 * cues[0] + 0.2 * cues[1] + 0.1 * cues[2], 0.4 * rng.normal(size=400)
    means = {
        "nothing": noise,
        "noise": means + noise,
        "outliers": means + noise * np.exp(rng.normal(0, 0.6, 400)),
        "themes": means + noise + 0.5 * rng.normal(size=33)[groups],
        "curve": means + 0.4 * means**2 + noise,
        "strength": means * rng.choice([0, 1, 3], size=33)[groups] + noise,
    }[kind]
    return panel_of(means, dict(zip(["depth", "saliency", "blur"], cues, strict=True)), groups)


KINDS = ["nothing", "noise", "outliers", "themes", "curve", "strength"]


@pytest.mark.parametrize("seed, kind", list(enumerate(KINDS)))
def test_where_all_pictures_follow_the_cues_alike_there_are_no_clusters(seed, kind):
    found = categorise_all(one_way_panel(seed, kind), seed)
    assert found.clusters == []
    assert "follow the cues in the same proportion" in found.reason


LINE = np.linspace(-1, 1, 200)


@pytest.mark.parametrize(
    "means, predicted, reason",
    [
        (0 * LINE, {"depth": LINE, "blur": LINE}, "same mean"),
        (LINE, {"depth": LINE, "rgb": LINE, "gray": LINE}, r"fewer than two cues .*\(depth\)"),
        (LINE, {"depth": LINE, "blur": 0 * LINE}, r"fewer than two cues .*\(depth\)"),
        (LINE[:80], {"depth": LINE[:80], "blur": LINE[:80]}, "at least 90 pictures, got 80"),
    ],
)
def test_what_cannot_be_clustered_has_a_reason(means, predicted, reason):
    found = categorise(panel_of(means, predicted))
    assert found.clusters == [] and found.stability is None
    assert re.search(reason, found.reason)


@pytest.mark.parametrize(
    "values, message",
    [
        ([True, False, True], r"one value for each of the 200 pictures, got shape \(3,\)"),
        (np.full(200, 3.5), "True for its members and False for others, got 3.5"),
    ],
)
def test_categories_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        categorise(panel_of(LINE, {"depth": LINE, "blur": LINE}), {"night": values})
