"""
Any PIL picture to the pixels a viewer shows: 8-bit sRGB, upright, without transparency.

Knows nothing about files, tensors or models; it needs only PIL and numpy, so that a checkpoint can carry it along.

| in the picture                      | policy                                                                      |
|-------------------------------------|-----------------------------------------------------------------------------|
| EXIF or XMP orientation             | applied; unreadable EXIF counts as upright                                  |
| ICC profile                         | converted to sRGB, relative colorimetric with black point compensation      |
| ICC profile, broken or unsuitable   | ignored, the pixels count as sRGB: another colour space, a device link      |
| ICC profile, sRGB in effect         | ignored: no colour moves by more than 1/255, converting adds only rounding  |
| alpha, tRNS, transparent palette    | laid over white, after the colour conversion                                |
| CMYK                                | through its profile; without one (1 - ink) * (1 - black)                    |
| LAB                                 | as CIE L*a*b* under D50, to sRGB                                            |
| palette, YCbCr, HSV, RGBX           | PIL's formula to RGB, then the profile                                      |
| 16-bit grey (`I;16*`, `I`)          | 65535 becomes 255, then the profile; `I` outside [0, 65535] is refused      |
| floating point (`F`)                | 1.0 becomes 255, then the profile; outside [0, 1] is refused                |
| several frames                      | the current one, which in a freshly opened file is the first                |

White is our choice: most transparent pictures are made to be shown on a page, and PIL's own `convert("RGB")` would
uncover the colour hidden below the transparency, often black. The rendering intent is our choice too, the usual one of
photo editors: colours that sRGB can show stay exact, and the darkest ink of a print becomes black. PIL's own
conversion of 16-bit grey turns everything above 255 into white. PNG gamma and the EXIF colour space tag are not read.
"""

import functools
import io

import numpy as np
from PIL import ExifTags, Image, ImageCms


BACKGROUND = "white"

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_COLOR_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """
    Convert a picture to upright 8-bit sRGB without transparency; the module's table says how each kind is treated.

    An upright opaque RGB picture in sRGB is returned itself, not a copy, so a second call costs nothing. Any other
    picture comes back new and without metadata, which described the old pixels.

    Args:
        image (`PIL.Image.Image`):
            A picture of any mode.

    Returns:
        `PIL.Image.Image`: The picture in mode `"RGB"`.

    Raises:
        ValueError: If a 32-bit integer picture leaves [0, 65535] or a floating point picture leaves [0, 1].

    Example:
        >>> from PIL import Image
        >>> half_transparent_red = Image.new("RGBA", (2, 2), (255, 0, 0, 128))
        >>> convert_to_rgb(half_transparent_red).getpixel((0, 0))
        (255, 127, 127)
        >>> photograph = Image.new("RGB", (640, 480))
        >>> convert_to_rgb(photograph) is photograph
        True
    """
    image.load()
    colors, alpha = _split_transparency(_turn_upright(image))
    rgb = _convert_to_srgb(colors, image.info.get("icc_profile"))
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, BACKGROUND), alpha)
    if rgb is not image:
        rgb.info = {}
    return rgb


def find_transposition(image: Image.Image) -> Image.Transpose | None:
    """
    What turns a picture upright; `None` where it is upright.

    Example:
        >>> find_transposition(Image.new("RGB", (3, 2))) is None
        True
    """
    try:
        return _TRANSPOSITIONS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # PIL's parser raises many types, and a bad tag must not cost the picture
        return None


def changes_colors(icc_profile: bytes | None, mode: str) -> bool:
    """
    Whether the colours of a picture with this profile have to be converted; not where they are sRGB in effect.

    Example:
        >>> changes_colors(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), "RGB")
        False
    """
    return bool(icc_profile) and _build_srgb_transform(icc_profile, mode) is not None


def _turn_upright(image: Image.Image) -> Image.Image:
    transposition = find_transposition(image)
    return image if transposition is None else image.transpose(transposition)


def _split_transparency(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The 8-bit colours, in a mode that can carry an ICC profile (or LAB), and the opacity, if any, in mode `L`."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _scale_to_eight_bits(image)
    is_grey = image.mode in {"1", "L", "LA", "La"}
    if not image.has_transparency_data:
        if image.mode in _PROFILE_COLOR_SPACES or image.mode == "LAB":
            return image, None
        return image.convert("L" if is_grey else "RGB"), None
    with_alpha = image.convert("LA" if is_grey else "RGBA")
    return with_alpha.convert("L" if is_grey else "RGB"), with_alpha.getchannel("A")


def _scale_to_eight_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    peak = 1 if image.mode == "F" else 65535
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= peak):  # written so that NaN fails too
        raise ValueError(
            f"Pixels of mode {image.mode!r} must lie in [0, {peak}], got values from {low} to {high}. "
            f"Scale the picture to [0, {peak}] first."
        )
    grey = Image.fromarray(np.rint(values.astype(np.float32) * (255 / peak)).astype(np.uint8))
    if "transparency" not in image.info:
        return grey, None
    return grey, Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))


def _convert_to_srgb(colors: Image.Image, icc_profile: bytes | None) -> Image.Image:
    transform = _build_srgb_transform(icc_profile, colors.mode) if icc_profile else None
    if transform is None:
        return colors if colors.mode == "RGB" else colors.convert("RGB")
    if colors.mode == "L":
        palette = transform.apply(Image.frombytes("L", (256, 1), bytes(range(256))))
        colors = colors.copy()
        colors.putpalette(palette.tobytes())
        return colors.convert("RGB")
    return transform.apply(colors)


@functools.lru_cache(maxsize=16)  # a camera writes the same profile into every picture
def _build_srgb_transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from the profile to sRGB; `None` where the profile does not fit the pixels or changes nothing."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        if profile.profile.xcolor_space != _PROFILE_COLOR_SPACES.get(mode):
            return None
        # the table littlecms prepares is 10 levels off in the shadows of linear grey; 256 greys need no table
        exact = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.ImageCmsTransform(
            profile,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | exact,
        )
    except (OSError, ValueError):  # a broken profile, or one that cannot be a source (a device link, say)
        return None
    probe = _sample_all_colors(mode)
    shift = np.asarray(transform.apply(probe), dtype=int) - np.asarray(probe.convert("RGB"), dtype=int)
    return transform if np.abs(shift).max() > 1 else None


def _sample_all_colors(mode: str) -> Image.Image:
    """A picture with every combination of 16 levels a channel."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    pixels = np.stack(np.meshgrid(*[levels] * Image.getmodebands(mode)), axis=-1)
    return Image.frombytes(mode, (pixels[..., 0].size, 1), pixels.tobytes())
