"""Cross-validation and ablation as programs, at a size that takes seconds."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats


RECIPE = [
    *("--dataset", "folder", "--data_dir", "pictures", "--backbone", "backbone", "--num_train_epochs", "2"),
    *("--learning_rate", "3e-3", "--head_learning_rate", "1e-2", "--per_device_train_batch_size", "8"),
    *("--use_cpu", "--disable_tqdm", "1", "--fold_seeds", "0", "1", "--num_resamples", "100"),
]


CV = [*RECIPE, "--freeze_stages", "1", "--num_folds", "3", "--output_dir", "cv"]


@pytest.fixture(scope="module")
def validated(folder, run):
    run(folder, "cross_validate", *CV)
    return folder / "cv"


def test_every_picture_is_predicted_once_in_every_folding(validated):
    table = pq.read_table(validated / "predictions.parquet").to_pydict()
    for seed in (0, 1):
        ids = [image_id for image_id, s in zip(table["image_id"], table["seed"], strict=True) if s == seed]
        assert len(ids) == len(set(ids)) == 30
    np.testing.assert_allclose(np.sum(table["distribution"], axis=1), 1, atol=1e-6)
    assert np.std(table["distribution"], axis=0).min() > 0


def test_figures_follow_from_the_predictions(validated):
    figures = json.loads((validated / "figures.json").read_text())
    table = pq.read_table(validated / "predictions.parquet").to_pandas()
    by_folding = []
    for _, rows in table.groupby("seed"):
        predicted, truth = (np.stack(list(rows[name])) @ np.arange(5) for name in ("distribution", "vote_shares"))
        by_folding.append(stats.spearmanr(predicted.round(9), truth.round(9)).statistic)
    assert figures["srcc"]["by_folding"] == pytest.approx(by_folding, abs=1e-6)


def test_a_finished_fold_is_not_trained_again(validated, folder, run, capsys):
    files = sorted(validated.glob("seed*.parquet"))
    before = {file.name: (file.stat().st_mtime_ns, pq.read_table(file)) for file in files}
    assert len(files) == 6
    files[4].unlink()
    run(folder, "cross_validate", *CV)
    assert "srcc of the inner validation parts" in capsys.readouterr().out
    changed = {file.name for file in files if file.stat().st_mtime_ns != before[file.name][0]}
    assert changed == {files[4].name}
    assert pq.read_table(files[4]).equals(before[files[4].name][1])  # the same training, bit by bit
    assert not list(validated.glob(".*")) and not (validated / "run").exists()


def test_folds_of_another_recipe_are_not_mixed_in(validated, folder, run, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(folder, "cross_validate", *CV, "--freeze_stages", "0")
    assert "cv holds runs of a recipe with freeze_stages=1, got 0. Choose another" in capsys.readouterr().err


def test_transfer_compares_every_cell_with_random_weights(folder, run, capsys):
    flags = ["--shares", "0.5", "1", "--depths", "2", "--random_epochs", "1", "--fold_seeds", "0"]
    run(folder, "ablate", "transfer", *RECIPE, *flags, "--output_dir", "transfer")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| random", "| pretrained"))]
    cells = ["random-0.5", "pretrained-2-0.5", "random-1", "pretrained-2-1"]
    assert [row.split("|")[1].strip() for row in rows[-4:]] == cells
    for cell in cells:
        table = pq.read_table(folder / "transfer" / cell / "predictions.parquet").to_pydict()
        assert set(table["image_id"]) == {f"{index}.png" for index in range(24, 30)}
        figures = json.loads((folder / "transfer" / cell / "figures.json").read_text())
        share = cell.rpartition("-")[2]
        assert list(figures["ahead_of"]) == ([] if cell.startswith("random") else [f"transfer/random-{share}"])


def test_the_loss_is_judged_on_scenes_whose_raters_part_over_a_cause(tmp_path, folder, run):
    flags = ["--num_pictures", "20", "--disagreement_cause", "focus", "--backbone", str(folder / "backbone")]
    run(tmp_path, "ablate", "spread", *RECIPE, *flags, "--fold_seeds", "3", "--output_dir", "spread")
    for cell, weight in (("emd", 0.0), ("emd-mean-std", 1.0)):
        recipe = json.loads((tmp_path / "spread" / cell / "recipe.json").read_text())
        assert recipe["collection"] == "rendered scenes, contested by focus"
        assert recipe["mean_loss_weight"] == recipe["std_loss_weight"] == weight
    predictions = pq.read_table(tmp_path / "spread" / "emd" / "predictions.parquet")
    assert len(predictions) == 4 and set(predictions["seed"].to_pylist()) == {3}
