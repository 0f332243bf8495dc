"""The network with attributes and content clusters. `tiny_models` feeds the contract tests."""

import itertools

import pytest
import torch
from tiny import TINY_RESNET, TINY_VIT, tiny_model

from hf_aesthetics import AadbNetConfig, AadbNetForAestheticAssessment
from hf_aesthetics.models.score_contributions import describe_contributions


ATTRIBUTES = ["good_lighting", "symmetry"]
BAD_VALUES = [
    ({"attribute_names": ["symmetry", "symmetry"]}, "['symmetry', 'symmetry']"),
    ({"attribute_names": [""]}, "different names"),
    ({"attribute_loss_weight": -1}, "got -1"),
    ({"num_content_clusters": 0}, "got 0"),
    ({"ranking_loss_weight": -0.5}, "got -0.5"),
    ({"ranking_margin": 0}, "`ranking_margin` must exceed 0"),
    ({"emd_order": 0.5}, "0.5"),
]
PICTURES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([[5, 5, 0, 0, 0], [2, 2, 2, 2, 2], [0, 0, 4, 4, 2], [0, 0, 0, 5, 5], [2, 2, 2, 2, 2]]) / 10


def tiny_models() -> dict[str, AadbNetConfig]:
    cases = {
        "gated": {"backbone_config": dict(TINY_RESNET), "num_content_clusters": 3},
        "transformer": {"backbone_config": {**TINY_VIT, "image_size": 64}},
        "fused": {
            "backbone_config": dict(TINY_RESNET),
            "num_channels": 4,
            "pooled_stages": [0],
            "attribute_names": None,
        },
    }
    return {name: AadbNetConfig(**{"attribute_names": ATTRIBUTES, **case}) for name, case in cases.items()}


def tiny_net(**fields) -> AadbNetForAestheticAssessment:
    """A network with opinions: large weights, on the scale 1 to 5."""
    torch.manual_seed(0)
    fields = {"attribute_names": ATTRIBUTES, "max_score": 5, "num_labels": 5, "head_dropout": 0.0, **fields}
    config = AadbNetConfig(backbone_config=dict(TINY_RESNET), initializer_range=1.0, **fields)
    return AadbNetForAestheticAssessment(config).eval()


# ---- branches and their gate ----


def test_without_attributes_and_with_one_cluster_it_is_nima():
    single, nima = tiny_net(attribute_names=None), tiny_model(TINY_RESNET).eval()
    names = {
        "score_head.dense.weight": "score_head.branches.0.weight",
        "score_head.dense.bias": "score_head.branches.0.bias",
    }
    weights = single.state_dict()
    nima.load_state_dict({name: weights[names.get(name, name)] for name in nima.state_dict()})
    with torch.no_grad():
        outputs, expected = single(PICTURES, labels=LABELS), nima(PICTURES, labels=LABELS)
    for name in ("loss", "score", "score_std"):
        torch.testing.assert_close(outputs[name], expected[name])
    assert outputs.attributes is None and torch.equal(outputs.content_probabilities, torch.ones(5, 1))


@pytest.mark.parametrize("chosen", [0, 2])
def test_a_gate_that_is_sure_picks_exactly_one_branch(chosen):
    model, alone = tiny_net(num_content_clusters=3), tiny_net()
    with torch.no_grad():
        model.score_head.gate.weight.zero_()
        model.score_head.gate.bias.copy_(torch.where(torch.arange(3) == chosen, 0.0, -1000.0))
        weights = model.state_dict()
        for name in ("weight", "bias"):
            weights[f"score_head.branches.0.{name}"] = weights[f"score_head.branches.{chosen}.{name}"]
        alone.load_state_dict({name: weights[name] for name in alone.state_dict()})
        outputs, expected = model(PICTURES), alone(PICTURES)
    assert outputs.content_probabilities[:, chosen].eq(1).all()
    torch.testing.assert_close(outputs.logits, expected.logits)


def test_the_score_is_the_sum_of_the_branches_weighted_by_content():
    model = tiny_net(num_content_clusters=3)
    with torch.no_grad():
        outputs = model(PICTURES)
        seen = torch.cat([outputs.features, outputs.attributes], dim=1)
        scores = [branch(seen).softmax(dim=1) @ torch.arange(1.0, 6.0) for branch in model.score_head.branches]
    assert outputs.content_probabilities.std(dim=1).min() > 0.01
    torch.testing.assert_close(outputs.content_probabilities.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(outputs.score, (torch.stack(scores, dim=1) * outputs.content_probabilities).sum(dim=1))
    torch.testing.assert_close(outputs.logits.exp().sum(dim=1), torch.ones(5))


# ---- losses ----


def test_the_loss_between_pictures_is_torchs_over_all_pairs():
    plain, ranked = (tiny_net(ranking_loss_weight=weight, ranking_margin=0.3) for weight in (0, 2))
    with torch.no_grad():
        difference = ranked(PICTURES, labels=LABELS).loss - plain(PICTURES, labels=LABELS).loss
        scores = plain(PICTURES).score / 4
    means = LABELS @ torch.arange(1.0, 6.0)
    pairs = [(i, j) for i, j in itertools.combinations(range(5), 2) if means[i] != means[j]]
    first, second = (torch.tensor(places) for places in zip(*pairs, strict=True))
    order = (means[first] - means[second]).sign()
    expected = torch.nn.MarginRankingLoss(margin=0.3)(scores[first], scores[second], order)
    assert expected > 0.1
    torch.testing.assert_close(difference, 2 * expected)


def test_an_unknown_attribute_teaches_nothing_and_the_known_ones_what_they_would_alone():
    model = tiny_net(attribute_loss_weight=0.7)
    attributes = torch.tensor([[0.5, float("nan")]] * 5)
    outputs = model(PICTURES, labels=LABELS, attribute_labels=attributes)
    outputs.loss.backward()
    gradient, layer = model.score_head.attributes.weight.grad.clone(), model.score_head.attributes
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.zero_grad()
    plain = model(PICTURES, labels=LABELS)
    error = (plain.attributes[:, 0] - 0.5).square()
    (plain.loss + 0.7 * error.mean() / 2).backward()
    torch.testing.assert_close(layer.weight.grad, gradient)
    unknown = model(PICTURES, labels=LABELS, attribute_labels=torch.full((5, 2), float("nan")))
    assert torch.equal(unknown.loss, plain.loss)


def test_each_picture_counts_alike_however_its_batch_is_divided():
    model = tiny_net(attribute_names=["symmetry"])
    attributes = torch.tensor([[0.1], [float("nan")], [0.3], [float("nan")], [2.0]])
    with torch.no_grad():
        whole = model(PICTURES, labels=LABELS, attribute_labels=attributes).loss
        parts = [(slice(0, 2), 2), (slice(2, 5), 3)]
        divided = sum(n * model(PICTURES[s], labels=LABELS[s], attribute_labels=attributes[s]).loss for s, n in parts)
    torch.testing.assert_close(divided / 5, whole)


def test_attributes_are_told_in_their_units_and_learnt_without():
    plain, scaled = tiny_net(), tiny_net()
    mean, scale = torch.tensor([4.0, -20.0]), torch.tensor([0.5, 30.0])
    scaled.score_head.attribute_mean.copy_(mean)
    scaled.score_head.attribute_scale.copy_(scale)
    attributes = torch.rand(5, 2)
    with torch.no_grad():
        expected = plain(PICTURES, labels=LABELS, attribute_labels=attributes)
        actual = scaled(PICTURES, labels=LABELS, attribute_labels=attributes * scale + mean)
    torch.testing.assert_close(actual.attributes, expected.attributes * scale + mean)
    torch.testing.assert_close(actual.loss, expected.loss)
    torch.testing.assert_close(actual.score, expected.score)


@pytest.mark.parametrize(
    ("fields", "given", "message"),
    [
        ({}, {"labels": LABELS, "attribute_labels": torch.zeros(5, 3)}, r"= \(5, 2\), got \(5, 3\)"),
        ({"attribute_names": None}, {"labels": LABELS, "attribute_labels": torch.zeros(5, 1)}, r"got \(5, 1\)"),
        ({}, {"attribute_labels": torch.zeros(5, 2)}, "need `labels` beside them"),
    ],
)
def test_attribute_labels_that_do_not_fit_are_refused(fields, given, message):
    with pytest.raises(ValueError, match=message):
        tiny_net(**fields)(PICTURES, **given)


# ---- contributions ----


@pytest.mark.parametrize("fields", [{}, {"num_content_clusters": 4}, {"attribute_names": None}])
def test_contributions_add_up_to_the_score(fields):
    model = tiny_net(**fields)
    model.score_head.feature_mean.uniform_(0, 0.3)
    with torch.inference_mode():
        outputs = model(PICTURES)
        base, contributions = model.attribute_contributions(outputs.features)
    assert contributions.shape == (5, len(model.contribution_names)) and contributions.abs().max() > 0.05
    torch.testing.assert_close(base + contributions.sum(dim=1), outputs.score, atol=1e-4, rtol=0)


def test_an_attribute_that_carries_the_score_is_named_and_no_other():
    model = tiny_net(num_content_clusters=2)
    with torch.no_grad():
        for branch in model.score_head.branches:
            branch.weight[:, torch.arange(branch.in_features) != model.score_head.feature_size + 1] = 0
        model.score_head.branches[1].load_state_dict(model.score_head.branches[0].state_dict())
        outputs = model(PICTURES)
    base, contributions = model.attribute_contributions(outputs.features)
    torch.testing.assert_close(contributions[:, 1], outputs.score - base, atol=1e-4, rtol=0)
    assert contributions[:, [0, 2]].abs().max() < 1e-5
    spoken = describe_contributions(contributions, model.contribution_names)
    assert all(line.endswith(" symmetry") and "," not in line for line in spoken)


def test_a_picture_like_the_mean_of_the_collection_has_the_base_as_its_score():
    model = tiny_net(num_content_clusters=2)
    with torch.no_grad():
        features = model(PICTURES[:1]).features
        model.score_head.feature_mean.copy_(features[0])
        model.score_head.attributes.bias -= model.score_head.attributes(features)[0]
        score = model(PICTURES[:1]).score
    base, contributions = model.attribute_contributions(features)
    torch.testing.assert_close(base, score[0], atol=1e-5, rtol=0)
    assert contributions.abs().max() < 1e-5
