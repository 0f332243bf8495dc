"""Blur against loops and scipy, published numbers, and the truth of rendered scenes."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from hf_aesthetics.data.rendering import render_scene
from hf_aesthetics.models.blur_maps import blur_map, laplacian_blur_map, sharp_patterns, tenengrad_blur_map


def as_picture(luma: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(luma.astype(np.float32)).expand(1, 3, -1, -1)


def window_mean(values: np.ndarray, size: int) -> np.ndarray:
    """Mean in a window, of what lies in the picture."""
    return ndimage.uniform_filter(values, size, mode="constant") / ndimage.uniform_filter(
        np.ones_like(values), size, mode="constant"
    )


def test_sharp_patterns_equal_a_loop_over_pixels():
    luma = np.random.default_rng(0).uniform(0.4, 0.48, size=(9, 11))
    sharp = np.zeros_like(luma)
    for y in range(luma.shape[0]):
        for x in range(luma.shape[1]):
            angles = np.arange(8) * np.pi / 4
            places = y + np.sin(angles), x + np.cos(angles)
            neighbours = ndimage.map_coordinates(luma, places, order=1, mode="nearest")
            bits = [int(value - luma[y, x] > 0.016) for value in neighbours]
            changes = sum(bits[k] != bits[k - 1] for k in range(8))
            sharp[y, x] = changes > 2 or sum(bits) >= 6
    assert 0.2 < sharp.mean() < 0.8
    np.testing.assert_array_equal(sharp_patterns(torch.from_numpy(luma)[None, None])[0, 0].numpy(), sharp)


def test_sharpness_of_blurred_noise_falls_as_measured_elsewhere():
    # of white noise, whose contrast was not noted: it moves the values, but not their fall
    noise = np.random.default_rng(0).normal(size=(256, 256))
    for sigma, expected in ((0, 0.559), (0.5, 0.505), (1, 0.200), (2, 0.023), (4, 0.0001)):
        luma = torch.from_numpy(ndimage.gaussian_filter(noise, sigma, mode="wrap"))[None, None]
        assert sharp_patterns(luma).mean().item() == pytest.approx(expected, abs=0.04 if sigma < 2 else 0.01)


def test_laplacian_and_gradient_equal_scipy():
    luma = np.random.default_rng(1).uniform(size=(30, 40))
    laplacian = ndimage.laplace(luma, mode="nearest")
    variance = window_mean(laplacian**2, 15) - window_mean(laplacian, 15) ** 2
    actual = laplacian_blur_map(as_picture(luma))[0, 0].numpy()
    np.testing.assert_allclose(actual, 1 / (1 + variance / 0.01), rtol=1e-3)
    energy = ndimage.sobel(luma, 0, mode="nearest") ** 2 + ndimage.sobel(luma, 1, mode="nearest") ** 2
    actual = tenengrad_blur_map(as_picture(luma))[0, 0].numpy()
    np.testing.assert_allclose(actual, 1 / (1 + window_mean(energy, 15) / 0.1), rtol=1e-3)


@pytest.mark.parametrize("function", [blur_map, laplacian_blur_map, tenengrad_blur_map])
def test_the_scale_is_absolute(function):
    # what is blurred everywhere is not stretched to look like something sharp
    noise = np.random.default_rng(2).uniform(size=(192, 192))
    means = [function(as_picture(ndimage.gaussian_filter(noise, sigma))).mean().item() for sigma in (0, 1, 2, 4)]
    assert means == sorted(means) and means[0] < 0.1 and means[-1] > 0.6


def test_flat_places_are_as_blurred_as_the_picture():
    noise = np.random.default_rng(3).uniform(size=(128, 128))
    for sigma, low, high in ((0, 0, 0.2), (4, 0.8, 1)):
        luma = ndimage.gaussian_filter(noise, sigma)
        luma[:40] = 0.5
        flat = blur_map(as_picture(luma))[0, 0, :20]
        assert low <= flat.min() and flat.max() <= high


def test_a_blurred_half_is_told_from_a_sharp_one():
    noise = np.random.default_rng(4).uniform(size=(192, 256))
    noise[:, 128:] = ndimage.gaussian_filter(noise, 3)[:, 128:]
    blur = blur_map(as_picture(noise))[0, 0]
    assert blur[:, :96].max() < 0.2 and blur[:, 160:].min() > 0.45


def test_blur_of_rendered_scenes():
    maps, truths = [], []
    for seed in range(12):
        scene = render_scene(seed, long_side=192)
        pixels = torch.from_numpy(np.array(scene.image)).permute(2, 0, 1)[None] / 255
        maps.append(blur_map(pixels).numpy().ravel())
        truths.append(scene.blur_map.ravel())
    assert np.corrcoef(np.concatenate(maps), np.concatenate(truths))[0, 1] > 0.6
