"""Without its extras the package still scores, and everything else says what to install."""

import json
import subprocess
import sys

import pytest


PROGRAM = """
import importlib, json, sys
for name in ("datasets", "pyarrow", "scipy", "accelerate", "timm", "jinja2", "evaluate", "pillow_heif"):
    sys.modules[name] = None  # as if it were not installed
from hf_aesthetics.cli import main
said = {"score": main(["score", sys.argv[1], "--model", sys.argv[2]])}
for module in ("data.oasis", "metrics", "evaluation", "training"):
    try:
        importlib.import_module(f"hf_aesthetics.{module}")
    except ImportError as error:
        said[module] = str(error)
json.dump(said, open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory, tiny_checkpoint) -> dict:
    from PIL import Image

    folder = tmp_path_factory.mktemp("bare")
    Image.new("RGB", (40, 30), "teal").save(folder / "photo.jpg")
    arguments = [str(folder / "photo.jpg"), str(tiny_checkpoint), str(folder / "said.json")]
    result = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads((folder / "said.json").read_text())


def test_scoring_needs_no_extra(said):
    assert said["score"] == 0


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("data.oasis", "datasets", "data"),
        ("metrics", "scipy", "evaluation"),
        ("evaluation", "datasets", "evaluation"),
        ("training", "accelerate", "train"),
    ],
)
def test_the_rest_says_which_extra_to_install(said, module, package, extra):
    expected = f'` needs {package}, which is not installed. Run: pip install "hf_aesthetics[{extra}]"'
    assert said[module] == f"`hf_aesthetics.{module.split('.')[0]}{expected}"
