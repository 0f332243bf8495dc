"""Saliency against plain numpy and scipy, in search displays, and against the truth of rendered scenes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from hf_aesthetics.data.rendering import render_scene
from hf_aesthetics.models.color_spaces import rgb_to_lab
from hf_aesthetics.models.saliency_maps import (
    border_contrast_map,
    frequency_tuned_map,
    saliency_map,
    spectral_residual_map,
)


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """Soft random colours, 64 pixels long: what the maps are computed at."""
    coarse = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(64, 48), mode="bicubic").clamp(0, 1)


def normalize(saliency: np.ndarray) -> np.ndarray:
    clipped = np.minimum(saliency, np.percentile(saliency, 95))
    return (clipped - clipped.min()) / (clipped.max() - clipped.min())


def test_spectral_residual_equals_numpy(picture):
    lab = rgb_to_lab(picture.double())[0].numpy()
    expected = np.zeros(lab.shape[1:])
    for channel in lab:
        spectrum = np.fft.fft2(np.pad(channel / 100, 16, mode="reflect"))
        amplitude = np.log(np.abs(spectrum) + 1e-6)
        residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
        energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
        expected += channel.std() * ndimage.gaussian_filter(energy, 2.5, radius=4, mode="nearest")[16:-16, 16:-16]
    actual = spectral_residual_map(picture)[0, 0].numpy()
    np.testing.assert_allclose(actual, normalize(expected), atol=2e-3)


def test_frequency_tuned_map_equals_a_loop_over_windows(picture):
    lab = rgb_to_lab(picture.double())[0].numpy()
    _, height, width = lab.shape
    distance = np.zeros((height, width))
    smooth = np.stack([ndimage.gaussian_filter(channel, 1.0, radius=2, mode="nearest") for channel in lab])
    for y in range(height):
        for x in range(width):
            reach_y, reach_x = min(y, height - 1 - y), min(x, width - 1 - x)
            window = lab[:, y - reach_y : y + reach_y + 1, x - reach_x : x + reach_x + 1]
            backgrounds = window.mean(axis=(1, 2)), lab[:, y].mean(axis=1)
            distance[y, x] = min(np.linalg.norm(smooth[:, y, x] - background) for background in backgrounds)
    expected = normalize(ndimage.gaussian_filter(distance, 1.5, radius=2, mode="nearest"))
    np.testing.assert_allclose(frequency_tuned_map(picture)[0, 0].numpy(), expected, atol=2e-3)


def test_border_contrast_equals_a_loop_over_pixels(picture):
    lab = rgb_to_lab(picture.double())[0].numpy()
    smooth = np.stack([ndimage.gaussian_filter(channel, 1.0, radius=2, mode="nearest") for channel in lab])
    is_border = np.ones(lab.shape[1:], dtype=bool)
    is_border[1:-1, 1:-1] = False
    distance = np.zeros(lab.shape[1:])
    for y, x in np.ndindex(distance.shape):
        distance[y, x] = np.linalg.norm(smooth[:, is_border] - smooth[:, y, x, None], axis=0).min()
    expected = normalize(ndimage.gaussian_filter(distance, 1.5, radius=2, mode="nearest"))
    np.testing.assert_allclose(border_contrast_map(picture)[0, 0].numpy(), expected, atol=2e-3)


def test_the_odd_bar_among_64_is_found():
    rng = np.random.default_rng(0)
    across = np.zeros((32, 32), dtype=np.float32)
    across[14:18, 6:26] = 1
    displays, odd = [], []
    for _ in range(10):
        place = rng.integers(8, size=2)
        rows = [
            [np.roll(across.T if (i, j) == tuple(place) else across, rng.integers(-3, 4, 2), (0, 1)) for j in range(8)]
            for i in range(8)
        ]
        displays.append(np.block(rows))
        odd.append(8 * place[0] + place[1])
    pictures = torch.from_numpy(np.stack(displays))[:, None].expand(-1, 3, -1, -1)
    found = F.avg_pool2d(spectral_residual_map(pictures), 32).flatten(1).argmax(dim=1)
    assert (found.numpy() == odd).sum() >= 9


@pytest.mark.parametrize("function", [spectral_residual_map, frequency_tuned_map, border_contrast_map, saliency_map])
def test_saliency_turns_with_the_picture(function, picture):
    mirrored = function(picture.flip(3)).flip(3)
    torch.testing.assert_close(mirrored, function(picture), atol=1e-3, rtol=0)


def test_saliency_finds_the_subject_of_rendered_scenes():
    correlations = []
    for seed in range(12):
        scene = render_scene(seed, long_side=192)
        pixels = torch.from_numpy(np.array(scene.image)).permute(2, 0, 1)[None] / 255
        maps = saliency_map(pixels)[0, 0].numpy()
        correlations.append(np.corrcoef(maps.ravel(), scene.saliency_map.ravel())[0, 1])
    assert np.mean(correlations) > 0.55
