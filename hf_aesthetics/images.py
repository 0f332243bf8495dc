"""
Reading pictures from files, bytes and folders: each arrives as upright 8-bit sRGB, or with one line saying why not.

Knows nothing about models or tensors. What is done to colours, transparency and orientation is said once, in
`hf_aesthetics.models.rgb_conversion`.
"""

import functools
import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from hf_aesthetics.models.rgb_conversion import changes_colors, convert_to_rgb, find_transposition


MAX_PIXELS = 200_000_000
"""Default limit of `read_image`: the largest phone sensors have just under 200 megapixels (16320 x 12240)."""

# The formats that are tried, and no others: PIL would also hand PostScript to an external program.
_SUFFIXES_BY_FORMAT = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "GIF": {".gif"},
    "BMP": {".bmp"},
    "PPM": {".pbm", ".pgm", ".ppm", ".pnm", ".pfm"},
    "AVIF": {".avif", ".avifs"},
    "HEIF": {".heic", ".heif", ".hif"},
}
IMAGE_SUFFIXES = frozenset().union(*_SUFFIXES_BY_FORMAT.values())
"""File name endings, in lower case, by which `find_images` knows a picture."""

Decoded = TypeVar("Decoded")

_QUARTER_TURNS = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


class ImageReadError(ValueError):
    """A picture that cannot be read. The message is one line: the file, what is wrong with it, what to do."""


def read_image(source: str | os.PathLike[str] | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """
    Read a picture completely and convert it to upright 8-bit sRGB (see [`convert_to_rgb`]).

    The type of a file is read from its content, never from its name. A file that ends early is refused even where
    `PIL.ImageFile.LOAD_TRUNCATED_IMAGES` is set, and the number of pixels is checked in the header, before decoding.
    Of an animation or a multi-page file the first picture is read.

    Args:
        source (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            A path, the content of a file (JPEG, PNG, WebP, TIFF, GIF, BMP, PPM, AVIF, HEIF), or an open picture.
        max_pixels (`int`, *optional*, defaults to 200,000,000):
            Pictures with more pixels are refused. It replaces PIL's process-wide limit `MAX_IMAGE_PIXELS`.

    Returns:
        `PIL.Image.Image`: The picture in mode `"RGB"`; an open picture that is upright sRGB is returned itself.

    Raises:
        ImageReadError: If there is no such file, if it is not a picture, damaged, cut short or too large, or if it is
            HEIC and the extra `heif` is not installed.
        TypeError: If `source` is of another type.

    Example:
        >>> from PIL import Image
        >>> read_image(Image.new("CMYK", (3, 2))).getpixel((0, 0))
        (255, 255, 255)
        >>> read_image("sunset.jpg")
        Traceback (most recent call last):
            ...
        hf_aesthetics.images.ImageReadError: Cannot read 'sunset.jpg': there is no such file. Check the path.
    """
    if isinstance(source, Image.Image):
        name = repr(filename) if (filename := getattr(source, "filename", "")) else f"<{type(source).__name__}>"
        _check_size(source.size, name, max_pixels)
        try:
            source.load()
        except Exception as error:  # decoders raise a dozen types, and all of them mean the same here
            raise _damaged("picture", name, error) from error
        return _convert(source, name)
    with _open_stream(source) as (stream, name):
        return _convert(_read_stream(stream, name, max_pixels, _load), name)


def read_pixels(
    source: str | os.PathLike[str] | bytes | Image.Image,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: tuple[int, int] | None = None,
) -> np.ndarray:
    """
    The pixels of [`read_image`], bit for bit, and its errors; a JPEG is decoded in about 60 % of the time where
    simplejpeg is installed (the extra `fast`).

    PIL reads the header, and whatever simplejpeg finds fault with: what counts as damaged is decided in one place.

    Args:
        source (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            What [`read_image`] takes.
        max_pixels (`int`, *optional*, defaults to 200,000,000):
            Pictures with more pixels are refused.
        min_size (`tuple[int, int]`, *optional*):
            Height and width that are enough. A JPEG file is then decoded at a half, quarter or eighth of its size, the
            smallest that is not below, which is not bit-identical to decoding and resizing it, but faster. The same
            pixels with simplejpeg and without.

    Returns:
        `np.ndarray` of shape `(height, width, 3)`, uint8: upright sRGB.

    Raises:
        ImageReadError: As [`read_image`] does.
        TypeError: If `source` is of another type.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (640, 480), 128).save(file, "JPEG")
        >>> read_pixels(file.getvalue()).shape, read_pixels(file.getvalue(), min_size=(200, 200)).shape
        ((480, 640, 3), (240, 320, 3))
    """
    if isinstance(source, Image.Image):
        return np.array(read_image(source, max_pixels=max_pixels))
    with _open_stream(source) as (stream, name):
        decoded = _read_stream(stream, name, max_pixels, functools.partial(_load_pixels, min_size=min_size))
        return decoded if isinstance(decoded, np.ndarray) else np.array(_convert(decoded, name))


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """
    Find the pictures among files and folders.

    Files come as given, whatever their names. Folders are searched with all their subfolders for the suffixes of
    pictures (`IMAGE_SUFFIXES`, in any case), the files of each in alphabetical order before its subfolders. Hidden
    files and folders are left out. Links are followed, and a folder that several ways lead to is searched once.

    Args:
        paths (`str`, `os.PathLike` or an iterable of them):
            Files and folders, in the order wanted.

    Returns:
        `Iterator[Path]`: The pictures, found while iterating.

    Raises:
        ImageReadError: If one of `paths` does not exist (before the first picture), or a folder cannot be listed.

    Example:
        >>> list(find_images("holiday"))
        Traceback (most recent call last):
            ...
        hf_aesthetics.images.ImageReadError: Cannot read 'holiday': there is no such file or folder. Check the path.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    given = [(path, path.is_dir()) for path in map(Path, paths)]
    for path, _ in given:
        if not path.exists():
            raise ImageReadError(f"Cannot read {str(path)!r}: there is no such file or folder. Check the path.")

    def refuse(folder: str, error: ImageReadError) -> None:
        raise error

    def find() -> Iterator[Path]:
        visited: set[tuple[int, int]] = set()
        for path, is_folder in given:
            if not is_folder:
                yield path
                continue
            for folder, names in walk_folder(path, visited, refuse):
                yield from (Path(folder, name) for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES)

    return find()


def walk_folder(
    folder: str | os.PathLike[str],
    visited: set[tuple[int, int]],
    on_error: Callable[[str, ImageReadError], Any],
    enter: Callable[[str], bool] = lambda path: True,
) -> Iterator[tuple[str, list[str]]]:
    """
    A folder and those below it, each with the names of its files in alphabetical order, hidden ones left out.

    Args:
        folder (`str` or `os.PathLike`):
            Where to begin.
        visited (`set[tuple[int, int]]`):
            The folders that have been visited; they are not visited again, and those that now are come to them.
        on_error (`Callable`):
            Called for each folder that cannot be listed, with its path and the error.
        enter (`Callable`, *optional*):
            Whether to visit the folder of a path.
    """

    def tell(error: OSError) -> None:
        told = f"the folder cannot be listed ({error.strerror}). Check the permissions."
        on_error(str(error.filename), ImageReadError(f"Cannot read {str(error.filename)!r}: {told}"))

    # os.walk would otherwise pass over a folder it cannot list, and its pictures would just be missing
    for parent, subfolders, names in os.walk(folder, onerror=tell, followlinks=True):
        try:
            found = os.stat(parent)
        except OSError as error:
            tell(error)
            subfolders.clear()
            continue
        if (place := (found.st_dev, found.st_ino)) in visited:
            subfolders.clear()
            continue
        visited.add(place)
        subfolders[:] = sorted(
            name for name in subfolders if not name.startswith(".") and enter(os.path.join(parent, name))
        )
        yield parent, sorted(name for name in names if not name.startswith("."))


class _PictureStream(io.BufferedReader):
    """A file that may not be read past its end while a picture is decoded: PIL can be told to leave the rest grey."""

    is_decoding = False

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if self.is_decoding and not chunk and size != 0:
            raise EOFError("the file ends before the picture does")
        return chunk


@contextmanager
def _open_stream(source: str | os.PathLike[str] | bytes) -> Generator[tuple[_PictureStream, str]]:
    if isinstance(source, bytes):
        with _PictureStream(io.BytesIO(source)) as stream:
            yield stream, "<bytes>"
        return
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"`source` must be a path, bytes or a PIL.Image.Image, got {type(source).__name__}. "
            "Turn an array into a picture with PIL.Image.fromarray."
        )
    name = repr(os.fspath(source))
    try:
        file = io.FileIO(source)
    except FileNotFoundError as error:
        raise ImageReadError(f"Cannot read {name}: there is no such file. Check the path.") from error
    except IsADirectoryError as error:
        raise ImageReadError(
            f"Cannot read {name}: expected a file, got a folder. Read the files that find_images({name}) gives."
        ) from error
    except (OSError, ValueError) as error:
        raise ImageReadError(
            f"Cannot read {name}: it cannot be opened ({getattr(error, 'strerror', None) or error}). "
            "Check the path and the permissions."
        ) from error
    with _PictureStream(file) as stream:
        yield stream, name


def _read_stream(
    stream: _PictureStream,
    name: str,
    max_pixels: int,
    load: Callable[[_PictureStream, Image.Image], Decoded],
) -> Decoded:
    header = stream.read(64)
    stream.seek(0)
    if not header:
        raise ImageReadError(f"Cannot read {name}: the file is empty (0 bytes). Copy or download it again.")
    format_name = _identify_format(header)
    if format_name is None:
        raise ImageReadError(
            f"Cannot read {name}: expected a picture ({', '.join(_SUFFIXES_BY_FORMAT)}), got content that starts with "
            f"{header[:16]!r}. Save it in one of these formats."
        )
    try:
        if format_name == "HEIF":
            image = _decode_heif(stream, name, max_pixels)
        else:
            image = Image.OPEN[format_name][0](stream, "")  # Image.open would apply the process-wide pixel limit first
            _check_size(image.size, name, max_pixels)
        return load(stream, image)
    except (ImageReadError, MemoryError):
        raise
    except Exception as error:  # decoders raise a dozen types, and all of them mean the same here
        raise _damaged(f"{format_name} file", name, error) from error


def _load(stream: _PictureStream, image: Image.Image) -> Image.Image:
    stream.is_decoding = True
    image.load()
    return image


def _load_pixels(
    stream: _PictureStream, image: Image.Image, min_size: tuple[int, int] | None
) -> np.ndarray | Image.Image:
    """An opened picture as it has to be converted to RGB, or its pixels where there is nothing to convert."""
    if not isinstance(image, JpegImageFile):
        return _load(stream, image)
    transposition = find_transposition(image)
    if min_size is not None:
        height, width = min_size if transposition not in _QUARTER_TURNS else min_size[::-1]
        image.draft(None, (width, height))
    pixels = _decode_jpeg(stream, image)
    if pixels is None:
        return _load(stream, image)
    if transposition is None and not changes_colors(image.info.get("icc_profile"), image.mode):
        return pixels
    decoded = Image.fromarray(pixels if image.mode == "RGB" else pixels[..., 0])
    decoded.info = image.info
    return decoded


def _decode_jpeg(stream: _PictureStream, image: Image.Image) -> np.ndarray | None:
    """An opened JPEG at the size it is to be loaded at, as RGB; `None` for those that PIL has to load."""
    decode = _find_jpeg_decoder()
    # below 8 pixels several scales give one size
    if decode is None or image.mode not in ("RGB", "L") or max(image.size) < 8:
        return None
    stream.seek(0)
    try:
        pixels = decode(stream.read(), min_height=image.height, min_width=image.width)
    except ValueError:
        return None  # PIL forgives some damage, and says what the rest is
    return pixels if pixels.shape[:2] == (image.height, image.width) else None


@functools.cache
def _find_jpeg_decoder() -> Callable[..., np.ndarray] | None:
    """simplejpeg's, if it is installed and rounds as this PIL does, which may be built on another libjpeg."""
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return decode_jpeg if np.array_equal(decode_jpeg(file.getvalue()), np.asarray(Image.open(file))) else None


def _identify_format(header: bytes) -> str | None:
    if header[4:8] == b"ftyp":
        # AVIF and HEIF share a container and differ in its brands: the main one, a version, the others, 4 bytes each.
        end = min(int.from_bytes(header[:4]), len(header))
        brands = {header[8:12], *(header[start : start + 4] for start in range(16, end, 4))}
        return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None
    Image.init()
    for name in _SUFFIXES_BY_FORMAT:
        _, accepts = Image.OPEN.get(name, (None, None))
        if accepts and accepts(header) is True:
            return name
    return None


def _decode_heif(stream: io.BufferedReader, name: str, max_pixels: int) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageReadError(
            f"Cannot read {name}: HEIC needs pillow-heif, which is not installed. "
            'Run: pip install "hf_aesthetics[heif]"'
        ) from error
    heif_file = pillow_heif.open_heif(stream)
    _check_size(heif_file.size, name, max_pixels)
    return heif_file.to_pillow()


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageReadError(
            f"Cannot read {name}: expected at most {max_pixels:,} pixels, got {width} x {height} = "
            f"{width * height:,}. If you trust the file, pass max_pixels={width * height}."
        )


def _damaged(what: str, name: str, error: Exception) -> ImageReadError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageReadError(
        f"Cannot read {name}: the {what} is damaged or cut short ({reason}). Copy or download it again."
    )


def _convert(image: Image.Image, name: str) -> Image.Image:
    try:
        return convert_to_rgb(image)
    except ValueError as error:
        raise ImageReadError(f"Cannot read {name}: {error}") from error
