"""
Training from a host and onto it: a Hub on loopback, the real client, runs that are killed.

A collection is published, trained on map-style and streamed, and what was trained is published, killed on the way and
gone on with elsewhere.
"""

import json
import time
from pathlib import Path

import pytest
import torch
from forks import Forks
from local_hub import LocalHub
from safetensors.torch import load_file


PROGRAM = """
import json, os
from tiny import *
from hf_aesthetics.data.modality_columns import ModalityColumn, cache_modality_column
from hf_aesthetics.hub import push_dataset
from hf_aesthetics.training.__main__ import main


def publish(folder):
    tiny_model(TINY_RESNET).backbone.save_pretrained(folder)
    PROCESSOR.save_pretrained(folder)
    collection = brightness_collection(29, 9, 8)
    gray = {name: cache_modality_column(split, ModalityColumn("gray")) for name, split in collection.splits.items()}
    push_dataset(collection, "alice/brightness", pictures=True, modalities={"gray": gray}, license="cc0-1.0")
    push_dataset(collection, "alice/maps-only", modalities={"gray": gray}, license="cc0-1.0")


def train(folder, output, *flags):
    main([
        "--dataset", "alice/brightness", "--backbone", folder, "--output_dir", output, "--license", "cc0-1.0",
        "--backbone_license", "cc0-1.0", "--per_device_train_batch_size", "8", "--eval_strategy", "steps",
        "--save_strategy", "steps", "--use_cpu", "--disable_tqdm", "True", *flags,
    ])
"""

STEPS = ("--max_steps", "60", "--eval_steps", "4", "--save_steps", "4", "--ema_decay", "0.9", "--head_dropout", "0.3")
FEW = ("--max_steps", "4", "--eval_steps", "2", "--save_steps", "2")


@pytest.fixture(scope="module")
def hub():
    with LocalHub(tokens={"hf_write": ("alice", "write")}) as hub:
        yield hub


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hub_run")


@pytest.fixture(scope="module")
def forks(hub, work):
    with Forks(PROGRAM, hub.env("hf_write", home=work / "home")) as forks:
        assert forks.run("publish", str(work / "backbone")) == 0, forks.log.read_text()[-3000:]
        yield forks


@pytest.fixture(scope="module")
def train(forks, work):
    """Runs the program of training with these flags; the checkpoint."""

    def train(name: str, *flags: str) -> Path:
        assert forks.run("train", str(work / "backbone"), str(work / name), *flags) == 0, forks.log.read_text()[-3000:]
        return work / name

    return train


@pytest.fixture(scope="module")
def undisturbed(train) -> Path:
    return train("undisturbed", *STEPS)


def test_a_checkpoint_names_its_host(undisturbed, hub):
    report = json.loads((undisturbed / "evaluation" / "report.json").read_text())
    assert (report["dataset_name"], report["split"], report["num_images"]) == ("alice/brightness", "test", 8)
    assert report["dataset_revision"] == hub.repos["dataset", "alice/brightness"].commits[-1].oid
    assert report["seen_in_training"] == {}
    assert "- alice/brightness" in (undisturbed / "README.md").read_text()


@pytest.mark.parametrize("dataset", ["alice/brightness", "alice/maps-only"])
def test_cached_maps_train_with_and_without_pictures(dataset, train):
    checkpoint = train(dataset.replace("/", "-"), *FEW, "--dataset", dataset, "--modality", "gray")
    assert json.loads((checkpoint / "preprocessor_config.json").read_text())["modality"] == "gray"


def test_a_stream_trains_and_is_measured_like_files(train, undisturbed):
    # in the order of the files both see the same pictures, and the same parts of them
    same = ("--shuffle_buffer", "0", "--train_sampling_strategy", "sequential", "--load_best_model_at_end", "False")
    reports = []
    for name, flags in (("files", ()), ("stream", ("--streaming",))):
        checkpoint = train(name, *FEW, *same, *flags)
        reports.append(json.loads((checkpoint / "evaluation" / "report.json").read_text()))
    files, stream = reports
    for field in ("weights_sha256", "image_ids_sha256", "num_images", "dataset_revision", "metrics"):
        assert stream[field] == files[field], field


def test_streamed_maps_train_in_a_shuffled_order(train):
    maps = ("--dataset", "alice/maps-only", "--streaming", "--modality", "gray", *FEW)
    ends = [load_file(train(f"maps-{size}", *maps, "--shuffle_buffer", size) / "model.safetensors") for size in "09"]
    assert not torch.equal(*(end["score_head.dense.weight"] for end in ends))


def test_a_killed_run_goes_on_from_the_hub_elsewhere_and_is_published(forks, train, undisturbed, hub, work):
    backup = ("--push_to_hub", "--hub_model_id", "alice/nima-brightness", "--resume")
    forks.start("train", str(work / "backbone"), str(work / "here"), *STEPS, *backup)
    deadline = time.monotonic() + 120
    repo = ("model", "alice/nima-brightness")
    while time.monotonic() < deadline and not (repo in hub.repos and hub.repos[repo].commits[-1].files):
        time.sleep(0.01)
    assert forks.kill() == -9
    files = hub.files("alice/nima-brightness")
    assert {name.split("/")[0] for name in files} <= {"last-checkpoint", "best-checkpoint"}
    assert json.loads(files["last-checkpoint/trainer_state.json"])["global_step"] < 60

    checkpoint = train("elsewhere", *STEPS, *backup)
    assert not (work / "elsewhere.run" / "checkpoint-4").exists()  # it did not begin anew
    for folder, expected in ((checkpoint, undisturbed), (work / "elsewhere.run", work / "undisturbed.run")):
        name = "model.safetensors" if folder == checkpoint else "checkpoint-60/model.safetensors"
        found, expected = load_file(folder / name), load_file(expected / name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    files = hub.files("alice/nima-brightness")
    assert files["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    assert {"README.md", "modeling_nima.py", "training_ids.parquet", "evaluation/report.json"} < files.keys()
    assert json.loads(files["last-checkpoint/trainer_state.json"])["global_step"] == 60

    # and is a parent itself, whose training pictures nobody is measured on
    child = train("child", *FEW, "--backbone", "alice/nima-brightness", "--learning_rate", "1e-5")
    assert "base_model: alice/nima-brightness" in (child / "README.md").read_text()


def test_no_token_ends_before_the_training(forks, work):
    flags = ("--push_to_hub", "--hub_model_id", "alice/nima", "--hub_token", "hf_unknown")
    assert forks.run("train", str(work / "backbone"), str(work / "refused"), *FEW, *flags) == 2
    *_, line = forks.log.read_text().splitlines()
    assert "error: Cannot push to alice/nima: the Hub does not know the token" in line
    assert not (work / "refused.run").exists()
