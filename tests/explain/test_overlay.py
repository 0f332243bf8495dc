"""Overlays: the picture stays visible, colours say what they mean, and everything lies where it belongs."""

import numpy as np
import pytest
import torch
from PIL import Image

from hf_aesthetics.explain import Explanation, draw_explanations, overlay
from hf_aesthetics.explain.overlay import tint
from hf_aesthetics.models.color_spaces import rgb_to_lab


def to_lab(colors: np.ndarray) -> np.ndarray:
    """`(N, 3)` -> `(N, 3)`, CIE L*a*b*."""
    return rgb_to_lab(torch.from_numpy(colors).T[None, :, None]).squeeze().T.numpy()


def explanation(heat: np.ndarray, method: str = "occlusion") -> Explanation:
    return Explanation(heat.astype(np.float32), method, score=4.26)


@pytest.mark.parametrize("grey", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_equal_steps_of_heat_look_about_equal(grey):
    lab = to_lab(tint(np.full(41, grey), np.linspace(-1, 1, 41)))
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.min() > 0.5 and steps.max() < 2.2 * np.median(steps)


@pytest.mark.parametrize("heat", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_the_picture_stays_visible_beneath_every_heat(heat):
    lightness = to_lab(tint(np.linspace(0, 1, 21), np.full(21, heat)))[:, 0]
    assert (np.diff(lightness) > 0).all() and np.ptp(lightness) > 30


def test_orange_raises_and_blue_lowers_equally_strongly():
    orange, plain, blue = to_lab(tint(np.full(3, 0.5), np.array([1.0, 0.0, -1.0])))
    assert orange[2] > 30 and blue[2] < -30, "yellow against blue is what colour-blind people see, too"
    assert np.abs(plain[1:]).max() < 0.5
    assert abs(orange[0] - blue[0]) < 5


def test_heat_lies_on_its_place_in_the_picture():
    heat = np.zeros((30, 40))
    heat[21:27, 28:36] = 2e-4  # from 70 % of both sides to 90 %, in any unit
    drawn = np.asarray(overlay(Image.new("RGB", (600, 450), "grey"), explanation(heat))).astype(int)
    warmth = drawn[..., 0] - drawn[..., 2]
    rows, columns = np.nonzero(warmth > warmth.max() / 2)
    assert drawn.shape == (450, 600, 3)
    assert rows.mean() == pytest.approx(0.8 * 450, abs=8) and columns.mean() == pytest.approx(0.8 * 600, abs=8)
    assert np.ptp(rows) == pytest.approx(90, abs=25) and np.ptp(columns) == pytest.approx(120, abs=25)
    assert np.abs(warmth[:200, :300]).max() <= 1


def test_an_explanation_that_names_nothing_leaves_the_picture_grey():
    picture = Image.effect_noise((60, 40), 60).convert("RGB")
    drawn = np.asarray(overlay(picture, explanation(np.zeros((8, 12))))).astype(int)
    assert np.ptp(drawn, axis=2).max() <= 1
    assert np.corrcoef(drawn[..., 0].ravel(), np.asarray(picture)[..., 0].ravel())[0, 1] > 0.99


def test_an_explanation_of_another_picture_is_refused():
    with pytest.raises(ValueError, match="heat of 12 x 8 for a picture of 40 x 60 pixels"):
        overlay(Image.new("RGB", (40, 60)), explanation(np.zeros((8, 12))))
    with pytest.raises(ValueError, match="at least one explanation, got none"):
        draw_explanations(Image.new("RGB", (40, 60)), [])


def test_a_sheet_shows_the_picture_and_each_explanation_once():
    picture = Image.effect_noise((120, 60), 60).convert("RGB")
    raising, lowering = explanation(np.ones((6, 12)), "cam"), explanation(-np.ones((6, 12)))
    sheet = np.asarray(draw_explanations(picture, [raising, lowering])).astype(int)
    thirds = np.array_split(sheet[30:], 3, axis=1)
    warmth = [(third[..., 0] - third[..., 2]).mean() for third in thirds]
    assert abs(warmth[0]) < 1 and warmth[1] > 30 and warmth[2] < -30
    titles = np.array_split(sheet[:22], 3, axis=1)
    assert all((title < 128).any() for title in titles), "a column without its name"
