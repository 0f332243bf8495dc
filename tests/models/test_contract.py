"""What every model and every scorer keeps, looped over the registered rows.

A new model takes part by its own `test_modeling_<model_type>.py`, which offers `tiny_models()`, configurations of
small networks by name, and `BAD_VALUES`, fields that its configuration refuses.
"""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoImageProcessor, PreTrainedConfig

import hf_aesthetics
from hf_aesthetics import MODEL_ROWS, ModalityImageProcessor


MODELS_FOLDER = Path(hf_aesthetics.__file__).parent / "models"
STRANGER = Path(__file__).parents[1] / "stranger.py"


def load_model_tests(model_type: str) -> ModuleType:
    path = Path(__file__).parent / f"test_modeling_{model_type}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODEL_TESTS = {config.model_type: load_model_tests(config.model_type) for config, *_ in MODEL_ROWS}
CASES = [
    pytest.param(row, name, id=f"{row[0].model_type}-{name}")
    for row in MODEL_ROWS
    for name in MODEL_TESTS[row[0].model_type].tiny_models()
]
FIRST_CASES = [
    pytest.param(row, next(iter(MODEL_TESTS[row[0].model_type].tiny_models())), id=row[0].model_type)
    for row in MODEL_ROWS
]
# the 112 layers of U²-Net take half a minute to trace
TRACED_CASES = [case for case in FIRST_CASES if case.id != "u2net"]
SCORER_CASES = [case for case in CASES if hasattr(case.values[0][1], "supports_spatial_explanation")]


def build(row, name):
    config_class, model_class, *_ = row
    torch.manual_seed(0)
    return model_class(MODEL_TESTS[config_class.model_type].tiny_models()[name]).eval()


def inputs(model, batch_size: int = 3) -> dict[str, torch.Tensor]:
    shape = batch_size, getattr(model.config, "num_channels", 3), 64, 64
    return {"pixel_values": torch.rand(shape, generator=torch.Generator().manual_seed(1))}


def answer(outputs) -> torch.Tensor:
    return next(outputs[name] for name in ("logits", "predicted_depth", "pooler_output") if name in outputs)


# ---- configurations ----


@pytest.mark.parametrize(("row", "name"), CASES)
def test_config_survives_json(row, name, tmp_path):
    config = MODEL_TESTS[row[0].model_type].tiny_models()[name]
    config.save_pretrained(tmp_path)
    assert row[0].from_pretrained(tmp_path).to_dict() == config.to_dict()
    declared = {field.name for field in dataclasses.fields(row[0])}
    declared |= {"model_type", "transformers_version", "auto_map"}
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved.keys() <= declared | set(PreTrainedConfig.attribute_map)


@pytest.mark.parametrize(
    ("config_class", "fields", "message"),
    [(row[0], *bad) for row in MODEL_ROWS for bad in MODEL_TESTS[row[0].model_type].BAD_VALUES],
)
def test_config_refuses_bad_values_by_name_or_value(config_class, fields, message):
    with pytest.raises((StrictDataclassError, ValueError), match=re.escape(message)):
        config_class(**fields)


# ---- weights ----


@pytest.mark.parametrize(("row", "name"), CASES)
def test_weights_survive_saving_bit_for_bit(row, name, tmp_path):
    model = build(row, name)
    model.save_pretrained(tmp_path)
    loaded, report = row[1].from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    with torch.no_grad():
        expected = answer(model(**inputs(model)))
        torch.testing.assert_close(answer(loaded.eval()(**inputs(model))), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("row", "name"), CASES)
def test_half_precision_loads_and_answers(row, name, dtype, tmp_path):
    build(row, name).save_pretrained(tmp_path)
    model = row[1].from_pretrained(tmp_path, dtype=dtype).eval()
    with torch.no_grad():
        outputs = model(pixel_values=inputs(model)["pixel_values"].to(dtype))
    assert torch.isfinite(answer(outputs)).all()


@pytest.mark.parametrize(("row", "name"), CASES)
def test_no_buffer_of_ours_is_left_out_of_the_file(row, name):
    for module in build(row, name).modules():
        if type(module).__module__.startswith("hf_aesthetics."):
            assert not module._non_persistent_buffers_set, type(module)


# ---- forward and backward ----


@pytest.mark.parametrize(("row", "name"), CASES)
def test_a_picture_is_answered_alike_alone_and_in_a_batch(row, name):
    model = build(row, name)
    batch = inputs(model)["pixel_values"]
    with torch.no_grad():
        together = answer(model(batch))
        alone = torch.cat([answer(model(batch[i : i + 1])) for i in range(len(batch))])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("row", "name"), CASES)
def test_gradient_reaches_every_parameter_that_is_not_frozen(row, name):
    model = build(row, name)
    if hasattr(model, "freeze_unused_parameters"):
        model.freeze_unused_parameters()
    answer(model(**inputs(model))).square().sum().backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize(("row", "name"), CASES)
def test_gradient_checkpointing_changes_nothing_but_memory(row, name):
    model = build(row, name)
    if not model.supports_gradient_checkpointing:
        with pytest.raises(ValueError, match="checkpointing"):
            model.activation_checkpointing_enable()
        return

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        torch.manual_seed(0)  # dropout and position jitter
        outputs = answer(model(**inputs(model)))
        outputs.sum().backward()
        return outputs, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    model.train()  # where checkpoints act
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()  # a layer that runs twice would count its batch twice
    expected, gradients = run()
    model.activation_checkpointing_enable()
    actual, recomputed = run()
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(recomputed, gradients)


@pytest.mark.parametrize(("row", "name"), TRACED_CASES)
def test_exports_with_a_dynamic_batch(row, name):
    model = build(row, name)
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(model, (), inputs(model, 2), dynamic_shapes={"pixel_values": {0: batch}})
    with torch.no_grad():
        torch.testing.assert_close(answer(exported.module()(**inputs(model, 5))), answer(model(**inputs(model, 5))))


@pytest.mark.parametrize(("row", "name"), TRACED_CASES)
def test_compiles_without_a_graph_break(row, name):
    model = build(row, name)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(answer(compiled(**inputs(model))), answer(model(**inputs(model))))


# ---- scorers ----


@pytest.mark.parametrize(("row", "name"), SCORER_CASES)
def test_score_is_differentiable_and_on_the_scale(row, name):
    model = build(row, name)
    pixel_values = inputs(model)["pixel_values"].requires_grad_()
    outputs = model(pixel_values)
    assert outputs.score.shape == (3,)
    assert ((outputs.score >= model.config.min_score) & (outputs.score <= model.config.max_score)).all()
    (gradient,) = torch.autograd.grad(outputs.score.sum(), pixel_values)
    assert gradient.abs().amax(dim=(1, 2, 3)).min() > 0
    assert isinstance(model.score_is_calibrated, bool)


@pytest.mark.parametrize(("row", "name"), SCORER_CASES)
def test_raising_the_best_rating_raises_the_score(row, name):
    model = build(row, name)
    with torch.no_grad():
        before = model(**inputs(model))
        width = before.logits.shape[-1:]  # of a single logit, the best rating is at its upper end
        bias = next(p for n, p in model.named_parameters() if p.shape == width and n.endswith("bias"))
        bias[-1] += 5
        assert (model(**inputs(model)).score > before.score).all()


@pytest.mark.parametrize(("row", "name"), SCORER_CASES)
def test_loss_is_a_finite_scalar_also_at_a_perfect_match(row, name):
    model = build(row, name)
    with torch.no_grad():
        outputs = model(**inputs(model))
    predicts_votes = outputs.score_std is not None  # else softmax of the logits is no distribution
    labels = outputs.logits.softmax(dim=-1) if predicts_votes else torch.eye(model.config.num_labels)[[0, 0, -1]]
    loss = model(**inputs(model), labels=labels).loss
    assert loss.shape == () and torch.isfinite(loss)
    assert not predicts_votes or loss.item() == pytest.approx(0, abs=1e-5)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(("row", "name"), SCORER_CASES)
def test_last_spatial_feature_acts_on_the_score(row, name):
    model = build(row, name)
    if not model.supports_spatial_explanation:
        return
    outputs = model(**inputs(model), output_hidden_states=True)
    (gradient,) = torch.autograd.grad(outputs.score.sum(), outputs.spatial_features)
    # every place of the map or every patch, not the class token alone
    strength = gradient.abs().amax(dim=1 if gradient.ndim == 4 else 2)
    assert (strength > 0).float().mean() > 0.9


# ---- publication ----


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, tuple[Path, dict, dict]]:
    """Every tiny model, saved with its code and loaded by one process that does not have the package."""
    root, cases, expected = tmp_path_factory.mktemp("published"), [], {}
    for case in CASES:
        row, name = case.values
        model, folder = build(row, name), root / case.id
        model.save_pretrained(folder)
        fields = {"modality": "rgb+gray" if name == "fused" else "gray"} if row[3] is ModalityImageProcessor else {}
        row[3](size={"height": 32, "width": 32}, **fields).save_pretrained(folder)
        torch.save(inputs(model), folder / "inputs.pt")
        cases.append({"name": case.id, "folder": str(folder), "auto": row[2].__name__, "processor": True})
        with torch.no_grad():
            expected[case.id] = (folder, model(**inputs(model)))
    (root / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, str(STRANGER), str(root / "cases.json"), str(root / "outputs.pt")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=280)
    assert result.returncode == 0, result.stderr[-3000:]
    strangers = torch.load(root / "outputs.pt")
    return {name: (folder, outputs, strangers[name]) for name, (folder, outputs) in expected.items()}


@pytest.mark.parametrize(("row", "name"), CASES)
def test_stranger_without_the_package_gets_the_same_answer(row, name, published):
    folder, outputs, strangers = published[f"{row[0].model_type}-{name}"]
    torch.testing.assert_close(answer(strangers), answer(outputs), atol=1e-5, rtol=0)
    pixels = torch.arange(3 * 40 * 60, dtype=torch.int32).remainder(256).to(torch.uint8).view(3, 40, 60)
    ours = AutoImageProcessor.from_pretrained(folder)([pixels], return_tensors="pt")["pixel_values"]
    assert torch.equal(strangers["pixel_values"], ours)


@pytest.mark.parametrize(("row", "name"), FIRST_CASES)
def test_saved_code_is_the_closure_byte_for_byte(row, name, published):
    folder, *_ = published[f"{row[0].model_type}-{name}"]
    wanted = {f"modeling_{row[0].model_type}.py", f"{row[3].__module__.rpartition('.')[2]}.py"}
    while True:
        found = {
            f"{sibling}.py"
            for file in wanted
            for sibling in re.findall(r"^from \.(\w+) import", (MODELS_FOLDER / file).read_text(), re.MULTILINE)
        }
        if found <= wanted:
            break
        wanted |= found
    assert {path.name for path in folder.glob("*.py")} == wanted
    for file in wanted:
        assert (folder / file).read_bytes() == (MODELS_FOLDER / file).read_bytes(), file


def test_fine_tune_of_a_loaded_checkpoint_is_saved_with_its_code(published, tmp_path):
    folder, *_ = published["nima-resnet"]
    from transformers import AutoModelForImageClassification

    AutoModelForImageClassification.from_pretrained(folder).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["auto_map"]["AutoModelForImageClassification"] == "modeling_nima.NimaForAestheticAssessment"
    assert (tmp_path / "modeling_nima.py").is_file() and (tmp_path / "configuration_nima.py").is_file()
