"""A scorer that predicts no distribution goes all the way, and nobody invents a spread or a distance for it."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from tiny import PROCESSOR, TINY_RESNET, brightness_collection
from transformers import pipeline

from hf_aesthetics import AestheticBaselineConfig, AestheticBaselineForAestheticAssessment
from hf_aesthetics.cards import render_model_card
from hf_aesthetics.cli import main
from hf_aesthetics.evaluation import EvaluationReport, evaluate_scorer, report_table
from hf_aesthetics.hub import add_results, save_checkpoint
from hf_aesthetics.scoring import AestheticScorer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline") / "baseline-tiny"
    config = AestheticBaselineConfig(
        backbone_config=dict(TINY_RESNET),
        max_score=5,
        num_labels=5,
        objective="ranking",
        calibration_inputs=[1.0, 2.5, 3.5, 5.0],
        calibration_scores=[1.5, 2.0, 4.0, 4.5],
        score_quantiles=[1.5, 2.5, 4.5],
    )
    torch.manual_seed(0)
    model = AestheticBaselineForAestheticAssessment(config)
    torch.nn.init.normal_(model.score_head.dense.weight, std=5.0)
    save_checkpoint(model, PROCESSOR, folder)
    return folder


@pytest.fixture(scope="module")
def report(checkpoint) -> EvaluationReport:
    collection = brightness_collection(num_train=8, num_validation=8)
    return evaluate_scorer(
        AestheticScorer.from_pretrained(checkpoint, device="cpu"),
        collection.splits["test"],
        dataset_name=collection.name,
        split="test",
        constant_distribution=collection.constant_distribution,
        num_resamples=20,
    )


def test_record_has_a_score_and_its_place_and_no_more(checkpoint, photo_folder):
    path = str(photo_folder / "beach.jpg")
    record = pipeline("image-aesthetics", model=str(checkpoint), device="cpu")(path)
    scorer = AestheticScorer.from_pretrained(checkpoint, device="cpu")
    assert [record] == scorer.score([path])
    assert record["score"] == pytest.approx(scorer.predict([path]).score.item())
    assert 0 <= record["percentile"] <= 100
    assert record["score_std"] is None and record["distribution"] is None


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_command_line_leaves_spread_and_shares_empty(suffix, checkpoint, photo_folder, tmp_path, capsys):
    (photo_folder / "0_broken.jpg").write_bytes(b"no picture")  # first, so that it makes the columns
    table = tmp_path / f"scores.{suffix}"
    assert main(["score", str(photo_folder), "--model", str(checkpoint), "--output", str(table)]) == 0
    listed = [line for line in capsys.readouterr().out.splitlines() if "beach.jpg" in line]
    assert len(listed) == 1 and "±" not in listed[0] and " of 5 " in listed[0]
    if suffix == "jsonl":
        rows = [json.loads(line) for line in table.read_text().splitlines()]
        rows = [{**row, **{f"p_{rating}": share for rating, share in row["distribution"].items()}} for row in rows]
    else:
        rows = list(csv.DictReader(table.open())) if suffix == "csv" else pq.read_table(table).to_pylist()
    assert len(rows) == 5 and sum(bool(row["error"]) for row in rows) == 1
    for row in rows:
        assert not any(row[name] for name in ("score_std", "p_1", "p_5"))
        assert bool(row["score"]) is not bool(row["error"])


def test_evaluation_measures_the_score_alone(report):
    stored = report.predictions.to_pydict()
    true_means = np.round(np.array(stored["vote_shares"]) @ np.arange(1, 6), 6)  # equal votes are ties
    assert report.metrics["srcc"] == pytest.approx(stats.spearmanr(stored["score"], true_means)[0])
    assert report.metrics["mae"] == pytest.approx(np.abs(stored["score"] - true_means).mean(), abs=1e-6)
    assert not {"emd", "emd_2", "emd_skill", "srcc_std", "pit_error"} & (
        report.metrics.keys() | report.intervals.keys()
    )
    assert report.pit is None and report.srcc_ceiling > 0.5
    assert set(stored["distribution"]) == set(stored["score_std"]) == {None}
    assert "emd" not in report_table(report)


def test_report_and_card_are_stored_without_what_is_missing(report, checkpoint):
    card = render_model_card(checkpoint, report, facts=brightness_collection(2, 2, 2).facts)
    add_results(checkpoint, report, card)
    assert EvaluationReport.load(checkpoint / "evaluation") == report
    assert "SRCC of the mean score" in card.text and "2.50 → 2.00, 3.50 → 4.00" in card.text
    assert "earth mover" not in card.text and "None" not in card.text and "spread" not in card.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"objective": "binary"}, "above 3 from the others"),
        ({"objective": "classes", "class_vote": "modal"}, "most frequent rating as one of 5 classes"),
        ({"objective": "regression", "regression_loss": "huber"}, "by the loss of Huber"),
        ({"objective": "ranking", "ranking_loss": "list_mle"}, "likelihood of the whole order"),
    ],
)
def test_card_says_what_was_taught_and_whether_scores_are_in_rating_units(fields, said, report, tmp_path):
    config = AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), max_score=5, num_labels=5, **fields)
    model = AestheticBaselineForAestheticAssessment(config)
    save_checkpoint(model, PROCESSOR, tmp_path)
    text = render_model_card(tmp_path, report, facts=brightness_collection(2, 2, 2).facts).text
    assert said in text
    assert ("not in rating units" in text) is not model.score_is_calibrated
    assert ("model.compare" in text) is (config.objective == "ranking")
