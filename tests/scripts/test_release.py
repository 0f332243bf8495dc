"""The release, whole, on a Hub on loopback: what is allowed arrives and works, what is refused does not arrive."""

import csv
import importlib.util
import io
import json
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from local_hub import LocalHub
from PIL import Image
from test_hub import noise_dataset, run

from hf_aesthetics import HandcraftedConfig, HandcraftedForAestheticAssessment, HandcraftedImageProcessor
from hf_aesthetics.cards import PROVENANCE_FIELD, render_model_card
from hf_aesthetics.data import oasis, synthetic
from hf_aesthetics.data.columns import DatasetFacts
from hf_aesthetics.evaluation import evaluate_scorer
from hf_aesthetics.hub import add_results, judge_checkpoint, judge_dataset, judge_space, save_checkpoint
from hf_aesthetics.licensing import Permission
from hf_aesthetics.scoring import AestheticScorer


ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "release.py"
CLOSED = DatasetFacts(name="closed", license="none", weights=Permission(False, "its owner forbids it"))
OF_PHOTOGRAPHS, OF_FEATURES = "nima-mobilenet_v2-rgb-oasis", "handcrafted-rgb-oasis"
FREE = {"license": "cc-by-nc-4.0"}
# folder in outputs/, data of its report, arguments of its card
CHECKPOINTS = {
    "demo/nima": ("scenes", {"facts": synthetic.FACTS, "license": "apache-2.0"}),
    "holiday": ("holiday", {"facts": DatasetFacts(name="holiday", license="mine"), "license": "mit"}),
    "unlicensed": ("unlicensed", {"facts": synthetic.FACTS}),
    "closed": ("closed", {"facts": CLOSED, "license": "mit"}),
    "borrowed": (
        "oasis",
        {"facts": oasis.FACTS, "license": "mit", "backbone": "org/depth", "backbone_license": "not settled"},
    ),
    "oasis": (
        "oasis",
        {
            "facts": oasis.FACTS,
            "license": "cc-by-nc-4.0",
            "backbone": "google/mobilenet_v2_1.0_224",
            "backbone_license": "Apache-2.0",
        },
    ),
    "oasis-again": (
        "oasis",
        {
            "facts": oasis.FACTS,
            "license": "cc-by-nc-4.0",
            "backbone": "google/mobilenet_v2_1.0_224",
            "backbone_license": "Apache-2.0",
        },
    ),
}
READER = """
import json, sys
import evaluate
from datasets import load_dataset
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.scoring import AestheticScorer, Reliability, find_companions

metric = evaluate.load("acme/image_aesthetics_metric")
votes = [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2]]
scorer = AestheticScorer.from_pretrained("acme/nima-mobilenet_v2-rgb-oasis", device="cpu")
ratings = load_collection("acme/oasis-beauty-ratings", data_dir=sys.argv[1])
print(json.dumps({
    "srcc": metric.compute(predictions=votes, references=votes)["srcc"],
    "score": scorer.predict([sys.argv[1] + "/images/I1.jpg"])["score"].item(),
    "error": Reliability.of_scorer(scorer).error, "companions": find_companions(scorer.name),
    "facts": ratings.facts.license, "rows": {part: len(rows) for part, rows in ratings.splits.items()},
    "columns": load_dataset("acme/oasis-beauty-ratings", split="train").column_names,
}))
"""


def load_script():
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, tiny_checkpoint) -> Path:
    """Finished checkpoints with all kinds of terms, and the unfinished ones of a run."""
    folder = tmp_path_factory.mktemp("release") / "outputs"
    source = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    report = None
    for name, (dataset, options) in CHECKPOINTS.items():
        save_checkpoint(source.model, source.processor, folder / name)
        if report is None:
            scorer = AestheticScorer.from_pretrained(folder / name, device="cpu")
            report = evaluate_scorer(scorer, noise_dataset(), dataset_name="x", split="test", num_resamples=0)
        told = replace(report, dataset_name=dataset, notice=options["facts"].notice)
        add_results(folder / name, told, render_model_card(folder / name, told, **options))
    features = HandcraftedForAestheticAssessment(HandcraftedConfig())
    save_checkpoint(features, HandcraftedImageProcessor(), folder / "features")
    scorer = AestheticScorer.from_pretrained(folder / "features", device="cpu")
    told = evaluate_scorer(scorer, noise_dataset(), dataset_name="oasis", split="test", num_resamples=0)
    add_results(folder / "features", told, render_model_card(folder / "features", told, facts=oasis.FACTS, **FREE))
    (folder / "half").mkdir()
    shutil.copy(folder / "closed" / "preprocessor_config.json", folder / "half")
    save_checkpoint(source.model, source.processor, folder / "oasis.run" / "checkpoint-10")
    return folder


@pytest.fixture(scope="module")
def oasis_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("oasis")
    (folder / "images").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        attributes = ["theme", "category", "source_class", "rater_group", "valence_mean", "arousal_mean"]
        table.writerow(["image_id", "file_name", "split", *(f"votes_{k}" for k in range(1, 8)), *attributes])
        for number, split in enumerate(["train", "train", "train", "validation", "test", "test"], start=1):
            votes = [number, 2, 3, 9 - number, 5, 1, 1]
            table.writerow([f"I{number}", f"I{number}.jpg", split, *votes, f"t{number}", "Object", "flickr", 1, 4, 4])
            Image.new("RGB", (32, 26), (40 * number, 0, 0)).save(folder / "images" / f"I{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def released(outputs, oasis_folder, tmp_path_factory):
    """The Hub after a rehearsal, a release and a request for what is refused; and what each of them printed."""
    work = tmp_path_factory.mktemp("releasing")
    flags = ["acme", "--outputs", outputs, "--dataset", "oasis", "--data_dir", oasis_folder]
    with LocalHub(tokens={"hf_write": ("acme", "write")}) as hub:
        with redirect_stdout(io.StringIO()) as rehearsed:  # here, where the Hub is out of reach
            assert load_script().main([*map(str, flags), "--dry_run"]) == 0
        printed = run(SCRIPT, *flags, cwd=work, env=hub.env("hf_write", work / "home"))
        yield hub, rehearsed.getvalue(), printed


def verdicts_of(printed: str) -> dict[str, tuple[str, str]]:
    found = re.findall(
        r"^(allowed|refused) +(?:checkpoint|space|data set) +acme/(\S+)  \((.+)\)\n +(.+)$", printed, re.M
    )
    return {Path(source).name: (verdict, name, reason) for verdict, name, source, reason in found}


def test_every_item_has_a_verdict_with_its_reason(released, oasis_folder):
    _, rehearsed, printed = released
    verdicts = verdicts_of(rehearsed)
    assert verdicts_of(printed) == verdicts
    assert {source: verdict for source, (verdict, *_) in verdicts.items()} == {
        "nima": "allowed",
        "oasis": "allowed",
        "features": "allowed",
        "oasis-again": "refused",
        "holiday": "refused",
        "unlicensed": "refused",
        "closed": "refused",
        "borrowed": "refused",
        "half": "refused",
        oasis_folder.name: "allowed",
        **{path.parent.name: "allowed" for path in ROOT.glob("spaces/*/README.md")},
    }
    reasons = {source: reason for source, (_, _, reason) in verdicts.items()}
    assert "backbone (org/depth): 'not settled' is no licence that is known to allow it" == reasons["borrowed"]
    assert "licence of these weights: none was chosen" == reasons["unlicensed"]
    assert "data (closed): its owner forbids it" == reasons["closed"]
    assert "data (holiday): nobody has said under which terms" == reasons["holiday"]
    assert "must hold config.json" in reasons["half"]
    assert re.search("outputs/oasis has the same name; remove one", reasons["oasis-again"])
    assert "published under CC BY with the article" in reasons[oasis_folder.name]


def test_names_follow_from_the_files(released):
    verdicts = verdicts_of(released[1])
    assert verdicts["nima"][1] == "nima-resnet-rgb-scenes"
    assert verdicts["features"][1] == OF_FEATURES
    assert (
        verdicts["oasis"][1]
        == verdicts["borrowed"][1].replace("depth", "mobilenet_v2")
        == "nima-mobilenet_v2-rgb-oasis"
    )


def test_what_is_allowed_arrives_and_nothing_else(released):
    hub, _, printed = released
    names = {
        ("model", "acme/nima-resnet-rgb-scenes"),
        ("model", f"acme/{OF_PHOTOGRAPHS}"),
        ("model", f"acme/{OF_FEATURES}"),
        ("dataset", "acme/oasis-beauty-ratings"),
        *(("space", f"acme/{path.parent.name}") for path in ROOT.glob("spaces/*/README.md")),
    }
    assert set(hub.repos) == names
    assert len(re.findall("^published http", printed, re.M)) == len(names)
    assert all(len(repo.commits) == 2 for repo in hub.repos.values())
    assert not [file for file in hub.files("acme/oasis-beauty-ratings", "dataset") if "jpg" in file]


def test_the_page_asks_the_best_model_of_photographs_and_brings_the_package(released):
    hub, *_ = released
    files = hub.files("acme/image_aesthetics", "space")
    page = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert page["models"] == [f"acme/{name}" for name in (OF_PHOTOGRAPHS, "nima-resnet-rgb-scenes", OF_FEATURES)]
    for name in ("image_aesthetics", "image_aesthetics_metric"):
        [wheel] = [file for file in hub.files(f"acme/{name}", "space") if file.endswith(".whl")]
        assert f"/acme/{name}/resolve/main/{wheel}" in hub.files(f"acme/{name}", "space")["requirements.txt"].decode()


def test_what_arrived_works_for_others(released, oasis_folder, tmp_path):
    hub, *_ = released
    (tmp_path / "read.py").write_text(READER)
    printed = run("read.py", oasis_folder, cwd=tmp_path, env=hub.env(None, tmp_path / "home"))
    read = json.loads(printed.splitlines()[-1])
    assert read["srcc"] == pytest.approx(1) and 1 <= read["score"] <= 10
    assert read["error"] > 0 and read["companions"] == {"handcrafted": f"acme/{OF_FEATURES}"}
    assert read["rows"] == {"train": 3, "validation": 1, "test": 2}
    assert "image" not in read["columns"] and "theme" in read["columns"]


@pytest.mark.parametrize(
    ("only", "code"),
    [("nima-resnet-rgb-scenes", 0), ("nima-resnet-rgb-holiday", 1), ("nima-depth-rgb-oasis", 1), ("nima-x", 2)],
)
def test_what_is_asked_for_by_name_must_be_allowed(outputs, capsys, only, code):
    assert load_script().main(["acme", "--outputs", str(outputs), "--only", only, "--dry_run"]) == code
    printed = capsys.readouterr()
    if code == 2:
        assert "error: --only must name what is there (nima-" in printed.err and "got nima-x." in printed.err
    else:
        assert list(re.findall(r"acme/(\S+)", printed.out)) == [only]


def test_closed_ratings_leave_ids_and_splits():
    facts = DatasetFacts(name="AVA", license="research", ratings=Permission(False, "its authors ask not to"))
    assert str(judge_dataset(facts)) == "refused: ratings: its authors ask not to"
    assert judge_dataset(facts, ratings=False).is_allowed


def test_an_older_card_without_provenance_is_refused(outputs, tmp_path):
    folder = Path(shutil.copytree(outputs / "oasis", tmp_path / "older"))
    card = ModelCard.load(folder / "README.md")
    assert judge_checkpoint(folder).is_allowed
    card.data.__dict__.pop(PROVENANCE_FIELD)
    card.save(folder / "README.md")
    verdict = judge_checkpoint(folder)
    assert not verdict.is_allowed and "does not say which data and which backbone" in verdict.reason


@pytest.mark.parametrize(
    ("readme", "reason"),
    [
        (None, "it has no README.md"),
        ("sdk: gradio", "its README: nobody has said"),
        ("sdk: gradio\nlicense: proprietary", "its README: 'proprietary' is no licence that is known"),
    ],
)
def test_a_space_needs_an_open_licence(tmp_path, readme, reason):
    if readme:
        (tmp_path / "README.md").write_text(f"---\n{readme}\n---\n")
    verdict = judge_space(tmp_path)
    assert not verdict.is_allowed and verdict.reason.startswith(reason)
