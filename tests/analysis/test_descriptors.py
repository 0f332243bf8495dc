import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.analysis.descriptors import NAMED_DESCRIPTORS, SIDE, describe_cue, small_maps


def spot(x: float, y: float, radius: float = 0.08) -> np.ndarray:
    places = (np.arange(SIDE) + 0.5) / SIDE
    return np.uint8(255 * (np.hypot(places - x, places[:, None] - y) < radius))


def test_saliency_is_described_by_its_place():
    maps = {"saliency": np.stack([spot(1 / 3, 2 / 3), spot(0.5, 0.5), spot(0.9, 0.1)])}
    found = describe_cue("saliency", maps)
    np.testing.assert_allclose(
        found["saliency_thirds"], [0, np.hypot(1 / 6, 1 / 6), np.hypot(0.9 - 2 / 3, 1 / 3 - 0.1)], atol=0.01
    )
    np.testing.assert_allclose(found["saliency_centre"], [np.hypot(1 / 6, 1 / 6), 0, np.hypot(0.4, 0.4)], atol=0.01)


def test_compactness_falls_with_the_size_of_what_is_salient():
    maps = np.stack([spot(0.5, 0.5, radius) for radius in (0.05, 0.2, 0.4)] + [np.full((SIDE, SIDE), 9, np.uint8)])
    compactness = describe_cue("saliency", {"saliency": maps})["saliency_compactness"]
    assert (np.diff(compactness) < 0).all() and compactness[0] > 0.85 and compactness[-1] == pytest.approx(0, abs=0.02)


def test_depth_does_not_know_where_things_are():
    maps = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE)).astype(np.uint8)
    shuffled = maps.reshape(3, -1)[:, np.random.default_rng(1).permutation(SIDE * SIDE)].reshape(maps.shape)
    first, second = (describe_cue("depth", {"depth": each}) for each in (maps, shuffled))
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5)


def test_blur_of_the_subject_is_the_blur_where_it_is_salient():
    blur = np.full((1, SIDE, SIDE), 255, np.uint8)
    blur[:, :, : SIDE // 2] = 0
    maps = {"blur": blur, "saliency": np.stack([spot(0.25, 0.5)])}
    found = describe_cue("blur", maps)
    assert found["blur_of_subject"][0] < 0.02 and found["blur_share"][0] == 0.5
    assert "blur_of_subject" not in describe_cue("blur", {"blur": blur})


def test_grey_pictures_have_no_vividness_and_their_own_lightness():
    pictures = small_maps([Image.new("RGB", (9, 9), 3 * (level,)) for level in (0, 119, 255)])
    assert describe_cue("colour", {"rgb": pictures})["colour_vividness"] == pytest.approx(0, abs=1e-3)
    assert describe_cue("light", {"rgb": pictures})["light_mean"] == pytest.approx([0, 0.5, 1], abs=0.01)


@pytest.mark.parametrize("cue", [*NAMED_DESCRIPTORS, "edges"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_uniform_maps_are_described_by_finite_numbers(cue, level):
    grey = np.full((2, SIDE, SIDE), level, np.uint8)
    maps = {"rgb": np.repeat(grey[..., None], 3, axis=3), "depth": grey, "saliency": grey, "blur": grey, "edges": grey}
    found = describe_cue(cue, maps)
    assert set(NAMED_DESCRIPTORS.get(cue, {})) <= found.keys()
    assert all(values.shape == (2,) and np.isfinite(values).all() for values in found.values())


def test_a_missing_map_is_named():
    with pytest.raises(KeyError, match="'colour' is described from 'rgb' maps, but there are only .'depth'."):
        describe_cue("colour", {"depth": np.zeros((1, SIDE, SIDE), np.uint8)})
