"""EVA, CADB, AADB and PARA in their published layouts, with the oddities that these have."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import concatenate_datasets
from PIL import Image

from hf_aesthetics.analysis.categories import category_systems
from hf_aesthetics.data.aadb import ATTRIBUTES, load_aadb
from hf_aesthetics.data.cadb import load_cadb
from hf_aesthetics.data.columns import COMMON_COLUMNS
from hf_aesthetics.data.eva import load_eva
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.para import load_para
from hf_aesthetics.data.splits import hash_split
from hf_aesthetics.data.training_ids import TrainingIds


EVA_IDS = [str(number) for number in range(1000, 1040)]
AADB_NAMES = [f"farm1_{number}_b.jpg" for number in range(40)]


def save_pictures(paths) -> None:
    for brightness, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (brightness, 90, 90)).save(path)


def write_eva(folder: Path) -> Path:
    """Cells between =, a byte order mark and quotes in the table of contents, and a browser with = in its name."""
    (folder / "data").mkdir(parents=True)
    header = "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4"
    lines = [f"{i}=U{u}={int(i) % 7 + u}={1 + u}=2=3={1 + u}=4=10=0=1=0=0" for i in EVA_IDS for u in range(3)]
    (folder / "data" / "votes_filtered.csv").write_text("\n".join([header, *lines]) + "\n")
    header = "image_id=user_id=score=difficulty=visual=composition=quality=semantic=factor=device=vote_time"
    lines = [f'{i}=U0=8.0=1=2==3=4=1=Mozilla "5.0" (v=2; x=y)=10' for i in EVA_IDS]
    (folder / "data" / "votes.csv").write_text("\n".join([header, *lines]) + "\n")
    lines = ['"image_id","sort"', *(f'"{i}","{int(i) % 6 + 1}"' for i in EVA_IDS), '"77","1"']
    (folder / "data" / "image_content_category.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    save_pictures(folder / "images" / "EVA_together" / f"{i}.jpg" for i in EVA_IDS)
    return folder


def write_cadb(folder: Path) -> Path:
    """Classes without elements, which have empty lists."""
    names = [f"{number}.jpg" for number in range(10000, 10060)]
    scores = {name: {"scores": [4.0, 3.0, 4.0, 4.0, 4.0], "mean": 3.8} for name in names}
    scores |= {
        name: {"scores": [2.0, 3.0, 2.0, 2.0, 2.0], "dist": [0, 0.8, 0.2, 0, 0], "mean": 2.2} for name in names[::2]
    }
    elements = {name: {"center": [[1, 2, 3, 4]]} for name in names}
    elements[names[0]] = {"pattern": [], "diagonal": [[0, 0, 5, 5]]}
    content = {
        "composition_scores.json": scores,
        "split.json": {"train": names[6:], "test": names[:6]},
        "annotations/scene_categories.json": dict.fromkeys(names, "animal") | {names[0]: "night"},
        "annotations/composition_elements.json": elements,
        "composition_attributes.json": {
            name: {**dict.fromkeys(ATTRIBUTES, 0.1 * (row % 5) - 0.2), "score": 0.1 * (row % 5)}
            for row, name in enumerate(names)
        },
    }
    (folder / "annotations").mkdir(parents=True)
    for name, value in content.items():
        (folder / name).write_text(json.dumps(value))
    save_pictures(folder / "images" / name for name in names)
    return folder


def write_aadb(folder: Path, shift: float = 0.0) -> Path:
    """Lists with "Balacing", a validation list that shares pictures with the new test list, prefixed test pictures."""
    lists = {
        "Train": {name: number / 50 for number, name in enumerate(AADB_NAMES[:30])},
        "Validation": {name: 0.5 for name in AADB_NAMES[30:36]},
        "TestNew": {f"0.800_{name}": 0.8 for name in AADB_NAMES[34:]},
    }
    (folder / "imgListFiles_label").mkdir(parents=True)
    for split, scores in lists.items():
        for attribute in ("score", *ATTRIBUTES):
            lines = [
                f"{name} {score if attribute == 'score' else round(score - 0.6, 2) + shift} 3"
                for name, score in scores.items()
            ]
            path = folder / "imgListFiles_label" / f"imgList{split}Regression_{attribute}.txt"
            path.write_text("\n".join(lines) + "\n")
    save_pictures(folder / "datasetImages_originalSize" / name for name in AADB_NAMES[:34])
    save_pictures(folder / "AADB_newtest_originalSize" / f"0.800_{name}" for name in AADB_NAMES[34:])
    return folder


def write_para(folder: Path) -> Path:
    """An index column in front, as in copies of the tables, and columns that nobody needs."""
    (folder / "annotation").mkdir(parents=True)
    header = ["", "imageName", "sessionId", "semantic", *(f"aestheticScore_{half / 2}" for half in range(2, 11))]
    header += ["aestheticScore_mean", "qualityScore_mean", "compositionScore_mean", "colorScore_mean", "dofScore_mean"]
    header += ["lightScore_mean", "contentScore_mean", "contentPreference_mean", "willingnessToShare_mean", "artistic"]
    for name, numbers in (("Train", range(40)), ("Test", range(40, 50))):
        lines = [",".join(header)]
        for number in numbers:
            votes = [0, 0, 1, 0, 2, 0, 0, 0, number % 3]
            mean = np.dot(votes, np.linspace(1, 5, 9)) / sum(votes)
            scene = "nightScene" if number % 2 else "plant"
            cells = [
                number,
                f"pub{number}_.jpg",
                f"session{number % 4}",
                scene,
                *votes,
                mean,
                *[mean] * 6,
                1.5,
                4.5,
                9,
            ]
            lines.append(",".join(map(str, cells)))
            save_pictures([folder / "imgs" / f"session{number % 4}" / f"pub{number}_.jpg"])
        (folder / "annotation" / f"PARA-Giaa{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


WRITERS = {
    "eva": (write_eva, load_eva, 40),
    "cadb": (write_cadb, load_cadb, 60),
    "aadb": (write_aadb, load_aadb, 40),
    "para": (write_para, load_para, 50),
}


def by_id(found) -> dict[str, dict]:
    return {row["image_id"]: {**row, "split": name} for name, part in found.splits.items() for row in part}


@pytest.mark.parametrize("name", WRITERS)
def test_pictures_and_labels_are_those_of_the_layout(name, tmp_path):
    write, load, count = WRITERS[name]
    folder = write(tmp_path / name)
    found = load(folder)
    rows = by_id(found)
    assert len(rows) == count and not found.skipped
    for part in found.splits.values():
        assert list(part.features)[: len(COMMON_COLUMNS)] == list(COMMON_COLUMNS)
        assert part[0]["image"].size == (8, 6)
    labels = by_id(load(folder, with_pictures=False))
    assert labels == {key: {k: v for k, v in row.items() if k != "image"} for key, row in rows.items()}
    assert category_systems(concatenate_datasets(list(found.splits.values())))


@pytest.mark.parametrize("name", WRITERS)
def test_all_load_by_name_with_scale_and_facts(name, tmp_path):
    write, load, _ = WRITERS[name]
    collection = load_collection(name, write(tmp_path / name))
    assert collection.scale == load(tmp_path / name).scale and collection.facts.name == name.upper()
    assert collection.facts.pictures.is_given is False  # others' photographs are not ours to pass on


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_picture_is_left_out_with_its_name_and_many_are_refused(name, tmp_path, caplog):
    write, load, count = WRITERS[name]
    folder = write(tmp_path / name)
    gone = next(folder.rglob("*.jpg"))
    gone.unlink()
    found = load(folder, max_skipped=0.1)
    assert found.skipped_by_kind == {"missing": 1} and len(by_id(found)) == count - 1
    with pytest.raises(ValueError, match=f"1 of {count} pictures cannot be used: .*Fetch the others"):
        load(folder)


def test_votes_of_eva_are_counted_and_its_attributes_averaged(tmp_path):
    folder = write_eva(tmp_path)
    rows = by_id(load_eva(folder, with_pictures=False))
    assert rows.keys() == set(EVA_IDS)  # the picture 77 has no votes
    row = rows["1002"]  # 1002 % 7 = 1
    assert row["vote_counts"] == [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0] and row["score_mean"] == 2
    means = [row[f"{name}_mean"] for name in ("visual", "composition", "quality", "semantic", "ease")]
    assert means == [2, 3, 2, 4, 2] and row["content_category"] == "animals"
    assert row["split"] == hash_split("1002", 0.1, 0.2)
    unfiltered = by_id(load_eva(folder, filtered=False, with_pictures=False))["1002"]
    assert unfiltered["num_votes"] == 1 and unfiltered["score_mean"] == 8 and unfiltered["composition_mean"] is None


def test_what_a_checkpoint_saw_of_ava_is_found_in_eva(tmp_path):
    folder = write_eva(tmp_path)
    ids = list(by_id(load_eva(folder, with_pictures=False)))
    seen = TrainingIds.of_splits("ava", {"train": ["5", *EVA_IDS[:7]]})
    assert seen.overlap("eva", ids) == {"train of ava": 7}


def test_classes_of_cadb_count_without_elements_and_scores_are_votes(tmp_path):
    rows = by_id(load_cadb(write_cadb(tmp_path), with_pictures=False))
    row = rows["10000.jpg"]
    assert row["composition_classes"] == ["diagonal", "pattern"] and row["scene_category"] == "night"
    assert row["vote_counts"] == [0, 4, 1, 0, 0] and row["score_mean"] == pytest.approx(2.2)
    assert row["balancing_elements"] == pytest.approx(-0.2)
    assert {key for key, row in rows.items() if row["split"] == "test"} == {f"{n}.jpg" for n in range(10000, 10006)}


def test_cadb_comes_without_the_attributes_that_were_published_later(tmp_path):
    folder = write_cadb(tmp_path)
    (folder / "composition_attributes.json").unlink()
    part = load_cadb(folder, with_pictures=False).splits["test"]
    assert "symmetry" not in part.features and "scene_category" in part.features


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_both_conventions_of_aadb_give_the_same_signs(shift, tmp_path):
    found = load_aadb(write_aadb(tmp_path, shift), with_pictures=False)
    rows = by_id(found)
    row = rows["farm1_20_b.jpg"]
    assert row["split"] == "train" and row["score_mean"] == pytest.approx(0.4) and row["vote_counts"] is None
    assert row["balancing_elements"] == pytest.approx(-0.2, abs=1e-6) == row["symmetry"]
    # two pictures of the validation list are in the new test list
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 30, "validation": 4, "test": 6}
    assert rows["farm1_34_b.jpg"]["split"] == "test" and rows["farm1_34_b.jpg"]["score_mean"] == pytest.approx(0.8)
    assert (found.scale.min_score, found.scale.max_score) == (0, 1)


def test_columns_of_para_are_found_by_name_and_votes_are_in_halves(tmp_path):
    found = load_para(write_para(tmp_path), with_pictures=False)
    rows = by_id(found)
    row = rows["pub41_.jpg"]
    assert row["vote_counts"] == [0, 0, 1, 0, 2, 0, 0, 0, 2] and row["score_mean"] == pytest.approx(3.6)
    assert row["split"] == "test" and row["scene_category"] == "nightScene" and row["session"] == "session1"
    assert row["depth_of_field_mean"] == pytest.approx(3.6)
    assert (row["content_preference_mean"], row["willingness_to_share_mean"]) == (1.5, 4.5)
    assert {key for key, row in rows.items() if row["split"] == "test"} == {f"pub{n}_.jpg" for n in range(40, 50)}


LABELS = "imgListFiles_label/imgListTrainRegression_"
BROKEN = {
    "score out of range": (
        "eva",
        "data/votes_filtered.csv",
        "1000=U0=6",
        "1000=U0=11",
        "row 2: `score` must be.*'11'",
    ),
    "half a score": ("eva", "data/votes_filtered.csv", "1000=U0=6", "1000=U0=6.5", "row 2: `score` must be a whole"),
    "file name as id": ("eva", "data/votes_filtered.csv", "1000=U0", "1000.jpg=U0", "row 2: `image_id`.*'1000.jpg'"),
    "a cell too few": ("eva", "data/votes_filtered.csv", "1000=U0=", "1000=", "row 2: expected 13 cells, got 12"),
    "commas": ("eva", "data/votes_filtered.csv", "=", ",", "expected columns image_id, score"),
    "category 7": (
        "eva",
        "data/image_content_category.csv",
        '"77","1"',
        '"77","7"',
        "`sort` must be.*1 to 6, got '7'",
    ),
    "no json": ("cadb", "split.json", "{", "<html>", "split.json: expected JSON"),
    "no scores": ("cadb", "composition_scores.json", '"scores"', '"score"', "10000.jpg: expected a list `scores`"),
    "six": ("cadb", "composition_scores.json", "[2.0, 3.0", "[2.0, 6.0", "10000.jpg: `scores` must be.*1 to 5, got 6"),
    "another mean": (
        "cadb",
        "composition_scores.json",
        '"mean": 2.2',
        '"mean": 3.2',
        "10000.jpg: expected `mean` 2.2",
    ),
    "in no split": ("cadb", "split.json", '"10000.jpg", ', "", "expected 10000.jpg in `train` or in `test`"),
    "other attributes": ("cadb", "composition_attributes.json", "VividColor", "Vivid", "10000.jpg: `VividColor` must"),
    "no value": ("aadb", f"{LABELS}score.txt", "farm1_3_b.jpg 0.06 3", "farm1_3_b.jpg", "line 4: `value` must be"),
    "twice": (
        "aadb",
        f"{LABELS}score.txt",
        "farm1_3_b",
        "farm1_2_b",
        "line 4: .* that no line before has, got farm1_2",
    ),
    "other pictures": (
        "aadb",
        f"{LABELS}DoF.txt",
        "farm1_3_b",
        "farm1_99_b",
        "DoF.txt: .* differs in 2, such as farm1_3",
    ),
    "mixed ranges": ("aadb", f"{LABELS}DoF.txt", "-0.6", "2.4", "in -1..1 or in 1..3, got -0.6 to 2.4"),
    "score of ten": (
        "aadb",
        f"{LABELS}score.txt",
        "b.jpg 0.06",
        "b.jpg 2.5",
        "farm1_3_b.jpg: `score` must be.*0 to 1",
    ),
    "other votes": (
        "para",
        "annotation/PARA-GiaaTest.csv",
        ",1,0,2,",
        ",9,0,2,",
        "row 2: expected `aestheticScore_mean`",
    ),
    "no session": ("para", "annotation/PARA-GiaaTest.csv", "session0", "", "row 2: `sessionId` must be a name"),
    "leak": ("para", "annotation/PARA-GiaaTest.csv", "pub40_", "pub3_", "row 2: pub3_.jpg is in a row before"),
    "no mean": (
        "para",
        "annotation/PARA-GiaaTest.csv",
        "lightScore_mean",
        "light",
        "expected columns lightScore_mean",
    ),
}


@pytest.mark.parametrize(("name", "file", "old", "new", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_said_in_one_line_with_its_place(name, file, old, new, message, tmp_path):
    write, load, _ = WRITERS[name]
    path = write(tmp_path / name) / file
    content = path.read_text(encoding="utf-8-sig")
    assert old in content
    path.write_text(content.replace(old, new))
    with pytest.raises(ValueError, match=message) as raised:
        load(tmp_path / name, with_pictures=False)
    assert "\n" not in str(raised.value)


def test_attributes_that_fall_with_the_score_have_the_wrong_sign(tmp_path):
    folder = write_aadb(tmp_path)
    for path in (folder / "imgListFiles_label").glob("*.txt"):
        if not path.stem.endswith("_score"):
            lines = [line.split() for line in path.read_text().splitlines()]
            path.write_text("".join(f"{name} {-float(value)}\n" for name, value, _ in lines))
    with pytest.raises(ValueError, match="must rise with the score, got a correlation .* of -"):
        load_aadb(folder, with_pictures=False)
