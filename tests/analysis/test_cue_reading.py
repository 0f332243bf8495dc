import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import norm, rankdata
from sklearn.kernel_ridge import KernelRidge

from hf_aesthetics.analysis.cue_reading import (
    BANDWIDTH,
    PENALTIES,
    CueReader,
    deal_folds,
    explained_parts,
    read_cues,
)


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    descriptors = rng.standard_normal((60, 3))
    return descriptors, np.sin(2 * descriptors[:, :1]) + 0.3 * rng.standard_normal((60, 1))


def test_predictions_are_those_of_kernel_ridge_with_the_best_left_out_error(planted):
    descriptors, values = planted
    folds = deal_folds(np.arange(60))
    predicted = CueReader(descriptors, folds).predict(values)[:, 0]
    scores = norm.ppf((rankdata(descriptors, axis=0) - 0.5) / 60)
    distances = squareform(pdist(scores, "sqeuclidean"))
    kernel = np.exp(-BANDWIDTH * distances / np.median(pdist(scores, "sqeuclidean")))

    def fit(train: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
        # a centred kernel is what ridge with a free intercept comes to
        own, target = kernel[np.ix_(train, train)], values[train, 0]
        outer = kernel[np.ix_(test, train)] - own.mean(axis=0)
        outer -= outer.mean(axis=1, keepdims=True)
        own = own - own.mean(axis=0) - own.mean(axis=0)[:, None] + own.mean()
        model = KernelRidge(alpha=penalty, kernel="precomputed").fit(own, target - target.mean())
        return target.mean() + model.predict(outer)

    for fold in range(5):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        penalties = PENALTIES * len(train) / 100
        errors = []
        for penalty in penalties:
            own = kernel[np.ix_(train, train)]
            own = own - own.mean(axis=0) - own.mean(axis=0)[:, None] + own.mean()
            hat = own @ np.linalg.inv(own + penalty * np.eye(len(train))) + 1 / len(train)
            target = values[train, 0]
            errors.append((((target - hat @ target) / (1 - np.diag(hat))) ** 2).sum())
        np.testing.assert_allclose(predicted[test], fit(train, test, penalties[np.argmin(errors)]), atol=1e-4)


def test_every_column_is_read_on_its_own(planted):
    descriptors, values = planted
    reader = CueReader(descriptors, deal_folds(np.arange(60)))
    both = reader.predict(np.hstack([values, values[::-1]]))
    np.testing.assert_allclose(both[:, :1], reader.predict(values))
    np.testing.assert_allclose(both[:, 1:], reader.predict(values[::-1]))


def test_descriptors_that_do_not_vary_predict_the_mean(planted):
    folds = deal_folds(np.arange(60))
    predicted = CueReader(np.ones((60, 2)), folds).predict(planted[1])
    for fold in range(5):
        np.testing.assert_allclose(predicted[folds == fold], planted[1][folds != fold].mean())


def test_no_fold_parts_a_group():
    groups = np.repeat(np.arange(23), 4)
    folds = deal_folds(groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(23)) and set(folds) == set(range(5))


def test_independent_readings_explain_their_squared_correlations():
    rng = np.random.default_rng(1)
    one, other, noise = rng.standard_normal((3, 20_000))
    values = (2 * one + other + noise)[:, None]
    found = explained_parts(np.stack([one, other, noise * 0 + rng.standard_normal(20_000)])[..., None], values)
    np.testing.assert_allclose(found.parts[0], [4 / 6, 1 / 6, 0], atol=0.02)
    np.testing.assert_allclose(found.explained, 5 / 6, atol=0.02)


def test_what_follows_the_values_only_through_another_cue_gets_nothing():
    rng = np.random.default_rng(2)
    cause, noise, own = rng.standard_normal((3, 20_000))
    found = explained_parts(np.stack([cause, cause + noise])[..., None], (cause + own)[:, None])
    np.testing.assert_allclose(found.parts[0], [0.5, 0], atol=0.02)


def test_weights_count_pictures_as_often_as_they_are_drawn():
    rng = np.random.default_rng(3)
    readings, values = rng.standard_normal((2, 30, 1)), rng.standard_normal((30, 1))
    drawn = rng.multinomial(30, np.full(30, 1 / 30), 4)
    found = explained_parts(readings, values, drawn.astype(float)).parts
    for times, parts in zip(drawn, found, strict=True):
        rows = np.repeat(np.arange(30), times)
        np.testing.assert_allclose(parts, explained_parts(readings[:, rows], values[rows]).parts[0])


def test_a_cue_alone_is_read_as_it_is(planted):
    descriptors, values = planted
    reader = CueReader(descriptors, deal_folds(np.arange(60)))
    np.testing.assert_allclose(read_cues({"a": reader}, values)[0], reader.predict(values) - values.mean(axis=0))


def test_what_another_cue_tells_better_is_left_to_it():
    """A blur map that also shows depth, through noise, takes from depth's share unless it is read once more."""
    rng = np.random.default_rng(4)
    depth, blur, first, second = rng.standard_normal((4, 800))
    folds = deal_folds(np.arange(800))
    shown = {"depth": depth[:, None], "blur": np.column_stack([blur + 0.8 * first, depth + 1.2 * second])}
    readers = {cue: CueReader(descriptors, folds) for cue, descriptors in shown.items()}
    values = (depth + blur)[:, None]
    alone = explained_parts(np.stack([reader.predict(values) for reader in readers.values()]), values).parts[0]
    found = explained_parts(read_cues(readers, values), values).parts[0]
    readable = 1 / (1 + 0.8**2)  # of blur; depth is seen as it is
    truth = np.array([1, readable]) / 2
    assert np.abs(found - truth).max() < 0.6 * np.abs(alone - truth).max()
