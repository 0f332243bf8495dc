"""Choices of a simulated panel in, ranked series and an honest ceiling out."""

import csv
import itertools
import re

import numpy as np
import pytest


def write_choices(path, strengths, num_people: int, seed: int = 0) -> np.ndarray:
    """A table of choices drawn from strengths; returns how likely the first of each pair is chosen."""
    first, second = np.array(list(itertools.combinations(range(len(strengths)), 2))).T
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    won = np.random.default_rng(seed).binomial(num_people, chance)
    lines = [f"p{a},p{b},{w},{num_people - w}" for a, b, w in zip(first, second, won, strict=True)]
    path.write_text("\n".join(["image_a,image_b,wins_a,wins_b", *lines]) + "\n")
    return chance


def test_ranks_and_ceiling_of_a_simulated_panel(run, tmp_path, capsys):
    strengths = np.random.default_rng(1).normal(0, 1, 30)
    chance = write_choices(tmp_path / "choices.csv", strengths, num_people=4)
    run(tmp_path, "calibrate_ranks", "choices.csv", "--output_dir", "out", "--min_margin", "0.05")
    said = capsys.readouterr().out
    low, high = map(float, re.search(r"best guess foresees (\S+) to (\S+) of choices", said).groups())
    best = np.maximum(chance, 1 - chance).mean()
    assert low - 0.02 < best < high + 0.02
    assert best - 0.04 < float(re.search(r"other choices, foresees (\S+)", said)[1]) < best + 0.04
    with (tmp_path / "out" / "series.csv").open() as file:
        found = {row["file_name"]: float(row["strength"]) for row in csv.DictReader(file)}
    assert np.corrcoef([found[f"p{number}"] for number in range(30)], strengths)[0, 1] > 0.9
    assert re.match(r"30 pictures of 1 series, \d+ clear pairs\n\d+ unclear ones dropped, 0 series left out", said)


def test_what_is_wrong_is_one_line(run, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("image_a,image_b\na,b\n")
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, "calibrate_ranks", "bad.csv", "--output_dir", "out")
    assert stopped.value.code == 2
    assert "with either wins_a and wins_b or preference" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
