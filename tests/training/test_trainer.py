"""Training: what a run learns, and the traps of the Trainer kept closed."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from tiny import PROCESSOR, SCALE, TINY_RESNET, TINY_VIT, brightness_collection, tiny_model, training_arguments
from transformers import EvalPrediction, TrainerCallback

from hf_aesthetics.data.columns import rating_features
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.training import train_scorer, validation_metrics
from hf_aesthetics.training.trainer import mean_score_loss


@pytest.fixture(scope="module")
def collection() -> RatedCollection:
    return brightness_collection()


@pytest.fixture(scope="module")
def trained(collection, tmp_path_factory):
    """A short run that has really learnt to tell bright from dark."""
    model = tiny_model(TINY_RESNET)
    args = training_arguments(tmp_path_factory.mktemp("run") / "nima", max_steps=40, eval_steps=10, save_steps=10)
    return train_scorer(model, PROCESSOR, collection, args)


def test_a_run_learns_and_ends_with_its_best_checkpoint(trained):
    history = [entry["eval_srcc"] for entry in trained.state.log_history if "eval_srcc" in entry]
    assert len(history) == 4 and max(history) > 0.9
    assert trained.evaluate()["eval_srcc"] == pytest.approx(max(history), abs=1e-6)


def test_backbone_and_head_have_their_own_learning_rates(collection, tmp_path):
    trainer = train_scorer(
        tiny_model(TINY_VIT), PROCESSOR, collection, training_arguments(tmp_path / "nima", max_steps=1)
    )
    rates = {id(p): group["initial_lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
    named = dict(trainer.model.named_parameters())
    assert len(rates) == len(named)
    assert {rates[id(p)] for n, p in named.items() if n.startswith("backbone.")} == {3e-3}
    assert {rates[id(p)] for n, p in named.items() if n.startswith("score_head.")} == {1e-2}


def test_accumulated_gradients_equal_the_large_batch(collection, tmp_path, monkeypatch):
    ends = {}
    for batch_size, steps in ((8, 1), (2, 4)):
        model = tiny_model(TINY_VIT)
        fields = {"max_steps": 2, "optim": "sgd", "max_grad_norm": 0.0, "eval_strategy": "no", "save_strategy": "no"}
        args = training_arguments(
            tmp_path / f"{batch_size}",
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=steps,
            load_best_model_at_end=False,
            **fields,
        )
        train_scorer(model, PROCESSOR, collection, args)
        ends[batch_size] = {name: value.clone() for name, value in model.state_dict().items()}
    untrained = tiny_model(TINY_VIT).state_dict()
    assert any(not torch.equal(ends[8][name], untrained[name]) for name in untrained)
    for name, value in ends[8].items():
        torch.testing.assert_close(ends[2][name], value, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_RESNET], ids=["vit", "resnet"])
def test_resuming_restores_every_weight(backbone, collection, tmp_path):
    # a ViT's names differ on disk and in memory: the Trainer alone would leave its backbone as it is, with a warning
    model = tiny_model(backbone)
    args = training_arguments(tmp_path / "nima", max_steps=3, load_best_model_at_end=False)
    train_scorer(model, PROCESSOR, collection, args)
    resumed, at_start = tiny_model(backbone), {}
    with torch.no_grad():
        for value in resumed.state_dict().values():
            value.zero_()  # whatever resuming does not restore stays visibly wrong

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, model, **kwargs):
            at_start.update(
                {name: value.clone() for name, value in model.state_dict().items()}, step=state.global_step
            )

    args = training_arguments(tmp_path / "nima", max_steps=6, load_best_model_at_end=False, resume=True)
    train_scorer(resumed, PROCESSOR, collection, args, callbacks=[Watch()])
    assert at_start.pop("step") == 3
    for name, value in model.state_dict().items():
        assert torch.equal(at_start[name], value), name


def test_bfloat16_autocast_trains(collection, tmp_path):
    args = training_arguments(tmp_path / "nima", bf16=True, max_steps=40, eval_steps=20, save_steps=20)
    trainer = train_scorer(tiny_model(TINY_RESNET), PROCESSOR, collection, args)
    assert trainer.model.dtype == torch.float32 and trainer.evaluate()["eval_srcc"] > 0.8


def test_a_run_without_progress_stops_early(collection, tmp_path):
    fields = {"max_steps": 30, "eval_steps": 1, "save_steps": 1, "learning_rate": 0.0, "head_learning_rate": 0.0}
    args = training_arguments(tmp_path / "nima", early_stopping_patience=2, **fields)
    trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, collection, args)
    assert trainer.state.global_step == 3  # the first is the best so far, two more are not better


def test_mean_only_data_train_by_histogram_and_by_squared_error(collection, tmp_path):
    def forget_votes(split: Dataset) -> Dataset:
        rows = split.remove_columns(["vote_counts", "score_std", "num_votes"]).to_list()
        images = split["image"]
        return Dataset.from_list(
            [
                {**row, "image": image, "vote_counts": None, "score_std": None, "num_votes": None}
                for row, image in zip(rows, images, strict=True)
            ],
            features=rating_features(5),
        )

    splits = DatasetDict({name: forget_votes(split) for name, split in collection.splits.items()})
    means = RatedCollection("means", splits, SCALE, collection.facts)
    assert means.constant_distribution is None
    for loss in ("emd", "mse"):
        args = training_arguments(tmp_path / loss, max_steps=80, eval_steps=20, save_steps=20)
        trainer = train_scorer(tiny_model(TINY_VIT), PROCESSOR, means, args, loss=loss)
        assert trainer.evaluate()["eval_plcc"] > 0.7, loss


def test_squared_error_leaves_the_spread_alone():
    # two histograms with one mean and different spreads are the same to it
    logits = torch.log(torch.tensor([[0.25, 0.0, 0.5, 0.0, 0.25]]) + 1e-12)
    labels = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    bins = torch.arange(1.0, 6.0)
    assert mean_score_loss({"logits": logits}, labels, bins=bins).item() == pytest.approx(0, abs=1e-9)
    assert mean_score_loss({"logits": logits}, labels.roll(1), bins=bins).item() == pytest.approx(1 / 16, abs=1e-6)


def test_validation_metrics_take_logits_as_they_are():
    generator = np.random.default_rng(0)
    logits, votes = generator.normal(size=(30, 5)), generator.dirichlet(np.ones(5), size=30).astype(np.float32)
    metrics = validation_metrics(EvalPrediction(logits, votes), SCALE.bin_scores)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = np.abs((shares @ SCALE.bin_scores) - (votes @ SCALE.bin_scores))
    assert metrics["mae"] == pytest.approx(error.mean(), abs=1e-6)
    assert validation_metrics(EvalPrediction(logits + 700, votes), SCALE.bin_scores) == pytest.approx(metrics)
