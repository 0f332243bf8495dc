"""Series of a folder in, all their pairs out; what people chose of them in, ranks out."""

import csv

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.labelling import Labelling, open_task


def save_pictures(folder, sharpness: dict[str, list[int]]) -> None:
    folder.mkdir()
    for name, sizes in sharpness.items():
        scene = np.random.default_rng(len(name)).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        for size in sizes:
            picture = Image.fromarray(scene).resize((256, 256), Image.Resampling.BICUBIC)
            picture.resize((size, size)).resize((256, 256)).save(folder / f"{name}_{size}.png")


def choose(folder, name: str, cannot_tell: set[frozenset[str]]) -> None:
    """Somebody who prefers the sharper one."""
    labelling = Labelling(open_task(folder), folder / "answers")
    progress = labelling.look(name)
    while progress.questions:
        asked = progress.questions[0]
        pair = asked.comparison
        left, right = (pair.image_a, pair.image_b) if asked.left == "image_a" else (pair.image_b, pair.image_a)
        lean = 100 * np.sign(int(right.split("_")[1][:-4]) - int(left.split("_")[1][:-4]))
        lean = 0 if frozenset((left, right)) in cannot_tell else float(lean)
        progress = labelling.answer(name, asked.id, progress.attempt, lean, 1)


def test_series_are_found_compared_and_ranked(run, tmp_path, capsys):
    save_pictures(tmp_path / "bursts", {"sea": [64, 96, 160, 256], "rocks": [128, 256], "lonely": [256]})
    run(tmp_path, "pair_series", "bursts")
    assert "7 comparisons in 2 series are in bursts/comparisons.csv" in capsys.readouterr().out
    for name in ("Ada", "Bob", "Cleo"):
        choose(tmp_path / "bursts", name, {frozenset(("sea_64.png", "sea_96.png"))} if name == "Cleo" else set())
    run(tmp_path, "calibrate_ranks", "bursts/answers", "--output_dir", "bursts")
    said = capsys.readouterr().out
    assert "| Cleo | 7 | 1.00 of 1 |" in said and "6 pictures of 2 series, 7 clear pairs" in said
    assert "Two people agree on 1.000 [1.000, 1.000] of 7 pairs" in said
    with (tmp_path / "bursts" / "series.csv").open() as file:
        ranks = {row["file_name"]: int(row["series_rank"]) for row in csv.DictReader(file)}
    best_first = ["sea_256.png", "sea_160.png", "sea_96.png", "sea_64.png"]
    assert [ranks[name] for name in best_first] == [0, 1, 2, 3]
    assert (ranks["rocks_256.png"], ranks["rocks_128.png"]) == (0, 1)
    with pytest.raises(SystemExit):
        run(tmp_path, "pair_series", "bursts")
    assert "bursts/answers has answers to other comparisons" in capsys.readouterr().err


def test_a_table_says_what_belongs_together(run, tmp_path, capsys):
    folder = tmp_path / "shots"
    folder.mkdir()
    (folder / "series.csv").write_text("file_name,series_id\na.jpg,x\nb.jpg,x\nc.jpg,y\nd.jpg,x\n")
    run(tmp_path, "pair_series", "shots")
    with (folder / "comparisons.csv").open() as file:
        rows = [(row["image_a"], row["image_b"], row["series_id"]) for row in csv.DictReader(file)]
    assert rows == [("a.jpg", "b.jpg", "x"), ("a.jpg", "d.jpg", "x"), ("b.jpg", "d.jpg", "x")]
    (folder / "series.csv").write_text("file_name,series_id\na.jpg,x\n")
    with pytest.raises(SystemExit):
        run(tmp_path, "pair_series", "shots")
    assert "Expected series of 2 or more pictures in 'shots', found none" in capsys.readouterr().err
