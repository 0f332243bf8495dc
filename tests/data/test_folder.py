import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Value
from PIL import Image

from hf_aesthetics.data.columns import COMMON_COLUMNS, RatingScale
from hf_aesthetics.data.folder import load_folder
from hf_aesthetics.data.picture_checks import SkippedPicture
from hf_aesthetics.data.splits import hash_split


NAMES = [f"{number:02}.png" for number in range(12)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twelve pictures, each of one colour that tells its number."""
    for number, name in enumerate(NAMES):
        Image.new("RGB", (8, 6), (20 * number, 0, 0)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, rows: list[dict], name: str = "ratings.csv") -> Path:
    path = folder / name
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        Dataset.from_list(rows).to_parquet(path)
    return path


def all_rows(loaded) -> dict[str, dict]:
    return {row["image_id"]: {**row, "split": split} for split, part in loaded.splits.items() for row in part}


def vote_rows(num_bins: int = 5, seed: int = 0) -> list[dict]:
    votes = np.random.default_rng(seed).integers(0, 9, size=(len(NAMES), num_bins)) + 1
    return [
        {"file_name": name, **{f"votes_{k + 1}": int(n) for k, n in enumerate(row)}}
        for name, row in zip(NAMES, votes, strict=True)
    ]


@pytest.mark.parametrize("name", ["ratings.csv", "labels.jsonl", "metadata.parquet"])
def test_votes_and_pictures_belong_together_in_every_format(folder, name):
    rows = vote_rows()
    write(folder, rows, name)
    loaded = load_folder(folder)
    found = all_rows(loaded)
    assert loaded.scale == RatingScale(1, 5, 5) and loaded.skipped == []
    assert sorted(found) == NAMES
    for number, row in enumerate(rows):
        votes = [row[f"votes_{k}"] for k in range(1, 6)]
        assert found[row["file_name"]]["vote_counts"] == votes
        assert found[row["file_name"]]["score_mean"] == pytest.approx(np.average(range(1, 6), weights=votes))
        assert found[row["file_name"]]["image"].getpixel((0, 0)) == (20 * number, 0, 0)


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.jsonl", "ratings.parquet"])
def test_a_column_of_lists_means_the_same_as_columns_of_votes(folder, name):
    rows = vote_rows(num_bins=7)
    write(folder, rows, "columns.csv")
    lists = [{"file_name": row["file_name"], "vote_counts": [row[f"votes_{k}"] for k in range(1, 8)]} for row in rows]
    write(folder, lists, name)
    as_columns, as_lists = load_folder(folder, "columns.csv"), load_folder(folder)
    assert as_lists.scale == as_columns.scale == RatingScale(1, 7, 7)
    columns = [column for column in COMMON_COLUMNS if column != "image"]
    for split in as_columns.splits:
        assert as_lists.splits[split].select_columns(columns)[:] == as_columns.splits[split].select_columns(columns)[:]


def test_a_given_scale_names_the_bins(folder):
    write(folder, vote_rows(num_bins=5))
    (row,) = [
        row
        for row in all_rows(load_folder(folder, scale=RatingScale(0, 1, 5))).values()
        if row["image_id"] == "03.png"
    ]
    assert row["score_mean"] == pytest.approx(np.average([0, 0.25, 0.5, 0.75, 1], weights=row["vote_counts"]))


def test_single_ratings_become_histograms(folder):
    rng = np.random.default_rng(1)
    planted = {name: rng.integers(1, 8, size=rng.integers(3, 9)).tolist() for name in NAMES}
    rows = [
        {"file_name": name, "rater_id": f"r{rater}", "rating": rating}
        for name, ratings in planted.items()
        for rater, rating in enumerate(ratings)
    ]
    rng.shuffle(rows)
    write(folder, rows)
    loaded = load_folder(folder)
    assert loaded.scale == RatingScale(1, 7, 7)
    for name, row in all_rows(loaded).items():
        assert np.repeat(range(1, 8), row["vote_counts"]).tolist() == sorted(planted[name])
        assert row["num_votes"] == len(planted[name])


def test_half_points_are_bins_of_a_scale_in_halves(folder):
    ratings = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5, 5, 5]
    write(folder, [{"image": name, "rating": rating} for name, rating in zip(NAMES, ratings, strict=True)])
    found = all_rows(load_folder(folder, scale=RatingScale(1, 5, 9)))
    assert [found[name]["score_mean"] for name in NAMES] == ratings


def test_means_have_no_votes(folder):
    rows = [{"path": name, "mean": 2 + 0.5 * i, "std": 1.5 if i % 2 else ""} for i, name in enumerate(NAMES)]
    write(folder, rows)
    found = all_rows(load_folder(folder, scale=RatingScale(1, 10, 10)))
    for row in rows:
        label = {column: found[row["path"]][column] for column in COMMON_COLUMNS[2:]}
        std = row["std"] or None
        assert label == {"vote_counts": None, "score_mean": row["mean"], "score_std": std, "num_votes": None}


def test_a_row_without_votes_may_give_its_mean(folder):
    rows = [
        {"file_name": "00.png", "vote_counts": [1, 0, 1]},
        {"file_name": "01.png", "score_mean": 1.25, "num_votes": 9},
    ]
    write(folder, rows, "labels.jsonl")
    found = all_rows(load_folder(folder))
    assert found["00.png"]["score_mean"] == 2 and found["00.png"]["vote_counts"] == [1, 0, 1]
    assert found["01.png"]["vote_counts"] is None and found["01.png"]["num_votes"] == 9


@pytest.mark.parametrize(
    "rows, message",
    [
        ([{"rating": r} for r in (1, 2, 4, 5)], r"1..5, 1..7 or 1..10, .*got \[1.0, 2.0, 4.0, 5.0\]. .*--num_bins"),
        ([{"rating": r} for r in (1, 2, 3, 4)], r"got \[1.0, 2.0, 3.0, 4.0\]"),
        ([{"rating": r} for r in (0, 1, 2, 3, 4, 5)], r"got \[0.0, 1.0"),
        ([{"rating": r} for r in (1, 1.5, 2)], r"got \[1.0, 1.5, 2.0\]"),
        ([{"score_mean": m} for m in (3.5, 4.5)], "got means alone. .*--min_score, --max_score and --num_bins"),
    ],
)
def test_a_scale_that_cannot_be_known_is_asked_for(folder, rows, message):
    write(folder, [{"file_name": name, **row} for name, row in zip(NAMES, rows, strict=False)])
    with pytest.raises(ValueError, match=message):
        load_folder(folder)


@pytest.mark.parametrize(
    "row, message",
    [
        ({"rating": 3.2}, r"^ratings.csv, row 3 \(01.png\): `rating` must be on the scale 1..5 in 5 bins, got 3.2"),
        ({"rating": 6}, r"row 3 \(01.png\): .*got 6"),
        ({"rating": ""}, r"row 3 \(01.png\): .*got None"),
        ({"rating": "good"}, r"row 3 \(01.png\): `rating` must be of type float, got 'good'"),
        ({"rating": "nan"}, r"row 3 \(01.png\): `rating` must be of type float, got 'nan'"),
    ],
)
def test_a_rating_off_the_scale_is_named(folder, row, message):
    write(folder, [{"file_name": "00.png", "rating": 3}, {"file_name": "01.png", **row}])
    with pytest.raises(ValueError, match=message):
        load_folder(folder, scale=RatingScale(1, 5, 5))


@pytest.mark.parametrize(
    "row, message",
    [
        ({"votes_2": "-1"}, r"^ratings.csv, row 6 \(04.png\): .*got \[.*-1.0"),
        ({"votes_2": "nan"}, r"row 6 \(04.png\): .*nan"),
        ({"votes_2": "1.5"}, r"row 6 \(04.png\): .*1.5"),
        ({"votes_2": ""}, r"row 6 \(04.png\): "),
        ({"votes_2": "few"}, r"row 6 \(04.png\): .*'few'"),
        ({f"votes_{k}": "0" for k in range(1, 6)}, r"row 6 \(04.png\): all votes are zero"),
        ({f"votes_{k}": "" for k in range(1, 6)}, r"row 6 \(04.png\): expected votes or a mean, found neither"),
    ],
)
def test_bad_votes_name_table_row_and_file(folder, row, message):
    rows = vote_rows()
    rows[4].update(row)
    write(folder, rows)
    with pytest.raises(ValueError, match=message):
        load_folder(folder)


@pytest.mark.parametrize("votes, got", [("[1, 2]", "got 2"), ("1 2 3", "got '1 2 3'"), ("7", "got 7")])
def test_a_bad_list_of_votes_is_named(folder, votes, got):
    write(folder, [{"file": "00.png", "vote_counts": "[1, 2, 3]"}, {"file": "01.png", "vote_counts": votes}])
    with pytest.raises(ValueError, match=rf"ratings.csv, row 3 \(01.png\): .*{got}"):
        load_folder(folder)


@pytest.mark.parametrize("mean, std, message", [("11", "1", "got 11"), ("0.5", "1", "got 0.5"), ("5", "-1", "got -1")])
def test_a_mean_off_the_scale_is_named(folder, mean, std, message):
    write(folder, [{"filename": "00.png", "score_mean": mean, "score_std": std}])
    with pytest.raises(ValueError, match=rf"ratings.csv, row 2 \(00.png\): .*{message}"):
        load_folder(folder, scale=RatingScale(1, 10, 10))


def test_means_that_contradict_the_votes_show_a_wrong_scale(folder):
    rows = [{**row, "mean": np.average(range(5), weights=list(row.values())[1:])} for row in vote_rows()]
    write(folder, rows)
    with pytest.raises(ValueError, match=r"`mean` averages .*on the scale 1..5 in 5 bins.*--min_score"):
        load_folder(folder)
    found = all_rows(load_folder(folder, scale=RatingScale(0, 4, 5)))
    assert [found[row["file_name"]]["score_mean"] for row in rows] == pytest.approx([row["mean"] for row in rows])


@pytest.mark.parametrize(
    "rows, message",
    [
        ([("00.png", "a", 2), ("00.png", "b", 3)], r"row 3 \(00.png\): image_id must be 'a' .*row 2 .*got 'b'"),
        ([("00.png", "a", 2), ("01.png", "a", 3)], r"row 3 \(01.png\): image_id 'a' belongs to .*row 2 \(00.png\)"),
    ],
)
def test_a_picture_and_its_id_belong_together(folder, rows, message):
    write(folder, [{"file_name": name, "image_id": image_id, "rating": rating} for name, image_id, rating in rows])
    with pytest.raises(ValueError, match=message):
        load_folder(folder, scale=RatingScale(1, 5, 5))


def test_a_picture_listed_twice_is_named(folder):
    write(folder, [*vote_rows(), vote_rows()[3]])
    with pytest.raises(ValueError, match=r"row 14 \(03.png\): .*'03.png' is in ratings.csv, row 5 \(03.png\) already"):
        load_folder(folder)


def test_a_rater_who_rates_a_picture_twice_is_named(folder):
    write(folder, [{"file_name": "00.png", "rater_id": "ann", "rating": rating} for rating in (3, 4)])
    with pytest.raises(ValueError, match=r"row 3 \(00.png\): rater 'ann' has rated it already, in ratings.csv, row 2"):
        load_folder(folder, scale=RatingScale(1, 5, 5))


@pytest.mark.parametrize(
    "text, message",
    [
        ("file_name,taste\n00.png,3\n", r"found \['file_name', 'taste'\]"),
        ("photo,rating\n00.png,3\n", r"file_name, found \['photo', 'rating'\]"),
        ("file_name,votes_1,votes_3\n00.png,3,4\n", r"found \['votes_1', 'votes_3'\]"),
        ("file_name,rating\n", "ratings.csv: expected one row a picture"),
        ("file_name,rating\n00.png,3\n,4\n", "row 3: `file_name` must be a file name, got None"),
        ("file_name,rating\n00.png,3\na, b.png,4\n", r"row 3: expected 2 cells, got \['4'\] beyond"),
        ("file_name,rating,split\n00.png,3,holdout\n", r"row 2 \(00.png\): `split` .*'dev'.*got 'holdout'"),
    ],
)
def test_a_malformed_table_is_refused_in_one_line(folder, text, message):
    (folder / "ratings.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_folder(folder, scale=RatingScale(1, 5, 5))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ['{"file_name": "01.png", ', '["01.png", 3]', ""])
def test_a_malformed_line_of_json_is_named(folder, line):
    (folder / "ratings.jsonl").write_text('{"file_name": "00.png", "rating": 3}\n' + line + "\n")
    with pytest.raises(ValueError, match="ratings.jsonl, row 2: expected a JSON object, got "):
        load_folder(folder, scale=RatingScale(1, 5, 5))


def test_text_that_is_not_utf8_is_refused(folder):
    (folder / "ratings.csv").write_bytes("file_name,rating\nété.png,3\n".encode("latin-1"))
    with pytest.raises(ValueError, match="ratings.csv: expected UTF-8 text, got .*xe9"):
        load_folder(folder, scale=RatingScale(1, 5, 5))


def test_a_spreadsheet_byte_order_mark_is_no_part_of_the_header(folder):
    (folder / "ratings.csv").write_bytes(b"\xef\xbb\xbffile_name,rating\r\n00.png,3\r\n")
    assert list(all_rows(load_folder(folder, scale=RatingScale(1, 5, 5)))) == ["00.png"]


def test_two_tables_are_told_apart_by_the_user(folder):
    write(folder, vote_rows(), "labels.csv")
    write(folder, [{"file_name": name, "rating": 2} for name in NAMES], "ratings.csv")
    with pytest.raises(ValueError, match=r"found \['ratings.csv', 'labels.csv'\]"):
        load_folder(folder)
    assert sum(part.num_rows for part in load_folder(folder, "labels.csv").splits.values()) == len(NAMES)


@pytest.mark.parametrize(
    "table, message", [(None, "found none of ratings.csv"), ("stars.csv", "found none of stars.csv")]
)
def test_a_missing_table_is_named(folder, table, message):
    with pytest.raises(FileNotFoundError, match=message):
        load_folder(folder, table)


def test_a_split_column_wins_and_validation_has_short_names(folder):
    given = ["train"] * 6 + ["val", "dev", "validation"] + ["test"] * 3
    write(folder, [{**row, "split": split} for row, split in zip(vote_rows(), given, strict=True)])
    loaded = load_folder(folder)
    assert {split: part["image_id"][:] for split, part in loaded.splits.items()} == {
        "train": NAMES[:6],
        "validation": NAMES[6:9],
        "test": NAMES[9:],
    }


def test_without_a_split_column_the_id_decides(folder):
    write(folder, [{**row, "image_id": f"id {row['file_name']}"} for row in vote_rows()])
    found = all_rows(load_folder(folder, validation=0.3, test=0.3, seed=5))
    assert {image_id: row["split"] for image_id, row in found.items()} == {
        f"id {name}": hash_split(f"id {name}", 0.3, 0.3, 5) for name in NAMES
    }


def test_numeric_ids_stay_the_text_that_they_are(folder):
    write(folder, [{"image_id": f"{i:03}", **row} for i, row in enumerate(vote_rows())])
    assert sorted(all_rows(load_folder(folder))) == [f"{i:03}" for i in range(len(NAMES))]


def test_attributes_are_typed_by_their_values(folder):
    further = {"iso": "100", "aperture": "2.8", "zip": "01234", "scene": "sea", "empty": "", "code": "1_000"}
    write(folder, [{**row, **further, "iso": "" if i == 0 else "100"} for i, row in enumerate(vote_rows())])
    features = load_folder(folder).splits["train"].features
    assert {name: kind for name, kind in features.items() if name not in COMMON_COLUMNS} == {
        "iso": Value("int64"),
        "aperture": Value("float64"),
        "zip": Value("string"),
        "scene": Value("string"),
        "code": Value("string"),
    }
    found = all_rows(load_folder(folder))
    assert found["00.png"]["iso"] is None and found["01.png"]["iso"] == 100 and found["01.png"]["zip"] == "01234"


def test_what_belongs_to_the_raters_is_no_attribute_of_the_picture(folder):
    rows = [
        {"file_name": name, "rating": r, "age": 20 + r, "scene": name[0]} for name in NAMES for r in (1, 2, 3, 4, 5)
    ]
    write(folder, rows)
    assert set(load_folder(folder).splits["train"].column_names) == {*COMMON_COLUMNS, "scene"}


@pytest.mark.parametrize(
    "attributes, message", [({"iso": Value("int32")}, "got 'auto'"), ({"film": Value("string")}, "film")]
)
def test_given_attributes_are_demanded(folder, attributes, message):
    write(folder, [{**row, "iso": "auto"} for row in vote_rows()])
    with pytest.raises(ValueError, match=message):
        load_folder(folder, attributes=attributes)


def test_pictures_in_a_subfolder_images_are_found(folder):
    (folder / "images" / "trip").mkdir(parents=True)
    (folder / "00.png").rename(folder / "images" / "trip" / "a.b.png")
    write(folder, [{"file_name": "trip/a.b.png", "rating": 3}, {"file_name": "01.png", "rating": 3}])
    found = all_rows(load_folder(folder, scale=RatingScale(1, 5, 5)))
    assert found["trip/a.b.png"]["image"].getpixel((0, 0)) == (0, 0, 0)


def test_unreadable_pictures_are_left_out_and_reported(folder, caplog):
    content = (folder / "02.png").read_bytes()
    (folder / "02.png").write_bytes(content[: len(content) // 2])
    (folder / "05.png").write_text("<!DOCTYPE html>")
    (folder / "07.png").unlink()
    (folder / "09.png").write_bytes(b"")
    write(folder, vote_rows())
    with caplog.at_level(logging.WARNING):
        loaded = load_folder(folder)
    assert [picture.file_name for picture in loaded.skipped] == ["02.png", "05.png", "07.png", "09.png"]
    for picture, words in zip(loaded.skipped, ["cut short", "DOCTYPE", "no such file", "0 bytes"], strict=True):
        assert words in picture.reason and "\n" not in picture.reason
    assert sorted(all_rows(loaded)) == [name for name in NAMES if name not in ("02.png", "05.png", "07.png", "09.png")]
    (record,) = [record for record in caplog.records if record.name.startswith("hf_aesthetics")]
    assert "4 of 12 pictures cannot be used: 02.png, 05.png, 07.png, ..." in record.getMessage()


def test_a_picture_that_the_rows_could_not_decode_is_left_out(folder):
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(folder / "phone.heic")
    write(folder, [*vote_rows(), {**vote_rows()[0], "file_name": "phone.heic"}])
    (skipped,) = load_folder(folder).skipped
    assert skipped.file_name == "phone.heic" and "Save it as JPEG" in skipped.reason


def test_a_mostly_unreadable_folder_is_refused(folder):
    write(
        folder,
        [{"file_name": f"missing/{name}", "rating": 3} for name in NAMES[:7]]
        + [{"file_name": n, "rating": 3} for n in NAMES[7:]],
    )
    with pytest.raises(ValueError, match=r"7 of 12 pictures cannot be used: missing/00.png, .*no such file"):
        load_folder(folder, scale=RatingScale(1, 5, 5))


def test_a_benchmark_may_miss_no_picture(folder):
    (folder / "03.png").unlink()
    write(folder, vote_rows())
    assert load_folder(folder).skipped[0].file_name == "03.png"
    with pytest.raises(ValueError, match="1 of 12 pictures cannot be used: 03.png"):
        load_folder(folder, max_skipped=0)


def test_a_repaired_picture_is_used_the_next_time(folder):
    content = (folder / "03.png").read_bytes()
    (folder / "03.png").write_bytes(content[:40])
    write(folder, vote_rows())
    assert [picture.file_name for picture in load_folder(folder).skipped] == ["03.png"]
    (folder / "03.png").write_bytes(content)
    assert load_folder(folder).skipped == []


def test_a_changed_picture_changes_what_is_derived_from_it(folder):
    write(folder, vote_rows())
    before = load_folder(folder).splits["train"]
    assert load_folder(folder).splits["train"]._fingerprint == before._fingerprint
    Image.new("RGB", (80, 60)).save(folder / before[0]["image_id"])
    assert load_folder(folder).splits["train"]._fingerprint != before._fingerprint


def test_several_processes_check_the_same(folder):
    (folder / "01.png").unlink()
    (folder / "10.png").write_text("no picture")
    write(folder, vote_rows())
    reason = f"Cannot read {str(folder / '01.png')!r}: there is no such file. Check the path."
    loaded = load_folder(folder, num_proc=2)
    assert loaded.skipped[0] == SkippedPicture("01.png", reason, "missing")
    assert [picture.file_name for picture in loaded.skipped] == ["01.png", "10.png"]
    assert loaded.skipped_by_kind == {"missing": 1, "unreadable": 1}


def test_a_saved_data_set_loads_as_the_same_rows(folder):
    rows = vote_rows()
    write(folder, rows)
    loaded = load_folder(folder)
    (folder / "ratings.csv").unlink()
    flat = [
        {**{k: v for k, v in row.items() if k != "image"}, "file_name": row["image_id"]}
        for row in all_rows(loaded).values()
    ]
    write(folder, flat, "metadata.jsonl")
    assert all_rows(load_folder(folder)).keys() == all_rows(loaded).keys()
    for image_id, row in all_rows(load_folder(folder)).items():
        assert {k: row[k] for k in (*COMMON_COLUMNS[1:], "split")} == {
            k: all_rows(loaded)[image_id][k] for k in (*COMMON_COLUMNS[1:], "split")
        }


def test_features_are_those_of_every_data_set(folder):
    write(folder, vote_rows(num_bins=10))
    features = load_folder(folder).splits["train"].features
    assert isinstance(features, Features) and tuple(features) == COMMON_COLUMNS
    assert features["vote_counts"].length == 10
