"""
Changes of light, colour, sharpness and frame, tried out on a scorer: what would the picture get with them?

Knows nothing about how a score comes about, and only trial tells: no gradient is followed into the picture, which
would find changes that no eye sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from ..scoring import AestheticScorer


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
            Share of each side that is kept, around the middle.

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

    def __post_init__(self) -> None:
        bounds = {"exposure": (-4, 4), "saturation": (0, 4), "blur": (0, 10), "crop": (0.1, 1)}
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
        if self.crop != 1:
            words.append(f"frame closer by {1 - self.crop:.0%}".replace("%", " %"))
        return ", ".join(words) or "unchanged"


CANDIDATE_EDITS: tuple[Edit, ...] = (
    *(Edit(exposure=stops / 3) for stops in (-3, -2, -1, 1, 2, 3)),
    *(Edit(saturation=factor) for factor in (0.0, 0.5, 0.75, 1.25, 1.5)),
    *(Edit(blur=percent) for percent in (0.1, 0.2, 0.4)),
)
"""What [`suggest_edits`] tries: steps that a camera or a slider has. Frames are the business of [`best_crops`]."""


class EditAdvice(NamedTuple):
    """
    An edit that is worth a try.

    Args:
        edit ([`Edit`]):
            What to change.
        score (`float`):
            What the changed picture gets, in rating units.
        gain (`float`):
            By how much that is more than before.
    """

    edit: Edit
    score: float
    gain: float


def apply_edit(picture: Image.Image, edit: Edit) -> Image.Image:
    """
    Changes a picture: frame, then light, colour and blur.

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
    if edit.crop != 1:
        width, height = (max(1, round(edit.crop * side)) for side in picture.size)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    if edit.exposure:
        picture = picture.point(_exposure_table(edit.exposure) * 3)
    if edit.saturation != 1:
        picture = ImageEnhance.Color(picture).enhance(edit.saturation)
    if edit.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(edit.blur / 100 * math.hypot(*picture.size)))
    return picture


def score_edits(scorer: AestheticScorer, picture: Image.Image, edits: Sequence[Edit]) -> list[float]:
    """
    What a picture gets with each of several edits, in one batch.

    All of it happens at `WORKING_SIDE`, so that scores compare with each other; put `Edit()` among the edits to
    compare with the picture as it is.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        picture (`PIL.Image.Image`):
            As [`read_image`] gives it.
        edits (`Sequence[Edit]`):
            The edits.
    """
    small = shrink_to_work(picture)
    return [record["score"] for record in scorer.score([apply_edit(small, edit) for edit in edits])]


def suggest_edits(
    scorer: AestheticScorer,
    picture: Image.Image,
    error: float,
    candidates: Sequence[Edit] = CANDIDATE_EDITS,
) -> list[EditAdvice]:
    """
    The edits that raise the score by more than the model's error, the best first, and one of each kind.

    That is a modest bar: the best of fourteen trials is a little better than it would be again. But the picture stays
    the same but for the edit, and what the model gets wrong about it does, too.

    Args:
        scorer ([`AestheticScorer`]), picture (`PIL.Image.Image`):
            As in [`score_edits`].
        error (`float`):
            The gain that has to be exceeded, in rating units, such as [`Reliability.error`].
        candidates (`Sequence[Edit]`, *optional*):
            What to try.
    """
    before, *after = score_edits(scorer, picture, [Edit(), *candidates])
    best: dict[tuple[str, ...], EditAdvice] = {}
    for edit, score in zip(candidates, after, strict=True):
        kind = tuple(name for name, value in vars(edit).items() if value != getattr(Edit(), name))
        advice = EditAdvice(edit, score, score - before)
        if advice.gain > error and (kind not in best or advice.gain > best[kind].gain):
            best[kind] = advice
    return sorted(best.values(), key=lambda advice: -advice.gain)


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
