"""The demonstration, at a size that takes seconds: every step really runs, and its checkpoint is a whole one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.hub import check_checkpoint


SCRIPT = Path(__file__).parents[2] / "scripts" / "demo.py"


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(SCRIPT), "--num_pictures", "60", "--num_train_epochs", "1", "--output_dir", "demo"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, env={**os.environ})
    assert result.returncode == 0, result.stderr[-3000:]
    return folder / "demo", result.stdout


def test_it_ends_in_a_checkpoint_with_a_report_of_all_test_pictures(demonstration):
    folder, _ = demonstration
    check_checkpoint(folder / "nima")
    report = EvaluationReport.load(folder / "nima" / "evaluation")
    assert report.num_images == 12 and report.notice == "demonstration, trained on rendered scenes"


def test_everything_that_it_scores_is_labelled(demonstration):
    folder, printed = demonstration
    assert "Note: demonstration, trained on rendered scenes" in printed
    assert "demonstration, trained on rendered scenes" in (folder / "nima" / "README.md").read_text().lower()


def test_it_says_where_everything_lies(demonstration):
    folder, printed = demonstration
    for path in ("nima", "pictures", "scenes.jpg"):
        assert f"demo/{path}" in printed and (folder / path).exists()
    assert len(list((folder / "pictures").glob("*.jpg"))) == 5
    assert "panel against itself" in printed and "ridge on colour" in printed
