"""
Reading pictures from files, bytes and folders: each arrives as upright 8-bit sRGB, or with one line saying why not.

Knows nothing about models or tensors. What is done to colours, transparency and orientation is said once, in
`hf_aesthetics.models.rgb_conversion`.
"""

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from hf_aesthetics.models.rgb_conversion import convert_to_rgb


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
    if isinstance(source, bytes):
        with _PictureStream(io.BytesIO(source)) as stream:
            return _read_stream(stream, "<bytes>", max_pixels)
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
        return _read_stream(stream, name, max_pixels)


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """
    Find the pictures among files and folders.

    Files come as given, whatever their names. Folders are searched with all their subfolders for the suffixes of
    pictures (`IMAGE_SUFFIXES`, in any case), the files of each in alphabetical order before its subfolders. Hidden
    files and folders are left out, and links to folders inside a folder are not followed.

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
    given = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]
    for path in given:
        if not path.exists():
            raise ImageReadError(f"Cannot read {str(path)!r}: there is no such file or folder. Check the path.")
    return itertools.chain.from_iterable([_walk_folder(path) if path.is_dir() else [path] for path in given])


def _walk_folder(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ImageReadError(
            f"Cannot read {error.filename!r}: the folder cannot be listed ({error.strerror}). Check the permissions."
        ) from error

    # os.walk would otherwise pass over a folder it cannot list, and its pictures would just be missing
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield path


class _PictureStream(io.BufferedReader):
    """A file that may not be read past its end while a picture is decoded: PIL can be told to leave the rest grey."""

    is_decoding = False

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if self.is_decoding and not chunk and size != 0:
            raise EOFError("the file ends before the picture does")
        return chunk


def _read_stream(stream: _PictureStream, name: str, max_pixels: int) -> Image.Image:
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
            stream.is_decoding = True
            image.load()
    except (ImageReadError, MemoryError):
        raise
    except Exception as error:  # decoders raise a dozen types, and all of them mean the same here
        raise _damaged(f"{format_name} file", name, error) from error
    return _convert(image, name)


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
