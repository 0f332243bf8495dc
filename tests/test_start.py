"""The command line answers before torch is there; every other program finds the models in transformers."""

import subprocess
import sys
from pathlib import Path

import pytest


MODULE = ["-m", "hf_aesthetics.cli"]
SCRIPT = [str(Path(sys.executable).with_name("hf-aesthetics"))]
REGISTERED = """
from transformers import AutoConfig, AutoModelForImageClassification, pipelines
config = AutoConfig.for_model("nima")
assert type(config) in AutoModelForImageClassification._model_mapping
assert "image-aesthetics" in pipelines.PIPELINE_REGISTRY.supported_tasks
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("program", [MODULE, SCRIPT], ids=["module", "script"])
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["--help"], 0, "usage: hf-aesthetics"), (["--version"], 0, "hf-aesthetics "), (["scroe"], 2, "invalid choice")],
    ids=["help", "version", "wrong"],
)
def test_help_does_not_wait_for_torch(program, arguments, code, said):
    result = run("-X", "importtime", *program, *arguments)
    assert result.returncode == code and said in result.stdout + result.stderr
    imported = {line.split("|")[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "hf_aesthetics" in imported
    assert not {"torch", "transformers", "numpy", "PIL"} & imported


def test_importing_the_package_registers_the_models():
    # a program may well have an argument of that name
    result = run("-c", f"import hf_aesthetics\n{REGISTERED}", "hf-aesthetics", *MODULE)
    assert result.returncode == 0, result.stderr


NAMES = """
import pickle, sys
from multiprocessing import get_context

def worker():
    import hf_aesthetics
    assert "torch" in sys.modules, "a worker is not the command line"

if __name__ == "__main__":
    import hf_aesthetics
    assert "torch" not in sys.modules
    try:
        hf_aesthetics.NimaConfigg
    except AttributeError as error:
        assert str(error) == "module 'hf_aesthetics' has no attribute 'NimaConfigg'"
    assert {*hf_aesthetics.__all__, "__version__"} <= {*dir(hf_aesthetics)}
    from hf_aesthetics import *
    assert pickle.loads(pickle.dumps(NimaConfig)) is hf_aesthetics.NimaConfig is NimaConfig
    from hf_aesthetics import MODEL_ROWS, data
    assert MODEL_ROWS[0][0] is NimaConfig and data.__name__ == "hf_aesthetics.data"
    process = get_context("spawn").Process(target=worker)
    process.start()
    process.join()
    assert process.exitcode == 0
"""


def test_all_public_names_are_there_in_the_command_line_too(tmp_path):
    program = tmp_path / "hf-aesthetics"
    program.write_text(NAMES + "\n".join(f"    {line}" for line in REGISTERED.strip().splitlines()))
    result = run(str(program))
    assert result.returncode == 0, result.stderr
