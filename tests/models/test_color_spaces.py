"""Colours against published values."""

import pytest
import torch

from hf_aesthetics.models.color_spaces import rgb_to_lab, rgb_to_luma


# L*a*b* of sRGB colours under D65, as colour calculators and textbooks give them
KNOWN = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (119, 119, 119): (50.03, 0.0, 0.0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (255, 255, 0): (97.14, -21.55, 94.48),
    (5, 5, 5): (1.37, 0.0, 0.0),  # in the linear part of both curves
}


@pytest.mark.parametrize(("rgb", "lab"), KNOWN.items())
def test_lab_of_known_colours(rgb, lab):
    picture = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1) / 255
    assert rgb_to_lab(picture).flatten().tolist() == pytest.approx(lab, abs=0.03)


def test_luma_weighs_the_channels():
    primaries = torch.eye(3).view(3, 3, 1, 1)
    assert rgb_to_luma(primaries).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
