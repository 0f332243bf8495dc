"""Label files like the released ones, nine of six numbers a row, made by the test: no copy of the data is needed."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.fgaesthetics import COLUMNS, FACTS, load_fgaesthetics


SPLITS, SOURCES = ("train", "val", "test"), ("Natural", "AIGC", "Cropping")


def write_labels(folder: Path, columns=COLUMNS, num_series: int = 3, separator=" ") -> dict[str, list[int]]:
    """Series of 2 to 5 pictures with a planted order, of which every pair is told; returns the orders, best first."""
    rng, orders, number = np.random.default_rng(0), {}, 0
    for split, source in itertools.product(SPLITS, SOURCES):
        lines = []
        for _ in range(num_series):
            number += 1
            order = rng.permutation(rng.integers(2, 6)).tolist()
            orders[f"{source.lower()}/{number}"] = order
            for a, b in itertools.combinations(range(len(order)), 2):
                won = int(order.index(a) < order.index(b))
                row = {
                    "series": number,
                    "image_a": a,
                    "image_b": b,
                    "preference": won,
                    "column_5": 0.7,
                    "column_6": -1,
                }
                lines.append(separator.join(str(row[column]) for column in columns))
        path = folder / split / f"{source}_label.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return orders


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", "])
def test_orders_are_found_again(tmp_path, separator, caplog):
    orders = write_labels(tmp_path, separator=separator)
    loaded = load_fgaesthetics(tmp_path)
    assert set(loaded.pictures) == {"train", "validation", "test"}
    found = {}
    for part in loaded.pictures.values():
        assert part.column_names == ["image_id", "series_id", "series_rank", "source"]
        for row in part:
            found.setdefault(row["series_id"], {})[int(row["image_id"].rpartition("/")[2])] = row["series_rank"]
    assert {series: sorted(ranks, key=ranks.get) for series, ranks in found.items()} == orders
    assert all(sorted(ranks.values()) == list(range(len(ranks))) for ranks in found.values())
    pairs = loaded.pairs["test"]
    assert set(pairs["source"]) == {"natural", "aigc", "cropping"}
    assert set(pairs["column_5"]) == {np.float32(0.7)}
    assert loaded.num_across == 0
    assert "train of natural" in caplog.text and "has 11196" in caplog.text  # it is not the release


def test_columns_in_another_order_are_refused_until_they_are_named(tmp_path):
    columns = ("preference", "column_5", "series", "column_6", "image_b", "image_a")
    write_labels(tmp_path / "mixed", columns)
    with pytest.raises(ValueError, match=r"not documented.*1 \(series\): 0, 1; 2 \(image_a\): 0.7;.*Pass `columns`"):
        load_fgaesthetics(tmp_path / "mixed")
    named = load_fgaesthetics(tmp_path / "mixed", columns=columns)
    usual = tmp_path / "usual"
    write_labels(usual)
    assert named.pictures["test"].to_list() == load_fgaesthetics(usual).pictures["test"].to_list()


def rewrite(folder: Path, split: str, source: str, lines: list[str]) -> None:
    (folder / split / f"{source}_label.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1 0 1 1 0 0", "1 1 2 1 0 0", "1 0 2 0 0 0"], "natural/1 run in a circle among natural/1/0, natural/1/1"),
        (["1 0 0 1 0 0"], "`image_a` and `image_b` are both 0"),
        (["1 0 1 0.25 0 0"], r"`preference` must be 0, 0.5 or 1, got 0.25.*4 \(preference\): 0.25"),
        (["1 0 1 1 0"], "row 1: expected six numbers, got '1 0 1 1 0'"),
        ([f"1 0 {n} 1 0 0" for n in range(1, 11)], "2 to 10 pictures a series, got 11 in series natural/1"),
        (["27 0 1 1 0 0"], None),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, lines, message):
    write_labels(tmp_path)
    rewrite(tmp_path, "train", "Natural", lines)
    if message is None:
        assert "natural/27" in load_fgaesthetics(tmp_path).pictures["train"]["series_id"]
    else:
        with pytest.raises(ValueError, match=message):
            load_fgaesthetics(tmp_path)


def test_a_series_in_two_splits_is_refused(tmp_path):
    write_labels(tmp_path)
    rewrite(tmp_path, "test", "Natural", ["1 0 1 1 0 0"])
    with pytest.raises(ValueError, match="series natural/1 is in train and test"):
        load_fgaesthetics(tmp_path)


def test_ties_say_nothing_about_the_rank(tmp_path):
    write_labels(tmp_path)
    rewrite(tmp_path, "train", "AIGC", ["99 0 1 0.5 0 0", "99 0 2 1 0 0", "99 1 2 1 0 0"])
    loaded = load_fgaesthetics(tmp_path)
    ranks = {row["image_id"]: row["series_rank"] for row in loaded.pictures["train"] if row["series_id"] == "aigc/99"}
    assert ranks == {"aigc/99/0": 0, "aigc/99/1": 0, "aigc/99/2": 1}
    assert 0.5 in loaded.pairs["train"]["preference"]


def test_pictures_lie_where_their_name_says(tmp_path):
    orders = write_labels(tmp_path, num_series=1)
    for series, order in orders.items():
        for image in order:
            path = tmp_path / "images" / series / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (10 * image, 0, 0)).save(path)
    name = "images/{source}/{series}/{image}.png"
    loaded = load_fgaesthetics(tmp_path, picture_name=name, max_skipped=0)
    for row in loaded.pictures["test"]:
        assert row["image"].getpixel((0, 0))[0] == 10 * int(row["image_id"].rpartition("/")[2])
    with pytest.raises(ValueError, match="{source}, {series} and {image}, got 'images/{nr}.png'"):
        load_fgaesthetics(tmp_path, picture_name="images/{nr}.png")


def test_columns_must_name_what_is_needed(tmp_path):
    with pytest.raises(ValueError, match="must be six names, among them series, image_a, image_b, preference, got"):
        load_fgaesthetics(tmp_path, columns=("series", "image_a", "image_b", "x", "y", "z"))
    assert FACTS.ratings.is_given is None
