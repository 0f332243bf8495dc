"""An evaluation is repeatable, counts what it leaves out, and its figures can be had again from what it stores."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as PILImage
from scipy import stats

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.data.columns import RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.splits import split_fingerprint
from hf_aesthetics.data.training_ids import TrainingIds
from hf_aesthetics.evaluation import EvaluationReport, evaluate_scorer, report_table
from hf_aesthetics.scoring import AestheticScorer, hash_weights


TEN = RatingScale(1, 10, 10)
BINS = np.arange(1, 11)


def png(pixels: np.ndarray) -> dict:
    buffer = io.BytesIO()
    PILImage.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def make_rows(num_pictures: int = 12, scale: RatingScale = TEN) -> list[dict]:
    generator = np.random.default_rng(3)
    rows = []
    for index in range(num_pictures):
        height, width = generator.integers(30, 60, size=2)
        brightness = generator.uniform(20, 220, size=3)
        pixels = np.clip(generator.normal(brightness, 20, size=(height, width, 3)), 0, 255).astype(np.uint8)
        votes = generator.multinomial(generator.integers(50, 200), generator.dirichlet(np.ones(scale.num_bins)))
        rows.append({"image": png(pixels), "image_id": f"p{index:02d}", **vote_statistics(votes, scale, "row")})
    return rows


def as_dataset(rows: list[dict], num_bins: int = 10, extra: dict | None = None) -> Dataset:
    return Dataset.from_list(rows, features=rating_features(num_bins, extra))


@pytest.fixture(scope="module")
def scorer(tiny_checkpoint) -> AestheticScorer:
    return AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")


def evaluate(scorer: AestheticScorer, dataset: Dataset, **options) -> EvaluationReport:
    return evaluate_scorer(scorer, dataset, **{"dataset_name": "rated", "split": "test", "num_resamples": 0} | options)


def test_figures_follow_from_the_stored_predictions(scorer):
    rows = make_rows()
    constant = np.mean([np.array(row["vote_counts"]) / row["num_votes"] for row in rows], axis=0)
    report = evaluate(scorer, as_dataset(rows), constant_distribution=constant, num_resamples=50)
    stored = report.predictions.to_pydict()
    votes = np.array([row["vote_counts"] for row in rows])
    shares = votes / votes.sum(axis=1, keepdims=True)

    assert report.num_images == 12 and stored["image_id"] == [row["image_id"] for row in rows]
    assert report.metrics["srcc"] == pytest.approx(stats.spearmanr(stored["score"], shares @ BINS)[0])
    assert report.metrics["mae"] == pytest.approx(np.abs(stored["score"] - shares @ BINS).mean())
    distances = [
        stats.wasserstein_distance(BINS, BINS, predicted, true) / 10
        for predicted, true in zip(stored["distribution"], shares, strict=True)
    ]
    assert report.metrics["emd"] == pytest.approx(np.mean(distances), abs=1e-6)
    constant_distances = [stats.wasserstein_distance(BINS, BINS, constant, true) / 10 for true in shares]
    assert report.constant_metrics["emd"] == pytest.approx(np.mean(constant_distances))
    low, high = report.intervals["srcc"]
    assert low < report.metrics["srcc"] < high
    assert 0.5 < report.srcc_ceiling < 1
    assert sum(report.pit) == pytest.approx(1)
    assert sum(band["num_images"] for band in report.score_bands) == 12


def test_votes_drawn_from_the_predictions_are_found_to_be_predicted_well(scorer):
    rows = make_rows(30)
    generator = np.random.default_rng(0)
    for row in rows:
        # float32 softmax sums to 1 only up to 1e-7, which multinomial refuses
        predicted = scorer.predict([row["image"]["bytes"]])["logits"][0].double().softmax(-1).numpy()
        row |= vote_statistics(generator.multinomial(20_000, predicted), TEN, "row")
    report = evaluate(scorer, as_dataset(rows))
    assert report.metrics["srcc"] > 0.95
    assert report.metrics["emd"] < 0.01
    assert report.metrics["pit_error"] < 0.01


def test_what_was_measured_can_be_told_again(scorer, tiny_checkpoint):
    rows = make_rows()
    report = evaluate(scorer, as_dataset(rows), command="measure --split test", seed=7)
    weights = hashlib.sha256((tiny_checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert report.weights_sha256 == weights == hash_weights(tiny_checkpoint)
    assert report.scorer_id == f"nima-tiny@{weights[:12]}"
    assert report.preprocessing == scorer.preprocessing
    assert (report.dataset_name, report.split, report.seed) == ("rated", "test", 7)
    assert (report.min_score, report.max_score, report.num_bins) == (1, 10, 10)
    assert report.versions["torch"] == torch.__version__
    assert report.date.endswith("+00:00")
    ids = "".join(f"p{index:02d}\n" for index in range(12))
    shuffled = evaluate(scorer, as_dataset(rows[::-1]))
    assert report.image_ids_sha256 == shuffled.image_ids_sha256 == hashlib.sha256(ids.encode()).hexdigest()


def test_without_a_commit_the_content_is_the_revision(scorer):
    rows = make_rows(3)
    first = evaluate(scorer, as_dataset(rows)).dataset_revision
    assert first == evaluate(scorer, as_dataset(rows)).dataset_revision
    assert evaluate(scorer, as_dataset(rows), dataset_revision="0" * 40).dataset_revision == "0" * 40
    pixels = np.array(PILImage.open(io.BytesIO(rows[1]["image"]["bytes"])))
    pixels[0, 0, 0] ^= 1
    repainted = [rows[0], {**rows[1], "image": png(pixels)}, rows[2]]
    assert evaluate(scorer, as_dataset(repainted)).dataset_revision != first
    votes = rows[1]["vote_counts"][::-1]
    voted = [rows[0], {**rows[1], **vote_statistics(votes, TEN, "row")}, rows[2]]
    assert evaluate(scorer, as_dataset(voted)).dataset_revision != first


def test_unreadable_pictures_are_left_out_and_named(scorer, tmp_path):
    rows = make_rows()
    rows[2]["image"] = {"bytes": b"<!DOCTYPE html>", "path": None}
    rows[5]["image"] = {"bytes": None, "path": str(tmp_path / "gone.jpg")}
    rows[9]["image"] = {"bytes": rows[9]["image"]["bytes"][:60], "path": None}
    with pytest.warns(UserWarning, match="3 of 12 pictures cannot be read and are left out: p02, p05, p09"):
        report = evaluate(scorer, as_dataset(rows), batch_size=4)
    assert report.unreadable_ids == ["p02", "p05", "p09"] and report.num_images == 9
    readable = [row for index, row in enumerate(rows) if index not in (2, 5, 9)]
    clean = evaluate(scorer, as_dataset(readable))
    assert report.metrics == pytest.approx(clean.metrics, abs=1e-5)
    assert report.image_ids_sha256 == clean.image_ids_sha256


def test_batch_size_changes_nothing(scorer):
    dataset = as_dataset(make_rows())
    one, many = (evaluate(scorer, dataset, batch_size=size) for size in (1, 12))
    assert one.metrics == pytest.approx(many.metrics, abs=1e-5)
    assert one.predictions["score"].to_pylist() == pytest.approx(many.predictions["score"].to_pylist(), abs=1e-5)


def test_mean_scores_without_votes_get_the_metrics_of_the_mean(scorer):
    rows = make_rows()
    with_votes = evaluate(scorer, as_dataset(rows))
    for row in rows:
        row |= {"vote_counts": None, "num_votes": None}
    report = evaluate(scorer, as_dataset(rows))
    for key in ("srcc", "plcc", "krcc", "mae", "mse", "srcc_std"):
        assert report.metrics[key] == pytest.approx(with_votes.metrics[key], abs=1e-5)
    assert not {"emd", "emd_2", "pit_error"} & report.metrics.keys()
    assert report.srcc_ceiling is None and report.pit is None


def test_another_rating_scale_is_refused(scorer):
    five = RatingScale(1, 5, 5)
    with pytest.raises(
        ValueError, match=r"scale 1\.\.10 in 10 bins, but rated was rated on 1\.\.5 in 5 bins.*labels=5"
    ):
        evaluate(scorer, as_dataset(make_rows(scale=five), num_bins=5))
    means = [{**row, "vote_counts": None, "score_mean": 10 * row["score_mean"]} for row in make_rows()]
    with pytest.raises(ValueError, match=r"1\.\.10 in 10 bins, but rated has mean scores from [2-9]\d"):
        evaluate(scorer, as_dataset(means))


def test_missing_columns_and_pictures_are_named(scorer):
    dataset = as_dataset(make_rows(3))
    with pytest.raises(KeyError, match="'score_std' is not a column of the dataset"):
        evaluate(scorer, dataset.remove_columns("score_std"))
    with pytest.raises(KeyError, match="'depth' is not a column of the dataset"):
        evaluate(scorer, dataset, modality_column="depth")
    broken = [{**row, "image": None} for row in make_rows(3)]
    with pytest.raises(ValueError, match="at least 2 readable pictures, got 0 of 3"):
        evaluate(scorer, as_dataset(broken))


def test_cached_maps_are_used_in_place_of_the_pictures(scorer):
    processor = ModalityImageProcessor(size={"height": 32, "width": 32}, modality="gray")
    gray_scorer = AestheticScorer(scorer.model, processor, name="gray", device="cpu")
    rows = make_rows(6)
    for row in rows:
        pixels = torch.from_numpy(np.array(PILImage.open(io.BytesIO(row["image"]["bytes"]))))
        maps = processor.make_modality_maps(pixels.permute(2, 0, 1)[None])
        row["gray"] = png(maps[0, 0].numpy())
    on_the_fly = evaluate(gray_scorer, as_dataset(rows, extra={"gray": Image()}))
    for row in rows:
        row["image"] = None  # and are not even looked at
    cached = evaluate(gray_scorer, as_dataset(rows, extra={"gray": Image()}), modality_column="gray")
    assert cached.predictions["score"].to_pylist() == on_the_fly.predictions["score"].to_pylist()
    assert cached.weights_sha256 is None  # the model was given, not loaded: nobody knows which file it came from


def test_a_report_survives_its_file_and_has_no_nan(scorer, tmp_path):
    blind = AestheticScorer.from_pretrained(scorer.model.name_or_path, device="cpu")
    torch.nn.init.zeros_(blind.model.score_head.dense.weight)
    report = evaluate(blind, as_dataset(make_rows()), num_resamples=20)
    assert report.metrics["srcc"] is None and report.intervals["srcc"] == [None, None]
    report.save(tmp_path / "evaluation")
    loaded = EvaluationReport.load(tmp_path / "evaluation")
    assert loaded == report
    assert loaded.predictions.equals(report.predictions)
    text = (tmp_path / "evaluation" / "report.json").read_text()
    assert "NaN" not in text and json.loads(text)["metrics"]["srcc"] is None


def test_a_report_of_another_version_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected a report at .*report.json, found none"):
        EvaluationReport.load(tmp_path)
    (tmp_path / "report.json").write_text('{"srcc": 1.0}')
    with pytest.raises(ValueError, match="is not a report of this version.*srcc.*Evaluate again"):
        EvaluationReport.load(tmp_path)


def test_sharded_weights_hash_like_one_file(tiny_checkpoint, tmp_path):
    content = (tiny_checkpoint / "model.safetensors").read_bytes()
    shutil.copytree(tiny_checkpoint, tmp_path / "sharded")
    (tmp_path / "sharded" / "model.safetensors").unlink()
    (tmp_path / "sharded" / "model-00001-of-00002.safetensors").write_bytes(content[:100])
    (tmp_path / "sharded" / "model-00002-of-00002.safetensors").write_bytes(content[100:])
    assert hash_weights(tmp_path / "sharded") == hash_weights(tiny_checkpoint)


def test_pictures_of_the_training_are_refused_or_flagged(tiny_checkpoint, tmp_path):
    folder, rows = shutil.copytree(tiny_checkpoint, tmp_path / "nima"), make_rows()
    ids = [row["image_id"] for row in rows]
    TrainingIds.of_splits("parks", {"train": ids[:2], "validation": ids[2:5]}).save(folder)
    scorer, dataset = AestheticScorer.from_pretrained(folder, device="cpu"), as_dataset(rows)
    with pytest.raises(ValueError, match="2 of these 12 pictures of parks were among its training pictures"):
        evaluate(scorer, dataset, dataset_name="parks")
    report = evaluate(scorer, dataset, dataset_name="parks", allow_seen=True)
    assert report.seen_in_training == {"train": 2, "validation": 3}
    report = evaluate(scorer, dataset, dataset_name="lakes")
    assert report.seen_in_training == {"train of parks": 2, "validation of parks": 3}
    assert "NOTE: 2 of them were seen in train of parks" in report_table(report)
    assert f"SHA-256 of their ids: {split_fingerprint(ids)}" in report_table(report)


def test_a_stream_is_measured_like_files(scorer):
    dataset = as_dataset(make_rows())
    files, stream = evaluate(scorer, dataset), evaluate(scorer, dataset.to_iterable_dataset(num_shards=3))
    assert (stream.metrics, stream.image_ids_sha256) == (files.metrics, files.image_ids_sha256)
    assert stream.dataset_revision == files.dataset_revision and stream.predictions.equals(files.predictions)
