"""The ablation of series, on a few of them."""

import json

import pytest


FLAGS = ["--seeds", "0", "1", "--num_series", "2", "--num_test_series", "3", "--num_train_epochs", "1"]


def test_an_ablation_goes_on_where_it_was_stopped(run, tmp_path, capsys):
    run(tmp_path, "ablate_series", "--output_dir", "series", "--arms", "whole", *FLAGS[:2], *FLAGS[3:])
    file = tmp_path / "series" / "whole-0.json"
    assert json.loads(file.read_text())["steps"] == 1
    file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), 0.25)))
    run(tmp_path, "ablate_series", "--output_dir", "series", "--arms", "whole", *FLAGS)
    printed = capsys.readouterr().out
    table = (tmp_path / "series" / "table.md").read_text()
    assert table.strip() in printed and len(table.splitlines()) == 3
    arm, seeds, accuracy, *_ = (cell.strip() for cell in table.splitlines()[2].strip("|").split("|"))
    other = json.loads((tmp_path / "series" / "whole-1.json").read_text())["pair_accuracy"]
    assert (arm, seeds) == ("whole", "2")
    assert float(accuracy.split(" [")[0]) == pytest.approx((0.25 + other) / 2, abs=6e-4)
