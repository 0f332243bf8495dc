"""What series buy, measured on thirty pictures; that heads learn what is planted."""

import json

import numpy as np
import pytest
from scipy.special import expit
from tiny import rated_pictures


def test_edits_are_measured_and_go_on_where_they_were_stopped(run, folder, capsys):
    flags = ["--dataset", "folder", "--data_dir", "pictures", "--backbone", "backbone", "--freeze_stages", "1"]
    flags += ["--linear_probe", "--num_train_epochs", "1", "--use_cpu", "--disable_tqdm", "1", "--weights", "0.1", "1"]
    flags += ["--num_resamples", "20", "--output_dir", "edits"]
    run(folder, "measure_series", "edits", *flags, "--seeds", "0")
    runs = {file: file.stat().st_mtime_ns for file in (folder / "edits").glob("*-0.json")}
    assert len(runs) == 3
    run(folder, "measure_series", "edits", *flags, "--seeds", "0", "1")
    assert all(file.stat().st_mtime_ns == at for file, at in runs.items())
    figures = json.loads((folder / "edits" / "figures.json").read_text())
    rows = {row["name"]: row for row in figures["rows"]}
    assert figures["weight"] in (0.1, 1) and rows["blur"]["num_pairs"] == 18 and rows["all"]["num_pairs"] == 72
    for row in rows.values():
        assert row["difference"] == pytest.approx(row["in_turn"] - row["ratings"])
        assert row["difference"] == pytest.approx(np.mean(row["by_seed"]))
    accuracies = [rows[kind]["in_turn"] for kind in ("blur", "exposure", "tilt", "crop")]
    assert rows["all"]["in_turn"] == pytest.approx(np.mean(accuracies))
    assert "| all | " in capsys.readouterr().out


def test_the_weight_that_costs_too_much_is_not_taken(run, tmp_path):
    import measure_series

    tried = {
        weight: {"validation_srcc": srcc, "validation_pair_accuracy": accuracy}
        for weight, srcc, accuracy in ((0.1, 0.70, 0.6), (0.3, 0.685, 0.8), (1.0, 0.5, 0.95))
    }
    assert measure_series.choose_weight({"validation_srcc": 0.7}, tried) == 0.3
    assert measure_series.choose_weight({"validation_srcc": 0.9}, tried) == 0.1


def test_choices_teach_both_heads_what_is_planted(run, tmp_path):
    import measure_series

    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 8))
    strength = features @ np.linspace(-3, 3, 8)
    pairs = np.array([pair for pair in np.ndindex(60, 60) if pair[0] < pair[1]])
    first = generator.random(len(pairs)) < expit(strength[pairs[:, 0]] - strength[pairs[:, 1]])
    wins = np.stack([first, ~first], axis=1).astype(float)
    by_shares, by_choices, num_pairs = measure_series.compare_heads(features, pairs, wins, seed=0)
    assert min(by_shares, by_choices) > 0.8 and num_pairs == 36 * 35 / 2
    weights = measure_series.fit_choices(features, pairs, wins, strength=1e-3)
    np.testing.assert_allclose(weights, np.linspace(-3, 3, 8), atol=0.5)


def test_choices_between_pictures_are_measured(run, folder):
    pictures = rated_pictures(30, seed=5)
    light = [np.asarray(picture).mean() for picture in pictures["image"]]
    lines = ["image_a,image_b,wins_a,wins_b"]
    for a, b in np.ndindex(30, 30):
        if a < b:
            lines.append(f"{a}.png,{b}.png,{int(light[a] > light[b])},{int(light[a] < light[b])}")
    (folder / "pictures" / "pairs.csv").write_text("\n".join(lines))
    run(folder, "measure_series", "choices", "--data_dir", "pictures", "--models", "backbone", "--num_splits", "4",
        "--train_shares", "1", "--output_dir", "choices")  # fmt: skip
    figures = json.loads((folder / "choices" / "figures.json").read_text())
    found = figures["models"]["backbone"]["1"]
    assert min(found["pairs"]["mean"], found["pointwise"]["mean"]) > 0.8
    assert figures["ceiling"]["one_number_a_picture"] > 0.9
