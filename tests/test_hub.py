"""
Publishing, through the real client and a Hub on loopback: what arrives is loaded by someone who has nothing of ours.

The publisher runs from an installed wheel, out of reach of the checkout; the reader runs without the package.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from huggingface_hub import ModelCard
from local_hub import LocalHub
from PIL import Image

from hf_aesthetics import ModalityImageProcessor, NimaForAestheticAssessment
from hf_aesthetics.cards import render_model_card
from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.evaluation import EvaluationReport, evaluate_scorer
from hf_aesthetics.hub import HubPublishError, add_results, check_checkpoint, push_checkpoint, save_checkpoint
from hf_aesthetics.scoring import AestheticScorer


ROOT = Path(__file__).parents[1]
FACTS = DatasetFacts(name="noise", license="CC0-1.0")

PUBLISHER = """
import ast, contextlib, io, json, re, sys
from pathlib import Path

root, installed, work = map(Path, sys.argv[1:])
sys.path[:] = [str(installed), *(path for path in sys.path if Path(path).resolve() != root)]

import torch
from datasets import load_from_disk
from huggingface_hub import HfApi, constants, hf_hub_download
import hf_aesthetics
from hf_aesthetics.cards import render_model_card
from hf_aesthetics.data.columns import DatasetFacts
from hf_aesthetics.evaluation import evaluate_scorer
from hf_aesthetics.hub import HubPublishError, add_results, push_checkpoint, push_code, push_folder, save_checkpoint
from hf_aesthetics.scoring import AestheticScorer

assert Path(hf_aesthetics.__file__).is_relative_to(installed), hf_aesthetics.__file__
torch.set_num_threads(1)
source = AestheticScorer.from_pretrained(work / "source")
model, processor = source.model, source.processor
dataset = load_from_disk(work / "dataset")
facts = DatasetFacts(name="noise", license="CC0-1.0")
told = {}

def prepare(folder, **options):
    save_checkpoint(model, processor, folder, **options)
    scorer = AestheticScorer.from_pretrained(folder)
    report = evaluate_scorer(scorer, dataset, dataset_name="noise", split="test", num_resamples=20)
    add_results(folder, report, render_model_card(folder, report, facts=facts))

def attempt(name, *arguments, **options):
    try:
        told[name] = push_checkpoint(*arguments, **options).oid
    except HubPublishError as error:
        told[name] = str(error)

folder = work / "nima-noise"
prepare(folder)
(folder / "forgotten.py").write_text("pass")
(folder / "notes.txt").write_text("private")
attempt("first", folder, "alice/nima-noise", private=True, commit_message="First")
(folder / "notes.txt").unlink()
attempt("unchanged", folder, "alice/nima-noise")
HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="figure.png", repo_id="alice/nima-noise")

torch.nn.init.normal_(model.score_head.dense.weight, std=1.0)
prepare(folder)
attempt("stale", folder, "alice/nima-noise", parent_commit=told["first"])
attempt("second", folder, "alice/nima-noise", commit_message="Second")
reloaded = AestheticScorer.from_pretrained("alice/nima-noise")
told["reloaded"] = reloaded.predict([work / "photo.jpg"])["score"].item()
again = evaluate_scorer(reloaded, dataset, dataset_name="noise", split="test", num_resamples=0)
told["reloaded_weights"], told["reloaded_id"] = again.weights_sha256, again.scorer_id

card = Path(hf_hub_download("alice/nima-noise", "README.md")).read_text()
_, with_package = re.findall(r"```python\\n(.*?)```", card, re.DOTALL)
with contextlib.redirect_stdout(io.StringIO()) as printed:
    exec(with_package, {})
told["pipeline"] = ast.literal_eval(printed.getvalue())

told["code"] = push_code("alice/code").oid
prepare(work / "nima-light", code_repo="alice/code")
attempt("light", work / "nima-light", "alice/nima-light")
(work / "run").mkdir()
(work / "run" / "optimizer.pt").write_bytes(b"state")
told["backup"] = push_folder(work / "run", "alice/nima-light", "last-checkpoint").oid
attempt("kept", work / "nima-light", "alice/nima-light")
attempt("dropped", work / "nima-light", "alice/nima-light", drop=("last-checkpoint",))

attempt("fault", folder, "alice/nima-faulty")
attempt("after_fault", folder, "alice/nima-faulty")
attempt("read_token", folder, "alice/nima-noise", token="hf_read")
attempt("bad_token", folder, "alice/nima-noise", token="hf_bad")
constants.ENDPOINT = "http://127.0.0.1:9"
attempt("unreachable", folder, "alice/nima-noise")
(work / "told.json").write_text(json.dumps(told))
"""

READER = """
import contextlib, io, json, re, sys
from pathlib import Path

tests, work = map(Path, sys.argv[1:])
sys.path.insert(0, str(tests))
from stranger import RefusePackage

sys.meta_path.insert(0, RefusePackage())
import torch
from huggingface_hub import hf_hub_download

torch.set_num_threads(1)
read = {}
for name in ("nima-noise", "nima-light"):
    card = Path(hf_hub_download(f"alice/{name}", "README.md")).read_text()
    example = re.search(r"```python\\n(.*?)```", card, re.DOTALL)[1]
    space = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, space)
    code = sys.modules[type(space["model"]).__module__].__file__
    read[name] = {"printed": printed.getvalue(), "score": space["outputs"].score.item(), "code": code}
assert not [name for name in sys.modules if name.split(".")[0] == "hf_aesthetics"]
(work / "read.json").write_text(json.dumps(read))
"""


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", **(env or {})}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def noise_dataset(num_pictures: int = 8) -> Dataset:
    generator = np.random.default_rng(0)
    pictures = [
        Image.fromarray(generator.integers(256, size=(40, 50, 3), dtype=np.uint8)) for _ in range(num_pictures)
    ]
    votes = generator.multinomial(50, generator.dirichlet(np.ones(10), size=num_pictures))
    rows = [
        {"image": picture, "image_id": f"n{i}", **vote_statistics(votes[i], RatingScale(1, 10, 10), "row")}
        for i, picture in enumerate(pictures)
    ]
    return Dataset.from_list(rows, features=rating_features(10))


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_checkpoint) -> Path:
    folder = tmp_path_factory.mktemp("publishing")
    shutil.copytree(tiny_checkpoint, folder / "source")
    dataset = noise_dataset()
    dataset.save_to_disk(folder / "dataset")
    dataset[0]["image"].save(folder / "photo.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def hub(work):
    """A Hub to which an installed wheel has published."""
    run("-m", "build", "--wheel", "--no-isolation", "-o", work / "wheel", ROOT, cwd=work)
    [wheel] = (work / "wheel").glob("*.whl")
    run("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", work / "installed", wheel, cwd=work)
    with LocalHub(tokens={"hf_write": ("alice", "write"), "hf_read": ("alice", "read")}) as hub:
        hub.faults += [("POST", "nima-faulty/commit/", 500)] * 4
        (work / "publish.py").write_text(PUBLISHER)
        run("publish.py", ROOT, work / "installed", work, cwd=work, env=hub.env("hf_write", work / "home"))
        yield hub


@pytest.fixture(scope="module")
def told(hub, work) -> dict:
    return json.loads((work / "told.json").read_text())


def test_a_push_is_one_commit(hub, told):
    commits = hub.repos["model", "alice/nima-noise"].commits
    assert [commit.title for commit in commits[:2]] == ["initial commit", "First"]
    assert commits[1].oid == told["first"] == told["unchanged"]
    files = hub.files("alice/nima-noise", revision=told["first"])
    assert {"README.md", "config.json", "model.safetensors", "preprocessor_config.json", "modeling_nima.py"} < set(
        files
    )
    assert {"evaluation/report.json", "evaluation/predictions.parquet"} < set(files)
    assert "notes.txt" not in files
    assert hub.repos["model", "alice/nima-noise"].is_private


def test_a_second_push_replaces_the_checkpoint_and_spares_the_rest(hub, told):
    commits = hub.repos["model", "alice/nima-noise"].commits
    assert [commit.title for commit in commits[2:]] == ["Upload figure.png with huggingface_hub", "Second"]
    first, second = (hub.files("alice/nima-noise", revision=told[name]) for name in ("first", "second"))
    assert "forgotten.py" in first and "forgotten.py" not in second
    assert second["figure.png"] == b"mine"
    assert first["model.safetensors"] != second["model.safetensors"]
    assert first["evaluation/report.json"] != second["evaluation/report.json"]


def test_published_code_is_the_code_of_the_package(hub):
    files = hub.files("alice/nima-noise")
    modules = {name for name in files if name.endswith(".py")}
    for name in modules:
        assert files[name] == (ROOT / "hf_aesthetics" / "models" / name).read_bytes()
    imported = set(re.findall(rb"^from \.(\w+) import", b"\n".join(files[name] for name in modules), re.MULTILINE))
    assert {f"{module.decode()}.py" for module in imported} <= modules


def test_the_published_report_names_the_published_weights(hub, told):
    files = hub.files("alice/nima-noise")
    report = json.loads(files["evaluation/report.json"])
    weights = hub.repos["model", "alice/nima-noise"].commits[-1].files["model.safetensors"].sha256
    assert report["weights_sha256"] == weights == told["reloaded_weights"]
    assert told["reloaded_id"] == f"alice/nima-noise@{told['second']}"
    card = ModelCard(files["README.md"].decode())
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results["srcc"] == report["metrics"]["srcc"] and results["emd"] == report["metrics"]["emd"]
    assert weights in card.text


def test_a_stranger_runs_the_example_of_the_card(hub, told, work, tmp_path):
    shutil.copy(work / "photo.jpg", tmp_path)
    (tmp_path / "read.py").write_text(READER)
    run("read.py", ROOT / "tests", work, cwd=tmp_path, env=hub.env("hf_write", tmp_path / "home"))
    read = json.loads((work / "read.json").read_text())
    for name in ("nima-noise", "nima-light"):
        assert read[name]["score"] == pytest.approx(told["reloaded"], abs=1e-5)
        assert read[name]["printed"].startswith(f"score {told['reloaded']:.2f}, spread ")
    assert told["second"] in read["nima-noise"]["code"]
    assert told["code"] in read["nima-light"]["code"]


def test_who_has_the_package_runs_the_other_example(told):
    assert told["pipeline"]["score"] == pytest.approx(told["reloaded"], abs=1e-5)
    assert sum(told["pipeline"]["distribution"].values()) == pytest.approx(1, abs=1e-5)
    assert 0 <= told["pipeline"]["percentile"] <= 100


def test_a_checkpoint_can_refer_to_code_elsewhere(hub):
    files = hub.files("alice/nima-light")
    assert not [name for name in files if name.endswith(".py")]
    assert json.loads(files["config.json"])["auto_map"] == {
        "AutoConfig": "alice/code--configuration_nima.NimaConfig",
        "AutoModelForImageClassification": "alice/code--modeling_nima.NimaForAestheticAssessment",
    }
    processor = json.loads(files["preprocessor_config.json"])["auto_map"]
    assert processor == {"AutoImageProcessor": "alice/code--image_processing_modality.ModalityImageProcessor"}
    code = hub.files("alice/code")
    assert "__init__.py" not in code and b"No weights are here" in code["README.md"]


def test_the_checkpoint_of_a_run_stays_until_it_is_dropped(hub, told):
    light, backup, dropped = (
        hub.files("alice/nima-light", revision=told[step]) for step in ("light", "backup", "dropped")
    )
    assert backup == light | {"last-checkpoint/optimizer.pt": b"state"}
    assert told["kept"] == told["backup"] and dropped == light


def test_a_failed_commit_changes_nothing_and_can_be_repeated(hub, told):
    assert "Cannot push to alice/nima-faulty: the Hub answered 500. Wait a little, then push again" in told["fault"]
    commits = hub.repos["model", "alice/nima-faulty"].commits
    assert [commit.title for commit in commits] == ["initial commit", "Publish nima-noise"]
    assert commits[-1].oid == told["after_fault"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("stale", r"the Hub has a newer commit than [0-9a-f]{40}\. Look at what changed, then push again"),
        ("read_token", "the Hub does not let this token write there. Use one with write access"),
        (
            "bad_token",
            "the Hub does not know the token. Make one with write access at https://huggingface.co/settings",
        ),
        ("unreachable", r"http://127\.0\.0\.1:9 cannot be reached \(.*\)\. Check the connection"),
    ],
)
def test_refusals_are_one_line(told, step, message):
    assert re.match(f"Cannot push to alice/nima-noise: {message}", told[step])
    assert "\n" not in told[step]


@pytest.fixture
def checkpoint(tiny_checkpoint, tmp_path) -> Path:
    """A complete checkpoint with its results."""
    source = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    folder = save_checkpoint(source.model, source.processor, tmp_path / "nima-noise")
    scorer = AestheticScorer.from_pretrained(folder, device="cpu")
    report = evaluate_scorer(scorer, noise_dataset(), dataset_name="noise", split="test", num_resamples=0)
    add_results(folder, report, render_model_card(folder, report, facts=FACTS))
    return folder


def change_weights(folder: Path) -> None:
    model = NimaForAestheticAssessment.from_pretrained(folder)
    torch.nn.init.ones_(model.score_head.dense.bias)
    model.save_pretrained(folder)


def test_figures_of_other_weights_are_refused(checkpoint):
    check_checkpoint(checkpoint)
    report = EvaluationReport.load(checkpoint / "evaluation")
    card = ModelCard.load(checkpoint / "README.md")
    change_weights(checkpoint)
    message = (
        rf"made for revision {report.weights_sha256[:12]} but the model on disk is (?!{report.weights_sha256[:12]})"
    )
    with pytest.raises(ValueError, match=message):
        push_checkpoint(checkpoint, "alice/nima-noise")
    with pytest.raises(ValueError, match=message + "[0-9a-f]{12}; evaluate again before pushing"):
        add_results(checkpoint, report, card)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "must hold config.json, but .*nima-noise does not. Save it with save_checkpoint"),
        ("preprocessor_config.json", "must hold preprocessor_config.json, but"),
        ("model.safetensors", "Expected model.safetensors in '.*nima-noise', found none"),
        ("modeling_nima.py", "code that its config.json names, but .*nima-noise lacks modeling_nima.py"),
        ("losses.py", "code that its config.json names, but .*nima-noise lacks losses.py"),
        ("modality_maps.py", "code that its preprocessor_config.json names, but .*nima-noise lacks modality_maps.py"),
        ("README.md", "must hold its card README.md, but .*nima-noise does not. Evaluate it, then add_results"),
    ],
)
def test_an_incomplete_checkpoint_is_refused(checkpoint, missing, message):
    (checkpoint / missing).unlink()
    with pytest.raises(ValueError, match=message):
        push_checkpoint(checkpoint, "alice/nima-noise")


def test_a_checkpoint_without_its_code_map_is_refused(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    del config["auto_map"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="config.json must say where its code is .*Import hf_aesthetics before"):
        check_checkpoint(checkpoint)


def test_maps_by_a_network_of_this_machine_are_refused(checkpoint, tmp_path):
    path = checkpoint / "preprocessor_config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "modality": "depth", "extractor_checkpoint": "org/depth"}))
    check_checkpoint(checkpoint)
    path.write_text(json.dumps({**fields, "modality": "depth", "extractor_checkpoint": str(tmp_path)}))
    with pytest.raises(ValueError, match=f"names the folder {tmp_path}. Publish that network"):
        push_checkpoint(checkpoint, "alice/nima-noise")


def test_without_a_token_nothing_is_tried(checkpoint, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(HubPublishError, match="alice/nima-noise needs a token with write access, but there is none"):
        push_checkpoint(checkpoint, "alice/nima-noise")


def test_saving_replaces_a_checkpoint_with_its_results(checkpoint, tiny_checkpoint):
    source = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    save_checkpoint(source.model, source.processor, checkpoint)
    assert not (checkpoint / "evaluation").exists() and not (checkpoint / "README.md").exists()
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_saving_spares_files_that_are_not_ours(checkpoint, tiny_checkpoint):
    source = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    (checkpoint / "thesis.tex").write_text("ten years")
    with pytest.raises(FileExistsError, match="new, empty or an earlier checkpoint, got .*also holds thesis.tex"):
        save_checkpoint(source.model, source.processor, checkpoint)
    assert (checkpoint / "thesis.tex").read_text() == "ten years"


def test_a_failed_save_leaves_nothing_behind(checkpoint, tiny_checkpoint):
    before = {path: path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()}
    model = NimaForAestheticAssessment.from_pretrained(tiny_checkpoint)
    processor = ModalityImageProcessor()
    processor.image_mean = object()  # which JSON cannot hold: the model is written by then
    with pytest.raises(TypeError):
        save_checkpoint(model, processor, checkpoint)
    assert {path: path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()} == before
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_results_replace_earlier_ones(checkpoint):
    report = EvaluationReport.load(checkpoint / "evaluation")
    others = [report, EvaluationReport(**{**vars(report), "dataset_name": "other"})]
    card = ModelCard.load(checkpoint / "README.md")
    add_results(checkpoint, others, card)
    assert (checkpoint / "evaluation" / "other-test" / "predictions.parquet").is_file()
    check_checkpoint(checkpoint)
    add_results(checkpoint, report, card)
    assert not (checkpoint / "evaluation" / "other-test").exists()
