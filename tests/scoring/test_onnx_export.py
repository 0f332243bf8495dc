"""A scorer as ONNX: the program in its README gives the same scores, and what cannot be exported leaves nothing."""

import importlib.util
import itertools
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_scorer import planted_scorer
from transformers import AutoModelForImageClassification

from hf_aesthetics import MODEL_ROWS
from hf_aesthetics.images import find_images
from hf_aesthetics.scoring.onnx_export import export_onnx
from hf_aesthetics.scoring.scorer import AestheticScorer


onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

ROWS = {row[0].model_type: row for row in MODEL_ROWS if row[2] is AutoModelForImageClassification}
# the histograms of named features cannot be exported, and the codes of a Fisher vector take ten seconds to trace
EXPORTED = [name for name in ROWS if name not in ("handcrafted", "fisher_vector")]


def tiny_scorer(model_type: str) -> AestheticScorer:
    """The first of the tiny models that the model's own tests are about."""
    path = Path(__file__).parents[1] / "models" / f"test_modeling_{model_type}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    _, model_class, _, processor_class = ROWS[model_type]
    torch.manual_seed(0)
    config = next(iter(tests.tiny_models().values()))
    config.notice = "trained on rendered scenes"
    processor = processor_class(size={"height": 64, "width": 64})
    return AestheticScorer(model_class(config), processor, name=f"alice/{model_type}", revision="5f2c", device="cpu")


@pytest.mark.parametrize("model_type", EXPORTED)
def test_the_graph_scores_as_the_scorer_and_says_whose_it_is(model_type, tmp_path, photo_folder, monkeypatch, capsys):
    photos = list(find_images(photo_folder))
    scorer = tiny_scorer(model_type)
    folder = export_onnx(scorer, tmp_path / "exported" / "here")
    assert {path.name for path in folder.parent.iterdir()} == {"here"}, "something temporary was left"

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for pictures in (photos, photos[:1]):
        expected = scorer.predict(pictures)
        inputs = {name: value.numpy() for name, value in scorer.preprocess(pictures).items()}
        for output, got in zip(session.get_outputs(), session.run(None, inputs), strict=True):
            np.testing.assert_allclose(got, expected[output.name].numpy(), atol=1e-5, rtol=1e-5)
    told = {entry.key: entry.value for entry in onnx.load(folder / "model.onnx").metadata_props}
    assert told == {
        "scorer": f"alice/{model_type}@5f2c",
        "preprocessing": scorer.preprocessing,
        "notice": "trained on rendered scenes",
    }

    readme = (folder / "README.md").read_text()
    assert "trained on rendered scenes" in readme
    program = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert program
    shutil.copy(photos[0], folder / "photo.jpg")
    monkeypatch.chdir(folder)
    capsys.readouterr()
    exec(program[1], {})
    [record] = scorer.score(photos[:1])
    assert float(capsys.readouterr().out.strip("[]\n ")) == pytest.approx(record["score"], abs=1e-4)


def test_what_cannot_be_exported_says_so_and_leaves_nothing(tmp_path):
    scorer = planted_scorer(lambda pixels: torch.tensor([math.fsum(one.flatten().tolist()) for one in pixels]), side=8)
    with pytest.raises(
        ValueError, match="planted cannot be exported: .*PlantedModel runs with PyTorch alone"
    ) as caught:
        export_onnx(scorer, tmp_path / "features")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_does_not_agree_is_not_written(tmp_path):
    """The score of a batch that PyTorch sees depends on how often it was asked, which a graph does not know."""
    asked = itertools.count()
    scorer = planted_scorer(lambda pixels: pixels.mean(dim=(1, 2, 3)) + next(asked), side=8)
    with pytest.raises(ValueError, match="a difference of .* in `score` of a batch of 5"):
        export_onnx(scorer, tmp_path / "counting")
    assert not list(tmp_path.iterdir())


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match=f"new or empty folder, got '{tmp_path}'"):
        export_onnx(tiny_scorer("nima"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
