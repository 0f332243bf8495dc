"""Tables of comparisons that the test writes, and the real screenshots of web pages where they are at hand."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.pairs import load_pairs
from hf_aesthetics.data.splits import hash_split


def write_folder(
    folder: Path, rows: list[str], names=("a", "b", "c", "d"), header="image_a,image_b,wins_a,wins_b"
) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (8, 8), (20 * number, 40, 60)).save(folder / "images" / f"{name}.png")
    (folder / "pairs.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def pairs_of(loaded) -> list[tuple]:
    return [(row["image_a"], row["image_b"]) for part in loaded.pairs.values() for row in part]


def test_wins_become_the_share_of_people_who_prefer_the_first(tmp_path):
    loaded = load_pairs(write_folder(tmp_path, ["a,b,3,1", "c,d.png,0,2"]), validation=0, test=0)
    rows = loaded.pairs["train"].to_list()
    assert [(row["image_a"], row["image_b"], row["preference"], row["wins_a"]) for row in rows] == [
        ("a", "b", 0.75, 3),
        ("c", "d.png", 0.0, 0),
    ]
    pictures = loaded.pictures["train"]
    assert pictures["image_id"][:] == ["a", "b", "c", "d.png"]
    assert [image.getpixel((0, 0))[0] for image in pictures["image"]] == [0, 20, 40, 60]


def test_preferences_captions_and_other_formats(tmp_path):
    write_folder(tmp_path, [])
    row = {"image_a": "a", "image_b": "b", "preference": 0.5, "caption": "softer light", "source": "burst"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    loaded = load_pairs(tmp_path, "pairs.jsonl", validation=0, test=0)
    assert loaded.pairs["train"].to_list() == [row]


@pytest.mark.parametrize("seed", range(3))
def test_splits_share_no_picture_and_every_pair_is_kept_or_counted(tmp_path, seed):
    names = [f"p{number}" for number in range(20)]
    table = [f"{a},{b},1,0" for a, b in itertools.combinations(names, 2)]
    loaded = load_pairs(write_folder(tmp_path, table, names), validation=0.2, test=0.3, seed=seed)
    by_split = {split: set(part["image_id"]) for split, part in loaded.pictures.items()}
    assert sorted(name for part in by_split.values() for name in part) == sorted(names)
    for split, members in by_split.items():
        assert members == {name for name in names if hash_split(name, 0.2, 0.3, seed) == split}
        kept = {(row["image_a"], row["image_b"]) for row in loaded.pairs[split]}
        assert kept == set(itertools.combinations([name for name in names if name in members], 2))
    assert loaded.num_across == len(table) - sum(map(len, loaded.pairs.values())) > 0


def test_a_series_stays_together(tmp_path):
    names = [f"p{number}" for number in range(40)]
    table = [f"p{n},p{n + 1},1,0,s{n // 4}" for n in range(40) if n % 4 < 3]
    header = "image_a,image_b,wins_a,wins_b,series_id"
    loaded = load_pairs(write_folder(tmp_path, table, names, header), validation=0.3, test=0.3)
    assert loaded.num_across == 0 and len(loaded.pairs) > 1
    series = [set(part["series_id"]) for part in loaded.pairs.values()]
    assert sum(map(len, series)) == len(set.union(*series)) == 10


def test_a_column_split_is_followed_and_must_part_the_pictures(tmp_path):
    header = "image_a,image_b,preference,split"
    loaded = load_pairs(write_folder(tmp_path, ["a,b,1,train", "c,d,0,val"], header=header))
    assert {split: part["image_id"][:] for split, part in loaded.pictures.items()} == {
        "train": ["a", "b"],
        "validation": ["c", "d"],
    }
    with pytest.raises(ValueError, match="in one split, but 'b' is in train and test"):
        load_pairs(write_folder(tmp_path, ["a,b,1,train", "b,c,0,test"], header=header))


def test_comparisons_of_unreadable_pictures_are_dropped_and_counted(tmp_path, caplog):
    folder = write_folder(tmp_path, ["a,b,1,0", "b,gone,1,0", "c,d,1,0"])
    (folder / "images" / "c.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match="2 of 5 pictures cannot be used, such as gone"):
        load_pairs(folder)
    loaded = load_pairs(folder, max_skipped=0.5, validation=0, test=0)
    assert pairs_of(loaded) == [("a", "b")]
    assert (loaded.num_without_picture, {p.kind for p in loaded.skipped}) == (2, {"missing", "unreadable"})
    assert "2 of 5 pictures" in caplog.text


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("image_a,image_b", "a,b", "with either wins_a and wins_b or preference, found"),
        ("image_a,image_b,wins_a,wins_b,preference", "a,b,1,0,1", "with either wins_a and wins_b or preference"),
        ("first,image_b,preference", "a,b,1", r"found \['first', 'image_b', 'preference'\]"),
        ("image_a,image_b,wins_a,wins_b", "a,b,0,0", "row 2: `wins_a` and `wins_b` are both 0"),
        ("image_a,image_b,wins_a,wins_b", "a,b,1.5,0", "`wins_a` must be a whole number, got 1.5"),
        ("image_a,image_b,preference", "a,b,1.2", "`preference` must be a number from 0 to 1, got '1.2'"),
        ("image_a,image_b,preference", "a,,1", "`image_b` must name a picture, got None"),
        ("image_a,image_b,preference", "a,a,1", "got 'a' twice"),
        (
            "image_a,image_b,preference,split",
            "a,b,1,dev2",
            "`split` must be one of train, validation, test, got 'dev2'",
        ),
    ],
)
def test_malformed_tables_are_refused(tmp_path, header, row, message):
    with pytest.raises(ValueError, match=message):
        load_pairs(write_folder(tmp_path, [row], header=header))


def test_what_is_missing_or_ambiguous_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="pairs.csv or pairs.jsonl or pairs.parquet, found none"):
        load_pairs(tmp_path)
    folder = write_folder(tmp_path, ["a,b,1,0"])
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.jpg")
    with pytest.raises(ValueError, match=r"one file for the picture 'a', found .*a.jpg, .*a.png"):
        load_pairs(folder)
    header = "image_a,image_b,preference,series_id"
    with pytest.raises(ValueError, match="'b' is in 's' and 't'"):
        load_pairs(write_folder(tmp_path / "two", ["a,b,1,s", "b,c,1,t"], header=header))


def test_web_pages_with_disjoint_pictures():
    folder = Path(os.environ.get("HF_AESTHETICS_DATA_DIR", "")) / "web_pairs"
    if not (folder / "pairs.csv").is_file():
        pytest.skip("needs screenshots of web pages: set HF_AESTHETICS_DATA_DIR to the folder that holds web_pairs/")
    loaded = load_pairs(folder, validation=0, test=0.3)
    pictures = {split: set(part["image_id"]) for split, part in loaded.pictures.items()}
    assert not pictures["train"] & pictures["test"] and len(pictures["train"] | pictures["test"]) == 100
    for split, part in loaded.pairs.items():
        assert len(part) == len(pictures[split]) * (len(pictures[split]) - 1) // 2
        assert set(part["image_a"]) | set(part["image_b"]) == pictures[split]
    assert sum(map(len, loaded.pairs.values())) + loaded.num_across == 4950
    choices = sum(np.sum(part["wins_a"]) + np.sum(part["wins_b"]) for part in loaded.pairs.values())
    assert 0 < choices < 5094
