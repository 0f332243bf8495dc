"""Scoring: one number for one picture however it is asked, a reason for every bad file, and no half-written tables."""

import csv
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    pipeline,
)

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
from hf_aesthetics.images import ImageReadError, find_images, read_image
from hf_aesthetics.scoring import AestheticScorer, PictureScore, check_destination, score_pictures, write_scores


RATINGS = [str(rating) for rating in range(1, 11)]


@pytest.fixture(scope="module")
def scorer(tiny_checkpoint) -> AestheticScorer:
    return AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")


@pytest.fixture
def photos(photo_folder) -> list[Path]:
    return list(find_images(photo_folder))


@pytest.fixture
def checkpoint_copy(tiny_checkpoint, tmp_path) -> Path:
    """A checkpoint that a test may spoil."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def edit_json(path: Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def scores_of(rows) -> np.ndarray:
    return np.array([row.score for row in rows], dtype=float)


# --- the scorer ---


def test_the_score_is_the_mean_of_the_distribution_that_stock_transformers_predicts(scorer, tiny_checkpoint, photos):
    stock = pipeline("image-classification", model=str(tiny_checkpoint), top_k=10)
    for path, record in zip(photos, scorer.score(photos), strict=True):
        shares = {float(answer["label"]): answer["score"] for answer in stock(str(path))}
        mean = sum(rating * share for rating, share in shares.items())
        variance = sum((rating - mean) ** 2 * share for rating, share in shares.items())
        assert record["score"] == pytest.approx(mean, abs=1e-4)
        assert record["score_std"] == pytest.approx(variance**0.5, abs=1e-3)
        assert {float(rating): share for rating, share in record["distribution"].items()} == pytest.approx(
            shares, abs=1e-5
        )


def test_a_picture_scores_the_same_as_path_bytes_and_open_picture(scorer, photos):
    for path in photos:
        with Image.open(path) as picture:
            records = scorer.score([path, str(path), path.read_bytes(), picture])
        assert all(record == records[0] for record in records)


def test_maps_made_before_score_as_maps_made_on_the_fly(tiny_checkpoint, photos):
    model = AutoModelForImageClassification.from_pretrained(tiny_checkpoint)
    processor = ModalityImageProcessor(modality="gray", size={"height": 32, "width": 32})
    scorer = AestheticScorer(model, processor, name="gray", device="cpu")
    maps = []
    for path in photos:
        with Image.open(path) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
        maps.append(processor.make_modality_maps(pixels)[0])
    assert scorer.score(photos, modality_maps=maps) == scorer.score(photos)
    assert scorer.score([], modality_maps=maps) == scorer.score(photos)


def test_predictions_are_float32_without_gradients_in_eval_mode(tiny_checkpoint, photos):
    model = AutoModelForImageClassification.from_pretrained(tiny_checkpoint, dtype=torch.bfloat16).train()
    scorer = AestheticScorer(model, AutoImageProcessor.from_pretrained(tiny_checkpoint), name="half", device="cpu")
    outputs = scorer.predict(photos)
    assert {value.dtype for value in outputs.values()} == {torch.float32}
    assert not any(value.requires_grad for value in outputs.values())
    assert torch.equal(outputs["logits"], scorer.predict(photos)["logits"]), "dropout is active"


def test_checkpoints_load_in_float32(tiny_checkpoint, checkpoint_copy):
    AutoModelForImageClassification.from_pretrained(tiny_checkpoint).bfloat16().save_pretrained(checkpoint_copy)
    assert AestheticScorer.from_pretrained(checkpoint_copy, device="cpu").model.dtype == torch.float32


# --- who scored ---


def test_id_of_a_folder_is_its_name_and_the_hash_of_its_weights(scorer, tiny_checkpoint, monkeypatch):
    digest = hashlib.sha256((tiny_checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert scorer.id == f"{tiny_checkpoint.name}@{digest[:12]}"
    monkeypatch.chdir(tiny_checkpoint)
    assert AestheticScorer.from_pretrained(".", device="cpu").id == scorer.id


def test_id_of_a_repository_is_the_commit_that_was_loaded(scorer, tiny_checkpoint, photos):
    commit = hashlib.sha1(b"the only commit").hexdigest()
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--alice--nima-tiny"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    shutil.copytree(tiny_checkpoint, cache / "snapshots" / commit)
    for revision in (None, "main", commit):
        cached = AestheticScorer.from_pretrained("alice/nima-tiny", revision=revision, device="cpu")
        assert cached.id == f"alice/nima-tiny@{commit}"
    assert cached.score(photos) == scorer.score(photos)


def test_id_of_a_model_in_memory_is_its_name(scorer):
    assert AestheticScorer(scorer.model, scorer.processor, name="draft", device="cpu").id == "draft"


def test_preprocessing_is_the_same_wherever_the_processor_comes_from(scorer, tiny_checkpoint, tmp_path):
    made = ModalityImageProcessor(size={"height": 32, "width": 32})
    scorer.processor.save_pretrained(tmp_path / "again")
    loaded = AutoImageProcessor.from_pretrained(tmp_path / "again")
    texts = {
        AestheticScorer(scorer.model, processor, name="x", device="cpu").preprocessing for processor in (made, loaded)
    }
    assert texts == {scorer.preprocessing}
    view, digest = scorer.preprocessing.rsplit(", ", 1)
    assert view == "rgb, squash 32x32"
    assert len(digest) == 12 and int(digest, 16) >= 0


@pytest.mark.parametrize(
    "fields",
    [
        {"modality": "gray"},
        {"view": "crop"},
        {"size": {"height": 32, "width": 48}},
        {"resample": 3},
        {"image_mean": [0.5, 0.5, 0.5]},
        {"crop_fraction": 0.9},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_preprocessing_tells_processors_apart(scorer, fields):
    all_fields: dict[str, Any] = {"size": {"height": 32, "width": 32}, **fields}
    processor = ModalityImageProcessor(**all_fields)
    other = AestheticScorer(scorer.model, processor, name="x", device="cpu")
    assert other.preprocessing != scorer.preprocessing


# --- checkpoints that are refused ---


def test_weights_that_do_not_fit_are_named(checkpoint_copy):
    weights = load_file(checkpoint_copy / "model.safetensors")
    weights["stray.weight"] = torch.zeros(2)
    weights["score_head.dense.bias"] = torch.zeros(7)
    del weights["score_head.dense.weight"]
    save_file(weights, checkpoint_copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError,
        match=r"1 missing \(score_head.dense.weight\), 1 unexpected \(stray.weight\), "
        r"1 of another shape \(score_head.dense.bias\)",
    ):
        AestheticScorer.from_pretrained(checkpoint_copy)


def test_a_model_that_does_not_score_is_refused(tmp_path):
    config = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 8], embedding_size=8)
    model = ResNetForImageClassification(config)
    model.save_pretrained(tmp_path / "classifier")
    with pytest.raises(ValueError, match="Expected a scorer.*classifier', which is a 'resnet'"):
        AestheticScorer.from_pretrained(tmp_path / "classifier")
    with pytest.raises(ValueError, match="'mine', which is a 'resnet'"):
        AestheticScorer(model, ModalityImageProcessor(), name="mine")


def spoil_config(folder):
    (folder / "config.json").write_text("{")


def spoil_scale(folder):
    edit_json(folder / "config.json", max_score=0)


def rename_model_type(folder):
    edit_json(folder / "config.json", model_type="aurora", auto_map={})


def remove_config(folder):
    (folder / "config.json").unlink()


def remove_processor(folder):
    (folder / "preprocessor_config.json").unlink()


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_config, "not a valid JSON"),
        (spoil_scale, "`max_score` must exceed `min_score` = 1.0, got 0"),
        (rename_model_type, "aurora"),
        (remove_config, "config.json"),
        (remove_processor, "preprocessor_config.json"),
        (remove_weights, "model.safetensors"),
        (cut_weights, "safetensors|deserializing"),
    ],
)
def test_a_damaged_checkpoint_is_one_line(checkpoint_copy, spoil, reason):
    spoil(checkpoint_copy)
    with pytest.raises(OSError, match=reason) as caught:
        AestheticScorer.from_pretrained(checkpoint_copy)
    assert str(checkpoint_copy) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("checkpoint", ["no/such/folder", "/no/such/folder", "nobody/nothing", "not a name"])
def test_an_unknown_checkpoint_is_one_line(checkpoint):
    with pytest.raises(OSError, match=f"must be a folder or a repository on the Hub, got '{checkpoint}'") as caught:
        AestheticScorer.from_pretrained(checkpoint)
    assert "\n" not in str(caught.value)


def test_a_folder_has_no_revisions(tiny_checkpoint):
    with pytest.raises(ValueError, match="got 'v1.0' for the folder"):
        AestheticScorer.from_pretrained(tiny_checkpoint, revision="v1.0")


@pytest.mark.parametrize("device", ["tpu9", "cuda:77"])
def test_a_device_that_is_not_there_is_one_line(tiny_checkpoint, device):
    with pytest.raises(ValueError, match=f"`device` must be .*got '{device}'") as caught:
        AestheticScorer.from_pretrained(tiny_checkpoint, device=device)
    assert "\n" not in str(caught.value)


def test_code_of_strangers_runs_only_when_trusted(scorer, checkpoint_copy, photos):
    """A model type that this package has never heard of, with its code in the folder."""
    configuration = checkpoint_copy / "configuration_nima.py"
    configuration.write_text(configuration.read_text().replace('model_type = "nima"', 'model_type = "aurora"'))
    edit_json(checkpoint_copy / "config.json", model_type="aurora")
    with pytest.raises(OSError, match="trust_remote_code=True"):
        AestheticScorer.from_pretrained(checkpoint_copy, device="cpu")
    stranger = AestheticScorer.from_pretrained(checkpoint_copy, device="cpu", trust_remote_code=True)
    assert not isinstance(stranger.model, NimaForAestheticAssessment)
    assert stranger.score(photos) == scorer.score(photos)


# --- streams of files ---


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "0 bytes"),
        ("renamed.png", b"To be, or not to be", "To be, or not to"),
        ("cut.jpg", None, "cut short"),
        ("gone.jpg", ..., "there is no such file"),
    ],
)
def test_a_bad_file_is_a_row_with_its_reason(scorer, photos, tmp_path, name, content, reason):
    bad = tmp_path / name
    if content is None:
        bad.write_bytes(photos[0].read_bytes()[:-300])
    elif content is not ...:
        bad.write_bytes(content)
    rows = list(score_pictures(scorer, [*photos[:2], bad, *photos[2:]], batch_size=3))
    assert [row.path for row in rows] == [str(path) for path in [*photos[:2], bad, *photos[2:]]]
    row = rows.pop(2)
    assert row.error and reason in row.error and "\n" not in row.error
    with pytest.raises(ImageReadError, match=re.escape(row.error)):
        read_image(bad)
    assert row.score is row.score_std is row.percentile is None
    assert row.distribution == dict.fromkeys(RATINGS)
    assert (row.scorer, row.preprocessing) == (scorer.id, scorer.preprocessing)
    np.testing.assert_allclose(scores_of(rows), scores_of(score_pictures(scorer, photos)), atol=1e-5)
    assert not any(row.error for row in rows)


def test_any_failure_of_one_picture_is_its_row(scorer, photos):
    """A path that the operating system refuses, and one that is a folder."""
    rows = list(score_pictures(scorer, [photos[0], "a\0b.jpg", photos[0].parent, photos[1]]))
    assert [row.error is None for row in rows] == [True, False, False, True]


def test_only_bad_files_give_only_rows(scorer):
    rows = list(score_pictures(scorer, ["a.jpg", "b.jpg", "c.jpg"], batch_size=2))
    assert [row.path for row in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    assert all(row.error for row in rows)


def test_no_files_give_no_rows(scorer):
    assert list(score_pictures(scorer, [])) == []


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_scores_do_not_depend_on_batches_or_workers(scorer, photos, batch_size):
    paths = [path for path in photos for _ in range(9)]
    paths.insert(7, Path("gone.jpg"))
    alone = np.array([np.nan if str(path) == "gone.jpg" else scorer.score([path])[0]["score"] for path in paths])
    one, two, seven = (
        list(score_pictures(scorer, paths, batch_size=batch_size, num_workers=num_workers))
        for num_workers in (1, 2, 7)
    )
    np.testing.assert_allclose(scores_of(one), alone, atol=1e-5)
    assert one == two == seven, "the number of threads changed a row"


def test_order_is_kept_and_twins_agree(scorer, photos):
    paths = [*photos, *reversed(photos)] * 5
    rows = list(score_pictures(scorer, paths, batch_size=len(photos), num_workers=4))
    assert [row.path for row in rows] == [str(path) for path in paths]
    by_path = {path: {row.score or 0 for row in rows if row.path == str(path)} for path in photos}
    assert all(max(scores) - min(scores) <= 1e-5 for scores in by_path.values())
    assert len({max(scores) for scores in by_path.values()}) == len(photos), "different pictures score alike"


def test_a_function_is_asked_for_its_picture_and_may_fail(scorer, photos):
    asked = [partial(read_image, photos[0]), partial(read_image, photos[1], max_pixels=10)]
    good, bad = score_pictures(scorer, asked)
    assert good.score == scorer.score([photos[0]])[0]["score"]
    assert bad.score is None and "at most 10 pixels" in bad.error


def test_a_stream_without_end_is_read_only_a_few_batches_ahead(scorer, photos):
    drawn = 0

    def endless():
        nonlocal drawn
        for path in itertools.cycle(photos):
            drawn += 1
            yield path

    threads = threading.active_count()
    rows = score_pictures(scorer, endless(), batch_size=4, num_workers=3)
    assert drawn == 0, "nothing happens before the first row is asked for"
    for num_rows in range(1, 41):
        next(rows)
        assert drawn <= num_rows + 4 * 4
    assert isinstance(rows, Generator)
    rows.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize("argument", ["batch_size", "num_workers"])
def test_sizes_below_one_are_refused_at_once(scorer, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be at least 1, got 0"):
        score_pictures(scorer, [], **{argument: 0})


def test_a_model_of_nan_scores_nothing(tiny_nima_config, photos):
    model = NimaForAestheticAssessment(tiny_nima_config)
    torch.nn.init.constant_(model.score_head.dense.bias, float("nan"))
    scorer = AestheticScorer(model, ModalityImageProcessor(), name="diverged", device="cpu")
    rows = list(score_pictures(scorer, photos))
    assert all(row.score is None and "no finite score" in (row.error or "") for row in rows)


def test_a_notice_reaches_every_row(tiny_nima_config, photos):
    tiny_nima_config.notice = "trained on rendered scenes"
    model = NimaForAestheticAssessment(tiny_nima_config)
    scorer = AestheticScorer(model, ModalityImageProcessor(), name="demo", device="cpu")
    assert {row.notice for row in score_pictures(scorer, [*photos, "gone.jpg"])} == {"trained on rendered scenes"}


def test_other_scales_name_their_own_ratings(photos):
    backbone = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 8], "embedding_size": 8}
    scale: dict[str, Any] = {"min_score": 1, "max_score": 3, "num_labels": 5}
    config = NimaConfig(backbone_config=backbone, **scale)
    scorer = AestheticScorer(NimaForAestheticAssessment(config), ModalityImageProcessor(), name="halves", device="cpu")
    for row in score_pictures(scorer, [photos[0], "gone.jpg"]):
        assert list(row.distribution) == ["1", "1.5", "2", "2.5", "3"]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_can_be_scored_and_written(scorer, photos, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        shutil.copy(photos[1], path)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    [row] = score_pictures(scorer, [path])
    assert row.error is None
    assert row.path == f"{tmp_path}/caf\\udce9.png"
    write_scores([row], tmp_path / "scores.csv")


# --- tables ---


def expected_columns(row: PictureScore) -> dict:
    return {
        "path": row.path,
        "score": row.score,
        "score_std": row.score_std,
        "percentile": row.percentile,
        **{f"p_{rating}": row.distribution[rating] for rating in RATINGS},
        "error": row.error,
        "scorer": row.scorer,
        "preprocessing": row.preprocessing,
        **({"notice": row.notice} if row.notice else {}),
    }


def read_csv(path: Path) -> list[dict]:
    texts = {"path", "error", "scorer", "preprocessing", "notice"}
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: (cell if name in texts else float(cell)) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def read_jsonl(path: Path) -> list[dict]:
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        shares = {f"p_{rating}": share for rating, share in fields.pop("distribution").items()}
        items = list(fields.items())
        rows.append(dict(items[:4]) | shares | dict(items[4:]))
    return rows


def read_parquet(path: Path) -> list[dict]:
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()


READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}


@pytest.fixture
def rows(scorer, photos, tmp_path) -> list[PictureScore]:
    """The first has no score, and one has a name that tables like to break."""
    odd = tmp_path / 'said "no, never"\n.png'
    shutil.copy(photos[1], odd)
    return list(score_pictures(scorer, ["gone.jpg", *photos, odd]))


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("notice", [None, "trained on rendered scenes"])
def test_tables_read_back_equal(rows, tmp_path, suffix, notice):
    rows = [PictureScore(**{name: getattr(row, name) for name in row.__slots__} | {"notice": notice}) for row in rows]
    write_scores(iter(rows), tmp_path / f"scores{suffix}")
    found = READERS[suffix](tmp_path / f"scores{suffix}")
    assert found == [expected_columns(row) for row in rows]
    assert list(found[0]) == list(expected_columns(rows[0]))


def test_long_parquet_tables_are_written_in_groups(rows, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_scores(itertools.islice(itertools.cycle(rows), 10_000), tmp_path / "scores.parquet")
    file = parquet.ParquetFile(tmp_path / "scores.parquet")
    assert file.metadata.num_rows == 10_000 and file.num_row_groups > 1
    assert file.read(["path"])["path"].to_pylist()[-1] == rows[(10_000 - 1) % len(rows)].path


@pytest.mark.parametrize("suffix", READERS)
def test_a_table_appears_only_when_it_is_complete(rows, tmp_path, suffix):
    destination = tmp_path / "out" / f"scores{suffix}"
    destination.parent.mkdir()
    destination.write_text("of yesterday")

    def interrupted():
        yield from rows
        assert destination.read_text() == "of yesterday"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scores(interrupted(), destination)
    assert destination.read_text() == "of yesterday"
    assert os.listdir(destination.parent) == [destination.name], "something was left behind"
    write_scores(rows, destination)
    assert len(READERS[suffix](destination)) == len(rows)
    assert os.listdir(destination.parent) == [destination.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_killed_run_leaves_no_table(rows, tmp_path):
    destination = tmp_path / "out" / "scores.csv"
    destination.parent.mkdir()

    def fatal():
        yield from rows
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        write_scores(fatal(), destination)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not destination.exists()


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("scores.xlsx", ValueError, r"\.csv, \.jsonl or \.parquet, got '.*scores\.xlsx'"),
        ("scores", ValueError, r"got '.*scores'"),
        ("nowhere/scores.csv", OSError, "Create the folder '.*nowhere'"),
        ("folder.csv", OSError, "got the folder '.*folder.csv'"),
    ],
)
def test_a_bad_destination_is_refused_before_anything_is_scored(tmp_path, name, error, reason):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=reason):
        check_destination(tmp_path / name)
    rows: Iterator[Any] = iter([object()])
    with pytest.raises(error, match=reason):
        write_scores(rows, tmp_path / name)
    assert next(rows, None) is not None, "a row was scored in vain"


def test_a_table_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one row for '.*scores.csv'"):
        write_scores([], tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()
