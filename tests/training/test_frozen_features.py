"""Features of frozen stages against the whole model, which knows nothing of them."""

import copy

import pytest
import torch
from tiny import PROCESSOR, TINY_RESNET, TINY_VIT, rated_pictures, tiny_model, training_arguments
from torch import nn
from transformers import default_data_collator

from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform, TrainingTransform
from hf_aesthetics.training import AestheticTrainer
from hf_aesthetics.training.frozen_features import (
    has_frozen_stages,
    record_frozen_features,
    skip_frozen_stages,
)


BINS = [1.0, 2.0, 3.0, 4.0, 5.0]
BACKBONES = {
    "resnet": (dict(TINY_RESNET), 1),
    "vit": (dict(TINY_VIT), 1),
    "mobilenet_v2": ({"model_type": "mobilenet_v2", "depth_multiplier": 0.2, "image_size": 32}, 9),
    # without what these two draw at random in training
    "dinov3_vit": (
        {**TINY_VIT, "model_type": "dinov3_vit", "num_register_tokens": 1, "pos_embed_rescale": None},
        1,
    ),
    "swin": (
        {"model_type": "swin", "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2}
        | {"image_size": 32, "patch_size": 4, "drop_path_rate": 0.0},
        1,
    ),
    "timm": ({"model_type": "timm_wrapper", "architecture": "test_convnext", "do_pooling": True}, 2),
    "the head alone": (dict(TINY_RESNET), 2),
}


@pytest.fixture(params=BACKBONES, scope="module")
def model(request):
    """A network whose first stages are frozen, with statistics of batch norms that are not those of the start."""
    backbone, num_frozen = BACKBONES[request.param]
    model = tiny_model(backbone)
    model.train()
    model(torch.rand(8, 3, 32, 32))
    nn.init.normal_(model.score_head.dense.weight)
    model.freeze_stages(num_frozen)
    return model


@pytest.fixture(scope="module")
def pictures():
    return rated_pictures(9, seed=3)


def evaluation_rows(pictures) -> IndexedRows:
    return IndexedRows(pictures, EvaluationTransform(PROCESSOR, BINS))


def as_batch(rows) -> dict[str, torch.Tensor]:
    return default_data_collator([rows[index] for index in range(len(rows))])


def gradients(model, batch) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(**batch).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_logits_are_those_of_the_whole_model(model, pictures):
    model.eval()
    rows = evaluation_rows(pictures)
    batch = as_batch(rows)
    features = as_batch(record_frozen_features(model, rows, batch_size=4))
    with torch.no_grad():
        whole = model(**batch)
        with skip_frozen_stages(model, batch["pixel_values"][:2]):
            free = model(**features)
        again = model(**batch)
    assert whole.logits.std(dim=0).min() > 1e-3  # pictures differ at all
    torch.testing.assert_close(free.logits, whole.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(free.loss, whole.loss, atol=1e-5, rtol=0)
    assert torch.equal(again.logits, whole.logits)


def test_gradients_of_the_free_part_are_those_of_the_whole_model(model, pictures):
    model.train()
    rows = evaluation_rows(pictures)
    batch = as_batch(rows)
    features = as_batch(record_frozen_features(model, rows))
    assert model.training  # recording leaves the mode alone
    reference = copy.deepcopy(model)
    whole = gradients(reference, batch)
    with skip_frozen_stages(model, batch["pixel_values"][:2]):
        free = gradients(model, features)
    assert free.keys() == whole.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, gradient in whole.items():
        torch.testing.assert_close(free[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")


def test_frozen_stages_do_not_run(pictures):
    model = tiny_model(TINY_RESNET)
    model.freeze_stages(1)
    batch = as_batch(evaluation_rows(pictures))
    features = record_frozen_features(model, evaluation_rows(pictures))
    with torch.no_grad(), skip_frozen_stages(model, batch["pixel_values"][:2]):
        before = model(**as_batch(features)).logits
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.fill_(float("nan"))
        assert torch.equal(model(**as_batch(features)).logits, before)
    assert model(**batch).logits.isnan().all()


def test_a_run_on_features_ends_as_one_on_pictures(pictures, tmp_path):
    def train(with_features: bool) -> dict[str, torch.Tensor]:
        model = tiny_model(TINY_RESNET, head_dropout=0.5)
        model.freeze_stages(1)
        rows = IndexedRows(pictures, TrainingTransform(PROCESSOR, BINS, seed=4))
        args = training_arguments(
            tmp_path / f"run-{with_features}", max_steps=6, eval_strategy="no", save_strategy="no", ema_decay=0.5,
            load_best_model_at_end=False,
        )  # fmt: skip
        if not with_features:
            AestheticTrainer(model=model, args=args, train_dataset=rows, data_collator=default_data_collator).train()
            return model.state_dict()
        two = as_batch(rows)["pixel_values"][:2]
        features = record_frozen_features(model, rows, num_views=3)  # 2 steps an epoch
        with skip_frozen_stages(model, two):
            AestheticTrainer(
                model=model, args=args, train_dataset=features, data_collator=default_data_collator
            ).train()
        return model.state_dict()

    on_pictures, on_features = train(False), train(True)
    start = tiny_model(TINY_RESNET, head_dropout=0.5).state_dict()
    name = "score_head.dense.weight"
    assert (on_pictures[name] - start[name]).abs().max() > 1e-3
    assert on_features.keys() == on_pictures.keys()
    for name, weight in on_pictures.items():
        torch.testing.assert_close(
            on_features[name], weight, atol=1e-5, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_views_follow_the_epochs_and_a_selection_shares_them(pictures):
    model = tiny_model(TINY_RESNET)
    model.freeze_stages(1)
    rows = IndexedRows(pictures, TrainingTransform(PROCESSOR, BINS))
    features = record_frozen_features(model, rows, num_views=2)
    some = features.select([8, 2])
    views = []
    for epoch in range(3):
        some.set_epoch(epoch)
        views.append(as_batch(some)["pixel_values"])
    assert torch.equal(views[0], views[2]) and not torch.equal(views[0], views[1])
    alone = record_frozen_features(model, IndexedRows(pictures.select([2]), rows.transform), num_views=2)
    for epoch in (0, 1):
        torch.testing.assert_close(views[epoch][1], alone.features[epoch, 0], atol=1e-6, rtol=0)
    assert torch.equal(as_batch(some)["labels"], features.labels["labels"][[8, 2]])


@pytest.mark.parametrize("action", [record_frozen_features, skip_frozen_stages])
def test_a_model_without_frozen_stages_is_refused(action, pictures):
    model = tiny_model(TINY_RESNET)
    argument = evaluation_rows(pictures) if action is record_frozen_features else torch.rand(2, 3, 32, 32)
    with pytest.raises(ValueError, match="At least one stage must be frozen, got 0"), action(model, argument):
        pass


def test_a_stem_that_is_trained_is_refused():
    model = tiny_model(TINY_RESNET)
    model.freeze_stages(1)
    model.backbone.embedder.requires_grad_(True)
    with (
        pytest.raises(ValueError, match="'backbone.embedder' is not"),
        skip_frozen_stages(model, torch.rand(2, 3, 32, 32)),
    ):
        pass


def test_an_early_fusion_that_is_trained_is_refused():
    model = tiny_model(TINY_RESNET, num_channels=4)
    model.freeze_stages(1)
    assert not has_frozen_stages(model)
    with pytest.raises(ValueError, match="'early_fusion' is"), skip_frozen_stages(model, torch.rand(2, 4, 32, 32)):
        pass
    model.early_fusion.requires_grad_(False)
    assert has_frozen_stages(model)
    with skip_frozen_stages(model, torch.rand(2, 4, 32, 32)):
        pass


@pytest.mark.parametrize("num_frozen", [1, 2])
def test_a_head_that_reads_the_last_frozen_stage_reads_it_from_the_features(pictures, num_frozen):
    model = tiny_model(TINY_RESNET, pooled_stages=[0]).eval()
    model.freeze_stages(num_frozen)
    batch = as_batch(evaluation_rows(pictures))
    features = as_batch(record_frozen_features(model, evaluation_rows(pictures)))
    with torch.no_grad():
        whole = model(**batch)
        with skip_frozen_stages(model, batch["pixel_values"][:2]):
            torch.testing.assert_close(model(**features).logits, whole.logits, atol=1e-5, rtol=0)


def test_a_head_that_reads_an_earlier_frozen_stage_is_refused():
    model = tiny_model({**TINY_RESNET, "depths": [1, 1, 1], "hidden_sizes": [8, 16, 16]}, pooled_stages=[0])
    nn.init.normal_(model.score_head.dense.weight)
    model.freeze_stages(2)
    with (
        pytest.raises(ValueError, match="free stages of ResNetModel must read nothing but the features"),
        skip_frozen_stages(model, torch.stack([torch.zeros(3, 32, 32), torch.rand(3, 32, 32)])),
    ):
        pass


def test_what_is_read_beside_the_pictures_is_not_dropped(pictures):
    class WithProportions(IndexedRows):
        def __getitems__(self, indices):
            return [{**row, "aspect_ratio": 1.2} for row in super().__getitems__(indices)]

    model = tiny_model(TINY_RESNET)
    model.freeze_stages(1)
    rows = WithProportions(pictures, EvaluationTransform(PROCESSOR, BINS))
    with pytest.raises(ValueError, match=r"alone, got \['aspect_ratio', 'pixel_values'\]"):
        record_frozen_features(model, rows)


def test_a_connection_past_the_frozen_stages_is_refused():
    model = tiny_model(TINY_RESNET)
    model.freeze_stages(1)
    embedder, stage = model.backbone.embedder, model.backbone.encoder.stages[1]
    passed = []
    embedder.register_forward_hook(lambda module, args, output: passed.append(output.mean()))
    stage.register_forward_hook(lambda module, args, output: output + 5 * passed[-1])
    with (
        pytest.raises(ValueError, match="logits of a picture differ by"),
        skip_frozen_stages(model, torch.stack([torch.zeros(3, 32, 32), torch.rand(3, 32, 32)])),
    ):
        pass
    assert "forward" not in vars(embedder)  # nothing is left behind
