"""A run that is killed with SIGKILL, wherever it is, goes on bit-equal: real processes, killed for real."""

import json
import signal
from pathlib import Path

import pytest
import torch
from forks import Forks
from safetensors.torch import load_file

from hf_aesthetics.training.trainer import find_checkpoint


PROGRAM = """
import json, os, signal
from tiny import *
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from hf_aesthetics.training import train_scorer


class Kill(TrainerCallback, ExportableState):
    def __init__(self, place=""):
        self.event, self.step = place.split(":") if place else (None, 0)
        self.trainer_state = None

    def at(self, name, state):
        if name == self.event and state.global_step == int(self.step):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_step_end(self, args, state, control, **options):
        self.at("step", state)

    def on_substep_end(self, args, state, control, **options):
        self.at("substep", state)

    def on_prediction_step(self, args, state, control, **options):
        self.at("evaluation", state)

    def state(self):  # asked for when all of a checkpoint but the state is written
        if self.trainer_state is not None:
            self.at("saving", self.trainer_state)
        return {"args": {}, "attributes": {}}

    def on_train_begin(self, args, state, control, **options):
        self.trainer_state = state
        open(args.output_dir + ".begin", "w").write(str(state.global_step))


def train(folder, place, fields):
    # dropout, augmentation, accumulation, an odd number of rows, the average: all that could differ after a resume
    args = training_arguments(
        folder, max_steps=12, eval_steps=2, save_steps=2, per_device_train_batch_size=4, ema_decay=0.9, resume=True,
        gradient_accumulation_steps=2, save_total_limit=None, logging_strategy="no", **fields,
    )
    model = tiny_model(TINY_RESNET, head_dropout=0.5, std_loss_weight=0.5)
    trainer = train_scorer(model, PROCESSOR, brightness_collection(29, 9, 5), args, callbacks=[Kill(place)])
    model.save_pretrained(folder + "-end")
    evaluations = [entry for entry in trainer.state.log_history if "eval_emd" in entry]
    timings = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
    history = [{name: value for name, value in entry.items() if name not in timings} for entry in evaluations]
    json.dump(history, open(folder + "-end/history.json", "w"))

"""


@pytest.fixture(scope="module")
def run():
    """Trains in a process of its own, which may be killed at a place; returns its exit status and its first step."""
    with Forks(PROGRAM) as forks:

        def train(folder: Path, place: str = "", **fields) -> tuple[int, int]:
            status = forks.run("train", str(folder), place, fields)
            assert status in (0, -signal.SIGKILL), forks.log.read_text()[-3000:]
            return status, int(Path(f"{folder}.run.begin").read_text())

        yield train


def end_of(folder: Path) -> dict:
    weights = load_file(f"{folder}-end/model.safetensors")
    history = json.loads(Path(f"{folder}-end/history.json").read_text())
    last = torch.load(Path(f"{folder}.run/checkpoint-12/weight_average.pt"), weights_only=True)
    return {"weights": weights, "history": history, "average": last}


def assert_equal(found: dict, expected: dict) -> None:
    assert found["history"] == expected["history"]
    for part in ("weights", "average"):
        assert found[part].keys() == expected[part].keys()
        for name, value in expected[part].items():
            assert torch.equal(found[part][name], value), (part, name)


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("undisturbed") / "nima"
    assert run(folder) == (0, 0)
    return end_of(folder)


# 29 rows in steps of 8: an epoch has 4 steps, the last one short; checkpoints at even steps
@pytest.mark.parametrize(
    ("place", "goes_on_at", "fields"),
    [
        ("step:3", 2, {}),
        ("substep:5", 4, {}),  # between two batches of one step; goes on where an epoch begins
        ("evaluation:8", 6, {}),
        ("saving:6", 4, {}),  # the unfinished checkpoint is no checkpoint
        ("step:7", 6, {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}),
    ],
)
def test_a_killed_run_goes_on_bit_equal(place, goes_on_at, fields, run, undisturbed, tmp_path):
    folder = tmp_path / "nima"
    assert run(folder, place, **fields)[0] == -signal.SIGKILL
    assert run(folder, **fields) == (0, goes_on_at)
    assert_equal(end_of(folder), undisturbed)


def test_a_finished_run_is_not_trained_again(run, undisturbed, tmp_path):
    folder = tmp_path / "nima"
    run(folder)
    stamp = Path(f"{folder}.run/checkpoint-12/trainer_state.json").stat().st_mtime_ns
    assert run(folder) == (0, 12)
    assert_equal(end_of(folder), undisturbed)
    assert Path(f"{folder}.run/checkpoint-12/trainer_state.json").stat().st_mtime_ns == stamp


def test_only_whole_checkpoints_are_found(tmp_path):
    assert find_checkpoint(tmp_path / "nothing") is None
    for step, state in ((9, "{}"), (10, "{}"), (11, '{"global'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert find_checkpoint(tmp_path).name == "checkpoint-10"
