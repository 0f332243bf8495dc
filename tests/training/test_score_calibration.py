"""The calibration of heads without a distribution: monotone, nearer to the votes, and nothing is invented."""

import numpy as np
import pytest
import torch
from tiny import TINY_RESNET, tiny_model

from hf_aesthetics import AestheticBaselineConfig, AestheticBaselineForAestheticAssessment
from hf_aesthetics.models.distributions import maximum_entropy_distribution
from hf_aesthetics.training.frozen_features import FrozenFeatureRows
from hf_aesthetics.training.score_calibration import fit_score_calibration


BINS = torch.arange(1.0, 11.0)


def ranker() -> AestheticBaselineForAestheticAssessment:
    torch.manual_seed(0)
    config = AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), objective="ranking", head_dropout=0.0)
    model = AestheticBaselineForAestheticAssessment(config)
    torch.nn.init.normal_(model.score_head.dense.weight, std=30.0)
    return model.eval()


@pytest.fixture(scope="module")
def planted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures, a ranker's logits of them, and the means: a bent function of the logit, and noise."""
    generator = torch.Generator().manual_seed(0)
    light = torch.rand(240, 1, 1, 1, generator=generator)
    pictures = light + 0.1 * torch.rand(240, 3, 32, 32, generator=generator)
    with torch.no_grad():
        logits = ranker()(pictures).logits.squeeze(1)
    rank = logits.argsort().argsort() / 239
    noise = 0.3 * torch.randn(240, generator=generator)
    return pictures, logits, (3 + 4 * rank**3 + noise).clamp(1.2, 9.8)


def rows_of(pictures: torch.Tensor, means: torch.Tensor) -> FrozenFeatureRows:
    return FrozenFeatureRows(pictures[None], {"labels": maximum_entropy_distribution(means, BINS)})


def test_calibration_brings_scores_of_other_pictures_near_the_votes_and_keeps_their_order(planted):
    pictures, logits, means = planted
    model = ranker()
    with torch.no_grad():
        before = model(pictures[120:]).score
    fit_score_calibration(model, rows_of(pictures[:120], means[:120]), batch_size=50)
    with torch.no_grad():
        after = model(pictures[120:]).score
    errors = [(scores - means[120:]).abs().mean().item() for scores in (before, after)]
    assert errors[1] < 0.35 and errors[1] < errors[0] / 3  # the noise alone makes 0.24
    assert torch.equal(before.argsort(), after.argsort()) and len(after.unique()) == len(before.unique())
    assert after.mean().item() == pytest.approx(means[120:].mean().item(), abs=0.15)


def test_knots_ascend_strictly_whatever_the_votes(planted):
    pictures, _, means = planted
    same = [torch.full((240,), rating) for rating in (1.0, 5.0, 10.0)]
    for ratings in (means, means.flip(0), 11 - means, (means > 5) * 9.0 + 1, *same):
        model = ranker()
        fit_score_calibration(model, rows_of(pictures, ratings))
        model.config.validate_calibration()
        knots = np.array([model.config.calibration_inputs, model.config.calibration_scores])
        assert (np.diff(knots.astype(np.float32), axis=1) > 0).all()


def test_a_ranking_against_the_votes_is_calibrated_to_their_mean(planted):
    pictures, _, means = planted
    model = ranker()
    fit_score_calibration(model, rows_of(pictures, 11 - means))
    assert model.config.calibration_scores == pytest.approx(3 * [(11 - means).mean().item()], abs=0.1)


def test_another_fit_forgets_the_first_and_the_mode_stays(planted):
    pictures, _, means = planted
    first, second = ranker(), ranker().train()
    fit_score_calibration(first, rows_of(pictures, means))
    fit_score_calibration(second, rows_of(pictures, means.flip(0)))
    fit_score_calibration(second, rows_of(pictures, means))
    assert second.config.to_dict() == first.config.to_dict() and second.training


def test_calibration_travels_with_the_checkpoint(planted, tmp_path):
    pictures, _, means = planted
    model = ranker()
    assert not model.score_is_calibrated
    fit_score_calibration(model, rows_of(pictures, means))
    model.save_pretrained(tmp_path)
    loaded = AestheticBaselineForAestheticAssessment.from_pretrained(tmp_path).eval()
    assert loaded.score_is_calibrated
    with torch.no_grad():
        torch.testing.assert_close(loaded(pictures[:9]).score, model(pictures[:9]).score)


def test_models_that_cannot_be_calibrated_are_refused(planted):
    pictures, _, means = planted
    model = ranker()
    torch.nn.init.zeros_(model.score_head.dense.weight)
    with pytest.raises(ValueError, match=r"5\.5 for all 240 pictures"):
        fit_score_calibration(model, rows_of(pictures, means))
    with pytest.raises(TypeError, match="NimaForAestheticAssessment"):
        fit_score_calibration(tiny_model(TINY_RESNET), rows_of(pictures, means))
