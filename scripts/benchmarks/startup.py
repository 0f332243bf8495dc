"""Seconds until the package answers: `--help`, the import, the first score.

    python scripts/benchmark.py startup --output results.json

Each in a process of its own, with files that the machine has read before. The import is measured beside the same
imports made bare: all modules of others that it brings in. The first score is that of the whole command on one
picture, beside a program of five lines that asks the backbone with transformers alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .commands import score_command
from .findings import Finding, Report
from .networks import BACKBONES, build_scorer, save_scorer
from .pictures import write_photographs
from .rounds import ratios, take_turns


LIST = """
import json, sys
before = set(sys.modules)
import hf_aesthetics
print(json.dumps([name for name in sys.modules if name not in before and name.split(".")[0] != "hf_aesthetics"]))
"""
BARE = """
import sys
from importlib import import_module
for name in open(sys.argv[1]).read().split():
    if name not in sys.modules:
        try:
            import_module(name)
        except ImportError:  # modules that others make when they are used
            pass
"""
PLAIN = """
import sys, torch
from PIL import Image
from transformers import ViTImageProcessor, {model_class}
model = {model_class}.from_pretrained(sys.argv[1]).eval()
with torch.inference_mode():
    print(model(**ViTImageProcessor()(Image.open(sys.argv[2]), return_tensors="pt")).pooler_output.mean().item())
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--network", choices=BACKBONES, default="mobilenet_v2")
    command.add_argument(
        "--programs", nargs="+", choices=["help", "import", "score"], default=["help", "import", "score"]
    )
    command.set_defaults(num_pictures=1)


def run(args: argparse.Namespace) -> Report:
    report = Report("startup")
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], str]] = {}
        if "help" in args.programs:
            parts["--help"] = lambda: call("-m", "hf_aesthetics.cli", "--help")
        if "import" in args.programs:
            parts |= import_programs(Path(folder))
        if "score" in args.programs:
            parts |= score_programs(args.network, args.data_dir, Path(folder))
        for part in parts.values():
            part()  # now files are in memory, and modules compiled
        rounds = report.rounds["seconds"] = take_turns(parts, args.repeats)
    for part in parts:
        report.findings.append(Finding(part, [turn.wall[part] for turn in rounds], unit=" s"))
    for over, under in (("import", "bare imports"), ("first score", "plain first score")):
        if over in parts:
            report.findings.append(Finding(f"{over} over {under}", ratios(rounds, [over], [under])))
    return report


def import_programs(folder: Path) -> dict[str, Callable[[], str]]:
    modules = folder / "modules.txt"
    modules.write_text("\n".join(json.loads(call("-c", LIST))))
    return {
        "import": lambda: call("-c", "import hf_aesthetics"),
        "bare imports": lambda: call("-c", BARE, modules),
    }


def score_programs(network: str, data_dir: str | None, folder: Path) -> dict[str, Callable[[], str]]:
    (picture,) = write_photographs(folder / "pictures", 1, data_dir)
    checkpoint = save_scorer(folder / "scorer", network)
    backbone = build_scorer(network)[0].base_model
    backbone.save_pretrained(folder / "backbone")
    plain = PLAIN.format(model_class=type(backbone).__name__)
    return {
        "first score": lambda: call(*score_command(checkpoint, picture, folder / "scores.parquet")[1:]),
        "plain first score": lambda: call("-c", plain, folder / "backbone", picture),
    }


def call(*arguments: str | Path) -> str:
    """What a program of Python prints, from any folder."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, arguments))} failed:\n{done.stderr[-2000:]}")
    return done.stdout
