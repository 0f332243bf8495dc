"""The model over named features. `tiny_models` feeds the contract tests."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import mahalanobis
from transformers import pipeline

from hf_aesthetics import HandcraftedConfig, HandcraftedForAestheticAssessment, HandcraftedImageProcessor
from hf_aesthetics.models.modeling_handcrafted import FARTHEST
from hf_aesthetics.models.score_contributions import describe_contributions
from hf_aesthetics.scoring import AestheticScorer


BAD_VALUES = [({"hidden_size": 0}, "got 0"), ({"hidden_size": "wide"}, "hidden_size"), ({"max_score": 1.0}, "1.0")]


def tiny_models() -> dict[str, HandcraftedConfig]:
    return {"linear": HandcraftedConfig(), "mlp": HandcraftedConfig(max_score=7.0, num_labels=7, hidden_size=12)}


def opinionated_model(hidden_size: int | None = None) -> HandcraftedForAestheticAssessment:
    """A model whose weights are large, so that its scores cover the scale."""
    torch.manual_seed(0)
    model = HandcraftedForAestheticAssessment(HandcraftedConfig(hidden_size=hidden_size, initializer_range=0.5)).eval()
    model.statistics.mean.normal_()
    model.statistics.scale.uniform_(0.5, 20)
    return model


def pictures(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 48, 48, generator=torch.Generator().manual_seed(1))


# ---- features ----


def test_uniqueness_is_the_distance_of_mahalanobis():
    model = opinionated_model()
    generator = np.random.default_rng(0)
    root = generator.normal(size=(len(model.statistics.mean) - 1,) * 2) / 5
    model.statistics.whitening.copy_(torch.from_numpy(root))
    features = torch.from_numpy(generator.normal(size=(3, len(root)))).float()
    actual = model.statistics.complete(features)[:, -1]
    mean, scale = (values[:-1].double().numpy() for values in (model.statistics.mean, model.statistics.scale))
    expected = [
        mahalanobis(row / scale, mean / scale, root.T @ root) / np.sqrt(len(root)) for row in features.double().numpy()
    ]
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-4)


def test_standardised_features_are_plain_near_the_mean_and_bounded_far_from_it():
    statistics = opinionated_model().statistics
    near = torch.tensor([[-0.1], [0.1]]) * torch.ones(len(statistics.mean))
    torch.testing.assert_close(statistics(statistics.mean + near * statistics.scale), near, atol=1e-4, rtol=0)
    assert statistics(torch.full((1, len(statistics.mean)), 1e6)).abs().max() <= FARTHEST


def test_a_feature_of_no_spread_says_nothing():
    model = opinionated_model()
    place = model.feature_names.index("aspect")
    model.statistics.scale[place] = float("inf")
    with torch.no_grad():
        wide, high = (model(pictures(1), aspect_ratio=torch.tensor([ratio])).score for ratio in (4.0, 0.25))
    assert torch.equal(wide, high)


def test_proportions_are_those_before_squashing():
    model = opinionated_model()
    processor = HandcraftedImageProcessor(size={"height": 48, "width": 48})
    with torch.no_grad():
        features = [
            model(**processor(Image.new("RGB", size, "teal"), return_tensors="pt")).features[0]
            for size in ((48, 48), (96, 48), (30, 60))
        ]
    aspects = [values[model.feature_names.index("aspect")].item() for values in features]
    assert aspects == [0, 1, -1]
    torch.testing.assert_close(features[0][:5], features[1][:5])


# ---- contributions ----


@pytest.mark.parametrize("hidden_size", [None, 12])
def test_contributions_add_up_to_the_score(hidden_size):
    model = opinionated_model(hidden_size)
    with torch.inference_mode():
        outputs = model(pictures())
        base, contributions = model.feature_contributions(outputs.features)
    assert contributions.abs().max() > 0.1 and outputs.score.std() > 0.01
    torch.testing.assert_close(base + contributions.sum(dim=1), outputs.score, atol=1e-4, rtol=0)


def test_the_base_is_the_score_of_the_mean_features():
    model = opinionated_model()
    with torch.no_grad():
        base, contributions = model.feature_contributions(model.statistics.mean[None])
    assert torch.equal(contributions, torch.zeros_like(contributions))
    probabilities = model.score_head.bias.detach().double().softmax(dim=0)
    assert base.item() == pytest.approx((probabilities * torch.arange(1, 11)).sum().item(), abs=1e-5)


def test_a_feature_without_weight_contributes_nothing_and_one_alone_everything():
    model = opinionated_model()
    only = model.feature_names.index("hue_harmony")
    with torch.no_grad():
        model.score_head.weight[:, torch.arange(len(model.feature_names)) != only] = 0
        outputs = model(pictures())
    base, contributions = model.feature_contributions(outputs.features)
    torch.testing.assert_close(contributions[:, only], outputs.score - base, atol=1e-5, rtol=0)
    contributions[:, only] = 0
    assert not contributions.any()


def test_a_description_names_what_matters_most():
    model = opinionated_model()
    contributions = torch.zeros(2, len(model.feature_names))
    names = ["hue_harmony", "blown_highlights", "sharpness"]
    contributions[0, [model.feature_names.index(name) for name in names]] = torch.tensor([0.41, -1.3, 0.02])
    two, nothing = describe_contributions(contributions, model.feature_names, num_largest=2)
    assert two == "-1.30 blown highlights, +0.41 hue harmony"
    assert nothing == ""


# ---- the way of the inputs ----


def test_processor_is_for_pictures():
    with pytest.raises(ValueError, match="must be 'rgb', because the features need pictures, got 'gray'"):
        HandcraftedImageProcessor(modality="gray")


def test_values_are_those_of_the_picture_from_0_to_1():
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    values = HandcraftedImageProcessor()(Image.fromarray(pixels), return_tensors="pt").pixel_values[0]
    np.testing.assert_allclose(values.permute(1, 2, 0).numpy(), pixels / 255, atol=1e-6)


def test_crop_view_has_the_proportions_of_what_it_shows():
    processor = HandcraftedImageProcessor(view="crop", size={"height": 40, "width": 80})
    inputs = processor([Image.new("RGB", (500, 500)), Image.new("RGB", (900, 300))], return_tensors="pt")
    torch.testing.assert_close(inputs.aspect_ratio, torch.tensor([2.0, 2.0]), atol=0.02, rtol=0)


def test_scorer_and_pipeline_hand_on_the_proportions():
    model, processor = opinionated_model(), HandcraftedImageProcessor(size={"height": 48, "width": 48})
    pixels = np.random.default_rng(0).integers(0, 256, (3, 30, 90, 3), dtype=np.uint8)
    images = [Image.fromarray(each) for each in pixels]
    with torch.no_grad():
        expected = model(**processor(images, return_tensors="pt")).score.tolist()
        squashed = model(processor(images, return_tensors="pt").pixel_values).score.tolist()
    assert max(abs(a - b) for a, b in zip(expected, squashed, strict=True)) > 1e-3, "the aspect acts on the score"
    scored = AestheticScorer(model, processor, name="handcrafted", device="cpu").score(images)
    piped = pipeline("image-aesthetics", model=model, image_processor=processor, device="cpu")(images, batch_size=2)
    for records in (scored, piped):
        assert [record["score"] for record in records] == pytest.approx(expected, abs=1e-5)


def test_pictures_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"\(batch_size, 3, height, width\), got \(1, 4, 8, 8\)"):
        opinionated_model()(torch.zeros(1, 4, 8, 8))
