"""Features of pictures against references of other makers, and against pictures of which the answer is known."""

import colorsys
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from hf_aesthetics.models.color_features import HARMONY_TEMPLATES
from hf_aesthetics.models.color_spaces import rgb_to_luma
from hf_aesthetics.models.image_features import CRITERIA, IMAGE_FEATURES, image_features
from hf_aesthetics.models.picture_planes import hue_histogram, picture_planes


OWN = [name for name, feature in IMAGE_FEATURES.items() if feature.function is not None]
GREY, BLACK, WHITE = (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def measure(name: str, picture: np.ndarray) -> float:
    """A feature of a picture `(height, width, 3)` in [0, 1]."""
    planes = picture_planes(torch.tensor(picture, dtype=torch.float32).permute(2, 0, 1)[None])
    return IMAGE_FEATURES[name].function(planes).item()


def plain(colour, size: int = 64) -> np.ndarray:
    return np.full((size, size, 3), colour, dtype=np.float64)


def painted(top: float, left: float, bottom: float, right: float, paint, ground=GREY, size: int = 64) -> np.ndarray:
    """A rectangle, given in sides of the frame, on a plain ground; `paint` is a colour or a whole picture."""
    picture = plain(ground, size)
    rows, columns = slice(round(top * size), round(bottom * size)), slice(round(left * size), round(right * size))
    picture[rows, columns] = plain(paint, size)[rows, columns] if np.ndim(paint) == 1 else paint[rows, columns]
    return picture


def noise(size: int = 64, seed: int = 0, grain: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 1, (size // grain, size // grain, 1))
    return np.broadcast_to(values.repeat(grain, 0).repeat(grain, 1), (size, size, 3))


def colours(seed: int = 0, size: int = 64) -> np.ndarray:
    """Patches of random colours."""
    return np.random.default_rng(seed).uniform(0, 1, (8, 8, 3)).repeat(size // 8, 0).repeat(size // 8, 1)


def wave(cycles: float, size: int = 64) -> np.ndarray:
    x = np.arange(size) / size
    return np.broadcast_to(0.5 + 0.4 * np.sin(2 * np.pi * cycles * x)[None, :, None], (size, size, 3))


def luma(picture: np.ndarray) -> np.ndarray:
    return rgb_to_luma(torch.from_numpy(picture).permute(2, 0, 1)[None])[0, 0].numpy()


# ---- against references of other makers ----


def test_colourfulness_is_that_of_hasler_and_suesstrunk():
    picture = 255 * colours(1)
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert measure("colourfulness", picture / 255) == pytest.approx(expected, rel=1e-4)


def test_sharpness_is_the_variance_of_scipys_laplacian():
    picture = colours(2)
    expected = np.log10(ndimage.laplace(luma(picture), mode="nearest").var())
    assert measure("sharpness", picture) == pytest.approx(expected, abs=1e-3)


def test_saturation_is_that_of_hsv():
    picture = colours(3)
    expected = np.mean([colorsys.rgb_to_hsv(*pixel)[1] for pixel in picture.reshape(-1, 3)])
    assert measure("saturation", picture) == pytest.approx(expected, abs=0.02)


def test_contrast_and_peak_of_light_are_moments():
    picture = colours(4)
    assert measure("contrast", picture) == pytest.approx(luma(picture).std(), rel=1e-4)
    few = painted(0, 0, 0.25, 0.25, WHITE, BLACK)
    lightness = picture_planes(torch.from_numpy(few).permute(2, 0, 1)[None]).lab[0, 0]
    expected = stats.kurtosis(lightness.numpy().ravel(), fisher=False)
    assert math.exp(measure("light_peak", few)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("degrees", [0, 30, 120, 210, 300])
def test_hue_is_that_of_hsv(degrees):
    picture = torch.tensor(colorsys.hsv_to_rgb(degrees / 360, 0.8, 0.8)).view(1, 3, 1, 1)
    histogram = hue_histogram(picture)[0]
    assert histogram.argmax().item() == degrees // 10
    assert histogram.sum().item() == pytest.approx(1, abs=0.01)
    assert histogram.max().item() > 0.9


def test_harmony_is_the_least_turn_of_each_template_by_brute_force():
    picture = torch.from_numpy(colours(5)).permute(2, 0, 1)[None].float()
    shares = hue_histogram(picture_planes(picture).small)[0].double().numpy() + 1e-4 / 36
    shares /= shares.sum()
    best = []
    for arcs in HARMONY_TEMPLATES:
        costs = []
        for turn in range(0, 360, 10):
            cost = 0.0
            for bin_, share in enumerate(shares):
                away = []
                for centre, width in arcs:
                    gap = abs(10 * bin_ - turn - centre) % 360
                    away.append(max(0.0, min(gap, 360 - gap) - width / 2))
                cost += share * min(away)
            costs.append(cost)
        best.append(min(costs))
    assert measure("hue_harmony", colours(5)) == pytest.approx(-np.mean(best), rel=1e-3)


# ---- pictures of which the answer is known ----


def hues(*degrees: float) -> np.ndarray:
    """Upright bands of pure hues."""
    bands = [colorsys.hsv_to_rgb(hue / 360, 0.9, 0.8) for hue in degrees]
    return np.array(bands)[np.arange(64) * len(bands) // 64] * np.ones((64, 1, 1))


@pytest.mark.parametrize(
    ("name", "picture", "expected", "tolerance"),
    [
        ("exposure", plain(WHITE), 0, 0.01),
        ("exposure", plain(0.5), -2.2, 0.03),
        ("blown_highlights", painted(0, 0, 1, 0.5, WHITE), 0.5, 0.05),
        ("crushed_shadows", painted(0, 0, 1, 0.25, BLACK), 0.25, 0.02),
        ("contrast", painted(0, 0, 1, 0.5, WHITE, BLACK), 0.5, 0.01),
        ("high_key", painted(0, 0, 0.5, 0.5, WHITE), 0.25, 0.03),
        ("light_from_above", painted(0, 0, 0.5, 1, WHITE, BLACK), 100, 2),
        ("light_from_above", painted(0.5, 0, 1, 1, WHITE, BLACK), -100, 2),
        ("colourfulness", plain(GREY), 0, 0.1),
        ("saturation", plain((1.0, 0.0, 0.0)), 1, 0.02),
        ("hue_count", hues(0), 1, 0.1),
        ("hue_count", hues(0, 120, 240), 3, 0.1),
        ("hue_count", plain(GREY), 0, 0.2),
        ("hue_harmony", hues(40), 0, 0.2),
        ("local_contrast", np.indices((64, 64)).sum(0)[..., None] % 2 * np.ones(3), 0.5, 0.03),
        ("line_coherence", wave(8), 1, 0.1),
        ("periodicity", wave(4), 1, 0.25),
        ("aspect", np.zeros((32, 64, 3)), 1, 0),
        ("rule_of_thirds", plain(GREY), 1, 0.01),
        ("symmetry", plain(GREY), 1, 0.01),
        ("simplicity", plain(BLACK), 0, 0.01),
        ("simplicity", painted(0, 0, 1, 0.5, WHITE, BLACK), -1, 0.2),
        ("clean_border", painted(0.2, 0.2, 0.8, 0.8, colours()), 0, 0.5),
        ("colour_layers", painted(0, 0, 0.5, 1, (0.9, 0.2, 0.2), (0.2, 0.2, 0.9)), 1, 0.02),
        ("colour_layers", painted(0, 0, 1, 0.5, (0.9, 0.2, 0.2), (0.2, 0.2, 0.9)), 0, 0.02),
        ("colour_below", painted(0.5, 0, 1, 1, (0.9, 0.2, 0.2)), 0.5, 0.05),
        ("edge_spread", painted(0.25, 0.25, 0.75, 0.75, noise()), 0.25, 0.04),
        ("detail_above", painted(0, 0, 0.5, 1, noise()), 0.5, 0.05),
        ("sharpness", plain(GREY), -6, 0.01),
        ("depth_of_field", noise(), 0.25, 0.03),
        ("depth_of_field", painted(0.3, 0.3, 0.7, 0.7, noise()), 1, 0.03),
        ("focus_variation", noise(), 0, 0.05),
        # the patches of a ColorChecker that have these names
        ("skin", painted(0, 0, 1, 0.5, np.array([194, 150, 130]) / 255), 0.5, 0.1),
        ("skin", painted(0, 0, 1, 0.5, np.array([115, 82, 68]) / 255), 0.5, 0.2),
        ("foliage", painted(0, 0, 1, 0.5, np.array([87, 108, 67]) / 255), 0.5, 0.1),
        ("sky", painted(0, 0, 1, 0.5, np.array([98, 122, 157]) / 255), 0.5, 0.1),
    ],
)
def test_known_pictures_have_known_values(name, picture, expected, tolerance):
    assert measure(name, picture) == pytest.approx(expected, abs=tolerance + 1e-6)


SUBJECT = (0.25, 0.25, 0.4, 0.4)
BRIGHT, DARK, RED = (0.95, 0.95, 0.95), (0.1, 0.1, 0.1), (0.9, 0.1, 0.1)


def power_law_noise(size: int = 128) -> np.ndarray:
    generator = np.random.default_rng(0)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(size) * size, np.fft.fftfreq(size) * size))
    phases = np.exp(2j * np.pi * generator.uniform(size=(size, size)))
    values = np.fft.ifft2(phases / np.maximum(radius, 1)).real
    values = (values - values.min()) / np.ptp(values)
    return np.broadcast_to(values[..., None], (size, size, 3))


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("hue_harmony", hues(0, 180), hues(0, 70, 200, 290)),
        ("light_peak", painted(0.4, 0.4, 0.5, 0.5, WHITE, BLACK), painted(0, 0, 1, 0.5, WHITE, BLACK)),
        ("local_contrast", noise(), wave(1)),
        ("line_coherence", wave(8), noise(grain=2)),
        ("spectral_roughness", wave(8, 128), power_law_noise()),
        ("periodicity", wave(5), noise(grain=2)),
        ("rule_of_thirds", painted(*SUBJECT, BRIGHT), painted(0.43, 0.43, 0.57, 0.57, BRIGHT)),
        ("symmetry", painted(0.4, 0.43, 0.57, 0.57, BRIGHT), painted(*SUBJECT, BRIGHT)),
        ("clean_border", painted(0.2, 0.2, 0.8, 0.8, noise()), noise()),
        ("sharpness", noise(), noise(grain=4)),
        ("focus_variation", painted(0, 0, 1, 0.5, noise(), (0.4, 0.4, 0.4)), noise()),
        ("subject_size", painted(0.2, 0.2, 0.8, 0.8, BRIGHT), painted(*SUBJECT, BRIGHT)),
        ("subject_light", painted(*SUBJECT, BRIGHT), plain(GREY)),
        ("subject_light", plain(GREY), painted(*SUBJECT, DARK)),
        ("subject_colour", painted(*SUBJECT, RED), painted(*SUBJECT, BRIGHT)),
        ("subject_sharpness", painted(*SUBJECT, noise()), wave(1)),
    ],
)
def test_what_has_more_of_it_has_a_higher_value(name, more, less):
    assert measure(name, more) > measure(name, less) + 0.05


def test_halving_the_light_is_one_stop():
    picture = 0.3 + 0.7 * colours(6)
    assert measure("exposure", picture) - measure("exposure", picture * 0.5 ** (1 / 2.2)) == pytest.approx(1, abs=0.05)


# ---- properties of all ----


@pytest.fixture(scope="module")
def scene() -> torch.Tensor:
    """Something of everything: a sky, a field, a subject, texture."""
    picture = painted(0, 0, 0.45, 1, (0.45, 0.6, 0.85), (0.3, 0.5, 0.2), 96)
    picture[20:50, 24:44] = (0.85, 0.6, 0.5)
    picture = picture + 0.1 * np.random.default_rng(0).normal(size=picture.shape)
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float().clamp(0, 1)


def test_a_mirror_changes_nothing(scene):
    torch.testing.assert_close(image_features(scene.flip(-1)), image_features(scene), atol=2e-3, rtol=2e-3)


def test_every_feature_has_a_gradient(scene):
    scene = scene.clone().requires_grad_()
    ratio = torch.tensor([1.5], requires_grad=True)
    features = image_features(scene, ratio)
    for index, name in enumerate(OWN):
        source = ratio if name == "aspect" else scene
        (gradient,) = torch.autograd.grad(features[0, index], source, retain_graph=True)
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0, name


@pytest.mark.parametrize(
    "picture",
    [
        torch.zeros(2, 3, 32, 32),
        torch.ones(2, 3, 32, 32),
        torch.full((1, 3, 32, 48), 0.5),
        torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0)),
        torch.rand(1, 3, 3, 200, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["black", "white", "grey", "noise", "one pixel", "strip"],
)
def test_every_picture_has_finite_features_and_gradients(picture):
    picture = picture.clone().requires_grad_()
    features = image_features(picture)
    assert torch.isfinite(features).all()
    (gradient,) = torch.autograd.grad(features.sum(), picture)
    assert torch.isfinite(gradient).all()


def test_every_feature_is_told():
    for name, feature in IMAGE_FEATURES.items():
        assert feature.criterion in CRITERIA and feature.meaning and feature.unit and feature.source, name
        assert feature.function is None or feature.function.__name__ == name
    assert {feature.criterion for feature in IMAGE_FEATURES.values()} == set(CRITERIA)
