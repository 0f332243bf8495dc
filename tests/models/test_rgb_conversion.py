"""Pictures of every kind with a known right answer: from the EXIF and ICC specifications, or planted in a profile."""

import io
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from hf_aesthetics.models import rgb_conversion
from hf_aesthetics.models.rgb_conversion import convert_to_rgb


MODES = "1 L P RGB RGBA CMYK YCbCr LAB HSV I F LA PA La RGBa RGBX I;16 I;16L I;16B I;16N".split()

# sRGB primaries adapted to the D50 white of ICC profiles (IEC 61966-2-1, Bradford), one row a primary: X, Y, Z.
SRGB_PRIMARIES = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]])
ADOBE_RGB_PRIMARIES = np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]])


# --- pictures and profiles made by hand ------------------------------------------------------------------------------


def random_picture(mode: str, size: tuple[int, int] = (5, 3)) -> Image.Image:
    width, height = size
    rng = np.random.default_rng(0)
    if mode == "F":
        return Image.fromarray(rng.random((height, width), dtype=np.float32))
    if mode == "I":
        return Image.fromarray(rng.integers(0, 65536, (height, width), dtype=np.int32))
    if mode.startswith("I;16"):
        return Image.frombytes(mode, size, rng.bytes(width * height * 2))
    if mode == "1":
        return Image.fromarray(rng.random((height, width)) > 0.5)
    return Image.frombytes(mode, size, rng.bytes(width * height * Image.new(mode, (1, 1)).im.bands))


def s15fixed16(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def gamma_curve(gamma: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 0, 0) + s15fixed16(gamma)


SRGB_CURVE = (
    b"para" + bytes(4) + struct.pack(">HH", 3, 0) + s15fixed16(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
)


def build_profile(color_space: bytes, connection_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC v4 display profile, laid out as ICC.1:2010 chapter 7 says: header, tag table, tags."""
    tags = {b"wtpt": b"XYZ " + bytes(4) + s15fixed16(0.9642, 1.0, 0.8249)} | tags
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", 128 + len(table + body), bytes(4), 0x04200000, b"mntr", color_space, connection_space
    )
    header += bytes(12) + b"acsp" + bytes(28) + s15fixed16(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + table + body


def rgb_profile(primaries: np.ndarray, curve: bytes) -> bytes:
    tags = {}
    for channel, xyz in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[channel + b"XYZ"] = b"XYZ " + bytes(4) + s15fixed16(*xyz)
        tags[channel + b"TRC"] = curve
    return build_profile(b"RGB ", b"XYZ ", tags)


def black_ink_profile(darkest: int = 0) -> bytes:
    """A CMYK profile of a press whose cyan, magenta and yellow show nothing; black takes L* down to `darkest`."""
    identity = bytes(range(256))
    corners = [(darkest if corner % 2 else 255, 128, 128) for corner in range(16)]  # L*, a*, b*; black varies fastest
    lightness = bytes(channel for corner in corners for channel in corner)
    table = struct.pack(">4s4xBBBx", b"mft1", 4, 3, 2) + s15fixed16(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return build_profile(b"CMYK", b"Lab ", {b"A2B1": table + identity * 4 + lightness + identity * 3})


SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RED_GREEN_SWAPPED = rgb_profile(SRGB_PRIMARIES[[1, 0, 2]], SRGB_CURVE)
LINEAR_GREY = build_profile(b"GRAY", b"XYZ ", {b"kTRC": gamma_curve(1.0)})


def srgb_encode(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def pixels_of(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(pixel) for row in np.asarray(image).tolist() for pixel in row]


def with_info(image: Image.Image, **info) -> Image.Image:
    image.info.update(info)
    return image


def reopened(image: Image.Image, format_name: str, **options) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return Image.open(stream)


# --- what holds for every picture ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("info", [{}, {"icc_profile": RED_GREEN_SWAPPED}, {"icc_profile": LINEAR_GREY}])
def test_result_is_plain_rgb_and_converting_it_again_returns_it(mode, info):
    once = convert_to_rgb(with_info(random_picture(mode), **info))
    assert (once.mode, once.size) == ("RGB", (5, 3))
    twice = convert_to_rgb(once)
    assert twice.tobytes() == once.tobytes()
    assert twice is once


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("profile", [RED_GREEN_SWAPPED, LINEAR_GREY], ids=["RGB profile", "grey profile"])
@pytest.mark.parametrize("mode", MODES)
def test_the_given_picture_is_left_alone(mode, profile, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = with_info(random_picture(mode), icc_profile=profile, exif=exif.tobytes())
    pixels, info = image.tobytes(), dict(image.info)
    convert_to_rgb(image)
    assert (image.mode, image.size, image.tobytes(), image.info) == (mode, (5, 3), pixels, info)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"dpi": (72, 72)},
        {"icc_profile": SRGB_PROFILE},
        {"icc_profile": rgb_profile(SRGB_PRIMARIES, SRGB_CURVE)},
        {"icc_profile": None},
    ],
    ids=["no metadata", "dpi", "PIL's sRGB profile", "sRGB profile by hand", "empty profile"],
)
def test_upright_srgb_picture_is_returned_itself(info):
    image = with_info(random_picture("RGB"), **info)
    assert convert_to_rgb(image) is image


def test_leaf_runs_alone_without_torch_and_without_the_package(tmp_path):
    shutil.copy(rgb_conversion.__file__, tmp_path / "rgb_conversion.py")
    program = (
        "import sys; sys.modules.update(torch=None, transformers=None, hf_aesthetics=None)\n"
        "from PIL import Image; from rgb_conversion import convert_to_rgb\n"
        "print(convert_to_rgb(Image.new('LA', (1, 1), (0, 0))).getpixel((0, 0)))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(255, 255, 255)"


# --- orientation -----------------------------------------------------------------------------------------------------

# EXIF 2.32, tag 0x0112: the side of the scene where the first stored row and the first stored column lie.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    first_row, first_column = SIDES[orientation]
    stored = upright.swapaxes(0, 1) if first_row in ("left", "right") else upright
    stored = stored[::-1] if first_row in ("bottom", "right") else stored
    return np.ascontiguousarray(stored[:, ::-1] if first_column in ("right", "bottom") else stored)


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize(
    ("format_name", "options"),
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
)
def test_every_exif_orientation_comes_out_upright(orientation, format_name, options):
    upright = np.asarray(random_picture("RGB"))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = reopened(Image.fromarray(stored_as(upright, orientation)), format_name, exif=exif, **options)
    converted = convert_to_rgb(stored)
    np.testing.assert_array_equal(np.asarray(converted), upright)
    assert ExifTags.Base.Orientation not in converted.getexif() or orientation == 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "I;16", "I;16B", "F"])
def test_orientation_is_applied_in_every_mode(mode):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright = convert_to_rgb(random_picture(mode))
    turned = convert_to_rgb(with_info(random_picture(mode), exif=exif.tobytes()))
    np.testing.assert_array_equal(stored_as(np.asarray(turned), 6), np.asarray(upright))


def test_picture_turned_by_datasets_or_by_hand_is_not_turned_again():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = ImageOps.exif_transpose(reopened(random_picture("RGB"), "JPEG", exif=exif))
    assert turned.size == (3, 5)
    assert convert_to_rgb(turned) is turned


def test_orientation_in_xmp_counts_where_exif_has_none():
    image = with_info(random_picture("RGB"), xmp=b'<rdf:Description tiff:Orientation="3"/>')
    np.testing.assert_array_equal(np.asarray(convert_to_rgb(image)), np.asarray(image)[::-1, ::-1])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"", b"Exif\0\0MM\0*\0\0\0\x08\0\x01", b"\xff" * 40])
def test_unreadable_exif_counts_as_upright(exif):
    image = with_info(random_picture("RGB"), exif=exif)
    assert convert_to_rgb(image) is image


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_outside_the_standard_counts_as_upright(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = with_info(random_picture("RGB"), exif=exif.tobytes())
    assert convert_to_rgb(image) is image


# --- colour profiles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_name", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_profile_with_swapped_primaries_swaps_red_and_green(format_name, options):
    image = random_picture("RGB", (64, 64))
    stored = reopened(image, format_name, icc_profile=RED_GREEN_SWAPPED, **options)
    converted = convert_to_rgb(stored)
    np.testing.assert_allclose(np.asarray(converted, float), np.asarray(image, float)[..., [1, 0, 2]], atol=1)
    assert "icc_profile" not in converted.info


def test_wide_gamut_profile_is_converted_as_the_matrices_say():
    gamma = 563 / 256
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(18, -1, 3).astype(np.uint8)
    image = with_info(Image.fromarray(levels), icc_profile=rgb_profile(ADOBE_RGB_PRIMARIES, gamma_curve(gamma)))
    xyz = (levels / 255) ** gamma @ ADOBE_RGB_PRIMARIES
    expected = srgb_encode(xyz @ np.linalg.inv(SRGB_PRIMARIES))
    converted = np.asarray(convert_to_rgb(image), float)
    np.testing.assert_allclose(converted, expected, atol=2.5)
    assert np.abs(converted - levels).max() > 40  # ignoring the profile would be visible


def test_profile_close_to_srgb_is_converted_all_the_same():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    image = with_info(Image.fromarray(greys), icc_profile=rgb_profile(SRGB_PRIMARIES, gamma_curve(2.2)))
    expected = srgb_encode((greys / 255) ** 2.2)
    assert 3 < np.abs(expected - greys).max() < 10
    np.testing.assert_allclose(np.asarray(convert_to_rgb(image), float), expected, atol=1)


@pytest.mark.parametrize("mode", ["P", "RGBA", "RGBX", "HSV", "YCbCr"])
def test_rgb_profile_is_applied_to_whatever_becomes_rgb(mode):
    image = Image.new("RGB", (2, 1), (204, 51, 102)).convert(mode)
    plain = np.asarray(convert_to_rgb(image), float)
    converted = np.asarray(convert_to_rgb(with_info(image, icc_profile=RED_GREEN_SWAPPED)), float)
    np.testing.assert_allclose(plain[0, 0], (204, 51, 102), atol=3)
    np.testing.assert_allclose(converted, plain[..., [1, 0, 2]], atol=1)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "I", "F"])
def test_grey_profile_is_applied_to_grey_pixels(mode):
    values = np.arange(256, dtype=np.uint8)[None]
    image = {
        "L": lambda: Image.fromarray(values),
        "LA": lambda: Image.fromarray(values).convert("LA"),
        "I;16": lambda: Image.fromarray(values.astype(np.uint16) * 257),
        "I": lambda: Image.fromarray(values.astype(np.int32) * 257),
        "F": lambda: Image.fromarray(values.astype(np.float32) / 255),
    }[mode]()
    assert image.mode == mode
    converted = np.asarray(convert_to_rgb(with_info(image, icc_profile=LINEAR_GREY)), float)
    expected = np.repeat(srgb_encode(values / 255)[..., None], 3, axis=-1)
    np.testing.assert_allclose(converted, expected, atol=1)


def test_cmyk_profile_decides_over_the_plain_formula():
    inks = [(0, 0, 0, 0), (255, 255, 255, 0), (0, 0, 0, 255), (90, 20, 200, 128)]
    image = with_info(Image.new("CMYK", (4, 1)), icc_profile=black_ink_profile())
    image.putdata(inks)
    lightness = 100 * (1 - np.array([ink[3] for ink in inks]) / 255)
    luminance = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)  # CIE 1976
    converted = np.asarray(convert_to_rgb(image), float)[0]
    np.testing.assert_allclose(converted, np.repeat(srgb_encode(luminance)[:, None], 3, axis=1), atol=2)


def test_darkest_ink_of_a_pale_print_becomes_black():
    inks = Image.new("CMYK", (2, 1))
    inks.putpixel((1, 0), (255, 255, 255, 255))
    assert pixels_of(convert_to_rgb(with_info(inks, icc_profile=black_ink_profile(darkest=50)))) == [
        (255, 255, 255),
        (0, 0, 0),
    ]


@pytest.mark.parametrize(
    "profile",
    [
        b"nonsense",
        SRGB_PROFILE[:200],
        SRGB_PROFILE[:16] + b"XXXX" + SRGB_PROFILE[20:],
        LINEAR_GREY,
        black_ink_profile(),
    ],
    ids=["nonsense", "cut short", "unknown colour space", "grey profile", "CMYK profile"],
)
def test_broken_or_unsuitable_profile_is_ignored(profile):
    image = with_info(random_picture("RGB"), icc_profile=profile)
    assert convert_to_rgb(image) is image


def test_rgb_profile_on_grey_pixels_is_ignored():
    image = random_picture("L")
    expected = np.repeat(np.asarray(image)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(
        np.asarray(convert_to_rgb(with_info(image, icc_profile=RED_GREEN_SWAPPED))), expected
    )


# --- transparency ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(mode):
    image = random_picture(mode, (64, 64))
    pixels = np.asarray(image, float)
    colors, opacity = pixels[..., :-1], pixels[..., -1:] / 255
    expected = np.broadcast_to(colors * opacity + 255 * (1 - opacity), (64, 64, 3))
    np.testing.assert_allclose(np.asarray(convert_to_rgb(image), float), expected, atol=0.51)


@pytest.mark.parametrize(("mode", "straight"), [("RGBa", "RGBA"), ("La", "LA")])
def test_premultiplied_alpha_gives_the_picture_of_straight_alpha(mode, straight):
    image = random_picture(straight, (64, 64))
    converted = np.asarray(convert_to_rgb(image.convert(mode)), float)
    np.testing.assert_allclose(converted, np.asarray(convert_to_rgb(image), float), atol=2)


def test_white_is_laid_under_after_the_colour_conversion():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    pale = with_info(Image.new("LA", (1, 1), (64, 128)), icc_profile=LINEAR_GREY)
    converted = convert_to_rgb(with_info(image, icc_profile=RED_GREEN_SWAPPED))
    assert converted.getpixel((0, 0)) == (255, 255, 255)
    np.testing.assert_allclose(np.asarray(converted)[0, 1], (0, 255, 0), atol=1)
    expected = srgb_encode(np.array(64 / 255)) * 128 / 255 + 255 * 127 / 255
    np.testing.assert_allclose(np.asarray(convert_to_rgb(pale))[0, 0], expected, atol=1)


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [
        (1, [(10, 20, 30), (255, 255, 255), (70, 80, 90)]),
        (bytes([255, 0, 51]), [(10, 20, 30), (255, 255, 255), (218, 220, 222)]),  # 51 is one fifth
    ],
    ids=["one entry", "alpha an entry"],
)
@pytest.mark.parametrize("format_name", [None, "PNG"])
@pytest.mark.filterwarnings("error")
def test_transparent_palette_entries_become_white(transparency, expected, format_name):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    image = reopened(image, format_name, transparency=transparency) if format_name else image
    image.info["transparency"] = transparency
    assert pixels_of(convert_to_rgb(image)) == expected


def test_palette_with_alpha_of_its_own_is_laid_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 255, 40, 50, 60, 0], "RGBA")
    image.putdata([0, 1])
    assert pixels_of(convert_to_rgb(image)) == [(10, 20, 30), (255, 255, 255)]


def test_palette_picture_with_alpha_channel_is_laid_over_white():
    image = Image.new("PA", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([(0, 255), (1, 0)])
    assert pixels_of(convert_to_rgb(image)) == [(10, 20, 30), (255, 255, 255)]


@pytest.mark.parametrize(
    ("mode", "pixels", "key", "expected"),
    [
        ("RGB", [(1, 2, 3), (4, 5, 6)], (4, 5, 6), [(1, 2, 3), (255, 255, 255)]),
        ("L", [7, 9], 9, [(7, 7, 7), (255, 255, 255)]),
        ("1", [0, 255], 0, [(255, 255, 255), (255, 255, 255)]),
        ("I;16", [257, 514], 514, [(1, 1, 1), (255, 255, 255)]),
        ("I;16", [257, 514], 515, [(1, 1, 1), (2, 2, 2)]),
    ],
)
def test_colour_marked_transparent_in_a_png_becomes_white(mode, pixels, key, expected):
    image = Image.new(mode, (2, 1))
    for column, pixel in enumerate(pixels):
        image.putpixel((column, 0), pixel)
    stored = reopened(image, "PNG", transparency=key)
    assert stored.mode == mode
    assert pixels_of(convert_to_rgb(stored)) == expected


# --- bit depth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N", "I"])
def test_sixteen_bit_grey_is_scaled_not_clipped(mode):
    values = np.arange(65536).reshape(256, 256)
    dtype = {"I": np.int32, "I;16B": ">u2", "I;16N": "=u2"}.get(mode, "<u2")
    converted = np.asarray(convert_to_rgb(Image.frombytes(mode, (256, 256), values.astype(dtype).tobytes())))
    np.testing.assert_allclose(converted[..., 0], values / 257, atol=0.5)
    np.testing.assert_array_equal(converted.reshape(-1, 3)[::257, 1], np.arange(256))  # 156 * 257 becomes 156


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_files_keep_their_tones(format_name):
    stored = reopened(Image.fromarray(np.full((2, 3), 156 * 257, np.uint16)), format_name)
    assert set(pixels_of(convert_to_rgb(stored))) == {(156, 156, 156)}


def test_floating_point_picture_is_scaled_from_the_unit_interval():
    image = Image.fromarray(np.array([[0, 0.2, 0.5019608, 1]], np.float32))
    assert [red for red, _, _ in pixels_of(convert_to_rgb(image))] == [0, 51, 128, 255]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.0, 250.0]], np.float32), r"mode 'F' must lie in \[0, 1\], got values from 0.0 to 250.0"),
        (np.array([[-0.5, 1.0]], np.float32), r"mode 'F' must lie in \[0, 1\], got values from -0.5 to 1.0"),
        (np.array([[0.5, np.nan]], np.float32), r"mode 'F' must lie in \[0, 1\], got values from nan to nan"),
        (np.array([[0, 70000]], np.int32), r"mode 'I' must lie in \[0, 65535\], got values from 0 to 70000"),
        (np.array([[-1, 7]], np.int32), r"mode 'I' must lie in \[0, 65535\], got values from -1 to 7"),
    ],
)
def test_values_without_a_known_white_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        convert_to_rgb(Image.fromarray(values))


# --- the other modes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "pixel", "expected", "tolerance"),
    [
        ("1", 255, (255, 255, 255), 0),
        ("L", 7, (7, 7, 7), 0),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255), 0),
        ("CMYK", (0, 102, 0, 51), (204, 122.4, 204), 1),  # (1 - 0.4) * (1 - 0.2) * 255
        ("YCbCr", (90, 128, 128), (90, 90, 90), 0),
        ("YCbCr", (76, 85, 255), (254, 0, 0), 1),  # ITU-R BT.601 red
        ("HSV", (170, 255, 255), (0, 0, 255), 3),  # 170 / 256 of a turn: blue
        ("LAB", (128, 128, 128), (119.5, 119.5, 119.5), 1),  # L* = 50.2
        ("RGBX", (1, 2, 3, 0), (1, 2, 3), 0),
    ],
)
def test_colour_spaces_give_the_colours_of_their_definition(mode, pixel, expected, tolerance):
    converted = convert_to_rgb(Image.new(mode, (2, 2), pixel))
    np.testing.assert_allclose(np.asarray(converted)[1, 1], expected, atol=tolerance)


def test_cmyk_jpeg_is_not_inverted():
    stored = reopened(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95)
    assert stored.mode == "CMYK" and "adobe" in stored.info
    np.testing.assert_allclose(np.asarray(convert_to_rgb(stored))[8, 8], (0, 255, 255), atol=4)


def test_animation_gives_its_first_frame_and_a_sought_frame_stays():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    stored = reopened(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert getattr(stored, "n_frames", None) == 3
    assert convert_to_rgb(stored).getpixel((0, 0)) == (255, 0, 0)
    stored.seek(2)
    assert convert_to_rgb(stored).getpixel((0, 0)) == (0, 0, 255)
    assert stored.tell() == 2
