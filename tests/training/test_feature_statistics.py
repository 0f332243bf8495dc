"""Statistics of features against numpy and scikit-learn, and a model that is trained over them."""

import numpy as np
import pytest
import torch
from tiny import TINY_RESNET, rated_pictures, tiny_model

from hf_aesthetics import HandcraftedConfig, HandcraftedForAestheticAssessment, HandcraftedImageProcessor
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform, TrainingTransform
from hf_aesthetics.metrics import spearman_correlation
from hf_aesthetics.models.image_features import image_features
from hf_aesthetics.training.feature_statistics import fit_feature_statistics
from hf_aesthetics.training.frozen_features import evaluating, input_of
from hf_aesthetics.training.linear_probe import fit_linear_probe


PROCESSOR = HandcraftedImageProcessor(size={"height": 32, "width": 32})
BINS = [1.0, 2.0, 3.0, 4.0, 5.0]


def rows_of(count: int, seed: int, transform=EvaluationTransform) -> IndexedRows:
    return IndexedRows(rated_pictures(count, seed), transform(PROCESSOR, BINS))


def new_model() -> HandcraftedForAestheticAssessment:
    torch.manual_seed(0)
    return HandcraftedForAestheticAssessment(HandcraftedConfig(max_score=5.0, num_labels=5))


@pytest.fixture(scope="module")
def train_rows() -> IndexedRows:
    return rows_of(40, seed=1)


@pytest.fixture(scope="module")
def features(train_rows) -> torch.Tensor:
    pixel_values = torch.stack([train_rows[index]["pixel_values"] for index in range(40)])
    return image_features(pixel_values, torch.full((40,), 48 / 40))


@pytest.fixture(scope="module")
def model(train_rows) -> HandcraftedForAestheticAssessment:
    model = new_model()
    fit_feature_statistics(model, train_rows, batch_size=16)
    return model


def test_mean_and_scale_are_numpys(model, features):
    values = features.double().numpy()
    np.testing.assert_allclose(model.statistics.mean[:-1], values.mean(axis=0), rtol=1e-4, atol=1e-5)
    constant = model.feature_names.index("aspect")  # all have one format
    assert torch.isinf(model.statistics.scale[constant])
    others = [n for n in range(values.shape[1]) if torch.isfinite(model.statistics.scale[n])]
    np.testing.assert_allclose(model.statistics.scale[others], values.std(axis=0)[others], rtol=1e-3)


def test_whitening_is_the_root_of_the_inverse_of_the_shrunk_correlations(model, features):
    from sklearn.covariance import shrunk_covariance

    scale = model.statistics.scale[:-1].double().numpy()
    values = features.double().numpy()
    correlations = np.cov((values - values.mean(axis=0)) / scale, rowvar=False, bias=True)
    root = model.statistics.whitening.double().numpy()
    # scikit-learn shrinks towards the mean variance, which is 1 but for the features of no spread
    varying = np.isfinite(scale)
    expected = np.linalg.inv(shrunk_covariance(correlations[np.ix_(varying, varying)], shrinkage=0.1))
    np.testing.assert_allclose((root @ root)[np.ix_(varying, varying)], expected, rtol=2e-3, atol=2e-3)


def test_distances_of_the_collection_have_mean_0_and_spread_1(model, features):
    uniqueness = model.statistics(model.statistics.complete(features))[:, -1]
    assert uniqueness.mean().abs() < 0.1 and 0.8 < uniqueness.std(correction=0) < 1.05


def test_what_is_unlike_the_collection_is_more_unique(model):
    stripes = torch.zeros(1, 3, 32, 32)
    stripes[:, 0, ::4] = 1
    distances = [model(picture).features[0, -1] for picture in (stripes, rows_of(1, seed=7)[0]["pixel_values"][None])]
    assert distances[0] > 2 * distances[1]


def test_a_probe_over_them_learns_and_hands_on_all_inputs(model, train_rows):
    validation = rows_of(20, seed=2)
    fit_linear_probe(model, train_rows, validation)
    batch = [validation[index] for index in range(20)]
    inputs = {
        "pixel_values": torch.stack([row["pixel_values"] for row in batch]),
        "aspect_ratio": torch.full((20,), 1.2),
    }
    with evaluating(model), torch.no_grad():
        scores = model(**inputs).score.numpy()
        reached = input_of(model.score_head, model, inputs)
    truth = torch.stack([row["labels"] for row in batch]).numpy() @ np.array(BINS)
    assert spearman_correlation(scores, truth) > 0.8
    assert reached.shape == (20, len(model.feature_names))


def test_transforms_hand_on_what_the_processor_returns():
    for transform in (EvaluationTransform, TrainingTransform):
        row = rows_of(2, seed=3, transform=transform)[1]
        assert row.keys() == {"pixel_values", "aspect_ratio", "labels"}
        assert row["aspect_ratio"] == pytest.approx(48 / 40)


def test_other_models_are_refused(train_rows):
    with pytest.raises(TypeError, match="over named features, .* got NimaForAestheticAssessment"):
        fit_feature_statistics(tiny_model(TINY_RESNET), train_rows)


def test_one_picture_is_no_collection():
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        fit_feature_statistics(new_model(), rows_of(1, seed=4))
