import csv
import gzip
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.columns import COMMON_COLUMNS, infer_rating_scale
from hf_aesthetics.data.oasis import FACTS, OASIS_SCALE, load_oasis
from hf_aesthetics.data.splits import SPLITS


ATTRIBUTES = ["theme", "category", "source_class", "rater_group", "valence_mean", "arousal_mean"]


@pytest.fixture
def oasis(tmp_path) -> Path:
    """A folder of six pictures in the layout that the loader reads."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number, split in enumerate(["train", "train", "train", "validation", "test", "test"], start=1):
        votes = rng.integers(1, 9, size=7)
        row = {
            "image_id": f"I{number}",
            "file_name": f"I{number}.jpg",
            "theme": f"Theme {split}",
            "category": "Object",
        }
        row |= {"source_class": "pixabay", "split": split, "rater_group": number % 4 + 1, "num_votes": votes.sum()}
        row |= {"mean": f"{np.average(range(1, 8), weights=votes):.5f}", "std": "1.5"}
        row |= {f"votes_{k + 1}": count for k, count in enumerate(votes)}
        rows.append(row | {"valence_mean": f"{number / 2:.5f}", "arousal_mean": "4.00000"})
        Image.new("RGB", (32, 26), (40 * number, 0, 0)).save(tmp_path / "images" / f"I{number}.jpg")
    write_labels(tmp_path, rows)
    return tmp_path


def read_labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_labels(folder: Path, rows: list[dict]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_rows_are_those_of_the_table(oasis):
    splits = load_oasis(oasis)
    loaded = {row["image_id"]: (split, row) for split, part in splits.items() for row in part}
    labels = read_labels(oasis)
    assert list(splits) == list(SPLITS) and len(loaded) == len(labels)
    for label in labels:
        split, row = loaded[label["image_id"]]
        assert split == label["split"] and row["theme"] == label["theme"]
        assert row["vote_counts"] == [int(label[f"votes_{k}"]) for k in range(1, 8)]
        assert row["score_mean"] == pytest.approx(float(label["mean"]), abs=1e-5)
        assert row["rater_group"] == int(label["rater_group"])
        assert row["valence_mean"] == pytest.approx(float(label["valence_mean"]))
        red, _, _ = row["image"].getpixel((5, 5))
        assert red == pytest.approx(40 * int(label["image_id"][1:]), abs=3)


def test_columns_are_the_common_ones_then_its_own(oasis):
    assert load_oasis(oasis)["test"].column_names == [*COMMON_COLUMNS, *ATTRIBUTES]


def test_missing_pictures_are_counted_and_named(oasis):
    (oasis / "images" / "I2.jpg").unlink()
    (oasis / "images" / "I5.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match=r"2 of 6 pictures cannot be used: I2.jpg, I5.jpg.*scripts/prepare_oasis.py"):
        load_oasis(oasis)


def test_a_malformed_row_is_named(oasis):
    rows = read_labels(oasis)
    rows[2]["votes_4"] = "-1"
    write_labels(oasis, rows)
    with pytest.raises(ValueError, match=r"^labels.csv, row 4 \(I3.jpg\): .*-1.0.*scripts/prepare_oasis.py"):
        load_oasis(oasis)


@pytest.mark.parametrize("column", ["theme", "votes_7", "rater_group"])
def test_a_missing_column_is_named(oasis, column):
    rows = read_labels(oasis)
    write_labels(oasis, [{name: value for name, value in row.items() if name != column} for row in rows])
    with pytest.raises(ValueError, match=f"labels.csv.*({column}|expected 7 vote counts .* got 6)"):
        load_oasis(oasis)


def test_another_folder_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"'{tmp_path}', found no labels.csv. .*scripts/prepare_oasis.py"):
        load_oasis(tmp_path)


def test_the_facts_name_both_sources_and_both_licences():
    assert "10.3758/s13428-016-0715-3" in FACTS.citation and "10.3389/fpsyg.2019.02420" in FACTS.citation
    assert "free for research" in FACTS.license and "CC BY" in FACTS.license


@pytest.fixture(scope="module")
def real_folder() -> Path:
    data_dir = os.environ.get("HF_AESTHETICS_DATA_DIR")
    if data_dir is None:
        pytest.skip("needs the OASIS photographs: set HF_AESTHETICS_DATA_DIR to the folder that holds oasis/")
    return Path(data_dir) / "oasis"


@pytest.fixture(scope="module")
def real_splits(real_folder):
    return load_oasis(real_folder)


def test_real_votes_are_the_counted_single_ratings(real_folder, real_splits):
    counted = defaultdict(lambda: [0] * 7)
    with gzip.open(real_folder / "ratings.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            counted[row["image_id"]][int(row["rating"]) - 1] += 1
    loaded = {
        row["image_id"]: row["vote_counts"] for part in real_splits.values() for row in part.remove_columns("image")
    }
    assert loaded == dict(counted)


def test_real_splits_part_no_theme_and_tell_their_scale(real_splits):
    themes = [set(part["theme"]) for part in real_splits.values()]
    assert len(set.union(*themes)) == sum(map(len, themes))
    assert infer_rating_scale(real_splits["train"]) == OASIS_SCALE


def test_real_pictures_decode(real_splits):
    for part in real_splits.values():
        assert {row["image"].mode for row in part.select(range(20))} == {"RGB"}
