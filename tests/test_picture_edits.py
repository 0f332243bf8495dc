"""Edits of pictures: each does what it says, by measures of its own."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hf_aesthetics.picture_edits import WORKING_SIDE, Edit, apply_edit, shrink_to_work


def noise(width: int = 60, height: int = 40, low: int = 0, high: int = 256) -> Image.Image:
    pixels = np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def linear_light(picture: Image.Image) -> np.ndarray:
    levels = np.asarray(picture, dtype=float) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("stops", [-1, -1 / 3, 2 / 3])
def test_exposure_multiplies_the_light(stops):
    picture = noise(low=60, high=150)
    ratio = linear_light(apply_edit(picture, Edit(exposure=stops))).mean() / linear_light(picture).mean()
    assert math.log2(ratio) == pytest.approx(stops, abs=0.02)


def test_too_much_light_is_white_and_nothing_else():
    brighter = np.asarray(apply_edit(noise(), Edit(exposure=4)))
    assert brighter.max() == 255 and (brighter >= np.asarray(noise())).all()


def test_without_saturation_there_is_no_colour():
    grey = np.asarray(apply_edit(noise(), Edit(saturation=0)))
    assert (grey == grey[..., :1]).all()


def test_blur_goes_by_the_diagonal_and_not_by_the_pixel():
    step = np.repeat(np.repeat([[0, 255]], 40, axis=1), 80, axis=0).astype(np.uint8)
    small = Image.fromarray(np.stack([step] * 3, axis=-1))
    widths = []
    for picture in (small, small.resize((320, 320), Image.Resampling.NEAREST)):
        row = np.asarray(apply_edit(picture, Edit(blur=4)))[picture.height // 2, :, 0]
        widths.append(((row > 26) & (row < 230)).sum() / picture.width)
    assert widths[0] == pytest.approx(widths[1], abs=0.03) and widths[0] > 0.1


def test_what_is_not_changed_stays():
    picture = noise()
    assert apply_edit(picture, Edit()) is picture


@pytest.mark.parametrize("fields", [{"exposure": 5}, {"saturation": -0.1}, {"blur": 11}, {"crop": 0.0}])
def test_bounds_are_told(fields):
    [(name, value)] = fields.items()
    with pytest.raises(ValueError, match=rf"`{name}` must be between .* got {value}"):
        Edit(**fields)


@pytest.mark.parametrize("tilt", [-12, 3, 30])
@pytest.mark.parametrize("size", [(160, 100), (90, 150)])
def test_a_tilt_turns_the_horizon_and_leaves_no_empty_corner(tilt, size):
    assert np.asarray(apply_edit(Image.new("RGB", size, "white"), Edit(tilt=tilt))).min() == 255
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).rectangle((0, size[1] // 2, *size), "black")
    tilted = apply_edit(picture, Edit(tilt=tilt))
    middle = (np.asarray(tilted)[..., 0] > 127).sum(axis=0)[5:-5]  # rows of sky in each column
    inside = middle[(middle > 0) & (middle < tilted.height)]
    slope = np.polyfit(np.arange(len(inside)), inside, 1)[0]
    assert math.degrees(math.atan(-slope)) == pytest.approx(tilt, abs=1.5)
    assert tilted.width / tilted.height == pytest.approx(size[0] / size[1], rel=0.04)


def test_a_crop_lies_where_it_is_told():
    picture = noise()
    part = np.asarray(apply_edit(picture, Edit(crop=0.5, across=1, down=0)))
    assert (part == np.asarray(picture)[:20, 30:]).all()
    assert str(Edit(crop=0.5, across=1, down=0)) == "frame closer by 50 % at the right and top"


def test_large_pictures_are_tried_small():
    small = shrink_to_work(Image.new("RGB", (3 * WORKING_SIDE, WORKING_SIDE)))
    assert small.width == WORKING_SIDE and small.height == pytest.approx(WORKING_SIDE / 3, abs=1)
    assert shrink_to_work(small) is small
