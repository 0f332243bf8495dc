"""Fisher vectors against autograd, posteriors against scikit-learn. `tiny_models` feeds the contract tests."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from transformers import AutoModelForImageClassification

from hf_aesthetics.models.configuration_fisher_vector import FisherVectorConfig
from hf_aesthetics.models.modeling_fisher_vector import (
    FisherVectorForAestheticAssessment,
    fisher_vectors,
    normalize_vectors,
    posterior_probabilities,
)


TINY = {"patch_size": 16, "scales": [1.0, 0.5], "pca_size": 6, "num_components": 4}
BAD_VALUES = [
    ({"descriptors": ["gradients", "shapes"]}, "shapes"),
    ({"descriptors": []}, "descriptors"),
    ({"descriptors": ["colors", "colors"]}, "differ"),
    ({"pca_size": 97}, "from 1 to 96"),
    ({"patch_size": 30}, "30"),
    ({"patch_stride": 12}, "12"),
    ({"scales": [1.0, 0.0]}, "0.0"),
    ({"num_components": 0}, "got 0"),
    ({"encoding": "vlad"}, "encoding"),
    ({"min_score": 10}, "10"),
]


def tiny_models() -> dict[str, FisherVectorConfig]:
    return {
        "fisher": FisherVectorConfig(**TINY),
        "bag_of_words": FisherVectorConfig(**{**TINY, "encoding": "bag_of_words", "descriptors": ["colors"]}),
    }


@pytest.fixture(scope="module")
def mixture() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    return weights, means, 0.3 + torch.rand(3, 2, generator=generator, dtype=torch.float64)


def log_likelihood(points: torch.Tensor, weights: torch.Tensor, means: torch.Tensor, deviations: torch.Tensor):
    components = torch.distributions.Independent(torch.distributions.Normal(means, deviations), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), components).log_prob(points)


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    return torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_fisher_vectors_are_gradients_of_the_likelihood_in_units_of_its_information(mixture, points):
    weights, means, variances = mixture
    found = fisher_vectors(points, posterior_probabilities(points, *mixture), *mixture)
    for picture, vector in zip(points, found, strict=True):
        centers, deviations = means.clone().requires_grad_(), variances.sqrt().requires_grad_()
        log_likelihood(picture, weights, centers, deviations).mean().backward()
        # diagonal of the information, where components do not overlap: w / s^2 of a mean, 2 w / s^2 of a deviation
        scale = deviations.detach() / weights[:, None].sqrt()
        expected = torch.stack([centers.grad * scale, deviations.grad * scale / 2**0.5])
        torch.testing.assert_close(vector, expected.flatten())


def test_fisher_vectors_of_what_the_mixture_itself_draws_vanish(mixture):
    weights, means, variances = mixture
    generator = np.random.default_rng(0)
    drawn = generator.choice(3, size=200_000, p=weights.numpy())
    points = torch.from_numpy(generator.normal(means.numpy()[drawn], variances.sqrt().numpy()[drawn]))[None]
    assert fisher_vectors(points, posterior_probabilities(points, *mixture), *mixture).abs().max() < 0.01


def test_posteriors_are_those_of_scikit_learn(mixture, points):
    weights, means, variances = mixture
    reference = GaussianMixture(3, covariance_type="diag")
    reference.weights_, reference.means_, reference.covariances_ = (tensor.numpy() for tensor in mixture)
    reference.precisions_cholesky_ = 1 / variances.sqrt().numpy()
    found = posterior_probabilities(points, weights, means, variances)
    for picture, posteriors in zip(points, found, strict=True):
        np.testing.assert_allclose(posteriors.numpy(), reference.predict_proba(picture.numpy()), atol=1e-12)


def test_posteriors_far_from_every_word_still_sum_to_one(mixture):
    far = 1e4 * torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    posteriors = posterior_probabilities(far, *(tensor.float() for tensor in mixture))
    torch.testing.assert_close(posteriors.sum(dim=1), torch.ones(2))


def test_normalised_vectors_have_length_one_keep_signs_and_halve_exponents():
    vectors = torch.tensor([[0.04, -0.01, 0.25], [0.0, 3.0, -0.03]])
    found = normalize_vectors(vectors)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    assert torch.equal(found.sign(), vectors.sign())
    assert found[0, 2] / found[0, 0] == pytest.approx(2.5, rel=1e-4)
    assert not normalize_vectors(torch.zeros(1, 4)).any()


@pytest.fixture(scope="module")
def model() -> FisherVectorForAestheticAssessment:
    torch.manual_seed(0)
    return FisherVectorForAestheticAssessment(tiny_models()["fisher"]).eval()


@pytest.mark.parametrize("name", tiny_models())
def test_every_kind_of_descriptors_has_a_part_of_length_one(name):
    config = tiny_models()[name]
    vectors = FisherVectorForAestheticAssessment(config).encoder(torch.rand(2, 3, 48, 64))
    assert vectors.shape == (2, sum(config.feature_sizes))
    parts = vectors.view(2, len(config.descriptors), -1)
    torch.testing.assert_close(parts.norm(dim=2), torch.ones(parts.shape[:2]))


def test_bag_of_words_is_the_root_of_the_mean_posteriors():
    model = FisherVectorForAestheticAssessment(tiny_models()["bag_of_words"])
    picture, words = torch.rand(1, 3, 64, 64), model.encoder.vocabularies["colors"]
    points = words.project(model.encoder.describe(picture)["colors"])
    posteriors = posterior_probabilities(points, words.weights, words.means, words.variances)[0]
    assert len(posteriors) == 7 * 7 + 3 * 3  # patches of 16 pixels every 8, at full size and at half
    torch.testing.assert_close(model.encoder(picture)[0], posteriors.mean(dim=0).sqrt(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", tiny_models())
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_plain_picture_has_a_finite_score_and_gradient(name, level):
    plain = torch.full((1, 3, 64, 64), level, requires_grad=True)
    score = FisherVectorForAestheticAssessment(tiny_models()[name])(plain).score
    score.sum().backward()
    assert torch.isfinite(score).all() and torch.isfinite(plain.grad).all()


def test_half_precision_keeps_what_was_fitted_in_full(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, model.state_dict()[name]), name


def test_pictures_that_hold_no_patch_or_have_one_channel_are_refused(model):
    with pytest.raises(ValueError, match="12 x 40"):
        model(torch.rand(1, 3, 40, 12))
    with pytest.raises(ValueError, match=r"\(1, 1, 40, 40\)"):
        model(torch.rand(1, 1, 40, 40))
