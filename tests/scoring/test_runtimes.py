"""Whatever runs the forward pass, scores are the same; and it is prepared only where that pays."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from planted_scorer import PlantedModel
from tiny import TINY_VIT, tiny_model

from hf_aesthetics import HandcraftedImageProcessor, ModalityImageProcessor
from hf_aesthetics.images import find_images
from hf_aesthetics.scoring.forward_files import cached_path, fold_batch_norms
from hf_aesthetics.scoring.runtimes import RuntimeUnavailable, build_forward
from hf_aesthetics.scoring.scorer import AestheticScorer, ScorerSpec, load_scorer


@pytest.fixture
def photos(photo_folder):
    return list(find_images(photo_folder))


@pytest.fixture(scope="module")
def with_torch(tiny_checkpoint) -> AestheticScorer:
    return AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def with_onnx(tiny_checkpoint) -> AestheticScorer:
    pytest.importorskip("onnxruntime")
    return AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu", runtime="onnxruntime")


@pytest.mark.parametrize("count", [1, 3, 9])
def test_onnxruntime_scores_as_pytorch_does(with_torch, with_onnx, photos, count):
    pictures = (photos * 3)[:count]
    expected, got = with_torch.predict(pictures), with_onnx.predict(pictures)
    assert type(got) is type(expected) and list(got) == list(expected)
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], atol=1e-5, rtol=1e-5)
    assert (got.score - expected.score).abs().max() <= 1e-5
    assert with_onnx.score(pictures)[0]["percentile"] == pytest.approx(with_torch.score(pictures)[0]["percentile"])
    assert (with_onnx.id, with_onnx.preprocessing) == (with_torch.id, with_torch.preprocessing)


def test_a_second_scorer_loads_the_file_and_a_broken_file_is_made_again(with_onnx, tiny_checkpoint, photos):
    path = cached_path(with_onnx.model, ".onnx")
    made = path.stat().st_mtime_ns
    again = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu", runtime="onnxruntime")
    assert path.stat().st_mtime_ns == made
    path.write_bytes(path.read_bytes()[:5000])
    mended = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu", runtime="onnxruntime")
    assert path.stat().st_size > 5000
    assert again.score(photos) == mended.score(photos) == with_onnx.score(photos)
    assert sorted(file.suffix for file in path.parent.iterdir() if file.stem.startswith(path.stem)) == [
        ".lock",
        ".onnx",
    ]


def test_the_file_of_other_weights_is_another(with_onnx):
    other = tiny_model(TINY_VIT).eval()
    path = cached_path(other, ".onnx")
    assert path != cached_path(with_onnx.model, ".onnx")
    with torch.no_grad():
        other.score_head.dense.bias += 1
    assert cached_path(other, ".onnx") != path


def test_few_pictures_are_scored_with_what_is_there(with_torch, tiny_checkpoint):
    assert with_torch.optimize(20) == "torch"
    assert "20 pictures" in with_torch.runtime_reason


def test_many_pictures_are_scored_with_the_fastest(with_onnx, tiny_checkpoint, photos):
    scorer = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    before = scorer.score(photos)
    assert scorer.optimize(10**9) == scorer.runtime
    assert "torch takes" in scorer.runtime_reason and "onnxruntime takes" in scorer.runtime_reason
    for old, new in zip(before, scorer.score(photos), strict=True):
        assert new["score"] == pytest.approx(old["score"], abs=1e-5)


def test_a_model_that_cannot_be_exported_stays_with_pytorch_and_says_why(photos):
    """A score that is a loop over numbers of the pixels, which no graph can hold."""
    model = PlantedModel(lambda pixels: torch.tensor([math.fsum(picture.flatten().tolist()) for picture in pixels]))
    processor = ModalityImageProcessor(size={"height": 8, "width": 8})
    scorer = AestheticScorer(model, processor, name="planted", device="cpu")
    before = scorer.score(photos)
    assert scorer.optimize(10**9) == "torch"
    assert "PlantedModel does not run with onnxruntime here" in scorer.runtime_reason
    assert scorer.score(photos) == before
    with pytest.raises(RuntimeUnavailable, match="PlantedModel does not run with onnxruntime here") as caught:
        build_forward(model, "onnxruntime", scorer.example_inputs())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("processor", "inputs"),
    [
        (HandcraftedImageProcessor(), {"pixel_values": 3, "aspect_ratio": None}),
        (ModalityImageProcessor(modality="rgb+depth"), {"pixel_values": 4}),
        (ModalityImageProcessor(modality="saliency", view="crop"), {"pixel_values": 3}),
    ],
)
def test_examples_are_what_the_processor_makes_without_any_network(processor, inputs):
    scorer = AestheticScorer(PlantedModel(torch.sum), processor, name="planted", device="cpu")
    for examples, size in zip(scorer.example_inputs(), (5, 1), strict=True):
        shapes = {name: value.shape for name, value in examples.items()}
        assert {name: shape[1] if len(shape) > 1 else None for name, shape in shapes.items()} == inputs
        assert {shape[0] for shape in shapes.values()} == {size}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "tensorrt"}, "`runtime` must be one of .*'onnxruntime'.*got 'tensorrt'"),
        ({"mode": "rough"}, "`mode` must be one of .*'fast'.*got 'rough'"),
        ({"runtime": "inductor"}, "bfloat16.*mode='fast', got mode='exact'"),
    ],
)
def test_runtimes_that_do_not_exist_or_are_not_exact_are_refused(tiny_checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu", **options)


def test_a_spec_travels_and_is_loaded_once(tiny_checkpoint, photos):
    spec = ScorerSpec(str(tiny_checkpoint), device="cpu", mode="fast")
    assert load_scorer(pickle.loads(pickle.dumps(spec))) is load_scorer(spec)
    exact = load_scorer(dataclasses.replace(spec, mode="exact"))
    assert exact.mode == "exact" and load_scorer(spec).mode == "fast"


def test_folded_batch_norms_change_nothing_but_who_does_the_work(tiny_checkpoint, with_torch, photos):
    model = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu").model
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.normal_(norm.running_mean)
    inputs = with_torch.preprocess(photos)
    folded = fold_batch_norms(model, inputs)
    left = [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(left) == len(norms) and all((module.weight == 1).all() for module in left)
    with torch.inference_mode():
        torch.testing.assert_close(folded(**inputs).logits, model(**inputs).logits, atol=1e-4, rtol=1e-4)


# --- fast mode ---


def test_fast_mode_decodes_large_jpeg_files_smaller_and_says_so(tiny_checkpoint, with_torch, tmp_path):
    fast = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu", mode="fast")
    ramp = np.linspace(0, 255, 600)[None, :, None] * np.linspace(0.2, 1, 400)[:, None, None]
    pixels = np.clip(ramp + np.random.default_rng(0).normal(0, 30, (400, 600, 3)), 0, 255).astype(np.uint8)
    for name in ("large.jpg", "large.png", "small.jpg"):
        picture = Image.fromarray(pixels if name.startswith("large") else pixels[:60, :60])
        picture.save(tmp_path / name)
    values = {
        name: [scorer.preprocess([tmp_path / name]).pixel_values for scorer in (with_torch, fast)]
        for name in ("large.jpg", "large.png", "small.jpg")
    }
    assert torch.equal(*values["large.png"]) and torch.equal(*values["small.jpg"])
    difference = (values["large.jpg"][0] - values["large.jpg"][1]).abs().mean()
    assert 0 < difference < 0.05
    assert with_torch.preprocessing.replace("32x32, ", "32x32, fast, ") == fast.preprocessing


def test_fast_mode_leaves_the_pixels_of_maps_alone(tiny_checkpoint, with_torch):
    for processor, enough in [
        (ModalityImageProcessor(), (336, 336)),
        (ModalityImageProcessor(view="crop", crop_fraction=0.5, size={"height": 100, "width": 200}), (300, 600)),
        (ModalityImageProcessor(modality="blur"), None),
    ]:
        assert AestheticScorer(with_torch.model, processor, name="x", device="cpu", mode="fast")._enough == enough
        assert AestheticScorer(with_torch.model, processor, name="x", device="cpu")._enough is None
