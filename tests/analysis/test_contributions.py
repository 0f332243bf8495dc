"""Figures of modalities against the metrics they are made of, and against planted contributions."""

import numpy as np
import pytest
from planted_panels import panel_of
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_aesthetics.analysis.contributions import PENALTIES, agreement, fit_ridge, modality_figures
from hf_aesthetics.metrics import bootstrap_interval, earth_mover_distance, spearman_correlation
from hf_aesthetics.metrics.distribution import skill


def figures_of(panel, **options):
    sources = {name: f"made by {name}" for name in panel.modalities}
    return {row.modality: row for row in modality_figures(panel, sources, **options)}


def cues(num_cues: int, num_images: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_cues, num_images))


def test_figures_and_intervals_are_those_of_the_metrics():
    depth, blur, rest, noise = cues(4)
    groups = np.random.default_rng(1).integers(40, size=300)
    # few different values, so that ties are met
    panel = panel_of(
        depth + rest, {"rgb": depth + 0.3 * noise, "depth": np.round(depth), "blur": np.round(blur)}, groups
    )
    figures = figures_of(panel, num_resamples=200, seed=5)
    constant_errors = earth_mover_distance(panel.constant, panel.target, order=1)
    for name, row in figures.items():
        means, errors = panel.predicted_means[name], earth_mover_distance(panel.predicted[name], panel.target, order=1)
        options = {"groups": groups, "num_resamples": 200, "seed": 5}
        assert row.srcc.value == pytest.approx(spearman_correlation(means, panel.true_means))
        assert row.srcc[1:] == pytest.approx(
            bootstrap_interval(spearman_correlation, means, panel.true_means, **options)
        )
        assert row.skill.value == pytest.approx(skill(errors, constant_errors))
        assert row.skill[1:] == pytest.approx(bootstrap_interval(skill, errors, constant_errors, **options))
        assert row.source == f"made by {name}"
    assert figures["depth"].retention.value == pytest.approx(figures["depth"].srcc.value / figures["rgb"].srcc.value)


@pytest.mark.parametrize("weights", [(1.0, 0.5, 0.0), (0.6, 0.6, 0.6)])
def test_unique_contribution_is_the_share_of_variance_of_an_independent_cue(weights):
    depth, saliency, blur, noise = cues(4, num_images=2000)
    means = weights[0] * depth + weights[1] * saliency + weights[2] * blur + 0.5 * noise
    figures = figures_of(panel_of(means, {"depth": depth, "saliency": saliency, "blur": blur}), num_resamples=300)
    for name, weight in zip(("depth", "saliency", "blur"), weights, strict=True):
        share = weight**2 / (np.square(weights).sum() + 0.25)
        unique = figures[name].unique
        assert unique.value == pytest.approx(share, abs=0.04)
        assert unique.low - 0.02 <= share <= unique.high + 0.02
        assert unique.high < 0.01 or weight > 0


def test_beyond_rgb_is_what_the_picture_model_has_not_read():
    depth, blur, noise = cues(3, num_images=2000)
    panel = panel_of(depth + 0.5 * blur + 0.5 * noise, {"rgb": depth, "depth": depth, "blur": blur})
    figures = figures_of(panel, num_resamples=300)
    assert figures["blur"].beyond_rgb.value == pytest.approx(0.25 / 1.5, abs=0.04)
    assert figures["blur"].beyond_rgb.low > 0.1
    assert abs(figures["depth"].beyond_rgb.value) < 0.01, "rgb has read all of it"
    assert figures["rgb"].beyond_rgb is None
    without = figures_of(panel_of(depth, {"depth": depth, "blur": blur}), num_resamples=20)
    assert without["depth"].beyond_rgb is None


@pytest.mark.parametrize("noise", [0.1, 3.0, 30.0])
def test_ridge_is_that_of_scikit_learn(noise):
    inputs = cues(4, num_images=90).T * [1, 2, 3, 4] + 5
    target = inputs[:, 0] - inputs[:, 1] + noise * np.random.default_rng(3).normal(size=90)
    theirs = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(inputs, target)
    intercept, coefficients = fit_ridge(inputs, target)
    np.testing.assert_allclose(intercept + inputs @ coefficients, theirs.predict(inputs))


def test_cues_that_tell_the_same_add_nothing_to_each_other_but_variants_of_one_do():
    depth, noise = cues(2)
    figures = figures_of(panel_of(depth + noise, {"depth": depth, "blur": depth}), num_resamples=50)
    assert max(abs(figures[name].unique.value) for name in ("depth", "blur")) < 0.01
    figures = figures_of(panel_of(depth + noise, {"depth": depth, "depth_other": depth}), num_resamples=50)
    assert figures["depth"].unique == figures["depth_other"].unique
    assert figures["depth"].unique.value > 0.4


def test_rgb_comes_first_and_controls_last():
    depth, blur, noise = cues(3)
    predicted = {"constant": 0 * depth, "blur": blur, "gray": depth + blur, "depth": depth, "rgb": depth + blur}
    rows = list(figures_of(panel_of(2 * depth + blur + noise, predicted), num_resamples=20).values())
    assert [row.modality for row in rows] == ["rgb", "depth", "blur", "gray", "constant"]
    assert [row.unique is None for row in rows] == [True, False, False, True, True]
    assert rows[0].retention is None and 0 < rows[2].retention.value < rows[1].retention.value < 1


def test_the_constant_control_has_no_rank_correlation_whatever_its_folds_predict():
    depth, noise = cues(2)
    folds = np.arange(300) % 5
    panel = panel_of(depth, {"constant": 0.1 * folds, "depth": depth + noise, "blur": 1e-4 * noise})
    figures = figures_of(panel, num_resamples=20)
    for name in ("constant", "blur"):
        assert figures[name].srcc is None and abs(figures[name].skill.value) < 0.05
    matrix = agreement(panel)
    assert matrix["depth"] == {"constant": None, "depth": pytest.approx(1.0), "blur": None}
    assert figures["depth"].retention is None, "there is no rgb to retain from"


def test_retention_is_undefined_where_rgb_tells_nothing():
    depth, noise = cues(2)
    assert figures_of(panel_of(depth, {"rgb": noise, "depth": depth}))["depth"].retention is None


def test_constant_votes_have_defined_figures():
    depth, blur = cues(2)
    for row in figures_of(panel_of(0 * depth, {"rgb": depth, "depth": depth, "blur": blur})).values():
        assert row.srcc is row.retention is row.unique is row.beyond_rgb is None
        assert row.skill == (0, 0, 0)


def test_what_is_missing_is_named():
    depth, _ = cues(2)
    with pytest.raises(KeyError, match="'depth' has no source"):
        modality_figures(panel_of(depth, {"depth": depth}), {"rgb": "the picture"})
    with pytest.raises(ValueError, match="at least 2 groups, got 1"):
        modality_figures(panel_of(depth, {"depth": depth}, groups=[0] * 300), {"depth": "planted"})
