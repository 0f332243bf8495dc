"""Heads without a distribution: their targets, losses and scores. `tiny_models` feeds the contract tests."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from tiny import PROCESSOR, TINY_RESNET, rated_pictures
from torch.nn import functional as F

from hf_aesthetics import AestheticBaselineConfig, AestheticBaselineForAestheticAssessment
from hf_aesthetics.data.transforms import EvaluationTransform


OBJECTIVES = {
    "binary": {"objective": "binary"},
    "classes": {"objective": "classes"},
    "modal": {"objective": "classes", "class_vote": "modal"},
    "mse": {"objective": "regression"},
    "mae": {"objective": "regression", "regression_loss": "mae"},
    "huber": {"objective": "regression", "regression_loss": "huber"},
    "margin": {"objective": "ranking"},
    "triplet": {"objective": "ranking", "ranking_loss": "triplet"},
    "list_mle": {"objective": "ranking", "ranking_loss": "list_mle"},
}
CALIBRATION = {"calibration_inputs": [1.0, 4.0, 5.5, 6.0, 10.0], "calibration_scores": [2.0, 3.0, 3.5, 7.0, 9.0]}
BAD_VALUES = [
    ({"objective": "guess"}, "objective"),
    ({"high_above": 10}, "got 10"),
    ({"ranking_margin": 0}, "got 0"),
    ({"calibration_inputs": [4.0]}, "[4.0] and None"),
    ({"calibration_inputs": [1.0, 10.0], "calibration_scores": [3.0]}, "one length"),
    ({"calibration_inputs": [1.0, 10.0], "calibration_scores": [3.0, 3.0]}, "[3.0, 3.0]"),
    ({"calibration_inputs": [1.0, 5.0], "calibration_scores": [2.0, 3.0]}, "[1.0, 5.0]"),
    ({"calibration_inputs": [1.0, 10.0], "calibration_scores": [2.0, 11.0]}, "[2.0, 11.0]"),
    ({"head_dropout": 1.5}, "1.5"),
]


def tiny_models() -> dict[str, AestheticBaselineConfig]:
    cases = {name: OBJECTIVES[name] for name in ("huber", "binary", "classes", "list_mle")}
    cases["calibrated"] = {"objective": "ranking", **CALIBRATION}
    return {name: AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), **case) for name, case in cases.items()}


def tiny_baseline(**fields) -> AestheticBaselineForAestheticAssessment:
    torch.manual_seed(0)
    config = AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), head_dropout=0.0, **fields)
    model = AestheticBaselineForAestheticAssessment(config).eval()
    torch.nn.init.normal_(model.score_head.dense.weight)
    return model


# five pictures on the scale 1 to 5; means 1.5, 3.0, 3.8, 4.5 and 2.9
VOTES = torch.tensor(
    [[5, 5, 0, 0, 0], [2, 2, 2, 2, 2], [0, 0, 4, 4, 2], [0, 0, 0, 5, 5], [4, 0, 0, 6, 0]], dtype=torch.float32
)
LABELS = VOTES / VOTES.sum(dim=1, keepdim=True)
MEANS = torch.tensor([1.5, 3.0, 3.8, 4.5, 2.8])


def on_five_pictures(**fields):
    model = tiny_baseline(max_score=5, num_labels=5, **fields)
    with torch.no_grad():
        return model(torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1)), labels=LABELS)


def test_high_is_strictly_above_the_threshold():
    outputs = on_five_pictures(objective="binary")
    expected = F.binary_cross_entropy(outputs.logits.squeeze(1).sigmoid(), torch.tensor([0.0, 0, 1, 1, 0]))
    torch.testing.assert_close(outputs.loss, expected)
    higher = on_five_pictures(objective="binary", high_above=4)
    expected = F.binary_cross_entropy(higher.logits.squeeze(1).sigmoid(), torch.tensor([0.0, 0, 0, 1, 0]))
    torch.testing.assert_close(higher.loss, expected)


def test_default_threshold_is_that_of_the_metrics():
    from hf_aesthetics.metrics import default_threshold

    for num_labels in (2, 5, 9, 10):
        config = AestheticBaselineConfig(max_score=5, num_labels=num_labels)
        assert config.high_above == default_threshold(config.bin_scores)


# halves and ties go to the lower class
@pytest.mark.parametrize(("class_vote", "classes"), [("rounded", [0, 2, 3, 3, 2]), ("modal", [0, 0, 2, 3, 3])])
def test_classes_are_the_rounded_or_the_modal_vote(class_vote, classes):
    outputs = on_five_pictures(objective="classes", class_vote=class_vote)
    shares = outputs.logits.softmax(dim=1)
    expected = -sum(math.log(row[k]) for row, k in zip(shares.tolist(), classes, strict=True)) / 5
    assert outputs.loss.item() == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(outputs.score, shares @ torch.arange(1.0, 6.0))


def test_halves_round_down_on_every_scale():
    # means 1.5, 2.5, ... of two equal neighbours, in shares that float32 cannot represent
    for low, high in ((1, 10), (0, 1), (-0.3, 0.7)):
        model = tiny_baseline(objective="classes", min_score=low, max_score=high, num_labels=10)
        labels = (torch.eye(10)[:-1] + torch.eye(10)[1:]) / 2
        pictures = torch.rand(9, 3, 32, 32)
        outputs = model(pictures, labels=labels)
        torch.testing.assert_close(outputs.loss, F.cross_entropy(outputs.logits, torch.arange(9)))


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_regression_is_of_the_mean_in_units_of_the_scale(name):
    outputs = on_five_pictures(**OBJECTIVES[name])
    errors = ((outputs.score - MEANS) / 4).abs().tolist()
    assert max(errors) > 0.25 > min(errors)  # both parts of Huber's loss: a step is a quarter of the scale
    expected = {
        "mse": [e**2 for e in errors],
        "mae": errors,
        "huber": [e**2 / 2 if e < 0.25 else 0.25 * (e - 0.125) for e in errors],
    }
    assert outputs.loss.item() == pytest.approx(np.mean(expected[name]), abs=1e-5)


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_regression_of_the_right_means_costs_nothing_and_its_gradient_is_finite(name):
    model = tiny_baseline(**OBJECTIVES[name])
    torch.nn.init.zeros_(model.score_head.dense.weight)  # every score is 5.5
    loss = model(torch.rand(2, 3, 32, 32), labels=torch.full((2, 10), 0.1)).loss
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ["margin", "triplet", "list_mle"])
def test_ranking_loses_nothing_by_the_order_of_the_batch_and_is_finite_for_one_picture(name):
    model = tiny_baseline(max_score=5, num_labels=5, **OBJECTIVES[name])
    pictures, order = torch.rand(5, 3, 32, 32), torch.tensor([3, 0, 4, 1, 2])
    loss = model(pictures, labels=LABELS).loss
    torch.testing.assert_close(model(pictures[order], labels=LABELS[order]).loss, loss)
    alone = model(pictures[:1], labels=LABELS[:1]).loss
    alone.backward()
    assert alone.item() == 0 and model.score_head.dense.weight.grad.abs().max() == 0


def test_comparison_is_antisymmetric_and_agrees_with_the_scores():
    model = tiny_baseline(**OBJECTIVES["list_mle"])
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    with torch.no_grad():
        forth, back, scores = model.compare(a, b), model.compare(b, a), (model(a).score, model(b).score)
    torch.testing.assert_close(forth, 1 - back)
    assert torch.equal(forth > 0.5, scores[0] > scores[1])
    with pytest.raises(ValueError, match="'regression'"):
        tiny_baseline().compare(a, b)


def test_far_scores_keep_their_order():
    model = tiny_baseline(**OBJECTIVES["margin"])
    logits = torch.tensor([-60.0, -59.9, -20.0, -19.9, 0.0, 19.9, 20.0, 59.9, 60.0])[:, None]
    scores = model._raw_score(logits)
    assert (scores.diff() > 0).all() and scores[0] > 1 and scores[-1] < 10


def test_calibration_interpolates_between_its_knots():
    model = tiny_baseline(objective="ranking", **CALIBRATION)
    raw = torch.tensor([1.0, 2.5, 4.0, 5.0, 5.75, 6.0, 7.0, 10.0], requires_grad=True)
    expected = np.interp(raw.tolist(), *CALIBRATION.values())
    scores = model._calibrate(raw)
    np.testing.assert_allclose(scores.tolist(), expected, atol=1e-5)
    (slopes,) = torch.autograd.grad(scores.sum(), raw)
    assert slopes.min() >= 1 / 3 - 1e-6 and slopes.max() <= 7 + 1e-6


def test_calibration_changes_scores_but_neither_order_nor_loss():
    plain = on_five_pictures()
    calibrated = on_five_pictures(calibration_inputs=[1.0, 2.0, 5.0], calibration_scores=[2.5, 2.9, 3.1])
    assert not torch.allclose(plain.score, calibrated.score)
    assert torch.equal(plain.score.argsort(), calibrated.score.argsort())
    assert torch.equal(plain.loss, calibrated.loss)


def test_only_regression_and_calibrated_heads_speak_of_rating_units():
    said = {name: tiny_baseline(**fields).score_is_calibrated for name, fields in OBJECTIVES.items()}
    assert {name for name, calibrated in said.items() if calibrated} == {"mse", "mae", "huber"}
    assert tiny_baseline(objective="ranking", **CALIBRATION).score_is_calibrated


def test_labels_of_another_scale_are_refused_though_the_head_is_one_wide():
    with pytest.raises(ValueError, match=r"\(5, 10\), got \(5, 5\).*AestheticBaselineConfig"):
        tiny_baseline()(torch.rand(5, 3, 32, 32), labels=LABELS)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_brightness_is_learned_in_a_few_steps(name):
    rows = EvaluationTransform(PROCESSOR, [1, 2, 3, 4, 5])(rated_pictures(64, 0)[:])
    pictures, labels = torch.stack(list(rows["pixel_values"])), torch.stack(list(rows["labels"]))
    model = tiny_baseline(max_score=5, num_labels=5, **OBJECTIVES[name]).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for batch in itertools.islice(itertools.cycle(torch.arange(48).split(16)), 30):
        optimizer.zero_grad()
        model(pictures[batch], labels=labels[batch]).loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = model.eval()(pictures[48:]).score
    means = labels[48:] @ torch.arange(1.0, 6.0)
    assert stats.spearmanr(scores, means).statistic > 0.8
