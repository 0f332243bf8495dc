import numpy as np
import pytest
import torch
from PIL import Image
from planted_scorer import planted_scorer

from hf_aesthetics.advice import CANDIDATE_EDITS, Edit, score_edits, suggest_edits


def noise(width: int = 60, height: int = 40, low: int = 0, high: int = 256) -> Image.Image:
    pixels = np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


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
