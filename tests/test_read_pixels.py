"""Pixels read sooner are the pixels of `read_image`, and so are the refusals."""

import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from hf_aesthetics import images
from hf_aesthetics.images import ImageReadError, read_image, read_pixels


def soft_picture(height: int, width: int) -> Image.Image:
    """Gradients with some grain: neither flat nor noise, so that every stage of a decoder has something to round."""
    generator = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width]
    planes = [120 + 90 * np.sin(x / 9 + shift) * np.cos(y / 7) for shift in range(3)]
    grain = generator.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(planes, axis=-1) + grain, 0, 255).astype(np.uint8))


def encode(picture: Image.Image, file_format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def turned(orientation: int, mode: str = "RGB", **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(PICTURE.convert(mode), exif=exif, **options)


def exchanging_profile() -> bytes:
    """sRGB with its red and blue exchanged: what it is applied to looks different."""
    return SRGB.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PICTURE = soft_picture(53, 77)
FILES = {
    **{f"{s} {q}": encode(PICTURE, subsampling=s, quality=q) for s in ("4:4:4", "4:2:2", "4:2:0") for q in (30, 95)},
    "progressive": encode(PICTURE, progressive=True),
    "restart markers": encode(PICTURE, restart_marker_blocks=2),
    "grey": encode(PICTURE.convert("L")),
    "CMYK": encode(PICTURE.convert("CMYK")),
    "stored as RGB": encode(PICTURE, keep_rgb=True),
    "sRGB profile": encode(PICTURE, icc_profile=SRGB),
    "other profile": encode(PICTURE, icc_profile=exchanging_profile()),
    "broken profile": encode(PICTURE, icc_profile=b"none"),
    **{f"orientation {turn}": turned(turn) for turn in range(1, 10)},
    "grey, turned": turned(6, "L"),
    "turned, other profile": turned(8, icc_profile=exchanging_profile()),
    "several pictures": encode(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(180)]),
    "followed by something": encode(PICTURE) + b"something",
    **{f"{h} x {w}": encode(PICTURE.resize((w, h))) for h, w in [(1, 1), (3, 5), (3, 40), (7, 7), (9, 1)]},
    **{name: encode(PICTURE, name) for name in ("PNG", "WEBP", "TIFF", "BMP")},
    "transparent": encode(PICTURE.convert("RGBA").rotate(30), "PNG"),
}


def answer(read, source, **options) -> np.ndarray | str:
    try:
        return np.asarray(read(source, **options))
    except ImageReadError as error:
        return str(error)


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_of_read_image(name):
    pixels = read_pixels(FILES[name])
    assert pixels.dtype == np.uint8 and pixels.flags.writeable
    np.testing.assert_array_equal(pixels, np.asarray(read_image(FILES[name])))


def test_the_profiles_and_orientations_of_these_files_matter():
    plain = read_pixels(encode(PICTURE))
    assert np.array_equal(read_pixels(FILES["sRGB profile"]), plain)
    assert not np.array_equal(read_pixels(FILES["other profile"]), plain)
    assert read_pixels(FILES["orientation 6"]).shape == (77, 53, 3)


def test_a_path_and_an_open_picture_are_read_like_bytes(tmp_path):
    path = tmp_path / "turned.jpg"
    path.write_bytes(FILES["orientation 6"])
    with Image.open(path) as picture:
        for source in (path, str(path), picture):
            np.testing.assert_array_equal(read_pixels(source), read_pixels(FILES["orientation 6"]))


def test_damage_is_judged_as_read_image_judges_it():
    """Cut, with bytes changed, lost and added, at hundreds of places: some is forgiven, some refused, all alike."""
    generator = np.random.default_rng(0)
    num_refused = num_read = 0
    for trial in range(400):
        damaged = bytearray(FILES[["4:2:0 95", "progressive", "restart markers", "grey"][trial % 4]])
        place = int(generator.integers(2, len(damaged)))
        if trial % 3 == 0:
            del damaged[place:]
        elif trial % 3 == 1:
            damaged[place] ^= 1 << int(generator.integers(8))
        else:
            damaged[place : place + int(generator.integers(0, 9))] = generator.bytes(int(generator.integers(0, 9)))
        expected, got = answer(read_image, bytes(damaged)), answer(read_pixels, bytes(damaged))
        assert type(expected) is type(got) and np.array_equal(expected, got)
        num_refused += isinstance(expected, str)
        num_read += not isinstance(expected, str)
    assert num_refused > 100 and num_read > 100


@pytest.mark.parametrize("source", [b"", b"no picture at all", "no/such/file.jpg", "."])
def test_what_is_no_picture_is_refused_alike(source):
    assert answer(read_pixels, source) == answer(read_image, source)


def test_sizes_are_checked_before_decoding():
    for source in (FILES["4:2:0 95"], FILES["PNG"]):
        message = answer(read_pixels, source, max_pixels=100, min_size=(1, 1))
        assert message == answer(read_image, source, max_pixels=100) and "77 x 53" in message


@pytest.mark.parametrize("name", ["4:2:0 95", "progressive", "grey", "CMYK", "orientation 6", "several pictures"])
@pytest.mark.parametrize("min_size", [(1, 1), (7, 10), (20, 30), (26, 38), (54, 54), (10, 38)])
def test_a_scaled_jpeg_is_large_enough_and_the_same_without_simplejpeg(name, min_size, monkeypatch):
    pytest.importorskip("simplejpeg")
    whole, scaled = read_pixels(FILES[name]), read_pixels(FILES[name], min_size=min_size)
    factors = {round(side / small) for side, small in zip(whole.shape[:2], scaled.shape[:2], strict=True)}
    assert len(factors) == 1 and factors <= {1, 2, 4, 8}, "a half, quarter or eighth"
    for side, small, least in zip(whole.shape[:2], scaled.shape[:2], min_size, strict=True):
        assert small >= min(side, least)
    if factors != {8}:
        twice = [side // (2 * factors.copy().pop()) for side in whole.shape[:2]]
        assert any(side < least for side, least in zip(twice, min_size, strict=True)), "half of it would be enough"
    monkeypatch.setattr(images, "_find_jpeg_decoder", lambda: None)
    np.testing.assert_array_equal(scaled, read_pixels(FILES[name], min_size=min_size))


def test_a_scaled_picture_looks_like_the_whole_one():
    whole = soft_picture(400, 600)
    scaled = read_pixels(encode(whole, quality=95), min_size=(100, 150))
    assert scaled.shape == (100, 150, 3)
    shrunk = np.asarray(whole.resize((150, 100), Image.Resampling.BOX), dtype=float)
    assert np.abs(scaled - shrunk).mean() < 3


def test_without_simplejpeg_pil_reads_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    images._find_jpeg_decoder.cache_clear()
    try:
        assert images._find_jpeg_decoder() is None
        np.testing.assert_array_equal(read_pixels(FILES["4:2:0 95"]), np.asarray(read_image(FILES["4:2:0 95"])))
    finally:
        images._find_jpeg_decoder.cache_clear()


def test_what_is_no_source_at_all_is_a_type_error():
    with pytest.raises(TypeError, match="got ndarray"):
        read_pixels(np.zeros((2, 2, 3)))  # ty: ignore[invalid-argument-type]
