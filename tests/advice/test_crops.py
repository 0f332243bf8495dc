import numpy as np
import pytest
from PIL import Image
from planted_scorer import planted_scorer

from hf_aesthetics.advice import best_crops, crop_boxes
from hf_aesthetics.advice.crops import ASPECT_RATIOS


def brightness(pixels):
    return 10 * pixels.mean(dim=(1, 2, 3))


def lit_in_a_corner(width: int = 320, height: int = 200) -> Image.Image:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, width // 2 :] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(320, 200), (200, 320), (97, 97), (1000, 30)])
@pytest.mark.parametrize("ratio", [1.0, 3 / 2, 9 / 16])
def test_frames_lie_in_the_picture_and_have_their_ratio(size, ratio):
    boxes = crop_boxes(*size, ratio)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert abs((right - left) - ratio * (bottom - top)) <= 0.5 * (1 + ratio) + 1e-6
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    assert areas[0] == max(areas) and len(set(boxes)) == len(boxes)


def test_the_frame_goes_where_the_score_is():
    for advice in best_crops(planted_scorer(brightness), lit_in_a_corner()):
        left, top, right, bottom = advice.box
        assert top == 0 and right == 320, advice
        assert (right - left) / (bottom - top) == pytest.approx(ASPECT_RATIOS.get(advice.ratio, 1.6), rel=0.02)
        assert advice.score == pytest.approx(10 * np.asarray(lit_in_a_corner().crop(advice.box)).mean() / 255, abs=0.1)


def test_the_gain_is_over_the_largest_frame_of_the_same_ratio():
    picture = lit_in_a_corner()
    found = {advice.ratio: advice for advice in best_crops(planted_scorer(brightness), picture)}
    middle = np.asarray(picture.crop((60, 0, 260, 200))).mean() / 255
    assert found["1:1"].gain == pytest.approx(found["1:1"].score - 10 * middle, abs=0.1)
    assert found["as it is"].gain == pytest.approx(found["as it is"].score - 2.5, abs=0.1)


def test_where_nothing_is_better_the_whole_picture_stays():
    found = best_crops(planted_scorer(brightness), Image.new("RGB", (300, 200), "grey"))
    assert found[0].box == (0, 0, 300, 200) and found[0].gain == 0
    assert [advice.ratio for advice in found] == ["as it is", "1:1", "5:4", "4:3", "16:9"]


def test_what_stands_is_cut_to_what_stands():
    found = best_crops(planted_scorer(brightness), Image.new("RGB", (200, 320), "grey"))
    assert [advice.ratio for advice in found] == ["as it is", "1:1", "4:5", "3:4", "2:3", "9:16"]


def test_boxes_are_those_of_the_picture_and_not_of_the_copy_that_is_tried():
    picture = lit_in_a_corner(3200, 2000)
    small, large = (best_crops(planted_scorer(brightness), each) for each in (lit_in_a_corner(), picture))
    for few, many in zip(small, large, strict=True):
        assert np.allclose(many.box, 10 * np.asarray(few.box), atol=20)
