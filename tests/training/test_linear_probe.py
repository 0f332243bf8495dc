"""The closed-form head against scikit-learn's ridge regression, and a planted truth."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from tiny import PROCESSOR, TINY_RESNET, brightness_collection, rated_pictures, tiny_model, training_arguments
from torch import nn
from transformers import default_data_collator

from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform, TrainingTransform
from hf_aesthetics.metrics import spearman_correlation
from hf_aesthetics.training import train_scorer
from hf_aesthetics.training.frozen_features import record_frozen_features, skip_frozen_stages
from hf_aesthetics.training.linear_probe import fit_linear_probe


BINS = np.arange(1.0, 6.0)


def rows_of(count: int, seed: int) -> IndexedRows:
    return IndexedRows(rated_pictures(count, seed), EvaluationTransform(PROCESSOR, BINS.tolist()))


def as_batch(rows) -> dict[str, torch.Tensor]:
    return default_data_collator([rows[index] for index in range(len(rows))])


@pytest.fixture(scope="module")
def train_rows():
    return rows_of(40, seed=1)


@pytest.fixture(scope="module")
def validation_rows():
    return rows_of(20, seed=2)


def logits_and_features(model, rows) -> tuple[np.ndarray, np.ndarray]:
    features = []
    handle = model.score_head.register_forward_pre_hook(lambda module, args: features.append(args[0]))
    with torch.no_grad():
        logits = model.eval()(as_batch(rows)["pixel_values"]).logits
    handle.remove()
    return logits.double().numpy(), features[0].double().numpy()


@pytest.mark.parametrize("stages", [None, [0]])
def test_logits_are_those_of_scikit_learns_ridge(train_rows, validation_rows, stages):
    model = tiny_model(TINY_RESNET, pooled_stages=stages, head_dropout=0.5)
    assert fit_linear_probe(model, train_rows, validation_rows, strengths=[0.7]) == 0.7
    _, train_features = logits_and_features(model, train_rows)
    logits, features = logits_and_features(model, validation_rows)
    scaler = StandardScaler().fit(train_features)
    widths = np.array([16] * 16 + [8] * 8) * 2 if stages else np.array([16] * 16)
    log_odds = np.log(as_batch(train_rows)["labels"].double().numpy() + 0.005)
    log_odds -= log_odds.mean(axis=1, keepdims=True)
    ridge = Ridge(alpha=0.7).fit(scaler.transform(train_features) / np.sqrt(widths), log_odds)
    np.testing.assert_allclose(logits, ridge.predict(scaler.transform(features) / np.sqrt(widths)), atol=2e-3)


def test_few_pictures_with_many_features_have_the_same_ridge(validation_rows):
    few = rows_of(10, seed=1)  # of 16 features
    model = tiny_model(TINY_RESNET)
    fit_linear_probe(model, few, validation_rows, strengths=[0.7])
    _, features = logits_and_features(model, few)
    logits, held_out = logits_and_features(model, validation_rows)
    scaler = StandardScaler().fit(features)
    log_odds = np.log(as_batch(few)["labels"].double().numpy() + 0.005)
    log_odds -= log_odds.mean(axis=1, keepdims=True)
    ridge = Ridge(alpha=0.7).fit(scaler.transform(features) / 4, log_odds)
    np.testing.assert_allclose(logits, ridge.predict(scaler.transform(held_out) / 4), atol=2e-3)


def test_it_learns_what_a_linear_layer_can_and_leaves_the_rest_alone(train_rows, validation_rows):
    model = tiny_model(TINY_RESNET).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_linear_probe(model, train_rows, validation_rows)
    assert model.training
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"score_head.dense.weight", "score_head.dense.bias"}
    logits, _ = logits_and_features(model, validation_rows)
    predicted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = as_batch(validation_rows)["labels"].double().numpy()
    assert spearman_correlation(predicted @ BINS, truth @ BINS) > 0.8


def test_the_strength_is_that_with_the_least_distance_on_the_validation_pictures(train_rows, validation_rows):
    from scipy.stats import wasserstein_distance

    strengths, distances = [1e-3, 0.1, 10.0, 1000.0], []
    truth = as_batch(validation_rows)["labels"].double().numpy()
    for strength in strengths:
        model = tiny_model(TINY_RESNET)
        fit_linear_probe(model, train_rows, validation_rows, strengths=[strength])
        logits, _ = logits_and_features(model, validation_rows)
        predicted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        distances.append(
            np.mean([wasserstein_distance(BINS, BINS, *pair) for pair in zip(predicted, truth, strict=True)])
        )
    chosen = fit_linear_probe(tiny_model(TINY_RESNET), train_rows, validation_rows, strengths=strengths)
    assert chosen == strengths[int(np.argmin(distances))]


def test_views_of_a_picture_share_its_weight(train_rows, validation_rows):
    transform = TrainingTransform(PROCESSOR, BINS.tolist(), crop_fraction=1.0, do_flip=False)
    same = IndexedRows(train_rows.rows, transform)  # every view is the same
    heads = []
    for num_views in (1, 3):
        model = tiny_model(TINY_RESNET)
        fit_linear_probe(model, same, validation_rows, num_views=num_views, strengths=[0.5])
        heads.append(model.score_head.dense.weight.detach())
    torch.testing.assert_close(*heads, atol=1e-4, rtol=1e-4)


def test_rounding_errors_of_pictures_that_show_nothing_are_not_learnt(train_rows, validation_rows):
    """Features of equal pictures differ in their last digits, which a scale of its own would blow up."""

    class Blank(torch.utils.data.Dataset):
        def __init__(self, rows, seed):
            noise = 1e-6 * torch.randn(len(rows), generator=torch.Generator().manual_seed(seed))
            self.items = [
                {**rows[n], "pixel_values": 1 + noise[n] * rows[n]["pixel_values"]} for n in range(len(rows))
            ]

        def set_epoch(self, epoch): ...

        def __len__(self):
            return len(self.items)

        def __getitem__(self, index):
            return self.items[index]

    model = tiny_model(TINY_RESNET)
    fit_linear_probe(model, Blank(train_rows, 0), Blank(validation_rows, 1), strengths=[0.1])
    logits, features = logits_and_features(model, Blank(validation_rows, 1))
    assert features.std(axis=0).max() > 0, "there is something to blow up"
    assert logits.std(axis=0).max() < 1e-4
    log_odds = np.log(as_batch(train_rows)["labels"].numpy() + 0.005)
    np.testing.assert_allclose(logits[0], (log_odds - log_odds.mean(axis=1, keepdims=True)).mean(axis=0), atol=1e-4)


def test_on_cached_features_it_is_the_same(train_rows, validation_rows):
    on_pictures, on_features = tiny_model(TINY_RESNET), tiny_model(TINY_RESNET)
    fit_linear_probe(on_pictures, train_rows, validation_rows, strengths=[0.5])
    on_features.freeze_stages(1)
    cached = [record_frozen_features(on_features, rows) for rows in (train_rows, validation_rows)]
    with skip_frozen_stages(on_features, as_batch(train_rows)["pixel_values"][:2]):
        fit_linear_probe(on_features, *cached, strengths=[0.5])
    torch.testing.assert_close(
        on_features.score_head.dense.weight, on_pictures.score_head.dense.weight, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_run_starts_from_it(tmp_path, decay):
    collection = brightness_collection(24, 9, 2)
    args = training_arguments(
        tmp_path / "nima", linear_probe=True, learning_rate=1e-12, head_learning_rate=1e-12, ema_decay=decay,
        crop_fraction=1.0, random_flip=False, max_steps=1, eval_steps=1, save_steps=1, num_train_epochs=1,
    )  # fmt: skip
    trained, expected = (tiny_model(TINY_RESNET) for _ in range(2))
    train_scorer(trained, PROCESSOR, collection, args)
    transform = EvaluationTransform(PROCESSOR, BINS.tolist())
    fit_linear_probe(expected, *(IndexedRows(collection.splits[name], transform) for name in ("train", "validation")))
    torch.testing.assert_close(trained.score_head.dense.weight, expected.score_head.dense.weight, atol=1e-4, rtol=1e-4)


def test_a_model_with_more_than_a_linear_head_is_refused(train_rows, validation_rows):
    model = tiny_model(TINY_RESNET)
    model.score_head.more = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="one linear layer above its backbone, got NimaForAestheticAssessment with 2"):
        fit_linear_probe(model, train_rows, validation_rows)
