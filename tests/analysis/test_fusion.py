"""Late fusion against a general solver and planted cues."""

from dataclasses import replace

import numpy as np
import pytest
from planted_panels import distributions, panel_of
from scipy.optimize import minimize

from hf_aesthetics.analysis.contributions import modality_figures
from hf_aesthetics.analysis.fusion import fuse_cues, simplex_weights


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_those_of_a_general_solver(seed):
    rng = np.random.default_rng(seed)
    predicted, target = rng.dirichlet(np.ones(6), size=(4, 30)), rng.dirichlet(np.ones(6), size=30)
    target = (target + 2 * predicted[0] + seed * predicted[1]) / (3 + seed)

    def squared_distance(weights: np.ndarray) -> float:
        mixture = np.tensordot(weights, predicted, axes=1)
        return float(np.mean(np.cumsum(mixture - target, axis=1) ** 2)) * 1e3

    one = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    theirs = minimize(squared_distance, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=one, tol=1e-12)
    np.testing.assert_allclose(simplex_weights(predicted, target), theirs.x, atol=1e-4)


def test_equal_predictions_share_alike_and_perfect_ones_are_no_trouble():
    target = distributions(np.linspace(-1, 1, 20))
    np.testing.assert_allclose(simplex_weights([target, target], target), [0.5, 0.5])
    np.testing.assert_allclose(simplex_weights([target[::-1], target], target), [0, 1], atol=1e-6)


def test_cues_that_complete_each_other_predict_better_together_than_the_best_alone():
    depth, saliency, blur, noise = np.random.default_rng(0).normal(size=(4, 400))
    groups = np.arange(400) // 8
    predicted = {"rgb": depth + saliency, "depth": 0.6 * depth, "saliency": 0.6 * saliency, "blur": 0.6 * blur}
    panel = panel_of(depth + saliency + 0.3 * noise, predicted, groups)
    fusion = fuse_cues(panel, num_resamples=100)
    single = modality_figures(panel.select(["depth", "saliency", "blur"]), dict.fromkeys(predicted, ""), 20)
    assert fusion.figures.srcc.low > max(row.srcc.value for row in single)
    assert fusion.figures.skill.value > max(row.skill.value for row in single)
    assert sum(fusion.weights.values()) == pytest.approx(1)
    assert fusion.weights["blur"] < 0.1 < min(fusion.weights["depth"], fusion.weights["saliency"])
    assert fusion.figures.modality == "fusion" and "saliency" in fusion.figures.source
    assert fusion.figures.retention.value < 1 and fusion.figures.unique is None


def test_no_votes_of_a_group_touch_its_own_weights():
    means = np.random.default_rng(0).normal(size=60)
    panel = panel_of(means, {"depth": means, "blur": -means}, np.arange(60) // 20)
    # the votes of one group are turned round: its weights, chosen on the others, stay as they were
    turned = replace(panel, target=np.where(panel.groups[:, None] == 0, panel.predicted["blur"], panel.target))
    before, after = (fuse_cues(each, num_resamples=5).predicted[:20] for each in (panel, turned))
    np.testing.assert_allclose(before, after, atol=1e-12)


def test_one_cue_is_its_own_fusion_and_none_has_none():
    means = np.linspace(-1, 1, 40)
    assert fuse_cues(panel_of(means, {"rgb": means, "gray": means, "rgb+depth": means})) is None
    fusion = fuse_cues(panel_of(means, {"depth": means, "rgb": means}), num_resamples=5)
    np.testing.assert_allclose(fusion.predicted, distributions(means), atol=1e-12)
