"""Before and after a run: arguments into a scorer, a trained scorer into a checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import PROCESSOR, SCALE, TINY_RESNET, brightness_collection, tiny_model, training_arguments
from transformers import AutoModelForImageClassification

from hf_aesthetics.data.columns import RatingScale
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.data.training_ids import TrainingIds
from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.hub import check_checkpoint
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training import ModelArguments, build_scorer, finish_checkpoint, score_quantiles, train_scorer


@pytest.fixture(scope="module")
def collection() -> RatedCollection:
    return brightness_collection()


@pytest.fixture(scope="module")
def trained(collection, tmp_path_factory):
    args = training_arguments(tmp_path_factory.mktemp("run") / "nima", max_steps=40, eval_steps=20, save_steps=20)
    return train_scorer(tiny_model(TINY_RESNET), PROCESSOR, collection, args)


def test_finished_checkpoint_is_whole_and_its_percentiles_are_its_own(trained, collection, tmp_path):
    folder = tmp_path / "nima-brightness"
    report = finish_checkpoint(trained.model, PROCESSOR, collection, folder, training={"epochs": 1})
    check_checkpoint(folder)
    assert report.num_images == 19 and report.metrics["srcc"] > 0.8
    assert EvaluationReport.load(folder / "evaluation") == report
    loaded = AutoModelForImageClassification.from_pretrained(folder).eval()
    pictures = [image.convert("RGB") for image in collection.splits["train"]["image"]]
    with torch.no_grad():
        scores = loaded(**PROCESSOR(pictures, return_tensors="pt")).score.numpy()
    quantiles = loaded.config.score_quantiles
    assert len(quantiles) == 101
    np.testing.assert_allclose(
        [quantiles[0], quantiles[50], quantiles[-1]], np.quantile(scores, [0, 0.5, 1]), atol=1e-4
    )


def test_quantiles_of_a_large_collection_come_from_a_part(trained, collection):
    scorer = AestheticScorer(trained.model, PROCESSOR, name="tiny")
    few = score_quantiles(scorer, collection.splits["train"], max_pictures=10)
    assert len(few) == 101 and few == sorted(few)


def test_an_earlier_checkpoint_goes_on_with_its_own_scale_and_view(tiny_checkpoint, tmp_path):
    model, processor = build_scorer(ModelArguments(backbone=str(tiny_checkpoint)), RatingScale(1, 10, 10))
    assert model.config.score_quantiles is not None and dict(processor.size) == {"height": 32, "width": 32}
    processor.view, processor.modality = "crop", "gray"
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    scale = RatingScale(1, 10, 10)
    model, processor = build_scorer(ModelArguments(backbone=str(tmp_path), mean_loss_weight=1.0), scale)
    assert (processor.view, processor.modality, model.config.mean_loss_weight) == ("crop", "gray", 1.0)
    _, processor = build_scorer(ModelArguments(backbone=str(tmp_path), view="squash"), scale)
    assert (processor.view, processor.modality) == ("squash", "gray")
    with pytest.raises(ValueError, match="scale 1..10 in 10 bins, but the data set has 1..5 in 5 bins"):
        build_scorer(ModelArguments(backbone=str(tiny_checkpoint)), SCALE)


def test_frozen_batch_norms_stay_frozen_in_the_free_stages(tmp_path):
    tiny_model(TINY_RESNET).backbone.save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    model, _ = build_scorer(ModelArguments(backbone=str(tmp_path), freeze_stages=1, freeze_batch_norm=True), SCALE)
    model.train()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert norms and not any(m.training or m.weight.requires_grad for m in norms.values())
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert {n for n, m in convolutions.items() if m.weight.requires_grad} == {
        n for n in convolutions if ".stages.1." in n
    }


def test_a_checkpoint_remembers_what_its_parent_has_seen(trained, collection, tmp_path):
    finish_checkpoint(trained.model, PROCESSOR, collection, tmp_path / "parent", training={})
    parent = TrainingIds.of_checkpoint(tmp_path / "parent")
    splits = {name: split["image_id"] for name, split in collection.splits.items()}
    assert parent.overlap("brightness", [*splits["train"], *splits["test"]]) == {"train": 48}

    model, processor = build_scorer(ModelArguments(backbone=str(tmp_path / "parent")), SCALE)
    others = replace(brightness_collection(8, 5, 4), name="others")
    report = finish_checkpoint(model, processor, others, tmp_path / "child", training={})
    # the pictures of `others` are the first ones of `brightness`, but none of its test pictures were trained on
    assert report.seen_in_training == {}
    child = TrainingIds.of_checkpoint(tmp_path / "child")
    assert child.overlap("brightness", splits["train"]) == {"train": 48, "train of others": 8}
