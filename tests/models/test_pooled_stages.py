"""A head that reads the outputs of several stages, against features taken by hand."""

import pytest
import torch
from tiny import TINY_RESNET, TINY_VIT, tiny_model

from hf_aesthetics import NimaConfig, NimaForAestheticAssessment


BACKBONES = {
    "resnet": dict(TINY_RESNET),
    "vit": dict(TINY_VIT),
    "mobilenet_v2": {"model_type": "mobilenet_v2", "depth_multiplier": 0.2, "image_size": 32},
    "convnext": {"model_type": "convnext", "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]},
    "timm": {"model_type": "timm_wrapper", "architecture": "test_efficientnet", "do_pooling": True},
}


def feature_read_by_the_head(model, pixel_values) -> torch.Tensor:
    read = []
    handle = model.score_head.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    with torch.no_grad():
        model(pixel_values)
    handle.remove()
    return read[0]


@pytest.mark.parametrize("name", BACKBONES)
def test_every_part_has_the_width_that_is_said_and_the_first_is_the_plain_feature(name):
    plain, model = tiny_model(BACKBONES[name]).eval(), tiny_model(BACKBONES[name], pooled_stages=[0, -2]).eval()
    model.backbone.load_state_dict(plain.backbone.state_dict())
    pictures = torch.rand(3, 3, 32, 32)
    feature = feature_read_by_the_head(model, pictures)
    assert feature.shape == (3, sum(model.feature_sizes)) and len(model.feature_sizes) == 3
    torch.testing.assert_close(feature[:, : model.feature_sizes[0]], feature_read_by_the_head(plain, pictures))


def test_the_parts_of_a_resnet_are_the_means_of_its_hidden_states():
    model = tiny_model(TINY_RESNET, pooled_stages=[0]).eval()
    pictures = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        states = model.backbone(pictures, output_hidden_states=True).hidden_states  # stem, then a stage each
    expected = torch.cat([states[2].mean(dim=(2, 3)), states[1].mean(dim=(2, 3))], dim=1)
    torch.testing.assert_close(feature_read_by_the_head(model, pictures), expected)


def test_the_parts_of_a_vit_follow_its_pooling():
    pictures = torch.rand(3, 3, 32, 32)
    for pooling, pool in (("cls", lambda tokens: tokens[:, 0]), ("mean", lambda tokens: tokens.mean(dim=1))):
        model = tiny_model(TINY_VIT, pooled_stages=[-2], pooling=pooling).eval()
        with torch.no_grad():
            states = model.backbone(pictures, output_hidden_states=True).hidden_states
        torch.testing.assert_close(feature_read_by_the_head(model, pictures)[:, 16:], pool(states[1]))


def test_it_is_saved_and_every_stage_gets_a_gradient(tmp_path):
    model = tiny_model(TINY_RESNET, pooled_stages=[0]).eval()
    model.save_pretrained(tmp_path)
    loaded, report = NimaForAestheticAssessment.from_pretrained(tmp_path, output_loading_info=True)
    assert loaded.config.pooled_stages == [0] and not any(report.values())
    pictures = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(pictures).logits, model(pictures).logits)
    labels = torch.full((2, 5), 0.2)
    loaded(pictures, labels=labels).loss.backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


@pytest.mark.parametrize("stage", [-1, 1, -3, 5])
def test_a_stage_that_is_not_there_or_the_last_one_is_refused(stage):
    with pytest.raises(ValueError, match=f"before the last one, 0 to 0 or -2 to -2, got {stage}"):
        tiny_model(TINY_RESNET, pooled_stages=[stage])


def test_by_default_there_are_none():
    assert NimaConfig().pooled_stages is None
    model = tiny_model(TINY_RESNET)
    assert model.feature_sizes == [model.score_head.dense.in_features]
