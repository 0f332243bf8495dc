"""Covariance with categories: against linear algebra and planted truth, and whether intervals and p-values hold."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from hf_aesthetics.analysis.categories import CategorySystem
from hf_aesthetics.analysis.covariance import find_covariances


QUICK = {"num_resamples": 50, "num_permutations": 99}


def residuals(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    design = np.stack([np.ones_like(given), given], axis=1)
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def draw_panel(rng, num_images, share=0.1):
    """A category with a spread of its own and a rating; both go with quality, and beyond it with the cue."""
    is_member, rating = (rng.random(num_images) < share).astype(float), rng.normal(size=num_images)
    quality = rng.normal(size=num_images) + 0.6 * is_member + 0.5 * rating
    cue = 0.8 * quality + 0.5 * is_member - 0.4 * rating + (1 + 0.5 * is_member) * rng.normal(size=num_images)
    return {"rgb": quality, "blur": cue}, np.stack([is_member, rating], axis=1)


def test_correlations_are_those_of_linear_algebra_over_the_known_pictures():
    rng = np.random.default_rng(0)
    predicted, values = draw_panel(rng, 120, share=0.3)
    values[:40, 0] = np.nan
    found = {
        (row.modality, row.category): row
        for kind, column in (("indicator", 0), ("rating", 1))
        for row in find_covariances(predicted, CategorySystem("", kind, (kind,), values[:, [column]]), **QUICK).rows
    }
    for (modality, category), row in found.items():
        known = ~np.isnan(values[:, ["indicator", "rating"].index(category)])
        x, z = predicted[modality][known], predicted["rgb"][known]
        a = values[known, ["indicator", "rating"].index(category)]
        assert row.covariance == pytest.approx(np.cov(x, a)[0, 1])
        assert row.correlation.value == pytest.approx(np.corrcoef(x, a)[0, 1])
        assert row.num_pictures == (a.sum() if category == "indicator" else 120)
        if modality == "rgb":
            assert row.partial is None
        else:
            expected = np.corrcoef(residuals(x, z), residuals(a, z))[0, 1]
            assert row.partial.value == pytest.approx(expected)
            assert row.partial.low < expected < row.partial.high
    assert len(found) == 4


def test_q_values_are_the_levels_at_which_benjamini_and_hochberg_reject():
    rng = np.random.default_rng(1)
    values = rng.random((150, 12)) < 0.3
    blur = rng.normal(size=150) + 0.8 * values[:, 0] + 0.5 * values[:, 1]
    system = CategorySystem("tags", "indicator", tuple("abcdefghijkl"), values)
    rows = find_covariances({"blur": blur}, system, **QUICK).rows
    p_values = np.sort([row.p_value for row in rows])
    for row in rows:
        # the least level at which some rank at or above this one stays below its line
        levels = p_values * len(p_values) / np.arange(1, len(p_values) + 1)
        assert row.q_value == pytest.approx(levels[p_values >= row.p_value].min())


def test_a_planted_category_is_found_with_its_sign_and_a_halo_is_not():
    rng = np.random.default_rng(2)
    values = (rng.random((500, 8)) < 0.15).astype(float)
    quality = rng.normal(5, 1, 500) + values[:, 2]  # members of "liked" are good pictures, by every cue
    predicted = {
        "rgb": quality,
        "blur": quality + 0.8 * values[:, 0] - 0.8 * values[:, 1] + rng.normal(0, 0.7, 500),
        "depth": quality + rng.normal(0, 0.7, 500),
    }
    names = ("night", "sea", "liked", *(f"other {i}" for i in range(5)))
    rows = find_covariances(predicted, CategorySystem("tags", "indicator", names, values), num_resamples=200).rows
    found = {(row.modality, row.category): row for row in rows}
    significant = {key for key, row in found.items() if row.partial is not None and row.q_value < 0.05}
    assert significant == {("blur", "night"), ("blur", "sea")}
    assert found["blur", "night"].partial.low > 0 > found["blur", "sea"].partial.high
    assert found["depth", "liked"].correlation.low > 0.1 and abs(found["depth", "liked"].partial.value) < 0.1


def test_intervals_cover_the_truth_of_200_panels():
    predicted, values = draw_panel(np.random.default_rng(9), 1_000_000)
    x, z = predicted["blur"], predicted["rgb"]
    truth = [[np.corrcoef(x, a)[0, 1], np.corrcoef(residuals(x, z), residuals(a, z))[0, 1]] for a in values.T]
    covered = np.zeros((2, 2))
    for seed in range(200):
        predicted, values = draw_panel(np.random.default_rng(seed), 300)
        for c, kind in enumerate(("indicator", "rating")):
            system = CategorySystem("", kind, ("a",), values[:, [c]])
            found = find_covariances(predicted, system, num_resamples=400, num_permutations=1, seed=seed)
            row = found.rows[1]
            for i, estimate in enumerate((row.correlation, row.partial)):
                covered[c, i] += estimate.low <= truth[c][i] <= estimate.high
    assert (184 <= covered).all() and (covered <= 196).all(), covered


@pytest.mark.parametrize("pictures_a_group", [1, 5])
def test_p_values_are_uniform_where_there_is_nothing(pictures_a_group):
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        num_groups = 120 if pictures_a_group == 1 else 60
        groups = np.repeat(np.arange(num_groups), pictures_a_group)
        is_member = (rng.random(num_groups) < 0.25)[groups]  # as themes are, as a whole
        quality = rng.normal(size=num_groups)[groups] + 0.7 * is_member
        noise = rng.normal(size=num_groups)[groups] + rng.normal(size=len(groups))
        blur = 0.8 * quality + (1 + is_member) * noise  # a category that differs in spread alone
        system = CategorySystem("tags", "indicator", ("night",), is_member[:, None])
        found = find_covariances(
            {"rgb": quality, "blur": blur}, system, groups=groups, num_resamples=2, num_permutations=199, seed=seed
        )
        p_values.append(found.rows[1].p_value)
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) <= 0.05) < 0.1


def test_copies_of_pictures_in_groups_tell_nothing_new():
    predicted, values = draw_panel(np.random.default_rng(3), 80, share=0.3)
    copies = {name: np.repeat(scores, 5) for name, scores in predicted.items()}
    system = CategorySystem("tags", "indicator", ("night",), values[:, :1])
    copied = CategorySystem("tags", "indicator", ("night",), np.repeat(values[:, :1], 5, axis=0))
    single = find_covariances(predicted, system, **QUICK).rows[1]
    grouped = find_covariances(copies, copied, groups=np.repeat(np.arange(80), 5), **QUICK).rows[1]
    loose = find_covariances(copies, copied, **QUICK).rows[1]
    assert grouped.partial == pytest.approx(single.partial) and grouped.correlation == pytest.approx(
        single.correlation
    )
    assert loose.partial.high - loose.partial.low < 0.6 * (single.partial.high - single.partial.low)


def test_what_cannot_be_measured_is_skipped_with_a_reason():
    rng = np.random.default_rng(4)
    predicted = {"rgb": rng.normal(size=30), "flat": np.full(30, 5.0)}
    values = np.zeros((30, 4))
    values[:1, 0] = values[:, 1] = values[:3, 2] = values[:9, 3] = 1
    system = CategorySystem("tags", "indicator", ("one", "all", "lake", "usual"), values)
    found = find_covariances(predicted, system, groups=[0] * 3 + list(range(1, 28)), **QUICK)
    assert [(row.modality, row.category) for row in found.rows] == [("rgb", "usual")]
    assert found.skipped == {
        "modality flat": "it predicts one score for all pictures",
        "one": "1 of 30 pictures are in it, 2 are needed",
        "all": "0 of 30 pictures are outside it, 2 are needed",
        "lake": "its pictures are one group, 2 are needed",
    }
    ratings = np.stack([np.full(30, 2.0), np.where(np.arange(30) < 3, np.arange(30), np.nan)], axis=1)
    found = find_covariances(predicted, CategorySystem("means", "rating", ("same", "rare"), ratings), **QUICK)
    assert not found.rows and found.skipped.keys() == {"modality flat", "same", "rare"}


def test_nothing_is_nan_where_predictions_or_categories_are_extreme():
    rng = np.random.default_rng(5)
    quality = rng.normal(size=40)
    values = np.zeros((40, 3))
    values[:2, 0] = values[2:, 1] = 1
    values[:, 2] = quality > 0
    values[10:, 2] = np.nan
    predicted = {
        "rgb": quality,
        "copy": 2 * quality + 1,
        "two values": values[:, 0],
        "flat here": np.where(np.arange(40) < 10, 5.0, quality),
    }
    found = find_covariances(predicted, CategorySystem("tags", "indicator", ("a", "b", "c"), values), **QUICK)
    for row in found.rows:
        numbers = [row.covariance, *row.correlation, *(row.partial or ()), row.p_value, row.q_value]
        assert all(math.isfinite(number) for number in numbers), row
        assert row.partial is None or row.modality not in ("rgb", "copy")
    assert found.skipped == {"c, flat here": "it predicts one score for these pictures"}


def test_a_prediction_of_other_pictures_is_refused():
    system = CategorySystem("tags", "indicator", ("night",), [[0], [1], [0]])
    with pytest.raises(ValueError, match="`blur` 4, `categories` 3"):
        find_covariances({"blur": [1.0, 2.0, 3.0, 4.0]}, system)
    with pytest.raises(ValueError, match="`blur` must be finite, got 1 NaN"):
        find_covariances({"blur": [1.0, np.nan, 3.0]}, system)
