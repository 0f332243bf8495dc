"""Training on categories: the order of the pictures, what is learnt, and what is measured."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from tiny import PROCESSOR, TINY_RESNET
from transformers import TrainingArguments, set_seed

from hf_aesthetics import CecsConfig, CecsModel
from hf_aesthetics.training.category_training import (
    CategoryRows,
    SpreadSampler,
    measure_categories,
    train_on_categories,
)


def tinted(labels: list[int], seed: int = 0) -> CategoryRows:
    """Noise with a tint a category."""
    generator = np.random.default_rng(seed)
    tints = np.random.default_rng(9).uniform(60, 190, (5, 3))
    images = [
        Image.fromarray(np.clip(tints[label] + generator.normal(0, 20, (32, 32, 3)), 0, 255).astype(np.uint8))
        for label in labels
    ]
    return CategoryRows(Dataset.from_dict({"image": images, "label": labels}), PROCESSOR)


def tiny(num_labels: int) -> CecsModel:
    set_seed(0)
    return CecsModel(CecsConfig(backbone_config=dict(TINY_RESNET), num_labels=num_labels, embedding_size=8))


def run_of(folder, **fields) -> TrainingArguments:
    defaults = {
        "output_dir": str(folder), "num_train_epochs": 20, "learning_rate": 1e-2, "per_device_train_batch_size": 8,
        "save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True,
    }  # fmt: skip
    return TrainingArguments(**{**defaults, **fields})


def test_every_epoch_has_each_picture_once_and_categories_everywhere():
    labels = np.repeat([0, 1, 2], [40, 12, 4])
    sampler, orders = SpreadSampler(labels, seed=3), []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(56))
        for start in range(0, 56, 14):  # a quarter of the epoch
            counts = np.bincount(labels[order[start : start + 14]], minlength=3)
            assert (np.abs(counts - [10, 3, 1]) <= 2).all()
        orders.append(order)
    assert len(set(map(tuple, orders))) == 5
    sampler.set_epoch(0)
    assert list(sampler) == orders[0]


def test_a_run_tells_categories_apart_that_it_has_and_has_not_seen(tmp_path):
    model, known = tiny(3), [0, 1, 2]
    before = measure_categories(model, tinted(known * 6, seed=2))
    trainer = train_on_categories(model, tinted(known * 8, seed=1), run_of(tmp_path), tinted(known * 4, seed=3))
    after = measure_categories(trainer.model, tinted(known * 6, seed=2))
    assert before["accuracy"] < 0.7 and after == {"accuracy": 1.0, "recall_at_1": 1.0}
    assert trainer.evaluate()["eval_accuracy"] == 1.0
    others = measure_categories(trainer.model, tinted([3, 4] * 6, seed=2))
    assert others["recall_at_1"] > 0.9 and others["accuracy"] == 0  # labels that the model does not have


def test_a_picture_that_is_left_over_ends_no_run(tmp_path):
    trainer = train_on_categories(tiny(2), tinted([0, 1] * 4 + [0]), run_of(tmp_path, num_train_epochs=3))
    assert trainer.state.global_step == 3  # nine pictures, eight a step
    few = train_on_categories(tiny(2), tinted([0, 1, 0]), run_of(tmp_path, num_train_epochs=3))
    assert few.state.global_step == 3


def test_measures_are_those_of_the_outputs():
    model, rows = tiny(5).train(), tinted([0, 1, 2, 3, 4] * 3)
    measured = measure_categories(model, rows, batch_size=4)
    assert model.training
    with torch.no_grad():
        outputs = model.eval()(torch.stack([row["pixel_values"] for row in rows]))
    labels = torch.from_numpy(rows.labels)
    similarity = (outputs.image_embeds @ outputs.image_embeds.T).fill_diagonal_(-2)
    assert measured["accuracy"] == pytest.approx((outputs.logits.argmax(dim=1) == labels).float().mean().item())
    assert measured["recall_at_1"] == pytest.approx((labels[similarity.argmax(dim=1)] == labels).float().mean().item())


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 1, 3]])
def test_labels_have_to_be_those_of_the_model(labels, tmp_path):
    with pytest.raises(ValueError, match=r"at least 2 of the model's 3 categories, got the labels \[\d"):
        train_on_categories(tiny(3), tinted(labels), run_of(tmp_path))


def test_columns_that_are_missing_are_named():
    with pytest.raises(ValueError, match="got image. Add label"):
        CategoryRows(Dataset.from_dict({"image": [Image.new("RGB", (8, 8))]}), PROCESSOR)
