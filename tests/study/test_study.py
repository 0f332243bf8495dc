"""A study as a program, at a size that takes seconds: maps, models of all modalities, findings, report."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny import TINY_RESNET, rated_pictures
from transformers import HfArgumentParser, ResNetConfig, ResNetModel

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.analysis.findings import load_findings
from hf_aesthetics.models.modality_maps import MODALITIES, Modality
from hf_aesthetics.reports import read_verdict
from hf_aesthetics.study import load_modality, train_modality
from hf_aesthetics.study.__main__ import main
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments
from hf_aesthetics.training.cross_validation import FoldArguments, read_predictions


FEW = ["--learning_rate", "3e-3", "--head_learning_rate", "1e-2", "--per_device_train_batch_size", "8"]
FEW += ["--num_train_epochs", "1", "--num_folds", "2", "--fold_seeds", "3", "--use_cpu", "--disable_tqdm", "1"]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> list[str]:
    """Flags of a user's own folder, rated by brightness, with a content for each picture, and of a tiny backbone."""
    folder = tmp_path_factory.mktemp("mine")
    votes = ",".join(f"votes_{rating}" for rating in range(1, 6))
    lines = [f"file_name,split,{votes}"]
    for index, row in enumerate(rated_pictures(44, seed=5)):
        row["image"].save(folder / f"{index}.png")
        split = "train" if index < 12 else "validation" if index < 20 else "test"
        lines.append(f"{index}.png,{split}," + ",".join(map(str, row["vote_counts"])))
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    config = ResNetConfig(**{name: value for name, value in TINY_RESNET.items() if name != "model_type"})
    ResNetModel(config).save_pretrained(folder / "backbone")
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "backbone")
    return ["--dataset", "folder", "--data_dir", str(folder), "--backbone", str(folder / "backbone"), *FEW]


@pytest.fixture(scope="module")
def flags(source, tiny_depth) -> list[str]:
    modalities = ["depth", "rgb"]
    return [*source, "--modalities", *modalities, "--extractors", f"depth={tiny_depth}", "--initialise", "rgb"]


@pytest.fixture(scope="module")
def study(flags, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "study"
    main([*flags, "--output_dir", str(folder)])
    return folder


def test_it_ends_in_findings_and_a_report_about_all_modalities(study, tiny_depth, capsys):
    findings = load_findings(study / "findings.json")
    assert [row.modality for row in findings.modalities][0] == "rgb" and findings.num_pictures == 44
    sources = {row.modality: row.source for row in findings.modalities}
    assert sources["rgb"] == "the picture itself"
    assert re.fullmatch(r"tiny-depth@sha256:[0-9a-f]{12}", sources["depth"])
    assert set(findings.agreement) == set(sources) and findings.fusion is not None and findings.trends
    (verdict,) = read_verdict(study / "report.html")
    assert verdict["sentence"] == findings.verdict.sentence


def test_its_files_name_no_folder_of_this_machine(study, tiny_depth, source):
    for name in ("findings.json", "report.html"):
        text = (study / name).read_text()
        assert str(tiny_depth.parent) not in text and str(Path(source[3]).parent) not in text
        assert "python -m hf_aesthetics.study" in text


def test_the_freezing_depth_is_that_of_the_best_inner_validation(study):
    for modality in ("rgb", "depth"):
        choice = json.loads((study / modality / "depth.json").read_text())
        assert set(choice["validation_srcc"]) == {"1", "2"}  # equal budgets
        tried = {int(depth): srcc for depth, srcc in choice["validation_srcc"].items()}
        assert choice["depth"] == max(tried, key=tried.get)
        recipe = json.loads((study / modality / "recipe.json").read_text())
        assert recipe["freeze_stages"] == choice["depth"] and recipe["modality"] == modality
        first = pq.read_table(study / modality / "seed3-fold0.parquet")["validation_srcc"][0].as_py()
        assert tried[choice["depth"]] == first


def test_models_start_from_that_of_rgb_of_the_same_fold(source, study, tmp_path):
    """Without training, a model that also sees a map predicts what that of rgb does: that is where it starts."""
    depth = json.loads((study / "rgb" / "depth.json").read_text())["depth"]
    parser = HfArgumentParser((DataArguments, ModelArguments, FoldArguments, AestheticTrainingArguments))
    flags = [*source, "--output_dir", str(tmp_path), "--num_train_epochs", "0"]
    data_args, model_args, *recipe = parser.parse_args_into_dataclasses(flags)
    early_fusion = load_modality(data_args, model_args, "rgb+saliency")
    predictions, _ = train_modality(early_fusion, *recipe, [depth], start=study / "rgb")
    of_rgb = read_predictions(study / "rgb")
    assert early_fusion.source == "the picture itself, and closed form"
    np.testing.assert_allclose(predictions.predicted, of_rgb.predicted, atol=1e-5)
    recipe[1].output_dir = str(tmp_path / "other")
    with pytest.raises(ValueError, match="none/seed3-fold0.safetensors to start from, found none"):
        train_modality(early_fusion, *recipe, [depth], start=tmp_path / "none")


def test_a_study_that_was_stopped_goes_on(study, flags):
    files = sorted(study.rglob("seed3-fold*.parquet"))
    before = {file: (file.stat().st_mtime_ns, pq.read_table(file)) for file in files}
    assert len(files) == 2 * (2 + 2)
    (study / "depth" / "seed3-fold1.parquet").unlink()
    (study / "rgb" / "depths" / "2" / "seed3-fold0.parquet").unlink()
    for name in ("findings.json", "report.html", "depth/predictions.parquet"):
        (study / name).unlink()
    main([*flags, "--output_dir", str(study)])
    changed = {str(file.relative_to(study)) for file in files if file.stat().st_mtime_ns != before[file][0]}
    assert changed == {"depth/seed3-fold1.parquet", "rgb/depths/2/seed3-fold0.parquet"}
    for name in changed:
        assert pq.read_table(study / name).equals(before[study / name][1]), name
    assert (study / "report.html").is_file()


def test_a_report_is_made_again_without_training_and_beside_another(study, flags, tmp_path, capsys):
    other = json.loads((study / "findings.json").read_text()) | {"collection": "parks"}
    (tmp_path / "parks.json").write_text(json.dumps(other))
    (study / "depth" / "predictions.parquet").rename(tmp_path / "away")
    (study / "report.html").unlink()
    main([*flags, "--report_only", "--beside", str(tmp_path / "parks.json"), "--output_dir", str(study)])
    assert [row["collection"] for row in read_verdict(study / "report.html")][1] == "parks"
    assert [row.modality for row in load_findings(study / "findings.json").modalities] == ["rgb"]
    printed = capsys.readouterr().out
    assert "models" not in printed and load_findings(study / "findings.json").verdict.sentence in printed
    (tmp_path / "away").rename(study / "depth" / "predictions.parquet")


def test_worse_maps_of_a_cue_are_studied_beside_it_and_counted_as_the_same_cue(source, tmp_path):
    flags = [*source, "--modalities", "saliency", "blur", "--degrade", "blur", "--depths", "2"]
    main([*flags, "--output_dir", str(tmp_path)])
    findings = load_findings(tmp_path / "findings.json")
    sources = {row.modality: row.source for row in findings.modalities}
    assert sources["blur_coarse"] == "closed form, at a quarter of the resolution"
    assert sources["blur_noisy"] == "closed form, with noise of 0.2 of the range"
    assert set(findings.verdict.shares) == {"saliency", "blur", "colour", "light"}
    own, coarse, noisy = (
        read_predictions(tmp_path / name).predicted for name in ("blur", "blur_coarse", "blur_noisy")
    )
    assert 0 < np.abs(own - coarse).max() < np.abs(own - noisy).max()
    assert "Blur maps that are made worse stand in for a second extractor" in (tmp_path / "report.html").read_text()
    recipe = json.loads((tmp_path / "blur_noisy" / "recipe.json").read_text())
    assert recipe == json.loads((tmp_path / "blur" / "recipe.json").read_text())


def test_a_row_of_ones_own_is_studied_on_the_published_split(source, tmp_path, monkeypatch):
    monkeypatch.setitem(MODALITIES, "red", Modality("how red each place is", lambda images: images[:, :1]))
    split = ["--fixed_split", "--modalities", "red", "constant"]
    main([*source, *split, "--output_dir", str(tmp_path)])
    findings = load_findings(tmp_path / "findings.json")
    red, constant = findings.modalities
    assert (red.modality, constant.modality, constant.srcc) == ("red", "constant", None) and red.srcc.value > 0.5
    assert findings.num_pictures == 24 and findings.agreement["red"]["constant"] is None
    assert "how red each place is" in (tmp_path / "report.html").read_text()


def test_of_constant_votes_nothing_is_claimed_and_no_figure_is_nan(source, tmp_path):
    mine = Path(source[3])
    lines = (mine / "ratings.csv").read_text().splitlines()
    same = [lines[0], *(",".join([*line.split(",")[:2], "1,2,3,2,1"]) for line in lines[1:])]
    for picture in mine.glob("*.png"):
        (tmp_path / picture.name).symlink_to(picture)
    (tmp_path / "ratings.csv").write_text("\n".join(same) + "\n")
    flags = [*source, "--data_dir", str(tmp_path), "--min_score", "1", "--max_score", "5", "--num_bins", "5"]
    main([*flags, "--modalities", "rgb", "blur", "--fixed_split", "--output_dir", str(tmp_path / "study")])
    findings = load_findings(tmp_path / "study" / "findings.json")  # which refuses NaN
    assert findings.verdict.sentence == "Nothing is claimed: all scores are the same."
    assert [(row.srcc, row.skill.value) for row in findings.modalities] == [(None, 0.0), (None, 0.0)]
    assert (tmp_path / "study" / "report.html").is_file()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--modalities", "rgb", "bluur"], "got 'bluur'"),
        (["--modalities", "rgb", "rgb"], "each modality once, got rgb rgb"),
        (
            ["--modalities", "rgb", "--extractors", "depth=PATH"],
            "named MODALITY=CHECKPOINT, for one of rgb, got depth",
        ),
        (["--modalities", "blur", "--initialise", "rgb"], "needs the models of rgb, got --modalities blur"),
        (["--modalities", "saliency_u2net"], "none is named. Give its checkpoint"),
        (["--modalities", "rgb", "blur", "--degrade", "rgb"], "--modalities rgb blur that are cues, got rgb"),
        (["--modality", "blur"], "several modalities, got --modality blur. Pass --modalities"),
        (["--freeze_stages", "1"], "got --freeze_stages 1. Pass --depths 1"),
        (["--beside", "none.json"], "Expected findings at none.json, found none"),
        (["--report_only"], "Expected finished modalities in .*, found none"),
        (["--modalities", "rgb", "--depths", "7"], "must be between -2 and 2"),
    ],
)
def test_wrong_arguments_are_one_line(wrong, message, source, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*source, *wrong, "--output_dir", str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
