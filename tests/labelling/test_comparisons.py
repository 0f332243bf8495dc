"""What is asked: tables in every format, pictures from one folder alone."""

import re
from itertools import combinations

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from hf_aesthetics.labelling import Comparison, open_task, pair_series, read_comparisons, write_comparisons


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "task" / "images").mkdir(parents=True)
    for place in ("task/sea.png", "task/images/sky.png", "secret.png"):
        Image.new("RGB", (4, 4), "teal").save(tmp_path / place)
    return tmp_path / "task"


def ask(folder, *pairs: tuple[str, str]) -> None:
    lines = ["image_a,image_b", *(",".join(pair) for pair in pairs)]
    (folder / "comparisons.csv").write_text("\n".join(lines) + "\n")


def test_pictures_are_found_in_the_folder(folder, monkeypatch):
    ask(folder, ("sea.png", "sky"), ("task/sea.png", "sky.png"))
    monkeypatch.chdir(folder.parent)  # as `hf-aesthetics score task` wrote it there
    task = open_task(folder)
    assert task.pictures == {
        "sea.png": folder / "sea.png",
        "task/sea.png": folder / "sea.png",
        "sky": folder / "images" / "sky.png",
        "sky.png": folder / "images" / "sky.png",
    }
    assert [pair.id for pair in task.comparisons] == ["0", "1"]


def test_no_table_names_a_picture_elsewhere(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("../secret.png", str(folder.parent / "secret.png"), "images/../../secret.png"):
        ask(folder, ("sea.png", name))
        with pytest.raises(FileNotFoundError, match=re.escape(f"the picture {name!r} in {str(folder)!r}")):
            open_task(folder)
    (folder / "images" / "cut.png").write_bytes((folder / "sea.png").read_bytes()[:60])
    ask(folder, ("sea.png", "cut.png"))
    with pytest.raises(ValueError, match=r"cut.png.*Or drop the rows of 'cut.png'"):
        open_task(folder)


def test_pictures_may_lie_elsewhere_if_that_is_said(folder, tmp_path):
    ask(folder, ("secret.png", "task/sea.png"))
    assert open_task(folder, tmp_path).pictures["secret.png"] == tmp_path / "secret.png"


def test_tables_of_all_formats_say_the_same(tmp_path):
    pairs = [Comparison("7", "a.jpg", "b.jpg", "sea"), Comparison("9", "b.jpg", "c.jpg")]
    write_comparisons(pairs, tmp_path / "comparisons.csv")
    rows = [{"comparison": int(pair.id), **vars(pair)} for pair in pairs]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "comparisons.parquet")
    assert (
        read_comparisons(tmp_path / "comparisons.csv") == read_comparisons(tmp_path / "comparisons.parquet") == pairs
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("0,a,a", "row 2: expected two pictures.*'image_b': 'a'"),
        ("0,a,", "row 2: expected two pictures"),
        ("0,a,b\n0,b,c", "row 3: `comparison` '0' comes twice"),
        (",a,b", "row 2: expected two pictures"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(tmp_path, rows, told):
    (tmp_path / "comparisons.csv").write_text(f"comparison,image_a,image_b\n{rows}\n")
    with pytest.raises(ValueError, match=told):
        read_comparisons(tmp_path / "comparisons.csv")


def test_all_pairs_of_each_series():
    pairs = pair_series({"sea": ["1", "2", "3"], "sky": ["4", "5"], "one": ["6"]})
    assert {(pair.image_a, pair.image_b) for pair in pairs} == {*combinations("123", 2), ("4", "5")}
    assert {pair.series_id for pair in pairs} == {"sea", "sky"} and len({pair.id for pair in pairs}) == 4
