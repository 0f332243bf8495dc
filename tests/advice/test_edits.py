import math

import numpy as np
import pytest
import torch
from PIL import Image
from planted_scorer import planted_scorer

from hf_aesthetics.advice import CANDIDATE_EDITS, Edit, apply_edit, score_edits, suggest_edits
from hf_aesthetics.advice.edits import WORKING_SIDE, shrink_to_work


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


@pytest.mark.parametrize("edit", CANDIDATE_EDITS)
def test_every_candidate_says_what_it_does(edit):
    assert str(edit) != "unchanged" and str(edit) not in [str(other) for other in CANDIDATE_EDITS if other != edit]


def test_a_scorer_of_light_is_advised_to_light():
    scorer = planted_scorer(lambda pixels: 5 * pixels.mean(dim=(1, 2, 3)))
    [advice] = suggest_edits(scorer, noise(high=128), error=0.3)
    assert advice.edit == Edit(exposure=1)
    before, after = score_edits(scorer, noise(high=128), [Edit(), advice.edit])
    assert (advice.score, advice.gain) == pytest.approx((after, after - before))


def test_a_gain_within_the_error_is_no_advice():
    scorer = planted_scorer(lambda pixels: 5 * pixels.mean(dim=(1, 2, 3)))
    [advice] = suggest_edits(scorer, noise(high=128), error=0.3)
    assert suggest_edits(scorer, noise(high=128), error=advice.gain) == []


def test_of_each_kind_the_best_comes_the_best_first():
    def score(pixels: torch.Tensor) -> torch.Tensor:
        colour = (pixels.amax(dim=1) - pixels.amin(dim=1)).mean(dim=(1, 2))
        return 10 - 8 * colour - 6 * pixels.mean(dim=(1, 2, 3))

    found = suggest_edits(planted_scorer(score), noise(), error=0.1)
    assert [advice.edit for advice in found][:2] == [Edit(saturation=0.0), Edit(exposure=-1)]
    gains = [advice.gain for advice in found]
    assert gains == sorted(gains, reverse=True) and len(gains) <= 3


def test_large_pictures_are_tried_small():
    small = shrink_to_work(Image.new("RGB", (3 * WORKING_SIDE, WORKING_SIDE)))
    assert small.width == WORKING_SIDE and small.height == pytest.approx(WORKING_SIDE / 3, abs=1)
    assert shrink_to_work(small) is small
