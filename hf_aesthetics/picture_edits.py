"""
Changes of a picture's light, colour, sharpness and frame, in steps that a camera or a slider has.

Knows nothing about scores, or whether a change is for the better.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


WORKING_SIDE = 1024
"""Longer side in pixels, at most, at which edits and crops are tried; no network here sees more."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """
    A change of a picture; what is left out stays as it is.

    Args:
        exposure (`float`, *optional*, defaults to 0.0):
            In stops, of the light itself: 1 doubles it.
        saturation (`float`, *optional*, defaults to 1.0):
            Factor of the colours' distance from grey; 0 is black and white.
        blur (`float`, *optional*, defaults to 0.0):
            Standard deviation of a Gaussian blur, in percent of the picture's diagonal.
        crop (`float`, *optional*, defaults to 1.0):
            Share of each side that is kept.
        across (`float`, *optional*, defaults to 0.5), down (`float`, *optional*, defaults to 0.5):
            Where the crop lies, as shares of the room beside it: 0 is left or top, 0.5 the middle.
        tilt (`float`, *optional*, defaults to 0.0):
            Degrees by which the picture is turned, anticlockwise; the corners that this leaves empty are cut off.

    Raises:
        ValueError: If a number is out of its bounds.

    Example:
        >>> str(Edit(exposure=-1 / 3)), str(Edit(saturation=1.25, crop=0.8)), str(Edit())
        ('1/3 stop darker', '25 % more colour, frame closer by 20 %', 'unchanged')
    """

    exposure: float = 0.0
    saturation: float = 1.0
    blur: float = 0.0
    crop: float = 1.0
    across: float = 0.5
    down: float = 0.5
    tilt: float = 0.0

    def __post_init__(self) -> None:
        bounds = {
            **{"exposure": (-4, 4), "saturation": (0, 4), "blur": (0, 10), "crop": (0.1, 1)},
            **{"across": (0, 1), "down": (0, 1), "tilt": (-45, 45)},
        }
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"`{name}` must be between {low} and {high}, got {value}.")

    def __str__(self) -> str:
        words = []
        if self.exposure:
            words.append(f"{_stops(abs(self.exposure))} {'brighter' if self.exposure > 0 else 'darker'}")
        if self.saturation == 0:
            words.append("black and white")
        elif self.saturation != 1:
            change = self.saturation - 1
            words.append(f"{abs(change):.0%} {'more' if change > 0 else 'less'} colour".replace("%", " %", 1))
        if self.blur:
            words.append(f"blurred by {self.blur:g} % of the diagonal")
        if self.tilt:
            words.append(f"tilted by {self.tilt:g} degrees")
        if self.crop != 1:
            edges = {0.0: ("left", "top"), 1.0: ("right", "bottom")}
            at = [edges[place][axis] for axis, place in enumerate((self.across, self.down)) if place in edges]
            where = f" at the {' and '.join(at)}" if at else ""
            words.append(f"frame closer by {1 - self.crop:.0%}{where}".replace("%", " %", 1))
        return ", ".join(words) or "unchanged"


def apply_edit(picture: Image.Image, edit: Edit) -> Image.Image:
    """
    Changes a picture: tilt and frame, then light, colour and blur.

    Args:
        picture (`PIL.Image.Image`):
            Upright sRGB of mode `"RGB"`, as [`read_image`] gives it.
        edit ([`Edit`]):
            What to change.

    Example:
        >>> grey = Image.new("RGB", (40, 20), (100, 100, 100))
        >>> changed = apply_edit(grey, Edit(exposure=1, crop=0.5))
        >>> changed.size, changed.getpixel((0, 0))
        ((20, 10), (138, 138, 138))
    """
    if edit.tilt:
        turned = picture.rotate(edit.tilt, Image.Resampling.BICUBIC)
        share = tilted_share(*picture.size, edit.tilt)
        width, height = (int(share * side) for side in picture.size)  # rounded down, or a corner could be empty
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        picture = turned.crop((left, top, left + width, top + height))
    if edit.crop != 1:
        width, height = (max(1, round(edit.crop * side)) for side in picture.size)
        left, top = round(edit.across * (picture.width - width)), round(edit.down * (picture.height - height))
        picture = picture.crop((left, top, left + width, top + height))
    if edit.exposure:
        picture = picture.point(_exposure_table(edit.exposure) * 3)
    if edit.saturation != 1:
        picture = ImageEnhance.Color(picture).enhance(edit.saturation)
    if edit.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(edit.blur / 100 * math.hypot(*picture.size)))
    return picture


def tilted_share(width: int, height: int, tilt: float) -> float:
    r"""
    Share of each side that a frame of the same proportions, in the middle, keeps of a picture that was turned:
    \\(1 / (\cos a + r \sin a)\\) with the angle \\(a\\) and the proportion \\(r \ge 1\\) of the longer side to the
    shorter one.

    Args:
        width (`int`), height (`int`):
            Of the picture in pixels.
        tilt (`float`):
            Degrees, up to 45 either way.

    Example:
        >>> round(tilted_share(300, 200, 5), 3), tilted_share(300, 200, 0)
        (0.887, 1.0)
    """
    angle = math.radians(abs(tilt))
    return 1 / (math.cos(angle) + max(width, height) / min(width, height) * math.sin(angle))


def shrink_to_work(picture: Image.Image) -> Image.Image:
    """The picture with `WORKING_SIDE` pixels along its longer side, or itself where it has no more."""
    if max(picture.size) <= WORKING_SIDE:
        return picture
    return ImageOps.contain(picture, (WORKING_SIDE, WORKING_SIDE), Image.Resampling.BICUBIC)


def _exposure_table(stops: float) -> list[int]:
    """sRGB levels after so many stops more light; what is brighter than white is white."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    linear = np.minimum(linear * 2**stops, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(int).tolist()


def _stops(stops: float) -> str:
    whole, thirds = divmod(round(3 * stops), 3)
    if not math.isclose(3 * stops, round(3 * stops), abs_tol=0.01):
        return f"{stops:.2g} stops"
    fraction = {0: "", 1: "1/3", 2: "2/3"}[thirds]
    amount = " ".join(part for part in (str(whole) if whole else "", fraction) if part)
    return f"{amount} {'stop' if stops <= 1.01 else 'stops'}"
