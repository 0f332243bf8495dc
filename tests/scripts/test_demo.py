"""The demonstration, at a size that takes seconds: every step really runs, and its checkpoint is a whole one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_aesthetics.analysis.findings import load_findings
from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.hub import check_checkpoint
from hf_aesthetics.reports import read_verdict
from hf_aesthetics.scoring import AestheticScorer, Reliability, find_companions


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
    for path in ("nima", "pictures", "scenes.jpg", "report.html"):
        assert f"demo/{path}" in printed and (folder / path).exists()
    assert len(list((folder / "pictures").glob("*.jpg"))) == 5
    assert "panel against itself" in printed and "ridge on colour" in printed


def test_it_ends_in_a_report_of_all_modalities_of_the_same_test_pictures(demonstration):
    folder, printed = demonstration
    findings = load_findings(folder / "findings.json")
    sources = {row.modality: row.source for row in findings.modalities}
    assert sources == {
        "rgb": "the picture itself",
        "depth": "true map of the renderer",
        **dict.fromkeys(("saliency", "blur", "gray", "constant"), "closed form"),
    }
    assert findings.num_pictures == 12 and findings.systems[0].system == "causes of rendered scenes"
    assert "Demonstration, trained on rendered scenes." in findings.limits
    (verdict,) = read_verdict(folder / "report.html")
    assert verdict["sentence"] in printed


def test_what_the_page_needs_lies_beside_the_model(demonstration):
    folder, printed = demonstration
    found = find_companions(folder / "nima")
    beside = {"saliency": "nima-saliency", "blur": "nima-blur", "handcrafted": "handcrafted"}
    assert {name: Path(path).name for name, path in found.items()} == beside
    for name, path in found.items():
        check_checkpoint(Path(path))
        scorer = AestheticScorer.from_pretrained(path)
        reliability = Reliability.of_scorer(scorer)
        assert reliability is not None and f"{name}: off by {reliability.error:.2f} on average  demo/" in printed
        assert scorer.notice == "demonstration, trained on rendered scenes"
        assert 1 <= scorer.score([folder / "pictures" / "1_best.jpg"])[0]["score"] <= 10
