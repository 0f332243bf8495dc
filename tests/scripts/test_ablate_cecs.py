"""The ablation of CECS, on a few pictures."""

import json

import pytest


METRICS = ("accuracy", "recall_at_1", "covered_accuracy", "covered_recall_at_1", "unknown_recall_at_1")
FLAGS = ["--num_pictures", "2", "--num_test_pictures", "2", "--num_train_epochs", "1", "--output_dir", "cecs"]


def test_arms_are_compared_seed_by_seed_and_an_ablation_goes_on(run, tmp_path, capsys):
    (tmp_path / "cecs").mkdir()
    for name, value in {"plain-0": 0.25, "plain-1": 0.5, "cecs-0": 0.75}.items():
        (tmp_path / "cecs" / f"{name}.json").write_text(json.dumps(dict.fromkeys(METRICS, value)))
    run(tmp_path, "ablate_cecs", "--arms", "plain", "cecs", "--seeds", "0", "1", *FLAGS)
    trained = json.loads((tmp_path / "cecs" / "cecs-1.json").read_text())
    assert tuple(trained) == METRICS and all(0 <= value <= 1 for value in trained.values())
    table = (tmp_path / "cecs" / "table.md").read_text()
    assert table.strip() in capsys.readouterr().out
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in table.splitlines()}
    for column, name in enumerate(METRICS, start=1):
        mean = (0.75 + trained[name]) / 2
        assert float(rows["cecs"][column].split("[")[0]) == pytest.approx(mean, abs=6e-4)
        assert float(rows["cecs - plain"][column].split("[")[0]) == pytest.approx(mean - 0.375, abs=6e-4)
    assert rows["cecs - plain"][0].strip() == "2" and "plain - plain" not in rows
