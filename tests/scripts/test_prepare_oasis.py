import csv
import gzip
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hf_aesthetics.data.oasis import load_oasis
from hf_aesthetics.data.splits import SPLITS, hash_split, split_fingerprint


THEMES = ["Acorns 1", "Acorns 2", "Angry face 1", "Beach 1", "Beach 10", "Car race 3", "Lake 1", "Lake 2"]
SOURCES = ["pixabay", "Wikipedia", "Flickr", "private", "pixabay", "pixabay", "www.pixabay.com", "pixabay"]
# raters of each block, and its pictures: the second block is the larger one
BLOCKS = [(range(0, 5), [0, 3, 6]), (range(5, 14), [1, 2, 4, 5, 7])]


@pytest.fixture(scope="module")
def prepare():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "prepare_oasis.py"))["main"]


@pytest.fixture
def ratings() -> np.ndarray:
    ratings = np.full((14, len(THEMES)), np.nan)
    rng = np.random.default_rng(0)
    for raters, pictures in BLOCKS:
        ratings[np.ix_(raters, pictures)] = rng.integers(1, 8, size=(len(raters), len(pictures)))
    ratings[6, 7] = np.nan  # a rater who left one picture out still belongs to the block
    return ratings


@pytest.fixture
def published(tmp_path, ratings) -> Path:
    """A miniature of the published files: lines that end in CR, pictures named by theme, a MATLAB matrix."""
    folder = tmp_path / "published"
    (folder / "images").mkdir(parents=True)
    header = ["", "Theme", "Category", "Source", "Valence_mean", "Valence_SD", "Valence_N"]
    lines = [",".join([*header, "Arousal_mean", "Arousal_SD", "Arousal_N"])]
    for number, (theme, source) in enumerate(zip(THEMES, SOURCES, strict=True), start=1):
        lines.append(f"I{number},{theme},Object,{source},{number / 2 + 0.123456789},1,100,4.5,1,101")
        Image.new("RGB", (50, 40), (25 * number, 0, 0)).save(folder / "images" / f"{theme}.jpg", quality=95)
    (folder / "OASIS.csv").write_bytes("\r".join(lines).encode() + b"\r")
    names = np.array([[f"{theme}" for theme in THEMES]] * 14, dtype=object)
    savemat(folder / "ratings.mat", {"corrData": ratings, "theme_matrix": names, "age": np.arange(14)[:, None]})
    return folder


def arguments(published: Path, *further: object) -> list[str]:
    output = published.with_name("oasis")
    given = ["--oasis_dir", published, "--ratings", published / "ratings.mat", "--output_dir", output, *further]
    return [str(argument) for argument in given]


def test_the_loader_reads_back_the_planted_ratings(prepare, published, ratings, tmp_path, capsys):
    prepare(arguments(published, "--short_side", 20))
    splits = load_oasis(tmp_path / "oasis")
    rows = {row["image_id"]: (split, row) for split, part in splits.items() for row in part}
    assert len(rows) == len(THEMES)
    for index, theme in enumerate(THEMES):
        split, row = rows[f"I{index + 1}"]
        given = ratings[~np.isnan(ratings[:, index]), index]
        assert np.repeat(range(1, 8), row["vote_counts"]).tolist() == sorted(given)
        assert row["score_mean"] == pytest.approx(given.mean()) and row["score_std"] == pytest.approx(given.std())
        assert row["theme"] == theme.rsplit(" ", 1)[0]
        assert split == hash_split(row["theme"], 0.1, 0.15)
        assert row["rater_group"] == (2 if index in BLOCKS[0][1] else 1)
        assert row["valence_mean"] == pytest.approx((index + 1) / 2 + 0.12346)
        assert row["image"].size == (25, 20)
        assert row["image"].getpixel((9, 9))[0] == pytest.approx(25 * (index + 1), abs=4)
    assert [rows[f"I{n}"][1]["source_class"] for n in (1, 2, 3, 4, 7)] == [
        "pixabay",
        "wikipedia",
        "flickr",
        "other",
        "pixabay",
    ]
    printed = capsys.readouterr().out
    for split, part in splits.items():
        assert f"{split}: {len(part)} pictures, fingerprint {split_fingerprint(part['image_id'])}" in printed


def test_single_ratings_are_the_matrix(prepare, published, ratings, tmp_path):
    prepare(arguments(published))
    with gzip.open(tmp_path / "oasis" / "ratings.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    found = np.full_like(ratings, np.nan)
    for row in rows:
        found[int(row["rater_id"]) - 1, int(row["image_id"][1:]) - 1] = int(row["rating"])
    np.testing.assert_array_equal(found, ratings)
    assert len(rows) == np.isfinite(ratings).sum()


def test_splits_and_exclusions_of_an_earlier_result_are_taken(prepare, published, tmp_path):
    split_by_theme = dict(
        zip(["Acorns", "Beach", "Car race", "Lake"], ["train", "test", "train", "validation"], strict=True)
    )
    (tmp_path / "splits.csv").write_text("theme,split\n" + "".join(f"{t},{s}\n" for t, s in split_by_theme.items()))
    (tmp_path / "exclude.txt").write_text("I3\n")
    (published / "images" / "Angry face 1.jpg").unlink()
    prepare(arguments(published, "--splits", tmp_path / "splits.csv", "--exclude", tmp_path / "exclude.txt"))
    splits = load_oasis(tmp_path / "oasis")
    assert {theme: split for split, part in splits.items() for theme in part["theme"]} == split_by_theme
    assert {image_id for part in splits.values() for image_id in part["image_id"]} == {
        f"I{n}" for n in (1, 2, 4, 5, 6, 7, 8)
    }
    assert list(splits) == list(SPLITS) and not (tmp_path / "oasis" / "images" / "I3.jpg").exists()


def test_small_pictures_keep_their_size(prepare, published, tmp_path):
    prepare(arguments(published))
    assert load_oasis(tmp_path / "oasis")["train"][0]["image"].size == (50, 40)


def test_a_run_that_broke_off_leaves_no_folder_and_can_be_repeated(prepare, published, tmp_path):
    content = (published / "images" / "Lake 2.jpg").read_bytes()
    (published / "images" / "Lake 2.jpg").write_bytes(content[:200])
    with pytest.raises(ValueError, match="Lake 2.jpg"):
        prepare(arguments(published))
    assert not (tmp_path / "oasis").exists()
    (published / "images" / "Lake 2.jpg").write_bytes(content)
    prepare(arguments(published))
    assert len(list((tmp_path / "oasis" / "images").iterdir())) == len(THEMES)
    assert not (tmp_path / "oasis.partial").exists()


def test_missing_pictures_are_counted_before_any_work(prepare, published):
    (published / "images" / "Lake 2.jpg").unlink()
    with pytest.raises(SystemExit, match=r"expected 8 pictures .*, 1 are missing, such as \['Lake 2.jpg'\]"):
        prepare(arguments(published))


@pytest.mark.parametrize(
    "matrices, message",
    [
        ({"few": np.ones((5, 7))}, r"8 columns .*found \{'few': \(5, 7\)\}"),
        ({"one": np.ones((5, 8)), "two": np.ones((6, 8))}, "'one'.*'two'"),
        ({"tens": np.full((5, 8), 10.0)}, r"1..7 in 7 bins for 'Acorns 1', got \[10\.\]"),
    ],
)
def test_a_wrong_matrix_is_refused(prepare, published, matrices, message):
    savemat(published / "ratings.mat", matrices)
    with pytest.raises(SystemExit, match=message):
        prepare(arguments(published))


@pytest.mark.parametrize(
    "option, text, message",
    [
        ("--splits", "theme,split\nAcorns,train\n", "row for the theme 'Angry face'"),
        ("--splits", "theme,split\nAcorns,dev\n", r"got \['dev'\]"),
        ("--exclude", "I3 I901", r"got \['I901'\]"),
    ],
)
def test_a_wrong_option_file_is_refused(prepare, published, tmp_path, option, text, message):
    (tmp_path / "option.txt").write_text(text)
    with pytest.raises(SystemExit, match=message):
        prepare(arguments(published, option, tmp_path / "option.txt"))


def test_an_existing_folder_is_left_alone(prepare, published, tmp_path):
    (tmp_path / "oasis").mkdir()
    with pytest.raises(SystemExit, match="oasis exists"):
        prepare(arguments(published))
