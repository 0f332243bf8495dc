"""`accelerate launch -m hf_aesthetics.training` as its users meet it."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY_VIT, rated_pictures, tiny_model

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.evaluation import EvaluationReport
from hf_aesthetics.hub import check_checkpoint
from hf_aesthetics.training.__main__ import main


@pytest.fixture
def rated_folder(tmp_path) -> Path:
    """A user's own folder: pictures and a table of votes on 1 to 5."""
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["file_name,votes_1,votes_2,votes_3,votes_4,votes_5,split"]
    for split, count, seed in (("train", 16, 1), ("validation", 5, 2), ("test", 6, 3)):
        for row in rated_pictures(count, seed):
            row["image"].save(folder / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{','.join(map(str, row['vote_counts']))},{split}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def tiny_backbone(tmp_path) -> Path:
    folder = tmp_path / "backbone"
    tiny_model(TINY_VIT).backbone.save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.5] * 3).save_pretrained(folder)
    return folder


def test_program_trains_on_a_users_folder(rated_folder, tiny_backbone, tmp_path, capsys):
    output = tmp_path / "outputs" / "nima-mine"
    flags = ["--dataset", "folder", "--data-dir", str(rated_folder), "--backbone", str(tiny_backbone)]
    flags += ["--output_dir", str(output), "--num_train_epochs", "1", "--freeze_stages", "-1", "--view", "crop"]
    flags += ["--per_device_train_batch_size", "8", "--use_cpu", "--license", "cc-by-4.0", "--modality", "gray"]
    main(flags)
    check_checkpoint(output)
    printed = capsys.readouterr().out
    assert "mine, test, 6 pictures" in printed and str(output) in printed
    names = sorted(f"2-{index}.png" for index in range(5))
    fingerprint = hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
    assert f"validation       5 pictures, SHA-256 of their ids {fingerprint}" in printed
    saved = json.loads((output / "preprocessor_config.json").read_text())
    assert (saved["modality"], saved["view"], saved["image_mean"]) == ("gray", "crop", [0.5, 0.5, 0.5])
    card = (output / "README.md").read_text()
    assert "cc-by-4.0" in card and "1 to 5" in card
    report = EvaluationReport.load(output / "evaluation")
    assert "--view crop" in report.command and report.num_images == 6


def test_accelerate_launches_the_installed_module(rated_folder, tiny_backbone, tmp_path):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    command += ["-m", "hf_aesthetics.training", "--dataset", "folder", "--data_dir", str(rated_folder), "--use_cpu"]
    command += ["--backbone", str(tiny_backbone), "--output_dir", "nima", "--max_steps", "2", "--eval_strategy", "no"]
    command += ["--save_strategy", "no", "--load_best_model_at_end", "False"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    check_checkpoint(tmp_path / "nima")
    assert "mine, test, 6 pictures" in result.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "oasis"], "needs the folder of its pictures"),
        (["--dataset", "oasys"], "one of aadb, ava, .*, oasis, para, synthetic or a Hub repository.*'oasys'"),
        (
            ["--dataset", "folder", "--data_dir", "{mine}", "--min_score", "1"],
            "--min_score, --max_score and --num_bins",
        ),
        (["--dataset", "folder", "--data_dir", "{mine}", "--modality", "bluur", "--backbone", "{vit}"], "'bluur'"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--model_type", "nimma", "--backbone", "{vit}"], "'nimma'"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--backbone", "{vit}", "--freeze_stages", "9"], "got 9"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--backbone", "no/such-network"], "no/such-network"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--epoch", "3"], "--epoch"),
        (["--dataset", "folder", "--data_dir", "{mine}", "--output_dir", "{mine}"], "also holds.*another folder"),
    ],
)
def test_program_refuses_nonsense_in_one_line(flags, message, rated_folder, tiny_backbone, tmp_path, capsys):
    flags = [flag.format(mine=rated_folder, vit=tiny_backbone) for flag in flags]
    with pytest.raises(SystemExit) as stopped:
        main(["--output_dir", str(tmp_path / "nima"), "--use_cpu", *flags])
    assert stopped.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
