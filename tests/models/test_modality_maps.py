"""The table of modalities: every closed-form row answers every picture."""

import math
import re

import pytest
import torch

from hf_aesthetics.models.modality_maps import MODALITIES, check_modality, make_modality_maps, split_modality


CLOSED_FORM = [name for name, modality in MODALITIES.items() if modality.function is not None]
NOISE = torch.Generator().manual_seed(0)
PICTURES = {
    "uniform": torch.full((2, 3, 40, 60), 127, dtype=torch.uint8),
    "white": torch.full((1, 3, 40, 60), 255, dtype=torch.uint8),
    "noise": torch.randint(0, 256, (2, 3, 40, 60), dtype=torch.uint8, generator=NOISE),
    "panorama": torch.randint(0, 256, (1, 3, 40, 2000), dtype=torch.uint8, generator=NOISE),
    "column": torch.randint(0, 256, (1, 3, 2000, 1), dtype=torch.uint8, generator=NOISE),
    "pixel": torch.randint(0, 256, (1, 3, 1, 1), dtype=torch.uint8, generator=NOISE),
}


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("name", CLOSED_FORM)
def test_every_picture_has_a_defined_map(name, kind):
    pictures = PICTURES[kind]
    floats = MODALITIES[name].function(pictures / 255)
    assert floats.shape == (len(pictures), 1, *pictures.shape[2:])
    assert torch.isfinite(floats).all() and floats.min() >= 0 and floats.max() <= 1 + 1e-6
    maps = make_modality_maps(pictures, name)
    assert maps.dtype == torch.uint8
    if kind in ("uniform", "white", "pixel") and name != "gray":
        # nothing stands out, and nothing is sharp
        assert (maps == (255 if name.startswith("blur") else 0)).all()


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_a_map_does_not_depend_on_its_batch(name):
    pictures = torch.cat([PICTURES["noise"], PICTURES["uniform"]])
    together = make_modality_maps(pictures, name).int()
    alone = torch.cat([make_modality_maps(picture[None], name) for picture in pictures]).int()
    assert (together - alone).abs().max() <= 1


@pytest.mark.parametrize("modality", ["bluur", "rgb+", "rgb+rgb", "depth+rgb", "rgb+depth+blur", ""])
def test_unknown_modalities_are_refused_with_the_list(modality):
    with pytest.raises(ValueError, match=rf"'blur_laplacian', .*'saliency_u2net'.*got {re.escape(repr(modality))}"):
        check_modality(modality)


def test_a_modality_says_what_the_model_sees():
    assert split_modality("rgb") == (True, None)
    for name in MODALITIES.keys() - {"rgb"}:
        assert split_modality(name) == (False, name)
        assert split_modality(f"rgb+{name}") == (True, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("depth", "'depth' comes from a network for depth-estimation. Make the maps first"),
        ("saliency_u2net", "'saliency_u2net' comes from a network for image-segmentation"),
        ("rgb", "'rgb' is the picture itself and has no map"),
        ("bluur", "got 'bluur'"),
    ],
)
def test_maps_without_a_function_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        make_modality_maps(PICTURES["uniform"], name)


def test_rows_are_whole():
    for name, modality in MODALITIES.items():
        assert modality.meaning and not modality.meaning.endswith(".")
        # a function, or a network, or the picture itself
        assert (modality.function is not None) + (modality.task is not None) + (name == "rgb") == 1
        assert modality.checkpoint is None or modality.task is not None


def test_levels_are_rounded_not_cut():
    picture = torch.tensor([1, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1) * 200
    assert make_modality_maps(picture, "gray").item() == math.floor(0.299 * 200 + 0.5) == 60
