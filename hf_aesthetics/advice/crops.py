"""
Where to cut a picture: the best frame at each common aspect ratio, tried out on a scorer.

Knows nothing about what is in the picture.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from PIL import Image

from ..picture_edits import shrink_to_work
from ..scoring import AestheticScorer


ASPECT_RATIOS: dict[str, float] = {"1:1": 1.0, "5:4": 5 / 4, "4:3": 4 / 3, "3:2": 3 / 2, "16:9": 16 / 9}
"""Of prints, sensors and screens, as they lie; a picture that stands is cut to those that stand."""
_SIZES = (1.0, 0.85, 0.7)  # shares of the largest frame
_PLACES = (0.0, 0.5, 1.0)  # shares of the room beside it
_BATCH = 32


class CropAdvice(NamedTuple):
    """
    The best frame at one aspect ratio.

    Args:
        ratio (`str`):
            Such as `"3:2"`, or `"as it is"` for that of the picture.
        box (`tuple[int, int, int, int]`):
            Left, top, right and bottom in pixels of the picture.
        score (`float`):
            What the model gives it, in rating units.
        gain (`float`):
            By how much that is more than the largest frame of the same ratio in the middle of the picture, which is
            the whole picture for its own ratio.
    """

    ratio: str
    box: tuple[int, int, int, int]
    score: float
    gain: float


def crop_boxes(width: int, height: int, ratio: float) -> list[tuple[int, int, int, int]]:
    """
    Frames of one aspect ratio to choose from, the largest one in the middle first: three sizes down to 0.7 of
    the largest, each at up to nine places.

    Args:
        width (`int`), height (`int`):
            Of the picture in pixels.
        ratio (`float`):
            Width / height of the frames.

    Example:
        >>> boxes = crop_boxes(300, 200, 1.0)
        >>> boxes[0], len(boxes)
        ((50, 0, 250, 200), 21)
    """
    largest_width, largest_height = (height * ratio, height) if width > height * ratio else (width, width / ratio)
    boxes = [_box(width, height, largest_width, largest_height, 0.5, 0.5)]
    for size in _SIZES:
        for down in _PLACES:
            for across in _PLACES:
                boxes.append(_box(width, height, size * largest_width, size * largest_height, across, down))
    return list(dict.fromkeys(boxes))


def best_crops(
    scorer: AestheticScorer, picture: Image.Image, ratios: Mapping[str, float] = ASPECT_RATIOS
) -> list[CropAdvice]:
    """
    The best frame at the picture's own aspect ratio and at each of several others.

    A frame is compared with the largest one of its ratio, not with the picture: models that see pictures squashed to a
    square cannot tell what is wide from what is stretched, and a gain over another ratio would be that of the
    stretching (our choice). For the same reason scores do not compare between ratios.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        picture (`PIL.Image.Image`):
            As [`read_image`] gives it; tried at [`WORKING_SIDE`].
        ratios (`Mapping[str, float]`, *optional*):
            Names and values of width / height. They are turned over for a picture that is higher than wide.

    Returns:
        `list[CropAdvice]`: The picture's own ratio first, then the others as named; one that is its own, too, is left
        out. `gain` is 0 where the largest frame is the best.
    """
    small = shrink_to_work(picture)
    scale = picture.width / small.width, picture.height / small.height
    boxes = {name: crop_boxes(*small.size, ratio) for name, ratio in _ratios_of(picture, ratios)}
    flat = [box for of_ratio in boxes.values() for box in of_ratio]
    scores: list[float] = []
    for start in range(0, len(flat), _BATCH):
        frames = [small.crop(box) for box in flat[start : start + _BATCH]]
        scores += [record["score"] for record in scorer.score(frames)]
    advice, rest = [], iter(scores)
    for name, of_ratio in boxes.items():
        judged = [(next(rest), box) for box in of_ratio]
        # among equals the first, which is the larger
        score, box = max(judged, key=lambda pair: pair[0])
        left, top, right, bottom = (round(edge * scale[axis % 2]) for axis, edge in enumerate(box))
        advice.append(CropAdvice(name, (left, top, right, bottom), score, score - judged[0][0]))
    return advice


def _ratios_of(picture: Image.Image, ratios: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    own = picture.width / picture.height
    yield "as it is", own
    for name, ratio in ratios.items():
        if own < 1 and ratio != 1:
            name, ratio = ":".join(reversed(name.split(":"))), 1 / ratio
        if abs(ratio / own - 1) > 0.01:
            yield name, ratio


def _box(
    width: int, height: int, box_width: float, box_height: float, across: float, down: float
) -> tuple[int, int, int, int]:
    """A frame of a size at a share of the room beside it, in whole pixels within the picture."""
    columns, rows = max(1, round(box_width)), max(1, round(box_height))
    left, top = round(across * (width - columns)), round(down * (height - rows))
    return left, top, left + columns, top + rows
