"""A modality of one's own: a function and a row of the table, and everything else follows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch


TESTS = Path(__file__).parent
ROW = """

def red_map(images: torch.Tensor) -> torch.Tensor:
    return images[:, :1]


MODALITIES["red"] = Modality("how red each place is", red_map)
"""
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import torch
from tiny import TINY_RESNET, brightness_collection, tiny_model, training_arguments

import hf_aesthetics
from hf_aesthetics.training import describe_training, finish_checkpoint, map_collection, train_scorer

home = Path(sys.argv[1])
assert Path(hf_aesthetics.__file__).is_relative_to(home), hf_aesthetics.__file__
processor = hf_aesthetics.ModalityImageProcessor(modality="red", size={"height": 32, "width": 32})
collection = map_collection(brightness_collection(16, 5, 6), processor)
for row in collection.splits["test"]:
    assert np.array_equal(np.asarray(row["red"]), np.asarray(row["image"])[..., 0])
trainer = train_scorer(tiny_model(TINY_RESNET), processor, collection, training_arguments(home / "run", max_steps=3))
training = describe_training(trainer, collection)
report = finish_checkpoint(trainer.model, processor, collection, home / "nima-red", training=training)
assert report.preprocessing.startswith("red, squash 32x32") and report.num_images == 6
pixels = torch.arange(3 * 40 * 60, dtype=torch.int32).remainder(256).to(torch.uint8).view(3, 40, 60)
inputs = processor([pixels], return_tensors="pt")
torch.save(dict(inputs), home / "nima-red" / "inputs.pt")
with torch.no_grad():
    torch.save(trainer.model.eval()(**inputs).score, home / "score.pt")
"""


def test_a_function_and_a_row_are_a_column_a_model_a_report_a_card_and_code_for_strangers(tmp_path):
    package = tmp_path / "hf_aesthetics"
    shutil.copytree(TESTS.parent / "hf_aesthetics", package)
    shutil.copytree(TESTS.parent / "model_cards", tmp_path / "model_cards")
    with (package / "models" / "modality_maps.py").open("a", encoding="utf-8") as file:
        file.write(ROW)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    run([sys.executable, "-c", PROGRAM, str(tmp_path)], tmp_path, environment)
    card = (tmp_path / "nima-red" / "README.md").read_text()
    assert "**red** map" in card and "how red each place is" in card
    cases = [{"name": "red", "folder": str(tmp_path / "nima-red"), "auto": "AutoModelForImageClassification"}]
    (tmp_path / "cases.json").write_text(json.dumps([{**cases[0], "processor": True}]))
    stranger = [sys.executable, str(TESTS / "stranger.py"), str(tmp_path / "cases.json"), str(tmp_path / "outputs.pt")]
    run(stranger, tmp_path, dict(os.environ))
    outputs = torch.load(tmp_path / "outputs.pt")["red"]
    assert torch.equal(outputs["pixel_values"], torch.load(tmp_path / "nima-red" / "inputs.pt")["pixel_values"])
    torch.testing.assert_close(outputs["score"], torch.load(tmp_path / "score.pt"), atol=1e-5, rtol=0)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
