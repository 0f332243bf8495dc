"""NIMA over every family of backbones. `tiny_models` feeds the contract tests."""

import math

import pytest
import torch
from transformers import AutoModel, ResNetForImageClassification, ViTForImageClassification

from hf_aesthetics.models.backbones import BACKBONE_PRESETS, backbone_stages
from hf_aesthetics.models.configuration_nima import NimaConfig
from hf_aesthetics.models.modeling_nima import NimaForAestheticAssessment


TINY_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "image_size": 64,
    "patch_size": 16,
}
TINY_RESNET = {
    "model_type": "resnet",
    "depths": [1, 1, 1],
    "hidden_sizes": [8, 8, 16],
    "embedding_size": 8,
    "layer_type": "basic",
}
BACKBONES = {
    "resnet": TINY_RESNET,
    "mobilenet_v1": {"model_type": "mobilenet_v1", "depth_multiplier": 0.25},
    "mobilenet_v2": {"model_type": "mobilenet_v2", "depth_multiplier": 0.35},
    "mobilenet_v3": {"model_type": "timm_wrapper", "architecture": "mobilenetv3_small_050"},
    "mobilenet_v4": {"model_type": "timm_wrapper", "architecture": "mobilenetv4_conv_small_035"},
    "vgg": {"model_type": "timm_wrapper", "architecture": "vgg11", "model_args": {"mlp_ratio": 0.01}},
    "alexnet": {"model_type": "torchvision_wrapper", "architecture": "alexnet", "use_classifier": False},
    "vit": {"model_type": "vit", **TINY_VIT},
    "vit_timm": {"model_type": "timm_wrapper", "architecture": "test_vit", "model_args": {"img_size": 64}},
    "clip": {"model_type": "clip_vision_model", **TINY_VIT},
    "siglip": {"model_type": "siglip_vision_model", **TINY_VIT},
    "siglip2": {
        "model_type": "siglip2_vision_model",
        "num_patches": 16,
        **{k: v for k, v in TINY_VIT.items() if k != "image_size"},
    },
    "dinov3": {"model_type": "dinov3_vit", **TINY_VIT},
}
BAD_VALUES = [
    ({"head_dropout": 1.5}, "1.5"),
    ({"head_dropout": "high"}, "head_dropout"),
    ({"min_score": 7.0, "max_score": 7.0}, "7.0"),
    ({"num_labels": 1}, "got 1"),
    ({"num_channels": 5}, "got 5"),
    ({"pooling": "max"}, "pooling"),
    ({"emd_order": 0.5}, "0.5"),
    ({"std_loss_weight": -1.0}, "-1.0"),
    ({"score_quantiles": [2.0, 1.0]}, "ascending"),
    ({"backbone_config": {"model_type": "resnext"}}, "'resnext'"),
]


def tiny_models() -> dict[str, NimaConfig]:
    models = {name: NimaConfig(backbone_config=dict(config)) for name, config in BACKBONES.items()}
    return models | {"fused": NimaConfig(backbone_config=dict(TINY_RESNET), num_channels=4)}


@pytest.mark.parametrize("name", BACKBONES)
def test_one_fine_tuning_step_lowers_the_loss(name):
    torch.manual_seed(0)
    model = NimaForAestheticAssessment(NimaConfig(backbone_config=dict(BACKBONES[name]), head_dropout=0.0))
    model.freeze_batch_norm()
    model.train()
    pixel_values = torch.rand(4, 3, 64, 64)
    labels = torch.eye(10)[[0, 3, 6, 9]]
    before = model(pixel_values, labels=labels).loss
    before.backward()
    step = 0.05 / math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters() if p.grad is not None))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= step * parameter.grad
        after = model(pixel_values, labels=labels).loss
    assert after < before


@pytest.mark.parametrize("name", BACKBONES)
def test_early_fusion_starts_as_the_model_without_the_map_and_learns_from_it(name, tmp_path):
    plain = NimaForAestheticAssessment(NimaConfig(backbone_config=dict(BACKBONES[name]))).eval()
    plain.save_pretrained(tmp_path)
    fused = NimaForAestheticAssessment.from_pretrained(tmp_path, num_channels=4).eval()
    fused.freeze_stages(fused.num_stages)
    pictures, maps = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    outputs = fused(torch.cat([pictures, maps], dim=1))
    torch.testing.assert_close(outputs.logits, plain(pictures).logits, atol=1e-6, rtol=1e-5)
    outputs.score.sum().backward()
    assert fused.early_fusion.weight.grad[:, 3].abs().max() > 0
    assert not any(parameter.requires_grad for parameter in fused.backbone.parameters())


@pytest.mark.parametrize(("num_channels", "given"), [(3, 4), (4, 3)])
def test_another_number_of_channels_is_refused(num_channels, given):
    model = NimaForAestheticAssessment(NimaConfig(backbone_config=dict(TINY_RESNET), num_channels=num_channels))
    message = rf"\(batch_size, {num_channels}, height, width\), got \(1, {given}, 32, 32\)"
    with pytest.raises(ValueError, match=message):
        model(torch.rand(1, given, 32, 32))


def test_score_is_the_mean_of_the_softmax_on_the_configured_scale():
    # PARA's scale: 1 to 5 in halves
    model = NimaForAestheticAssessment(
        NimaConfig(backbone_config=dict(TINY_RESNET), min_score=1, max_score=5, num_labels=9)
    ).eval()
    outputs = model(torch.rand(2, 3, 32, 32))
    for logits, score, spread in zip(outputs.logits, outputs.score, outputs.score_std, strict=True):
        exponentials = [math.exp(v) for v in logits.tolist()]
        shares = [e / sum(exponentials) for e in exponentials]
        ratings = [1 + 0.5 * k for k in range(9)]
        mean = sum(r * p for r, p in zip(ratings, shares, strict=True))
        assert score.item() == pytest.approx(mean, abs=1e-5)
        variance = sum((r - mean) ** 2 * p for r, p in zip(ratings, shares, strict=True))
        assert spread.item() == pytest.approx(math.sqrt(variance), abs=1e-5)


def test_loss_equals_its_formula_in_plain_python():
    config = NimaConfig(
        backbone_config=dict(TINY_RESNET),
        min_score=0,
        max_score=2,
        num_labels=3,
        mean_loss_weight=0.5,
        std_loss_weight=2.0,
    )
    model = NimaForAestheticAssessment(config).eval()
    target = [0.2, 0.5, 0.3]
    outputs = model(torch.rand(1, 3, 32, 32), labels=torch.tensor([target]))
    predicted = outputs.logits.softmax(-1)[0].tolist()
    cumulative = [sum(predicted[: k + 1]) - sum(target[: k + 1]) for k in range(3)]
    distance = math.sqrt(sum(d * d for d in cumulative) / 3)

    def moments(shares):
        mean = sum(k * p for k, p in enumerate(shares))
        return mean, math.sqrt(sum((k - mean) ** 2 * p for k, p in enumerate(shares)))

    (mean_p, std_p), (mean_q, std_q) = moments(predicted), moments(target)
    expected = distance + 0.5 * abs(mean_p - mean_q) / 2 + 2.0 * abs(std_p - std_q) / 1
    assert outputs.loss.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("preset", "parameters"), [("vgg16", 134_301_514), ("mobilenet", 3_217_226)])
def test_presets_have_the_size_that_the_paper_prints(preset, parameters):
    architecture = BACKBONE_PRESETS[preset].checkpoint.removeprefix("timm/").split(".")[0]
    config = NimaConfig(backbone_config={"model_type": "timm_wrapper", "architecture": architecture})
    with torch.device("meta"):
        model = NimaForAestheticAssessment(config)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_only_the_presets_of_the_paper_claim_to_be():
    assert {name for name, preset in BACKBONE_PRESETS.items() if preset.in_paper} == {"vgg16", "mobilenet"}
    others = [preset.note for preset in BACKBONE_PRESETS.values() if not preset.in_paper]
    assert all(note.startswith("Not the paper's") for note in others)


def test_labels_of_another_scale_are_refused_with_both_shapes(tiny_nima_config):
    model = NimaForAestheticAssessment(tiny_nima_config)
    with pytest.raises(ValueError, match=r"\(2, 10\), got \(2, 5\).*num_labels"):
        model(torch.rand(2, 3, 32, 32), labels=torch.full((2, 5), 0.2))


def test_vote_counts_as_labels_are_refused_with_their_sums(tiny_nima_config):
    model = NimaForAestheticAssessment(tiny_nima_config)
    votes = torch.stack([torch.full((10,), 7.3), torch.full((10,), 54.9)])
    with pytest.raises(ValueError, match=r"between 73\.0 and 549\.0.*normalize_votes"):
        model(torch.rand(2, 3, 32, 32), labels=votes)


@pytest.mark.parametrize("num_frozen", [0, 1, 2, 3, -1])
def test_freezing_stops_exactly_the_first_stages(num_frozen):
    model = NimaForAestheticAssessment(NimaConfig(backbone_config=dict(TINY_RESNET)))
    model.freeze_stages(num_frozen)
    frozen = num_frozen if num_frozen >= 0 else 3 + num_frozen
    model.train()
    states = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = model(torch.rand(4, 3, 64, 64), labels=torch.full((4, 10), 0.1))
    outputs.loss.backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0).step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, states[name])}
    for index, stage in enumerate(backbone_stages(model.backbone)):
        names = {f"backbone.encoder.stages.{index}.{name}" for name in stage.state_dict()}
        assert bool(names & changed) == (index >= frozen), index
    stem = {name for name in changed if "embedder" in name}
    assert bool(stem) == (frozen == 0)
    assert "score_head.dense.weight" in changed


def test_stages_before_and_after_the_blocks_go_with_first_and_last():
    vit = NimaForAestheticAssessment(NimaConfig(backbone_config={"model_type": "vit", **TINY_VIT}))
    vit.freeze_stages(1)
    trainable = {name for name, p in vit.named_parameters() if p.requires_grad}
    assert not any("embeddings" in name for name in trainable)
    assert any("layernorm" in name for name in trainable) and any("pooler" in name for name in trainable)
    vit.freeze_stages(vit.num_stages)
    assert {n.split(".")[0] for n, p in vit.named_parameters() if p.requires_grad} == {"score_head"}


def test_too_many_stages_are_refused_with_the_number(tiny_nima_config):
    with pytest.raises(ValueError, match="between -2 and 2.*got 5"):
        NimaForAestheticAssessment(tiny_nima_config).freeze_stages(5)


@pytest.mark.parametrize("name", ["resnet", "vit", "clip", "mobilenet_v2"])
def test_pretrained_backbone_is_the_sources(name, tmp_path):
    torch.manual_seed(0)
    source = AutoModel.from_config(NimaConfig(backbone_config=dict(BACKBONES[name])).backbone_config).eval()
    source.half().save_pretrained(tmp_path)
    model = NimaForAestheticAssessment.from_backbone_pretrained(str(tmp_path), max_score=7.0, num_labels=7).eval()
    assert model.dtype == torch.float32 and model.config.num_labels == 7
    pixel_values = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = source.float()(pixel_values).pooler_output.flatten(1)
        torch.testing.assert_close(model.backbone(pixel_values).pooler_output.flatten(1), expected)


def test_vit_classifier_has_no_pooler_so_its_class_token_is_read(tmp_path):
    config = NimaConfig(backbone_config={"model_type": "vit", **TINY_VIT}).backbone_config
    ViTForImageClassification(config).save_pretrained(tmp_path)
    model = NimaForAestheticAssessment.from_backbone_pretrained(str(tmp_path))
    assert model.config.pooling == "cls" and model.backbone.pooler is None
    model.save_pretrained(tmp_path / "nima")
    _, report = NimaForAestheticAssessment.from_pretrained(tmp_path / "nima", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]


def test_labels_of_the_backbones_own_task_do_not_travel(tmp_path):
    config = NimaConfig(backbone_config=dict(TINY_RESNET)).backbone_config
    config.num_labels = 1000
    ResNetForImageClassification(config).save_pretrained(tmp_path)
    model = NimaForAestheticAssessment.from_backbone_pretrained(str(tmp_path))
    assert len(model.config.to_json_string()) < 2500


def test_checkpoint_that_lacks_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    config = NimaConfig(backbone_config=dict(TINY_RESNET)).backbone_config
    AutoModel.from_config(config).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    dropped = next(name for name in weights if "stages.2" in name)
    save_file({k: v for k, v in weights.items() if k != dropped}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1, such as.*stages.2"):
        NimaForAestheticAssessment.from_backbone_pretrained(str(tmp_path))


@pytest.mark.parametrize("name", ["vit", "dinov3", "resnet", "clip"])
def test_names_on_disk_load_into_a_model_in_memory(name, tmp_path):
    # what the Trainer does on resuming
    from safetensors.torch import load_file

    config = NimaConfig(backbone_config=dict(BACKBONES[name]))
    torch.manual_seed(1)
    saved = NimaForAestheticAssessment(config)
    saved.save_pretrained(tmp_path)
    torch.manual_seed(2)
    resumed = NimaForAestheticAssessment(config)
    resumed.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=False)
    for (key, value), (_, expected) in zip(resumed.state_dict().items(), saved.state_dict().items(), strict=True):
        assert torch.equal(value, expected), key


def test_head_stays_in_float32_under_half_precision(tmp_path, tiny_nima_config):
    NimaForAestheticAssessment(tiny_nima_config).save_pretrained(tmp_path)
    model = NimaForAestheticAssessment.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert model.backbone.dtype == torch.bfloat16 and model.score_head.dense.weight.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.rand(1, 3, 32, 32).bfloat16()).logits.dtype == torch.float32


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("name", ["vit", "clip", "siglip", "dinov3"])
def test_other_poolings_leave_no_parameter_untrained(name, pooling):
    model = NimaForAestheticAssessment(NimaConfig(backbone_config=dict(BACKBONES[name]), pooling=pooling))
    model.freeze_unused_parameters()
    model(torch.rand(2, 3, 64, 64), labels=torch.full((2, 10), 0.1)).loss.backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
