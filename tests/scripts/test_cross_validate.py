"""Cross-validation and ablation as programs, at a size that takes seconds."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from tiny import TINY_RESNET, rated_pictures
from transformers import ResNetConfig, ResNetModel

from hf_aesthetics import ModalityImageProcessor


SCRIPTS = Path(__file__).parents[2] / "scripts"
RECIPE = [
    *("--dataset", "folder", "--data_dir", "pictures", "--backbone", "backbone", "--num_train_epochs", "2"),
    *("--learning_rate", "3e-3", "--head_learning_rate", "1e-2", "--per_device_train_batch_size", "8"),
    *("--use_cpu", "--disable_tqdm", "1", "--fold_seeds", "0", "1"),
]


CV = [*RECIPE, "--freeze_stages", "1", "--num_folds", "3", "--output_dir", "cv"]


@pytest.fixture(scope="module")
def run():
    """Runs a program in a folder, in this process, which has imported everything already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)

        def run(folder: Path, script: str, *flags: str) -> None:
            patch.chdir(folder)
            importlib.import_module(script).main([*flags])

        yield run
        for script in ("ablate", "cross_validate"):
            sys.modules.pop(script, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty pictures rated by their brightness, and a tiny backbone."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "pictures").mkdir()
    lines = ["file_name,split," + ",".join(f"votes_{rating}" for rating in range(1, 6))]
    for index, row in enumerate(rated_pictures(30, seed=5)):
        row["image"].save(folder / "pictures" / f"{index}.png")
        split = "train" if index < 18 else "validation" if index < 24 else "test"
        lines.append(f"{index}.png,{split}," + ",".join(map(str, row["vote_counts"])))
    (folder / "pictures" / "ratings.csv").write_text("\n".join(lines) + "\n")
    ResNetModel(ResNetConfig(**{k: v for k, v in TINY_RESNET.items() if k != "model_type"})).save_pretrained(
        folder / "backbone"
    )
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / "backbone")
    return folder


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


def test_folds_of_another_recipe_are_not_mixed_in(validated, folder, run):
    with pytest.raises(ValueError, match="cv holds folds of a recipe with freeze_stages=1, got 0. Choose another"):
        run(folder, "cross_validate", *CV, "--freeze_stages", "0")


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
