"""Several processes: they end like one process with the larger batch, though the rows do not divide evenly."""

import json
from pathlib import Path

import pytest
import torch
from launch import launch
from safetensors.torch import load_file


PROGRAM = """
import json, sys
folder, fields = sys.argv[1], json.loads(sys.argv[2])
from tiny import *
from hf_aesthetics.training import train_scorer

model = tiny_model(TINY_RESNET)
model.freeze_batch_norm()
args = training_arguments(
    folder, max_steps=-1, num_train_epochs=2, eval_strategy="epoch", save_strategy="no", per_device_eval_batch_size=4,
    load_best_model_at_end=False, crop_fraction=1.0, random_flip=False, ema_decay=0.9, logging_strategy="epoch",
    **fields,
)
trainer = train_scorer(model, PROCESSOR, brightness_collection(29, 13, 5), args)
if trainer.is_world_process_zero():
    trainer.model.save_pretrained(folder)
    json.dump([trainer.args.world_size, trainer.state.log_history], open(folder + "/history.json", "w"))
"""


def train(folder: Path, processes: int, **fields) -> tuple[dict[str, torch.Tensor], list[dict]]:
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    launch(launcher, PROGRAM, folder.with_suffix(".py"), str(folder), json.dumps(fields))
    world, history = json.loads((folder / "history.json").read_text())
    assert world == processes
    return load_file(folder / "model.safetensors"), history


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return train(tmp_path_factory.mktemp("alone") / "nima", 1, per_device_train_batch_size=8)


# 29 rows: the last step of an epoch has 5, so that two processes have 4 and 1, or in twos first 2, 2, then 1, 0
@pytest.mark.parametrize(
    "fields",
    [
        {"per_device_train_batch_size": 4},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2},
    ],
    ids=["batches of 4", "twice batches of 2"],
)
def test_two_processes_end_like_one(fields, alone, tmp_path):
    weights, history = train(tmp_path / "nima", 2, **fields)
    expected_weights, expected_history = alone
    for name, value in expected_weights.items():
        torch.testing.assert_close(weights[name], value, atol=1e-5, rtol=0, msg=name)
    measured = [entry for entry in history if "eval_srcc" in entry]
    for found, expected in zip(measured, [e for e in expected_history if "eval_srcc" in e], strict=True):
        assert found["eval_num_images"] == expected["eval_num_images"] == 13
        for name in ("eval_srcc", "eval_plcc", "eval_emd", "eval_mae", "eval_mse"):
            assert found[name] == pytest.approx(expected[name], abs=1e-6), name
    losses = [[entry["loss"] for entry in entries if "loss" in entry] for entries in (history, expected_history)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
