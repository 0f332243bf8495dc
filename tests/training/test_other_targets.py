"""Any rating goes through the same head, from pictures and a table to card and scores: here memorability, 0 to 1."""

import json

import numpy as np
import pytest
from scipy import stats
from tiny import TINY_RESNET, rated_pictures, tiny_model

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.cli import main as command_line
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training.__main__ import main as train


@pytest.fixture(scope="module")
def shares() -> list[float]:
    """How many people recognised each picture; the brighter, the more."""
    return [(row["score_mean"] - 1) / 4 for row in rated_pictures(70, seed=7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shares):
    """A user's pictures and their table, and in `model` what one command makes of them."""
    folder = tmp_path_factory.mktemp("mine")
    backbone = folder / "backbone"
    tiny_model(TINY_RESNET).backbone.save_pretrained(backbone)
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(backbone)
    lines = ["file_name,score_mean,split"]
    for index, (row, share) in enumerate(zip(rated_pictures(70, seed=7), shares, strict=True)):
        row["image"].save(folder / f"{index}.png")
        split = "train" if index < 40 else "validation" if index < 52 else "test"
        lines.append(f"{index}.png,{share:.4f},{split}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    flags = ["--dataset", "folder", "--data_dir", str(folder), "--min_score", "0", "--max_score", "1"]
    flags += ["--num_bins", "11", "--backbone", str(backbone), "--linear_probe", "--num_train_epochs", "0"]
    flags += ["--crop_fraction", "1", "--use_cpu", "--disable_tqdm", "1"]
    train([*flags, "--output_dir", str(folder / "model")])
    return folder


def test_scores_are_the_shares_that_were_learnt(folder, shares):
    scorer = AestheticScorer.from_pretrained(folder / "model", device="cpu")
    scores = [record["score"] for record in scorer.score([folder / f"{index}.png" for index in range(52, 70)])]
    assert stats.spearmanr(scores, shares[52:])[0] > 0.8
    assert np.abs(np.subtract(scores, shares[52:])).mean() < 0.15 and 0 <= min(scores) and max(scores) <= 1
    report = json.loads((folder / "model" / "evaluation" / "report.json").read_text())
    assert (report["min_score"], report["max_score"]) == (0, 1)
    assert report["metrics"]["mae"] == pytest.approx(np.abs(np.subtract(scores, shares[52:])).mean(), abs=1e-3)


def test_card_speaks_of_ratings_and_not_of_beauty(folder):
    card = (folder / "model" / "README.md").read_text().split("---", 2)[2]
    assert "from\n0 to 1" in card and "accuracy, above 0.5 or not" in card
    for word in ("liked", "look of", "taste", "1 to 10 "):
        assert word not in card.replace("| ratings | 1 to 10, in 10 bins |", ""), word
    assert "which has not been measured" in card and "Do not rely on it" in card  # of the spread: means have none


def test_listed_scores_have_the_digits_of_the_scale(folder, capsys):
    assert command_line(["score", str(folder / "0.png"), "--model", str(folder / "model"), "--device", "cpu"]) == 0
    [record] = AestheticScorer.from_pretrained(folder / "model", device="cpu").score([folder / "0.png"])
    assert f"{record['score']:.2f} ± {record['score_std']:.2f} of 1" in capsys.readouterr().out
