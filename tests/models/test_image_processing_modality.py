"""The processor against PIL, numpy and itself on other kinds of input."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessor

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.models.modality_maps import MODALITIES, make_modality_maps


SMALL = {"height": 32, "width": 32}
PLAIN = {"do_normalize": False, "size": SMALL}
CLOSED_FORM = [name for name, row in MODALITIES.items() if row.function is not None]


def photograph(height: int = 96, width: int = 128, seed: int = 0) -> Image.Image:
    """Smooth colours with some detail, so that resizing filters matter but little."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, size=(6, 8, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray(np.clip(smooth + generator.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8))


def pixels(processor: ModalityImageProcessor, *images, **kwargs) -> torch.Tensor:
    return processor(list(images), return_tensors="pt", **kwargs)["pixel_values"]


def test_squash_is_pils_antialiased_resize():
    image = photograph()
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), dtype=float)
    ours = pixels(ModalityImageProcessor(**PLAIN), image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours - expected).max() <= 1 and np.abs(ours - expected).mean() < 0.05


def test_crop_is_resizing_the_short_side_and_cutting_the_centre():
    image = photograph(480, 640)
    resized = image.resize((round(256 * 640 / 480), 256), Image.Resampling.BILINEAR)
    left, top = (resized.width - 224) // 2, 16
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)), dtype=float)
    processor = ModalityImageProcessor(view="crop", do_normalize=False)
    ours = pixels(processor, image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours - expected).mean() < 2
    squashed = pixels(ModalityImageProcessor(do_normalize=False), image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(squashed - expected).mean() > 20


def test_normalisation_is_the_backbones():
    image = Image.new("RGB", (40, 40), (51, 102, 204))
    processor = ModalityImageProcessor(size=SMALL, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.25, 1.0])
    expected = torch.tensor([(0.2 - 0.5) / 0.5, (0.4 - 0.5) / 0.25, (0.8 - 0.5) / 1.0])
    torch.testing.assert_close(pixels(processor, image)[0, :, 7, 9], expected)


def test_kinds_of_input_agree():
    image, processor = photograph(), ModalityImageProcessor(size=SMALL)
    array = np.asarray(image)
    expected = pixels(processor, image)
    for other in (
        array,
        array.transpose(2, 0, 1),
        torch.from_numpy(array.copy()).permute(2, 0, 1),
        array.astype(np.float32) / 255,
        array.astype(np.uint16) * 257,
        array.astype(np.int64),
    ):
        assert torch.equal(pixels(processor, other), expected), (type(other), other.dtype)


def test_grey_arrays_and_16_bit_pictures_keep_their_level():
    processor = ModalityImageProcessor(**PLAIN)
    level = torch.full((3, 32, 32), 156 / 255)
    torch.testing.assert_close(pixels(processor, np.full((40, 50), 156, np.uint8))[0], level)
    torch.testing.assert_close(pixels(processor, Image.fromarray(np.full((40, 50), 156 * 257, np.uint16)))[0], level)


def test_a_path_is_read_upright(tmp_path):
    image = photograph()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    processor = ModalityImageProcessor(size=SMALL)
    assert torch.equal(pixels(processor, str(tmp_path / "turned.png")), pixels(processor, image))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((8, 8, 3), 7.5), "in \\[0, 1\\], got 7.5"),
        (np.full((8, 8, 3), 300, np.int32), "0..255, got 300"),
        (np.full((8, 8, 3), np.nan), "nan"),
    ],
)
def test_values_off_the_scale_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        ModalityImageProcessor(size=SMALL)(array)


@pytest.mark.parametrize("shape", [(1, 1), (20, 4000), (4000, 20)])
@pytest.mark.parametrize("view", ["squash", "crop"])
@pytest.mark.parametrize("modality", [*CLOSED_FORM, "rgb", "rgb+blur"])
def test_odd_shapes_pass(shape, view, modality):
    image = Image.fromarray(np.full((*shape, 3), 90, np.uint8))
    values = pixels(ModalityImageProcessor(size=SMALL, view=view, modality=modality), image)
    assert values.shape == (1, 4 if "+" in modality else 3, 32, 32) and torch.isfinite(values).all()


def test_a_batch_of_mixed_sizes_equals_its_pictures():
    images = [photograph(), photograph(50, 70, 1), photograph(96, 128, 2)]
    processor = ModalityImageProcessor(size=SMALL)
    together = pixels(processor, *images)
    for image, expected in zip(images, together, strict=True):
        assert torch.equal(pixels(processor, image)[0], expected)
    assert torch.equal(pixels(processor, *images, disable_grouping=False), together)


@pytest.mark.parametrize("modality", CLOSED_FORM)
def test_a_cached_map_equals_the_one_made_on_the_fly(modality):
    image = photograph(900, 700)
    processor = ModalityImageProcessor(size=SMALL, modality=modality)
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    stored = processor.make_modality_maps(tensor)
    assert stored.dtype == torch.uint8 and stored.shape == (1, 1, 512, 398)
    cached = Image.fromarray(stored[0, 0].numpy())  # what a column of 8-bit PNGs decodes to
    given = processor(modality_maps=[cached], return_tensors="pt")["pixel_values"]
    assert torch.equal(given, pixels(processor, image))


def test_gray_is_pils_luma_and_constant_is_nothing():
    image = photograph()
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    luma = np.asarray(image.convert("L"), dtype=int)
    assert np.abs(make_modality_maps(tensor, "gray")[0, 0].numpy().astype(int) - luma).max() <= 1
    assert make_modality_maps(tensor, "constant").sum() == 0


def test_unknown_modality_is_refused_with_the_list():
    with pytest.raises(ValueError, match="one of \\['blur', .*'gray'.* got 'bluur'"):
        ModalityImageProcessor(modality="bluur")
    with pytest.raises(ValueError, match="got 'bluur'"):
        ModalityImageProcessor()(photograph(), modality="bluur")


def test_maps_for_the_rgb_processor_are_refused():
    with pytest.raises(ValueError, match="modality 'rgb'.*Pass `images`"):
        ModalityImageProcessor()(modality_maps=[photograph().convert("L")])
    with pytest.raises(ValueError, match="got neither"):
        ModalityImageProcessor()()


def ramp_map(height: int = 96, width: int = 128) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height))


@pytest.mark.parametrize("view", ["squash", "crop"])
def test_early_fusion_is_the_picture_and_then_the_map(view):
    picture, map_ = photograph(96, 160), ramp_map(48, 80)
    processor = ModalityImageProcessor(size=SMALL, view=view, modality="rgb+depth", image_std=[0.5, 0.25, 1.0])
    (fused,) = processor([picture], modality_maps=[map_], return_tensors="pt")["pixel_values"]
    alone = ModalityImageProcessor(size=SMALL, view=view, image_std=[0.5, 0.25, 1.0])
    assert fused.shape == (4, 32, 32) and torch.equal(fused[:3], pixels(alone, picture)[0])
    cut = map_ if view == "squash" else map_.crop((19, 3, 61, 45))  # seven eighths of the shorter side
    expected = np.asarray(cut.resize((32, 32), Image.Resampling.BILINEAR), dtype=float) / 127.5 - 1
    assert np.abs(fused[3].numpy() - expected).max() < 0.03


def test_early_fusion_makes_closed_form_maps_of_the_same_picture():
    picture = photograph()
    fused = pixels(ModalityImageProcessor(size=SMALL, modality="rgb+gray"), picture)
    gray = ModalityImageProcessor(size=SMALL, modality="gray", image_mean=[0.5] * 3, image_std=[0.5] * 3)
    assert torch.equal(fused[:, 3:], pixels(gray, picture)[:, :1])


@pytest.mark.parametrize(
    ("modality", "images", "maps", "message"),
    [
        ("depth", 1, None, "'depth' needs maps that a network makes.*call processor\\(modality_maps=...\\)"),
        ("rgb+depth", 1, None, "'rgb.depth' needs maps.*call processor\\(images, modality_maps=...\\)"),
        ("rgb+depth", None, [(96, 128)], "needs `images` beside"),
        ("rgb+depth", 2, [(96, 128)], "one map, got 1 maps for 2 pictures"),
        ("depth", 2, [(96, 128)], "one map, got 1 maps for 2 pictures"),
        ("rgb+depth", 1, [(128, 96)], "a map of 96 x 128 for a picture of 128 x 96 pixels"),
    ],
)
def test_maps_that_are_missing_or_of_another_picture_are_refused_in_one_line(modality, images, maps, message):
    processor = ModalityImageProcessor(size=SMALL, modality=modality)
    given = None if images is None else [photograph()] * images
    with pytest.raises(ValueError, match=message) as refused:
        processor(given, modality_maps=maps and [ramp_map(*size) for size in maps])
    assert "\n" not in str(refused.value)


def test_16_bit_and_float_maps_are_scaled_and_not_clipped():
    processor, values = ModalityImageProcessor(modality="depth", **PLAIN), np.asarray(ramp_map(), dtype=np.uint16)
    expected = processor(modality_maps=[ramp_map()], return_tensors="pt")["pixel_values"]
    deep = values * 257
    for map_ in (
        deep,
        Image.fromarray(deep),
        Image.fromarray(deep.astype(np.int32)),
        Image.fromarray(values.astype(np.float32) / 255),
        values.astype(np.float32) / 255,
    ):
        assert torch.equal(processor(modality_maps=[map_], return_tensors="pt")["pixel_values"], expected)
    with pytest.raises(ValueError, match="one channel, got shape .3, 96, 128"):
        processor(modality_maps=[np.asarray(photograph())])


def test_the_extractor_is_saved_with_the_processor(tmp_path):
    fields = {"extractor_checkpoint": "org/depth", "extractor_revision": "5f2c"}
    ModalityImageProcessor(modality="rgb+depth", size=SMALL, **fields).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert fields.items() <= saved.items() and saved["modality"] == "rgb+depth"
    assert AutoImageProcessor.from_pretrained(tmp_path).extractor_revision == "5f2c"
    ModalityImageProcessor(size=SMALL).save_pretrained(tmp_path)
    assert not fields.keys() & json.loads((tmp_path / "preprocessor_config.json").read_text()).keys()


def test_bad_fields_are_refused():
    with pytest.raises(ValueError, match="crop_fraction.*1.5"):
        ModalityImageProcessor(crop_fraction=1.5)
    with pytest.raises(Exception, match="view"):
        ModalityImageProcessor(view="stretch")
    with pytest.raises(TypeError, match="vieww"):
        ModalityImageProcessor()(photograph(), vieww="crop")


def test_json_round_trip_keeps_view_and_modality(tmp_path):
    processor = ModalityImageProcessor(view="crop", crop_fraction=0.9, modality="gray", size=SMALL)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert (saved["view"], saved["modality"], saved["crop_fraction"]) == ("crop", "gray", 0.9)
    assert "do_make_map" not in saved
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert torch.equal(pixels(loaded, photograph()), pixels(processor, photograph()))


def test_statistics_come_from_the_pretrained_backbone(tmp_path):
    from hf_aesthetics.models.configuration_nima import NimaConfig

    backbone = NimaConfig(backbone_config={"model_type": "vit"}).backbone_config
    backbone.save_pretrained(tmp_path)
    ViTImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6], size=SMALL).save_pretrained(tmp_path)
    processor = ModalityImageProcessor.from_backbone_pretrained(str(tmp_path), view="crop")
    assert list(processor.image_mean) == [0.1, 0.2, 0.3] and list(processor.image_std) == [0.4, 0.5, 0.6]
    assert dict(processor.size) == SMALL and processor.view == "crop"


@pytest.mark.parametrize("fields", [{}, {"view": "crop"}, {"resample": 3}, {"modality": "blur"}, {"modality": "gray"}])
def test_pictures_in_any_order_in_memory_give_the_same_bits(fields):
    """An open picture and an array lie in memory with their channels last, a contiguous tensor with them first."""
    all_fields: dict[str, Any] = {"size": {"height": 33, "width": 47}, **fields}
    processor = ModalityImageProcessor(**all_fields)
    for height, width in [(90, 120), (300, 201), (20, 31)]:
        pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        channels_last = torch.from_numpy(pixels).permute(2, 0, 1)
        expected = processor(channels_last.contiguous(), return_tensors="pt").pixel_values
        for picture in (Image.fromarray(pixels), pixels, channels_last):
            got = processor(picture, return_tensors="pt").pixel_values
            assert got.is_contiguous() and torch.equal(got, expected)


def test_a_picture_three_pixels_high_is_not_taken_for_three_channels():
    pixels = np.zeros((3, 40, 3), dtype=np.uint8)
    pixels[..., 0] = 255
    processor = ModalityImageProcessor(size={"height": 8, "width": 8}, do_normalize=False)
    values = processor(Image.fromarray(pixels), return_tensors="pt").pixel_values[0]
    assert values.mean(dim=(1, 2)).tolist() == [1, 0, 0]
