"""Tables as the score command writes them, in parts of several sizes, read as one corpus."""

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from scipy.stats import spearmanr

from hf_aesthetics.competition import open_corpus, score_tables, select_attacks
from hf_aesthetics.scoring import PictureScore, write_scores


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
