"""Series of photographs and harmful edits: graded, the same every time, and no photograph in two splits."""

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, Image, Value
from PIL import Image as PILImage
from PIL import ImageDraw

from hf_aesthetics.data.edited_series import EDIT_KINDS, harmful_edits, load_edited_series
from hf_aesthetics.data.series_collections import load_series_collection
from hf_aesthetics.picture_edits import apply_edit


FEATURES = Features({"image": Image(), "image_id": Value("string")})


def photograph(seed: int = 0) -> PILImage.Image:
    """A level shore, and a red boat that is so long that every smaller frame cuts it."""
    generator = np.random.default_rng(seed)
    pixels = np.full((120, 160, 3), (150, 170, 190)) + generator.normal(0, 4, (120, 160, 3))
    pixels[70:] -= 70
    picture = PILImage.fromarray(pixels.clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(picture).rectangle((70, 50, 140, 80), (220, 20, 20))
    return picture


def photographs(**splits: list[str]) -> DatasetDict:
    rows = {
        split: [{"image": photograph(sum(name.encode())), "image_id": name} for name in names]
        for split, names in splits.items()
    }
    return DatasetDict({split: Dataset.from_list(of_split, features=FEATURES) for split, of_split in rows.items()})


def red_share(picture: PILImage.Image) -> float:
    pixels = np.asarray(picture).astype(float)
    return float((pixels[..., 0] - pixels[..., 1] > 90).sum())


def slope_of_shore(picture: PILImage.Image) -> float:
    left = np.asarray(picture.convert("L")).astype(float)[:, :50]
    shore = (left > 130).sum(axis=0)
    return abs(np.polyfit(np.arange(len(shore)), shore, 1)[0])


MEASURES = {
    "blur": lambda picture: -np.abs(np.diff(np.asarray(picture.convert("L")).astype(float), axis=1)).mean(),
    "exposure": lambda picture: abs(np.asarray(picture).mean() - np.asarray(photograph()).mean()),
    "tilt": slope_of_shore,
    "crop": lambda picture: -red_share(picture),
}


@pytest.mark.parametrize("coin", [False, True])
@pytest.mark.parametrize("kind", EDIT_KINDS)
def test_edits_do_ever_more_harm(kind, coin):
    edits = harmful_edits(photograph(), kind, coin)
    harm = [MEASURES[kind](apply_edit(photograph(), edit)) for edit in edits]
    assert len(harm) == 3 and harm == sorted(harm) and len(set(harm)) == 3


@pytest.mark.parametrize("kind", ["exposure", "tilt"])
def test_the_coin_turns_the_edit_round(kind):
    one, other = (harmful_edits(photograph(), kind, coin) for coin in (False, True))
    assert [(-edit.exposure, -edit.tilt) for edit in one] == [(edit.exposure, edit.tilt) for edit in other]


def test_nothing_but_the_horizon_tells_tilted_pictures_apart():
    sizes = np.array([apply_edit(photograph(), edit).size for edit in harmful_edits(photograph(), "tilt")])
    assert np.ptp(sizes, axis=0).max() <= 1
    assert all(edit.tilt for edit in harmful_edits(photograph(), "tilt"))  # all are interpolated


def test_series_lie_where_their_photographs_do_and_are_the_same_every_time():
    whole = load_edited_series(photographs(train=["a", "b"], test=["c"])).pictures
    assert {split: rows.num_rows for split, rows in whole.items()} == {"train": 24, "test": 12}
    assert {name.split()[0] for name in whole["train"]["series_id"]} == {"a", "b"}
    assert {name.split()[0] for name in whole["test"]["series_id"]} == {"c"}
    assert whole["train"]["series_rank"][:3] == [0, 1, 2] and whole["train"]["source"][::3] == [*EDIT_KINDS] * 2
    alone = load_edited_series(photographs(validation=["b"]), ["exposure"]).pictures["validation"]
    again = {row["image_id"]: row["image"] for row in whole["train"]}
    for row in alone:  # whatever others there are
        assert row["image"].tobytes() == again[row["image_id"]].tobytes()


def test_another_seed_draws_other_edits():
    means = []
    for seed in (0, 1):
        names = [str(number) for number in range(12)]
        series = load_edited_series(photographs(train=names), ["exposure"], seed=seed).pictures["train"]
        worst = [np.asarray(picture).mean() for picture in series["image"][2::3]]
        means.append([light > 150 for light in worst])
    assert means[0] != means[1] and 0 < sum(means[0]) < 12


def test_a_folder_of_photographs_will_do(tmp_path):
    for number in range(12):
        (tmp_path / "trip").mkdir(exist_ok=True)
        photograph(number).save(tmp_path / "trip" / f"{number}.png")
    series = load_series_collection("edits", tmp_path, seed=3).pictures
    found = {split: {name.rsplit(" ", 1)[0] for name in rows["series_id"]} for split, rows in series.items()}
    assert sum(len(names) for names in found.values()) == len(set().union(*found.values())) == 12
    assert "trip/0.png" in set().union(*found.values())
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="1 of 13 photographs cannot be used.*torn.jpg"):
        load_edited_series(tmp_path)
    assert len(load_edited_series(tmp_path, max_skipped=0.1).skipped) == 1


def test_what_cannot_be_made_is_said(tmp_path):
    with pytest.raises(ValueError, match="`kind` must be one of blur, exposure, tilt, crop, got 'rain'"):
        load_edited_series(photographs(train=["a"]), ["rain"])
    with pytest.raises(ValueError, match="found none"):
        load_edited_series(tmp_path)
    with pytest.raises(ValueError, match="'edits' need the folder.*--series_dir"):
        load_series_collection("edits")
