"""Every format gives its pixels; each file that cannot be read gives one line: its name, the reason and the fix."""

import io
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile

from hf_aesthetics.images import IMAGE_SUFFIXES, MAX_PIXELS, ImageReadError, find_images, read_image


LOSSLESS = [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("PPM", {})]
LOSSLESS += [("WEBP", {"lossless": True})]
LOSSY = [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("AVIF", {}), ("GIF", {}), ("MPO", {})]


def smooth_picture(size: tuple[int, int] = (160, 120)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, format_name: str, **options) -> bytes:
    stream = io.BytesIO()
    if format_name == "HEIF":
        pytest.importorskip("pillow_heif").from_pillow(image).save(stream, **options)
    else:
        image.save(stream, format_name, **options)
    return stream.getvalue()


def refusal(source, **options) -> str:
    """The message with which `source` is refused, which has to be a single line that names a file."""
    with pytest.raises(ImageReadError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"Cannot read {source!r}: " if isinstance(source, str) else "Cannot read ")
    return message


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def black_png(width: int, height: int, *, with_pixels: bool = True) -> bytes:
    """A picture with one bit a pixel, so that millions of pixels fit in kilobytes."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 1) if with_pixels else b""
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


# --- pictures that can be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_name", "options"), LOSSLESS)
def test_lossless_formats_give_their_exact_pixels(format_name, options):
    image = smooth_picture()
    assert read_image(encode(image, format_name, **options)).tobytes() == image.tobytes()


@pytest.mark.parametrize(("format_name", "options"), [*LOSSY, ("HEIF", {"quality": 90})])
def test_lossy_formats_give_nearly_the_pixels(format_name, options):
    image = smooth_picture()
    difference = np.asarray(read_image(encode(image, format_name, **options)), float) - np.asarray(image)
    assert np.abs(difference).mean() < 12


def test_path_text_bytes_and_open_picture_give_the_same_pixels(tmp_path):
    path = tmp_path / "päiväkirja 😀.jpg"
    path.write_bytes(encode(smooth_picture(), "JPEG"))
    pictures = [read_image(source) for source in (path, str(path), path.read_bytes(), Image.open(path))]
    assert {picture.tobytes() for picture in pictures} == {Image.open(path).tobytes()}
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (160, 120))}


def test_type_is_read_from_the_content_not_from_the_name(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    smooth_picture().save(path, "PNG")
    assert read_image(path).tobytes() == smooth_picture().tobytes()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("format_name", ["JPEG", "TIFF", "PNG", "HEIF"])
def test_pictures_come_upright_from_files(format_name, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16] = 255  # the sky is white
    quarter_turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # counter-clockwise, so that the viewer's turn undoes them
    stored = encode(Image.fromarray(np.rot90(upright, quarter_turns)), format_name, exif=exif.tobytes())
    picture = read_image(stored)
    assert picture.size == (64, 32)
    np.testing.assert_allclose(np.asarray(picture, float), upright, atol=12)


def test_sixteen_bit_grey_file_keeps_its_tones(tmp_path):
    Image.fromarray(np.full((2, 3), 156 * 257, np.uint16)).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").getpixel((0, 0)) == (156, 156, 156)


def test_transparent_file_is_laid_over_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "logo.png")
    assert read_image(tmp_path / "logo.png").getpixel((0, 0)) == (255, 255, 255)


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime")]
    assert read_image(encode(frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == (
        255,
        0,
        0,
    )


@pytest.mark.parametrize("size", [(1, 1), (20000, 20), (20, 20000)])
@pytest.mark.parametrize("format_name", ["PNG", "JPEG"])
def test_tiny_and_narrow_pictures_are_pictures(size, format_name):
    assert read_image(encode(Image.new("RGB", size, "teal"), format_name)).size == size


def test_open_picture_that_is_upright_rgb_is_returned_itself():
    image = smooth_picture()
    assert read_image(image) is image


def test_picture_from_a_file_outlives_the_file(tmp_path):
    path = tmp_path / "gone.png"
    smooth_picture().save(path)
    picture = read_image(path)
    path.unlink()
    assert picture.copy().tobytes() == smooth_picture().tobytes()


# --- files that cannot -----------------------------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path):
    assert "there is no such file. Check the path" in refusal(str(tmp_path / "no.jpg"))


def test_line_break_in_a_name_stays_on_one_line(tmp_path):
    assert r"a\nb.jpg" in refusal(str(tmp_path / "a\nb.jpg"))


def test_folder_is_refused_with_the_way_to_read_it(tmp_path):
    assert f"got a folder. Read the files that find_images({str(tmp_path)!r}) gives" in refusal(str(tmp_path))


def test_path_that_cannot_be_opened_is_refused_with_the_reason():
    assert "cannot be opened (embedded null byte)" in refusal("a\0b.jpg")


def test_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "the file is empty (0 bytes)" in refusal(str(path))
    assert refusal(b"").startswith("Cannot read <bytes>: the file is empty")


@pytest.mark.parametrize(
    "content",
    [b"Dear diary, today\nI took a photo", b"<!DOCTYPE html>", b"\0" * 100, b"%!PS-Adobe-3.0 EPSF-3.0", b"x"],
)
def test_other_content_named_like_a_picture_is_refused_with_its_beginning(content, tmp_path):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    assert "expected a picture (JPEG, PNG, " in refusal(str(path))
    assert f"got content that starts with {content[:16]!r}" in refusal(str(path))


@pytest.mark.parametrize("lenient", [False, True], ids=["strict PIL", "LOAD_TRUNCATED_IMAGES"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_truncated_jpeg_is_refused_wherever_it_ends(options, share, lenient, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    content = encode(smooth_picture(), "JPEG", **options)
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[: int(len(content) * share)])
    message = refusal(str(path))
    assert re.search(r"the JPEG file is damaged or cut short \(.+\)\. Copy or download it again\.", message)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


@pytest.mark.parametrize("lenient", [False, True], ids=["strict PIL", "LOAD_TRUNCATED_IMAGES"])
@pytest.mark.parametrize(("format_name", "options"), [*LOSSLESS, *LOSSY, ("HEIF", {})])
@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF")
def test_half_a_file_is_refused_in_every_format(format_name, options, lenient, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    content = encode(smooth_picture(), format_name, **options)
    named = "JPEG" if format_name == "MPO" else format_name
    assert f"<bytes>: the {named} file is damaged or cut short (" in refusal(content[: len(content) // 2])


def test_complete_files_are_read_where_pil_is_lenient(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for format_name, options in [*LOSSLESS, *LOSSY]:
        assert read_image(encode(smooth_picture(), format_name, **options)).size == (160, 120)


def test_damaged_pixels_are_refused():
    content = bytearray(encode(smooth_picture(), "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert "the PNG file is damaged or cut short" in refusal(bytes(content))


def test_open_picture_whose_file_ends_early_is_refused_by_its_file_name(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encode(smooth_picture(), "JPEG")[:-200])
    message = refusal(Image.open(path))
    assert repr(str(path)) in message and "truncated" in message


def test_open_picture_without_a_file_is_refused_by_its_type():
    image = Image.fromarray(np.full((2, 2), 250, np.float32))
    assert refusal(image).startswith(
        "Cannot read <Image>: Pixels of mode 'F' must lie in [0, 1], got values from 250.0"
    )


def test_floating_point_file_without_a_known_white_is_refused_by_name(tmp_path):
    path = tmp_path / "radiance.tif"
    Image.fromarray(np.array([[0, 7.5]], np.float32)).save(path)
    assert "got values from 0.0 to 7.5. Scale the picture to [0, 1] first." in refusal(str(path))


@pytest.mark.parametrize("source", [None, 7, np.zeros((2, 2, 3), np.uint8), {"bytes": b""}])
def test_other_types_are_refused_by_type(source):
    with pytest.raises(
        TypeError, match=f"`source` must be a path, bytes or a PIL.Image.Image, got {type(source).__name__}"
    ):
        read_image(source)


# --- pictures too large ----------------------------------------------------------------------------------------------


def test_number_of_pixels_is_refused_from_the_header_alone(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(black_png(50_000, 50_000, with_pixels=False))
    assert "at most 200,000,000 pixels, got 50000 x 50000 = 2,500,000,000" in refusal(str(path))
    assert "pass max_pixels=2500000000" in refusal(str(path))


def test_compressed_bomb_is_refused_without_decoding_or_warning():
    pil_limit = Image.MAX_IMAGE_PIXELS
    content = black_png(16_000, 16_000)
    assert len(content) < 400_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "got 16000 x 16000 = 256,000,000" in refusal(content)
    assert Image.MAX_IMAGE_PIXELS == pil_limit


@pytest.mark.parametrize(
    "wrap", [bytes, lambda content: Image.open(io.BytesIO(content))], ids=["bytes", "open picture"]
)
def test_limit_is_the_largest_number_of_pixels_allowed(wrap):
    content = black_png(40, 25)
    assert read_image(wrap(content), max_pixels=1000).size == (40, 25)
    assert "at most 999 pixels, got 40 x 25 = 1,000" in refusal(wrap(content), max_pixels=999)


def test_limit_is_ours_and_not_the_one_of_the_process(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(black_png(40, 25)).size == (40, 25)


def test_default_limit_admits_the_largest_phone_sensor():
    assert 16320 * 12240 <= MAX_PIXELS < 2 * 16320 * 12240


# --- HEIC ------------------------------------------------------------------------------------------------------------


def test_heic_is_read_without_registering_anything_in_pil():
    content = encode(smooth_picture(), "HEIF")
    assert read_image(content).size == (160, 120)
    assert "HEIF" not in Image.OPEN


def test_heic_larger_than_the_limit_is_refused():
    assert "got 160 x 120 = 19,200" in refusal(encode(smooth_picture(), "HEIF"), max_pixels=19_199)


def test_heic_without_the_extra_says_what_to_install(tmp_path):
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(100))
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from hf_aesthetics.images import ImageReadError, read_image\n"
        "try:\n    read_image(sys.argv[1])\nexcept ImageReadError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (
        f"Cannot read {str(path)!r}: HEIC needs pillow-heif, which is not installed. "
        'Run: pip install "hf_aesthetics[heif]"'
    )


@pytest.mark.parametrize("brands", [b"mp42isom", b"crx isom"])
def test_other_files_in_the_container_of_heic_are_no_pictures(brands):
    content = struct.pack(">I4s4sI4s", 20, b"ftyp", brands[:4], 0, brands[4:]) + bytes(100)
    assert "expected a picture" in refusal(content)


# --- finding pictures ------------------------------------------------------------------------------------------------


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_searched_in_order_for_pictures_only(tmp_path):
    make_files(tmp_path, "b.JPG", "a.png", "notes.txt", ".hidden.jpg", "jpg", "sub/ö 日本.HeIc", "sub/c.webp")
    make_files(tmp_path, ".cache/d.jpg", "another/deep/e.tiff", "sub/.DS_Store")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "another/deep/e.tiff", "sub/c.webp", "sub/ö 日本.HeIc"]


def test_given_files_and_folders_keep_their_order_and_given_files_any_name(tmp_path):
    make_files(tmp_path, "z.jpg", "scan", ".hidden.png", "folder/b.gif", "folder/a.bmp")
    given = [tmp_path / "z.jpg", tmp_path / "folder", str(tmp_path / "scan"), tmp_path / ".hidden.png"]
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(given)]
    assert found == ["z.jpg", "folder/a.bmp", "folder/b.gif", "scan", ".hidden.png"]


def test_links_are_followed_and_each_folder_is_searched_once(tmp_path):
    make_files(tmp_path, "album/a.jpg", "album/sub/c.jpg", "elsewhere/b.jpg", "elsewhere/deep/d.jpg")
    (tmp_path / "album/link.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    (tmp_path / "album/loop").symlink_to(tmp_path / "album")
    (tmp_path / "album/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "album/more again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/deep/up").symlink_to(tmp_path)
    (tmp_path / "way in").symlink_to(tmp_path / "album")
    names = ["a.jpg", "link.jpg", "more/b.jpg", "more/deep/d.jpg", "sub/c.jpg"]
    for folder in (tmp_path / "album", tmp_path / "way in"):
        assert [path.relative_to(folder).as_posix() for path in find_images(str(folder))] == names
    folders = [tmp_path / "album/sub", tmp_path / "album"]
    assert [path.name for path in find_images(folders)] == ["c.jpg", "a.jpg", "link.jpg", "b.jpg", "d.jpg"]


def test_missing_path_is_refused_before_the_first_picture(tmp_path):
    make_files(tmp_path, "a.jpg")
    with pytest.raises(ImageReadError, match=r"Cannot read '.*nowhere': there is no such file or folder"):
        find_images([tmp_path, tmp_path / "nowhere"])


def test_folder_that_cannot_be_listed_is_an_error_and_not_an_empty_folder(tmp_path):
    folder = tmp_path / "unplugged"
    folder.mkdir()
    found = find_images(folder)
    folder.rmdir()
    with pytest.raises(ImageReadError, match=r"Cannot read '.*unplugged': the folder cannot be listed \(No such file"):
        next(found)


def test_empty_folder_has_no_pictures(tmp_path):
    assert list(find_images(tmp_path)) == []


def test_every_suffix_that_pil_knows_for_the_readable_formats_is_found():
    Image.init()
    readable = {"JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"}
    known_to_pil = {suffix for suffix, format_name in Image.EXTENSION.items() if format_name in readable}
    assert len(known_to_pil) > 15
    assert IMAGE_SUFFIXES - known_to_pil == {".heic", ".heif", ".hif"}
    assert known_to_pil <= IMAGE_SUFFIXES
