"""AVA's published layout: what comes out of it, and what is said where it is broken."""

import gzip
import logging
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import List, Value

from hf_aesthetics.data.ava import AVA_SCALE, FACTS, UNREADABLE_IDS, load_ava
from hf_aesthetics.data.columns import COMMON_COLUMNS, vote_statistics
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.splits import SPLITS, hash_split
from hf_aesthetics.metrics import earth_mover_distance


SCRIPTS = Path(__file__).parents[2] / "scripts"
NUM_ROWS = 600


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A synthetic AVA, and what is wrong with its damaged pictures."""
    folder = tmp_path_factory.mktemp("ava") / "ava"
    return folder, runpy.run_path(str(SCRIPTS / "synthetic_ava.py"))["write_synthetic_ava"](folder, NUM_ROWS)


@pytest.fixture(scope="module")
def loaded(published):
    return load_ava(published[0])


@pytest.fixture
def tables(published, tmp_path) -> Path:
    """A copy of the tables, to be broken."""
    shutil.copytree(published[0] / "AVA_dataset", tmp_path / "tables")
    return tmp_path / "tables"


def read_lines(folder: Path, name: str = "AVA.txt") -> list[list[str]]:
    return [line.split() for line in (folder / name).read_text().splitlines()]


def all_rows(found) -> dict[str, tuple[str, dict]]:
    return {row["image_id"]: (name, row) for name, part in found.splits.items() for row in part}


def test_every_row_is_in_its_split_or_left_out_with_a_reason(published, loaded):
    folder, damaged = published
    lines = read_lines(folder / "AVA_dataset")
    test_ids = {
        line[0] for line in read_lines(folder / "AVA_dataset", "aesthetics_image_lists/generic_test.jpgl") if line
    }
    rows = all_rows(loaded)
    assert list(loaded.splits) == list(SPLITS) and len(lines) == NUM_ROWS
    assert len(rows) + len(loaded.skipped) == NUM_ROWS
    for _, image_id, *_ in lines:
        if image_id in UNREADABLE_IDS or image_id in damaged:
            assert image_id not in rows
        else:
            assert rows[image_id][0] == ("test" if image_id in test_ids else hash_split(image_id, 0.05, 0.0))
    kinds = {picture.file_name.removesuffix(".jpg"): picture.kind for picture in loaded.skipped}
    assert kinds == {**dict.fromkeys(UNREADABLE_IDS, "known to be damaged"), **damaged}
    assert loaded.skipped_by_kind == {"known to be damaged": 26, "unreadable": 3, "missing": 1}


def test_votes_are_those_of_the_table(published, loaded):
    rows = all_rows(loaded)
    for _, image_id, *counts in read_lines(published[0] / "AVA_dataset"):
        if image_id in rows:
            votes = [int(count) for count in counts[:10]]
            expected = vote_statistics(votes, AVA_SCALE, image_id)
            row = {column: rows[image_id][1][column] for column in expected}
            assert row.pop("vote_counts") == expected.pop("vote_counts") == votes
            assert row == pytest.approx(expected, rel=1e-6)


def test_pictures_belong_to_their_votes(loaded):
    # the writer votes for bright pictures
    part = loaded.splits["train"].select(range(200))
    brightness = [np.asarray(image).mean() for image in part["image"]]
    assert np.corrcoef(brightness, part["score_mean"][:])[0, 1] > 0.95


def test_tags_challenges_and_styles_are_named(published, loaded):
    folder = published[0] / "AVA_dataset"
    named = {int(line[0]): " ".join(line[1:]) for line in read_lines(folder, "tags.txt")}
    styles = {int(line[0]): " ".join(line[1:]) for line in read_lines(folder / "style_image_lists", "styles.txt")}
    single = zip(
        read_lines(folder / "style_image_lists", "train.jpgl"),
        read_lines(folder / "style_image_lists", "train.lab"),
        strict=True,
    )
    several = zip(
        read_lines(folder / "style_image_lists", "test.jpgl"),
        read_lines(folder / "style_image_lists", "test.multilab"),
        strict=True,
    )
    expected = {image_id: [styles[int(style)]] for (image_id,), (style,) in single}
    for (image_id,), flags in several:
        expected[image_id] = [styles[number] for number, flag in enumerate(flags, start=1) if flag == "1"]
    rows = all_rows(loaded)
    for _, image_id, *numbers in read_lines(folder):
        if image_id in rows:
            row, tags, challenge = rows[image_id][1], numbers[10:12], int(numbers[12])
            assert row["semantic_tags"] == [named[int(tag)] for tag in tags if tag != "0"]
            assert row["challenge"] == (f"Challenge {challenge}" if challenge <= 1398 else None)
            assert row["styles"] == expected.get(image_id)
    assert [] in expected.values() and {len(row["semantic_tags"]) for _, row in rows.values()} == {0, 1, 2}


def test_columns_are_those_of_every_data_set(loaded):
    features = loaded.splits["test"].features
    names = List(Value("string"))
    assert list(features) == [*COMMON_COLUMNS, "semantic_tags", "challenge", "styles"]
    assert features["vote_counts"].length == 10 and features["image_id"] == Value("string")
    assert features["semantic_tags"] == features["styles"] == names


def test_a_second_load_is_the_same_and_a_changed_picture_is_another(published, loaded, tmp_path):
    folder = tmp_path / "ava"
    shutil.copytree(published[0], folder)
    before = load_ava(folder).splits
    assert {name: part._fingerprint for name, part in load_ava(folder).splits.items()} == {
        name: part._fingerprint for name, part in before.items()
    }
    image_id = before["train"]["image_id"][0]
    picture = folder / "images" / f"{image_id}.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    after = load_ava(folder)
    assert image_id not in after.splits["train"]["image_id"][:]
    assert image_id + ".jpg" in [picture.file_name for picture in after.skipped]
    assert after.splits["train"]._fingerprint != before["train"]._fingerprint
    assert after.splits["test"]._fingerprint == before["test"]._fingerprint


def test_without_pictures_the_splits_are_those_of_the_table(tables, loaded):
    found = load_ava(tables, with_pictures=False)
    assert found.skipped_by_kind == {"known to be damaged": 26}
    assert "image" not in found.splits["train"].column_names
    with_pictures = all_rows(loaded)
    for image_id, (split, row) in all_rows(found).items():
        if image_id in with_pictures:
            del with_pictures[image_id][1]["image"]
            assert (split, row) == with_pictures.pop(image_id)
    assert not with_pictures


@pytest.mark.parametrize("layout", ["image", "images/images", "AVA_dataset/images"])
def test_pictures_are_found_where_archives_put_them(published, tmp_path, layout):
    shutil.copytree(published[0] / "AVA_dataset", tmp_path / "AVA_dataset")
    (tmp_path / layout).parent.mkdir(exist_ok=True)
    (tmp_path / layout).symlink_to(published[0] / "images")
    row = load_ava(tmp_path).splits["test"][0]
    assert row["image"].size == (32, 24)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, ids: path.write_text("\n".join(ids)),
        lambda path, ids: path.write_text(
            "\ufeff" + "\n".join(['"image_id","sort"', *(f'"{i}","3"' for i in ids)]), encoding="utf-8"
        ),
        lambda path, ids: path.write_text("\n".join(["user_id=image_id=score", *(f"7={i}=5.5" for i in ids), ""])),
    ],
    ids=["plain", "category table of EVA", "votes of EVA"],
)
def test_ids_of_a_probe_are_kept_out_of_training_only(tables, tmp_path, write):
    everything = load_ava(tables, with_pictures=False).splits
    probe = {name: part["image_id"][:3] for name, part in everything.items()}
    write(tmp_path / "probe", [image_id for ids in probe.values() for image_id in ids])
    found = load_ava(tables, exclude_ids=tmp_path / "probe", with_pictures=False)
    for name in ("train", "validation"):
        assert set(everything[name]["image_id"]) - set(found.splits[name]["image_id"]) == set(probe[name])
    assert found.splits["test"]["image_id"][:] == everything["test"]["image_id"][:]
    assert found.skipped_by_kind["excluded"] == len(probe["train"]) + len(probe["validation"])
    given = load_ava(tables, exclude_ids=map(int, probe["train"]), with_pictures=False)
    assert given.skipped_by_kind["excluded"] == len(probe["train"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4 953619 0 1 5 17 38 36 15 6 5 1 1 22", r"line 4: expected 15 whole numbers .*, got '4 953619 .* 22'"),
        ("4 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396 9", "line 4: expected 15 whole numbers"),
        ("4 953619 0 1 5 x 38 36 15 6 5 1 1 22 1396", "line 4: expected 15 whole numbers"),
        ("4 953619 0 1 5 1.5 38 36 15 6 5 1 1 22 1396", "line 4: expected 15 whole numbers"),
        ("4 953619 0 1 5 -1 38 36 15 6 5 1 1 22 1396", "line 4: expected no negative number, got '4 953619 0 1 5 -1"),
        ("4 953619 0 0 0 0 0 0 0 0 0 0 1 22 1396", "line 4: expected at least one vote"),
        ("4 953619 0 1 5 17 38 36 15 6 5 1 1 67 1396", r"expected tags of tags.txt, got \[67\]"),
    ],
)
def test_a_malformed_line_is_named(tables, line, message):
    lines = (tables / "AVA.txt").read_text().splitlines()
    (tables / "AVA.txt").write_text("\n".join([*lines[:3], line, *lines[4:]]))
    with pytest.raises(ValueError, match=rf"AVA\.txt.*{message}") as caught:
        load_ava(tables, with_pictures=False)
    assert "\n" not in str(caught.value)


def test_an_id_that_comes_twice_is_named(tables):
    lines = (tables / "AVA.txt").read_text().splitlines()
    (tables / "AVA.txt").write_text("\n".join([*lines[:3], "", *lines[3:], lines[5]]))
    image_id = lines[5].split()[1]
    with pytest.raises(ValueError, match=rf"line {NUM_ROWS + 2}: expected an image id that no .* {image_id} "):
        load_ava(tables, with_pictures=False)


@pytest.mark.parametrize(
    "name", ["AVA.txt", "tags.txt", "aesthetics_image_lists/generic_test.jpgl", "style_image_lists/test.multilab"]
)
def test_a_missing_table_is_named_with_where_to_get_it(tables, name):
    (tables / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}.*found none. Fetch it from {FACTS.source_url}"):
        load_ava(tables, with_pictures=False)


def test_missing_pictures_are_asked_for(tables, published, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"<id>.jpg in '.*tables/images'.*with_pictures=False"):
        load_ava(tables)
    (tables / "images").mkdir()
    for path in sorted((published[0] / "images").iterdir())[:500]:
        shutil.copy(path, tables / "images")
    with pytest.raises(ValueError, match=r"of 600 pictures are left out \(\d+ missing, .*at most 1.0% .*max_skipped"):
        load_ava(tables)
    assert load_ava(tables, max_skipped=0.5).skipped_by_kind["missing"] > 80


def test_what_is_left_out_is_told_in_one_line(published, caplog):
    with caplog.at_level(logging.WARNING):
        load_ava(published[0])
    (record,) = [record for record in caplog.records if record.name == "hf_aesthetics.data.ava"]
    assert "30 of 600 pictures are left out (26 known to be damaged, 3 unreadable, 1 missing)" in record.getMessage()


def test_labels_of_styles_must_fit_the_ids(tables):
    labels = tables / "style_image_lists" / "train.lab"
    labels.write_text("\n".join(labels.read_text().split()[:-1]))
    with pytest.raises(ValueError, match="a label for each of 24 training ids, .*got 23"):
        load_ava(tables, with_pictures=False)


def test_a_list_of_other_things_than_ids_is_refused(tables, tmp_path):
    (tmp_path / "probe.csv").write_text("image_id,sort\n12,3\nsea.jpg,4\n")
    with pytest.raises(ValueError, match="probe.csv: expected image ids as whole numbers, got 'sea.jpg'"):
        load_ava(tables, exclude_ids=tmp_path / "probe.csv", with_pictures=False)


def test_the_collection_brings_its_scale_and_what_was_left_out(published):
    collection = load_collection("ava", published[0], num_proc=1)
    assert collection.scale == AVA_SCALE and collection.facts is FACTS
    assert collection.left_out == {"known to be damaged": 26, "unreadable": 3, "missing": 1}


def test_the_collection_keeps_ids_of_a_probe_out_of_training(published, loaded, tmp_path):
    probe = loaded.splits["train"]["image_id"][:7]
    (tmp_path / "eva.csv").write_text("image_id,sort\n" + "\n".join(f"{image_id},1" for image_id in probe))
    collection = load_collection("ava", published[0], num_proc=1, exclude_ids=tmp_path / "eva.csv")
    assert collection.left_out["excluded"] == 7
    assert not set(probe) & set(collection.labels["train"]["image_id"])
    with pytest.raises(ValueError, match="`exclude_ids` is for the data set 'ava', got 'oasis'"):
        load_collection("oasis", published[0], exclude_ids=tmp_path / "eva.csv")


def test_real_labels_have_the_published_statistics(tmp_path):
    folder = Path(os.environ.get("HF_AESTHETICS_DATA_DIR", "")) / "ava_labels"
    if not (folder / "tags.txt").is_file():
        pytest.skip("needs labels of AVA: set HF_AESTHETICS_DATA_DIR to the folder that holds ava_labels/")
    with gzip.open(folder / "ava_votes_60564.csv.gz", "rt") as file:
        rows = [line.strip().split(",") for line in file][1:]
    lines = [f"{number} {' '.join(row)} 0 0 2" for number, row in enumerate(rows, start=1)]
    (tmp_path / "aesthetics_image_lists").mkdir()
    (tmp_path / "AVA.txt").write_text("\n".join(lines))
    (tmp_path / "aesthetics_image_lists" / "generic_test.jpgl").write_text("\n".join(row[0] for row in rows[::12]))
    for name in ("tags.txt", "challenges.txt", "style_image_lists"):
        (tmp_path / name).symlink_to(folder / name)
    found = load_ava(tmp_path, with_pictures=False)

    votes = np.concatenate([np.array(part["vote_counts"][:]) for part in found.splits.values()])
    shares = votes / votes.sum(axis=1, keepdims=True)
    means = np.concatenate([part["score_mean"][:] for part in found.splits.values()])
    stds = np.concatenate([part["score_std"][:] for part in found.splits.values()])
    assert (means.mean(), means.std(), stds.mean()) == pytest.approx((5.38, 0.73, 1.43), abs=0.02)
    constant = np.tile(shares.mean(axis=0), (len(shares), 1))
    assert earth_mover_distance(constant, shares, order=1).mean() == pytest.approx(0.0636, abs=0.001)
    assert earth_mover_distance(constant, shares, order=2).mean() == pytest.approx(0.0893, abs=0.001)
    assert (means > 5).mean() == pytest.approx(0.703, abs=0.01)
    styles = [style for part in found.splits.values() for row in part["styles"] if row for style in row]
    assert len(set(styles)) == 14 and {"HDR", "Motion_Blur", "Rule_of_Thirds"} < set(styles)
