"""Windows through which pictures are compared: they lie where the pictures differ, and are drawn there."""

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics import FgaesqImageProcessor, ModalityImageProcessor
from hf_aesthetics.explain import draw_series, draw_windows


LIGHT, DARK = (255, 225, 74), (20, 20, 20)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(90, 160, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("width", "height"), [(192, 256), (200, 250), (210, 245)])
def test_windows_hold_the_pixels_of_the_fine_tokens(width, height):
    processor = FgaesqImageProcessor(do_resize=False, do_normalize=False, num_refined=5)
    pictures = [noise(width, height, seed) for seed in (1, 2)]
    inputs = processor.preprocess_series(pictures)
    for row, windows in enumerate(processor.refined_windows(*pictures)):
        pixels = np.asarray(pictures[row]) / 255
        fine = inputs["pixel_values"][row][inputs["token_scales"][row] == 1].numpy().reshape(5, 2, 2, 3, 16, 16)
        for window, tokens in zip(windows.numpy() * [width, height, width, height], fine, strict=True):
            left, top, right, low = window.round().astype(int)
            seen = tokens.transpose(0, 3, 1, 4, 2).reshape(32, 32, 3)  # rows and columns of four tokens
            np.testing.assert_allclose(seen[: low - top, : right - left], pixels[top:low, left:right], atol=1e-6)
            assert low - top == 32 or low == height
            assert right - left == 32 or right == width


@pytest.mark.parametrize(("width", "height"), [(600, 400), (333, 517), (1300, 90)])
def test_what_differs_is_looked_at_closely_whatever_the_size(width, height):
    first = noise(width, height)
    second = first.copy()
    x, y = 0.71 * width, 0.43 * height
    second.paste("black", (round(x) - 4, round(y) - 4, round(x) + 4, round(y) + 4))
    processor = FgaesqImageProcessor(num_refined=1, candidate_share=1e-9)  # of the one patch that differs most
    for windows in processor.refined_windows(first, second):
        [[left, top, right, low]] = windows.tolist()
        assert left <= x / width <= right and top <= y / height <= low


def test_a_line_runs_round_windows_side_by_side_and_within_the_picture():
    picture = noise(400, 300)
    drawn = np.asarray(draw_windows(picture, [(0.0, 0.0, 0.25, 1 / 3), (0.25, 0.0, 0.5, 1 / 3)]))
    pixels = np.asarray(picture)
    changed = (drawn != pixels).any(axis=2)
    assert not changed[2:99, 2:199].any() and not changed[105:].any() and not changed[:, 205:].any()
    assert tuple(drawn[0, 50]) == tuple(drawn[50, 0]) == tuple(drawn[101, 50]) == tuple(drawn[50, 201]) == LIGHT
    assert tuple(drawn[103, 50]) == tuple(drawn[50, 203]) == DARK
    assert np.array_equal(np.asarray(draw_windows(picture, [])), pixels)


def test_a_series_is_drawn_in_order_each_beside_the_best():
    processor = FgaesqImageProcessor()
    pictures = [Image.new("RGB", (480, 320), colour) for colour in ("maroon", "teal", "gold", "navy")]
    sheet = draw_series(processor, pictures, order=[2, 0, 1])
    cells = [sheet.crop((12 + 492 * number, 38, 492 + 492 * number, 358)) for number in range(3)]
    rivals = [pictures[0], pictures[2], pictures[2]]
    for cell, place, rival in zip(cells, (2, 0, 1), rivals, strict=True):
        windows = processor.refined_windows(pictures[place], rival)[0].tolist()
        assert np.array_equal(np.asarray(cell), np.asarray(draw_windows(pictures[place], windows)))
    assert draw_series(processor, pictures).size == (3 * 492 + 12, 2 * 358 + 12)  # a second row


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="at least 2 pictures, got 1"):
        draw_series(FgaesqImageProcessor(), [noise(64, 64)])
    with pytest.raises(ValueError, match="got ModalityImageProcessor, whose model sees pictures one by one"):
        draw_series(ModalityImageProcessor(), [noise(64, 64)] * 2)
