"""Tables of series that the test writes."""

from pathlib import Path

import pytest
from PIL import Image

from hf_aesthetics.data.series import load_series


def write_folder(folder: Path, rows: list[str], header="file_name,series_id,series_rank", pairs=()) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for row in rows:
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{row.partition(',')[0]}.png")
    (folder / "series.csv").write_text("\n".join([header, *rows]) + "\n")
    if pairs:
        (folder / "pairs.csv").write_text("\n".join(["image_a,image_b,preference", *pairs]) + "\n")
    return folder


def test_ranks_are_kept_and_every_two_of_them_are_a_pair(tmp_path):
    loaded = load_series(write_folder(tmp_path, ["a,s,0", "b,s,2", "c,s,2", "d,t,0"]), validation=0, test=0)
    pictures = loaded.pictures["train"]
    assert pictures.column_names == ["image", "image_id", "series_id", "series_rank"]
    assert list(zip(pictures["image_id"], pictures["series_rank"], strict=True)) == [
        ("a", 0),
        ("b", 2),
        ("c", 2),
        ("d", 0),
    ]
    pairs = loaded.pairs["train"].to_list()
    assert [(pair["image_a"], pair["image_b"], pair["preference"]) for pair in pairs] == [("a", "b", 1), ("a", "c", 1)]


def test_comparisons_of_their_own_table(tmp_path):
    folder = write_folder(tmp_path, ["a,s,1", "b,s,0", "c,t,0", "d,t,1"], pairs=["a,b,0.25", "c,d,0.9"])
    loaded = load_series(folder, pairs="pairs.csv", validation=0, test=0)
    assert [(pair["image_a"], pair["preference"], pair["series_id"]) for pair in loaded.pairs["train"]] == [
        ("a", 0.25, "s"),
        ("c", pytest.approx(0.9), "t"),
    ]
    with pytest.raises(ValueError, match="pairs.csv: a comparison must be of two pictures of a series, got 'a' of s"):
        load_series(write_folder(tmp_path, ["a,s,1", "c,t,0"], pairs=["a,c,1"]), pairs="pairs.csv")
    with pytest.raises(ValueError, match="got 'a' of s and 'x' of None"):
        load_series(write_folder(tmp_path, ["a,s,1", "c,t,0"], pairs=["a,x,1"]), pairs="pairs.csv")


def test_series_are_split_whole(tmp_path):
    rows = [f"p{number},s{number // 3},{number % 3},burst" for number in range(60)]
    folder = write_folder(tmp_path, rows, "file_name,series_id,series_rank,source")
    loaded = load_series(folder, validation=0.3, test=0.3, seed=1)
    series = [set(part["series_id"]) for part in loaded.pictures.values()]
    assert len(series) == 3 and sum(map(len, series)) == len(set.union(*series)) == 20
    assert sum(map(len, loaded.pairs.values())) == 60 and loaded.num_across == 0
    assert set(loaded.pictures["train"]["source"]) == {"burst"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,s,0,train", "a,t,0,train"], "series.csv, row 3: 'a' is there twice"),
        (["a,s,0,train", "b,s,1,test"], "'s' is in train and test"),
        (["a,s,-1,train"], "`series_rank` must be a number from 0 to"),
        (["a,,0,train"], "`series_id` must be a name, got None"),
        (["a,s,0,train", "b,t,0,train"], "a series with two ranks, found none"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        load_series(write_folder(tmp_path, rows, "file_name,series_id,series_rank,split"))
