"""A whole competition: tables of scores in, comparisons out, answers of an oracle in, the known order out."""

import csv
import re

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet


@pytest.fixture
def corpus(tmp_path) -> np.ndarray:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 1500)
    paths = [f"{number}.jpg" for number in range(len(truth))]
    for name, sigma in {"sharp": 0.3, "middling": 1.0, "dull": 2.5}.items():
        scores = truth + rng.normal(0, sigma, len(truth))
        parquet.write_table(pyarrow.table({"path": paths, "score": scores}), tmp_path / f"{name}.parquet")
    return truth


def select(run, folder):
    scorers = [f"{name}={name}.parquet" for name in ("dull", "sharp", "middling")]
    run(folder, "compete", "select", "--scorers", *scorers, "--output_dir", "round")
    with (folder / "round" / "comparisons.csv").open() as file:
        return list(csv.DictReader(file))


def answer(folder, comparisons, truth, num_annotators: int, noise: float) -> None:
    rng = np.random.default_rng(1)
    lines = ["comparison,annotator,preference"]
    for person in range(num_annotators):
        for row in comparisons:
            a, b = (truth[int(row[side].removesuffix(".jpg"))] for side in ("image_a", "image_b"))
            preference = 100 * np.tanh(a - b + rng.normal(0, noise))
            lines.append(f"{row['comparison']},p{person},{preference:.0f}")
    (folder / "answers.csv").write_text("\n".join(lines) + "\n")


def ranking(said: str) -> list[str]:
    return re.findall(r"^\| (\w+) \| -?\d", said, re.M)


def test_an_oracle_recovers_the_order_blindly(run, tmp_path, corpus, capsys):
    comparisons = select(run, tmp_path)
    text = (tmp_path / "round" / "comparisons.csv").read_text()
    assert not re.search("sharp|dull|middling", text)
    answer(tmp_path, comparisons, corpus, 1, 0.0)
    run(tmp_path, "compete", "rank", "--output_dir", "round", "--answers", "answers.csv")
    said = capsys.readouterr().out
    assert ranking(said) == ["sharp", "middling", "dull"]
    number = len(comparisons)
    assert f"{number} of {number} comparisons, 1 annotators, 0 left out" in said and "[" not in said


def test_several_people_give_intervals_and_half_of_the_answers_will_do(run, tmp_path, corpus, capsys):
    comparisons = select(run, tmp_path)
    answer(tmp_path, comparisons[::2], corpus, 6, 0.7)
    run(tmp_path, "compete", "rank", "--output_dir", "round", "--answers", "answers.csv", "--num_resamples", "50")
    said = capsys.readouterr().out
    assert ranking(said) == ["sharp", "middling", "dull"] and said.count("[") == 6


def test_what_is_wrong_is_one_line(run, tmp_path, corpus, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "compete", "select", "--scorers", "sharp.parquet", "--output_dir", "round")
    assert "--scorers must be NAME=TABLE" in capsys.readouterr().err
    select(run, tmp_path)
    (tmp_path / "answers.csv").write_text("comparison,annotator,preference\n0,p,150\n")
    with pytest.raises(SystemExit):
        run(tmp_path, "compete", "rank", "--output_dir", "round", "--answers", "answers.csv")
    assert "`preference` must be a number from -100 to 100, got '150'" in capsys.readouterr().err
