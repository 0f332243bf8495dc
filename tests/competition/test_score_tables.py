"""Tables as the score command writes them, in parts of several sizes, read as one corpus."""

import io
import os
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from scipy.stats import spearmanr

from hf_aesthetics import ModalityImageProcessor, NimaForAestheticAssessment
from hf_aesthetics.competition import open_corpus, score_tables, select_attacks
from hf_aesthetics.scoring import PictureScore, ScorerSpec, read_scores, score_collection, write_scores
from hf_aesthetics.sources import units


def write_parts(folder, paths, scores, sizes, name="score"):
    folder.mkdir()
    start = 0
    for number, size in enumerate(sizes):
        rows = {"path": paths[start : start + size], name: scores[start : start + size]}
        parquet.write_table(pyarrow.table(rows), folder / f"part-{number:05d}.parquet")
        start += size
    assert start == len(paths)
    return folder


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(score_tables, "_ROWS", 32)  # so that a hundred rows come in pieces
    rng = np.random.default_rng(0)
    paths = [f"trip/ü{number}.jpg" for number in range(100)]
    scores = {"a": rng.normal(size=100).tolist(), "b": rng.normal(size=100).tolist()}
    scores["a"][10], scores["b"][11] = None, float("nan")
    folders = {
        "a": write_parts(tmp_path / "a", paths, scores["a"], [40, 60]),
        "b": write_parts(tmp_path / "b", paths, scores["b"], [7, 33, 60]),
    }
    return folders, paths, scores, tmp_path


def test_ranks_are_those_of_the_scores_wherever_files_end(corpus):
    folders, paths, scores, tmp_path = corpus
    opened = open_corpus(folders, tmp_path / "work")
    assert len(opened) == 100
    known = [number for number in range(100) if number not in (10, 11)]
    for name, values in opened.percentiles.items():
        assert np.flatnonzero(np.isnan(values)).tolist() == [10, 11]  # who lacks one score takes no part at all
        own = np.array([scores[name][number] for number in known])
        assert spearmanr(values[known], own).statistic == pytest.approx(1)
        assert (values[known].min(), values[known].max()) == (0, 100)
    assert opened.paths([99, 0, 41, 0]) == [paths[99], paths[0], paths[41], paths[0]]
    assert select_attacks(opened.percentiles)


def test_an_opened_corpus_is_not_ranked_again_until_a_table_changes(corpus):
    folders, paths, scores, tmp_path = corpus
    open_corpus(folders, tmp_path / "work")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    open_corpus(folders, tmp_path / "work")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == before
    parquet.write_table(pyarrow.table({"path": paths[:40], "score": [1.0] * 40}), folders["a"] / "part-00000.parquet")
    changed = open_corpus(folders, tmp_path / "work").percentiles["a"]
    assert len(set(changed[:10])) == 1


def test_a_table_of_the_score_command_is_read(tmp_path):
    about = {"score_std": None, "percentile": None, "distribution": {}, "scorer": "a@b", "preprocessing": "rgb"}
    for name in ("a", "b"):
        rows = [
            PictureScore(
                path=f"{n}.jpg", score=None if n == 2 else float(n), error="torn" if n == 2 else None, **about
            )
            for n in range(5)
        ]
        write_scores(rows, tmp_path / f"{name}.parquet")
    opened = open_corpus({name: tmp_path / f"{name}.parquet" for name in ("a", "b")}, tmp_path / "work")
    np.testing.assert_allclose(opened.percentiles["a"], [0, 100 / 3, np.nan, 200 / 3, 100], rtol=1e-6)


@pytest.fixture(scope="module")
def other_checkpoint(tiny_checkpoint, tmp_path_factory):
    """The tiny scorer with another head."""
    model = NimaForAestheticAssessment.from_pretrained(tiny_checkpoint)
    torch.nn.init.normal_(model.score_head.dense.weight, std=2.0, generator=torch.Generator().manual_seed(7))
    folder = tmp_path_factory.mktemp("other") / "nima-other"
    model.save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_folders_of_two_jobs_over_the_same_sources_are_one_corpus(tiny_checkpoint, other_checkpoint, tmp_path):
    sources, rng = tmp_path / "photos", np.random.default_rng(0)
    for name in ("loose", "shards"):
        (sources / name).mkdir(parents=True)
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(sources / f"loose/{number}.png")
    (sources / "loose" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for shard in range(4):  # units of their own, whose keys are in another order than they
        pictures = [rng.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(3)]
        contents = [io.BytesIO() for _ in pictures]
        for pixels, content in zip(pictures, contents, strict=True):
            Image.fromarray(pixels).save(content, "PNG")
        rows = [{"bytes": content.getvalue(), "path": None} for content in contents]
        parquet.write_table(pyarrow.table({"image": rows}), sources / "shards" / f"{shard}.parquet")

    hidden = sources / "loose" / "3.png"
    content, times = hidden.read_bytes(), hidden.stat()
    hidden.write_bytes(bytes(len(content)))  # a fault that passes, and of which one of the jobs alone knows
    os.utime(hidden, ns=(times.st_atime_ns, times.st_mtime_ns))
    list_units, tables = partial(units, [sources]), {}
    for name, checkpoint in {"a": tiny_checkpoint, "b": other_checkpoint}.items():
        report = score_collection(list_units, ScorerSpec(str(checkpoint), device="cpu"), tmp_path / name)
        tables[name] = [row for table in report.tables or () for row in read_scores(table)]
        hidden.write_bytes(content)
        os.utime(hidden, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [row.path for row in tables["a"]] == [row.path for row in tables["b"]]

    folders = {name: tmp_path / name for name in tables}
    opened = open_corpus(folders, tmp_path / "work")
    paths = opened.paths(range(len(opened)))
    assert sorted(paths) == sorted(row.path for row in tables["a"]) and len(paths) == 18
    without = {path for path, ranked in zip(paths, opened.percentiles["a"], strict=True) if np.isnan(ranked)}
    assert {Path(path).name for path in without} == {"torn.jpg", "3.png"}
    for name, rows in tables.items():
        score = {row.path: row.score for row in rows}
        known = [at for at, path in enumerate(paths) if path not in without]
        own = [score[paths[at]] for at in known]
        assert spearmanr(opened.percentiles[name][known], own).statistic == pytest.approx(1)

    score_collection(list_units, ScorerSpec(str(tiny_checkpoint), device="cpu"), folders["a"], retry_failures=True)
    again = open_corpus(folders, tmp_path / "work")
    assert np.isnan(again.percentiles["a"]).sum() == 1 and again.paths(range(18)) == paths


def test_what_is_not_one_corpus_is_told(corpus):
    folders, paths, scores, tmp_path = corpus
    turned = write_parts(tmp_path / "c", [*paths[:70], *paths[:69:-1]], scores["a"], [100])
    with pytest.raises(ValueError, match=r"'a' \(100 rows\) and 'c' \(100 rows\) part after row 64"):
        open_corpus({"a": folders["a"], "c": turned}, tmp_path / "work")
    short = write_parts(tmp_path / "d", paths[:96], scores["a"][:96], [96])
    with pytest.raises(ValueError, match=r"'d' \(96 rows\) part after row 96"):
        open_corpus({"a": folders["a"], "d": short}, tmp_path / "work")
    with pytest.raises(ValueError, match="expected columns path and score, found .* without score"):
        open_corpus({"a": folders["a"], "e": write_parts(tmp_path / "e", paths, scores["a"], [100], "x")}, tmp_path)
    with pytest.raises(FileNotFoundError, match="part-.*parquet, in .*gone"):
        open_corpus({"a": folders["a"], "f": tmp_path / "gone"}, tmp_path)
    with pytest.raises(ValueError, match="at least 2 scorers, got 1"):
        open_corpus({"a": folders["a"]}, tmp_path)
