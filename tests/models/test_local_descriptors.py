"""Dense local descriptors against loops over pixels, and what must not change them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from hf_aesthetics.models.color_spaces import rgb_to_lab
from hf_aesthetics.models.local_descriptors import (
    LOCAL_DESCRIPTORS,
    color_descriptors,
    gradient_descriptors,
    pyramid_sizes,
)


PATCH_SIZE, STRIDE = 16, 8


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """Smooth blobs of colour, 30 x 41 pixels, neither side a multiple of a cell."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(noise).resize((41, 30), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def corners(picture: torch.Tensor) -> list[tuple[int, int]]:
    height, width = picture.shape[-2:]
    return [
        (top, left)
        for top in range(0, height - PATCH_SIZE + 1, STRIDE)
        for left in range(0, width - PATCH_SIZE + 1, STRIDE)
    ]


def slow_gradient_descriptor(luma: np.ndarray, top: int, left: int) -> np.ndarray:
    cell, (height, width) = PATCH_SIZE // 4, luma.shape
    histogram = np.zeros((8, 4, 4))
    for y in range(top, top + PATCH_SIZE):
        for x in range(left, left + PATCH_SIZE):
            gx = (luma[y, min(x + 1, width - 1)] - luma[y, max(x - 1, 0)]) / 2
            gy = (luma[min(y + 1, height - 1), x] - luma[max(y - 1, 0), x]) / 2
            length, angle = math.hypot(gx, gy), math.atan2(gy, gx)
            for k in range(8):
                share = max(0.0, length * math.cos(angle - k * math.pi / 4))
                histogram[k, (y - top) // cell, (x - left) // cell] += share / cell**2
    found = histogram.ravel()
    found = np.minimum(found / math.sqrt(found @ found + 1e-4), 0.2)
    return found / np.linalg.norm(found)


def test_gradient_descriptors_are_those_of_a_loop_over_pixels(picture):
    luma = (0.299 * picture[0, 0] + 0.587 * picture[0, 1] + 0.114 * picture[0, 2]).double().numpy()
    expected = [slow_gradient_descriptor(luma, *corner) for corner in corners(picture)]
    np.testing.assert_allclose(gradient_descriptors(picture, PATCH_SIZE, STRIDE)[0].numpy(), expected, atol=1e-5)


def test_color_descriptors_are_those_of_a_loop_over_cells(picture):
    lab, cell = rgb_to_lab(picture)[0].double().numpy() / 100, PATCH_SIZE // 4
    expected = []
    for top, left in corners(picture):
        patch = lab[:, top : top + PATCH_SIZE, left : left + PATCH_SIZE].reshape(3, 4, cell, 4, cell)
        expected.append(np.concatenate([patch.mean(axis=(2, 4)).ravel(), patch.std(axis=(2, 4)).ravel()]))
    np.testing.assert_allclose(color_descriptors(picture, PATCH_SIZE, STRIDE)[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("name", LOCAL_DESCRIPTORS)
def test_descriptors_have_the_declared_size_and_one_row_a_patch(name, picture):
    function, size = LOCAL_DESCRIPTORS[name]
    assert function(picture, PATCH_SIZE, STRIDE).shape == (1, len(corners(picture)), size)


def test_gradient_descriptors_do_not_see_light_or_contrast(picture):
    described = gradient_descriptors(picture, PATCH_SIZE)
    torch.testing.assert_close(gradient_descriptors(picture + 0.1, PATCH_SIZE), described, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient_descriptors(0.5 * picture, PATCH_SIZE), described, atol=0.02, rtol=0)


def test_a_turned_picture_turns_directions_and_cells(picture):
    square = picture[..., :30, :30]
    upright = gradient_descriptors(square, 28, 7).view(-1, 8, 4, 4)[0]
    turned = gradient_descriptors(square[..., :28, :28].rot90(-1, dims=(2, 3)), 28, 7).view(-1, 8, 4, 4)[0]
    inner = gradient_descriptors(square[..., :28, :28], 28, 7).view(-1, 8, 4, 4)[0]
    assert not torch.allclose(upright, turned, atol=0.05)
    torch.testing.assert_close(turned, inner.rot90(-1, dims=(1, 2)).roll(2, dims=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LOCAL_DESCRIPTORS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_plain_picture_has_finite_descriptors_and_gradients(name, level):
    plain = torch.full((1, 3, 32, 32), level, requires_grad=True)
    described = LOCAL_DESCRIPTORS[name].function(plain, 32, 8)
    described.square().sum().backward()
    assert torch.isfinite(described).all() and torch.isfinite(plain.grad).all()
    if name == "gradients":
        assert not described.any()


def test_levels_that_hold_no_patch_are_left_out_and_at_least_one_must():
    assert pyramid_sizes(40, 100, [1.0, 0.8, 0.5], 32) == [(40, 100), (32, 80)]
    with pytest.raises(ValueError, match="100 x 30"):
        pyramid_sizes(30, 100, [1.0, 0.5], 32)
