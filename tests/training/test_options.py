"""What the Trainer brings along and we only pass on: it has to fit our models, run for real."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from launch import launch
from tiny import PROCESSOR, TINY_RESNET, brightness_collection, tiny_model, training_arguments

from hf_aesthetics.training import train_scorer


TESTS = Path(__file__).parents[1]
CONFIGS = TESTS.parent / "scripts" / "accelerate"


def test_a_compiled_run_ends_like_another(tmp_path):
    ends = []
    for fields in ({}, {"torch_compile": True, "torch_compile_backend": "aot_eager"}):
        args = training_arguments(tmp_path / str(len(ends)), ema_decay=0.9, **fields)
        trainer = train_scorer(tiny_model(TINY_RESNET), PROCESSOR, brightness_collection(20, 9, 5), args)
        ends.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
    plain, compiled = ends
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-6, rtol=0, msg=name)


def test_figures_go_to_trackio(tmp_path):
    program = """
import sys
from tiny import *
from hf_aesthetics.training import train_scorer
args = training_arguments(sys.argv[1], max_steps=2, eval_steps=2, save_steps=2, report_to="trackio", project="nima")
train_scorer(tiny_model(TINY_RESNET), PROCESSOR, brightness_collection(16, 9, 5), args)
"""
    pytest.importorskip("trackio")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "nima")],
        cwd=TESTS,
        env={**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with sqlite3.connect(tmp_path / "trackio" / "nima.db") as database:
        logged = b" ".join(row[0] for row in database.execute("SELECT metrics FROM metrics"))
    assert b"eval/srcc" in logged and b"eval/emd" in logged


LAUNCHED = """
import json, os, sys
from accelerate.utils import FullyShardedDataParallelPlugin
from tiny import *
from hf_aesthetics.training import train_scorer

told = {}
if os.environ.get("ACCELERATE_USE_FSDP") == "true":
    plugin = FullyShardedDataParallelPlugin()
    told["fsdp"] = [plugin.fsdp_version, plugin.min_num_params, plugin.state_dict_type.name]
args = training_arguments(sys.argv[1], max_steps=1, eval_steps=1, save_steps=1)
trainer = train_scorer(tiny_model(TINY_RESNET), PROCESSOR, brightness_collection(9, 5, 5), args)
told["run"] = [trainer.args.world_size, trainer.state.global_step]
Path(f"{sys.argv[1]}.{trainer.args.process_index}.json").write_text(json.dumps(told))
"""


# on two processes of the CPU, where accelerate shards nothing: that FSDP trains is not shown here
@pytest.mark.parametrize("name", ["multi_gpu", "fsdp"])
def test_accelerate_launches_with_our_configurations(name, tmp_path):
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert config["mixed_precision"] == "bf16" and config.pop("gpu_ids") == "all"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "use_cpu": True, "mixed_precision": "no"}))
    launcher = ["accelerate.commands.launch", "--config_file", str(tmp_path / "config.yaml")]
    launch(launcher, LAUNCHED, tmp_path / "program.py", str(tmp_path / "nima"))
    expected = {"run": [2, 1], **({"fsdp": [2, 5000000, "FULL_STATE_DICT"]} if name == "fsdp" else {})}
    assert [json.loads((tmp_path / f"nima.{rank}.json").read_text()) for rank in (0, 1)] == [expected] * 2
