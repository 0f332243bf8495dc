"""Vocabularies of Fisher vectors against a planted mixture and scikit-learn's own likelihood."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from tiny import rated_pictures

from hf_aesthetics import FisherVectorConfig, FisherVectorForAestheticAssessment, ModalityImageProcessor
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform
from hf_aesthetics.metrics import spearman_correlation
from hf_aesthetics.models.modeling_fisher_vector import VisualVocabulary, posterior_probabilities
from hf_aesthetics.training.gaussian_mixture import fit_fisher_vector, fit_vocabulary
from hf_aesthetics.training.linear_probe import fit_linear_probe


SIZES = {"patch_size": 16, "scales": [1.0], "pca_size": 3, "num_components": 4}


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of 4 words in 3 of 10 dimensions, and which word each is."""
    generator = np.random.default_rng(0)
    words = generator.choice(4, size=8000, p=[0.4, 0.3, 0.2, 0.1])
    centers = np.array([[4, 0, 0], [-4, 2, 0], [0, -5, 2], [0, 4, -6]])
    deviations = generator.uniform(0.3, 0.8, (4, 3))
    points = generator.normal(centers[words], deviations[words])
    axes, _ = np.linalg.qr(generator.normal(size=(10, 3)))
    return 7 + points @ axes.T + 1e-3 * generator.normal(size=(8000, 10)), words


@pytest.fixture(scope="module")
def fitted(planted) -> VisualVocabulary:
    vocabulary = VisualVocabulary(FisherVectorConfig(**SIZES), descriptor_size=10)
    fit_vocabulary(vocabulary, planted[0])
    return vocabulary


def posteriors(vocabulary: VisualVocabulary, points: torch.Tensor) -> np.ndarray:
    return posterior_probabilities(points, vocabulary.weights, vocabulary.means, vocabulary.variances).numpy()


def test_a_planted_mixture_is_found(planted, fitted):
    descriptors, words = planted
    found = posteriors(fitted, fitted.project(torch.from_numpy(descriptors).float())).argmax(axis=1)
    table = np.zeros((4, 4))
    np.add.at(table, (words, found), 1)
    assert table.max(axis=1).sum() > 0.99 * len(words)
    np.testing.assert_allclose(sorted(fitted.weights.tolist()), [0.1, 0.2, 0.3, 0.4], atol=0.02)


def test_principal_components_have_mean_zero_variance_one_and_no_correlation(planted, fitted):
    points = fitted.project(torch.from_numpy(planted[0]).float()).double().numpy()
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(points.T), np.eye(3), atol=1e-3)
    residual = planted[0] - planted[0].mean(axis=0)
    residual = residual - points @ np.linalg.lstsq(points, residual, rcond=None)[0]
    assert np.abs(residual).max() < 0.01  # nothing but the noise is left over


def test_the_fit_is_as_likely_as_the_best_of_several_of_scikit_learn(planted, fitted):
    points = fitted.project(torch.from_numpy(planted[0]).float()).double().numpy()
    best = GaussianMixture(4, covariance_type="diag", n_init=3, random_state=1).fit(points)
    ours = GaussianMixture(4, covariance_type="diag")
    ours.weights_, ours.means_ = fitted.weights.double().numpy(), fitted.means.double().numpy()
    ours.precisions_cholesky_ = 1 / fitted.variances.double().sqrt().numpy()
    assert ours.score(points) > best.score(points) - 0.01


def test_descriptors_that_do_not_vary_in_a_direction_leave_it_without_weight():
    descriptors = np.zeros((50, 10))
    descriptors[:, 0] = np.linspace(0, 1, 50)
    vocabulary = VisualVocabulary(FisherVectorConfig(**SIZES), descriptor_size=10)
    fit_vocabulary(vocabulary, descriptors)
    assert all(torch.isfinite(tensor).all() for tensor in vocabulary.state_dict().values())
    assert vocabulary.projection[:, 0].any() and not vocabulary.projection[:, 1:].any()


def test_too_few_descriptors_are_refused():
    vocabulary = VisualVocabulary(FisherVectorConfig(**SIZES), descriptor_size=10)
    with pytest.raises(ValueError, match=r"At least 4 .* got 3"):
        fit_vocabulary(vocabulary, np.eye(3, 10))


def rows_of(count: int, seed: int) -> IndexedRows:
    processor = ModalityImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    return IndexedRows(rated_pictures(count, seed), EvaluationTransform(processor, [1, 2, 3, 4, 5]))


@pytest.fixture(scope="module")
def rows() -> IndexedRows:
    return rows_of(30, seed=1)


def fit(rows, **arguments) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = FisherVectorForAestheticAssessment(FisherVectorConfig(**SIZES, num_labels=5, max_score=5))
    before = {name: tensor.clone() for name, tensor in model.score_head.state_dict().items()}
    fit_fisher_vector(model, rows, **arguments)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.score_head.state_dict().items())
    return model.encoder.state_dict()


def test_fitting_is_repeatable_and_the_seed_draws_other_places(rows):
    first, again, other = (fit(rows, num_descriptors=100, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["vocabularies.colors.means"], other["vocabularies.colors.means"])


def test_the_mean_descriptor_is_that_of_all_pictures(rows):
    found = fit(rows, num_descriptors=100_000)
    encoder = FisherVectorForAestheticAssessment(FisherVectorConfig(**SIZES)).encoder
    pictures = torch.stack([rows[index]["pixel_values"] for index in range(len(rows))])
    for name, descriptors in encoder.describe(pictures).items():
        expected = descriptors.flatten(0, 1).mean(dim=0)
        torch.testing.assert_close(found[f"vocabularies.{name}.descriptor_mean"], expected, atol=1e-5, rtol=0)


def test_of_a_large_collection_some_pictures_are_read(rows):
    read = []

    class Counting(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            read.append(index)
            return rows[index]

    fit(Counting(), num_descriptors=500)
    assert len(set(read)) == len(read) == 10 and read != sorted(read)


def test_a_vocabulary_and_a_linear_probe_learn_what_pictures_are_rated_by(rows):
    torch.manual_seed(0)
    config = FisherVectorConfig(**SIZES, descriptors=["colors"], num_labels=5, max_score=5)
    model = FisherVectorForAestheticAssessment(config)
    fit_fisher_vector(model, rows, num_descriptors=5000)
    fit_linear_probe(model, rows, rows_of(15, seed=2))
    unseen = rows_of(40, seed=3)
    with torch.no_grad():
        scores = model.eval()(torch.stack([unseen[index]["pixel_values"] for index in range(40)])).score
    assert spearman_correlation(scores.double().numpy(), np.array(unseen.rows.with_format(None)["score_mean"])) > 0.8
