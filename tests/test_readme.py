"""What the README tells people to run is run; its figures come from the commands that it names."""

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from hf_aesthetics.study.arguments import StudyArguments
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments
from hf_aesthetics.training.cross_validation import FoldArguments


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
STRANGER = (
    "import sys\n"
    "class Refuse:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] == 'hf_aesthetics': raise ModuleNotFoundError(name)\n"
    "sys.meta_path.insert(0, Refuse())\n"
)


@pytest.fixture
def demo_folder(tmp_path, tiny_checkpoint, photo_folder) -> Path:
    """What `make demo` leaves behind, with a tiny model in place of the trained one."""
    shutil.copytree(tiny_checkpoint, tmp_path / "outputs" / "demo" / "nima")
    (tmp_path / "outputs" / "demo" / "pictures").mkdir()
    for name in set(re.findall(r"outputs/demo/pictures/\S+?\.jpg", README)):
        shutil.copy(photo_folder / "beach.jpg", tmp_path / name)
    return tmp_path


def test_first_snippet_runs_without_the_package_and_prints_what_it_says(demo_folder):
    snippet, result = re.search(r"<!-- snippet: demo -->\n```python\n(.*?)```\n```\n(.*?)\n```", README, re.S).groups()
    assert len([line for line in snippet.splitlines() if line]) <= 10
    command = [sys.executable, "-c", STRANGER + snippet]
    run = subprocess.run(command, cwd=demo_folder, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    assert re.sub(r"\d+", "0", run.stdout.strip()) == re.sub(r"\d+", "0", result)


def test_pipeline_snippet_runs(demo_folder, monkeypatch):
    monkeypatch.chdir(demo_folder)
    (snippet,) = re.findall(r"```python\n(import hf_aesthetics .*?)```", README, re.S)
    names: dict = {}
    exec(snippet.replace("scorer([", "records = scorer(["), names)
    assert len(names["records"]) == 2 and 1 <= names["records"][0]["score"] <= 10


def test_every_make_target_and_file_named_here_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) - {"demo", "test"} <= targets and {"demo", "test"} <= targets
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_flag_named_here_is_one():
    fields = {
        field.name
        for arguments in (DataArguments, ModelArguments, FoldArguments, StudyArguments, AestheticTrainingArguments)
        for field in dataclasses.fields(arguments)
    }
    others = {"model", "output", "method", "splits"}  # of hf-aesthetics and prepare_oasis.py
    others |= {"keep", "xmp", "overwrite", "sidecar_names"}  # of hf-aesthetics cull
    others |= {"config_file", "num_processes", "dry_run"}  # of accelerate and release.py
    others |= {"random_epochs", "work_dir", "fastdepth", "oasis_dir"}  # of ablate.py and prove_causes.py
    others |= {"transfer_by", "adjust", "methods", "num_pictures"}  # of leaderboard.py, measure_explanations.py
    others |= {"retry_failures", "ray", "num_workers", "mode", "no_python", "nproc_per_node", "array", "wrap", "help"}
    flags = {flag.replace("-", "_") for flag in re.findall(r"--([a-z][a-z_-]+)", README)}
    assert flags <= fields | others, flags - fields - others


def test_picture_of_the_first_screen_is_small_and_ours():
    with Image.open(ROOT / ".github" / "scenes.jpg") as picture:
        assert picture.width >= 1000
    assert (ROOT / ".github" / "scenes.jpg").stat().st_size < 300_000


def test_recipes_run_one_after_another(demo_folder, monkeypatch, capsys):
    monkeypatch.chdir(demo_folder)
    recipes = re.search(r"<!-- snippet: recipes -->\n## Recipes\n(.*?)\n## ", README, re.S)[1]
    names: dict = {}
    for snippet in re.findall(r"```python\n(.*?)```", recipes, re.S):
        exec(snippet, names)
    scores = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert len(scores) == 4 and scores[0] >= scores[1]
    assert names["best_first"]["predicted_score"][:] == sorted(names["scored"]["predicted_score"], reverse=True)
    assert len(names["top_tenth"]) == 1 and names["images"].grad.abs().sum() > 0 and len(names["rewards"]) == 3
