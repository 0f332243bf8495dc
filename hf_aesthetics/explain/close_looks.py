"""Where a model that compares pictures looked at them closely, drawn on them. Knows nothing about scores."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps
from transformers.image_processing_utils import BaseImageProcessor

from ..images import read_image


# a light line within a dark one is seen on every picture, whatever colours people tell apart
_LIGHT, _DARK = "#ffe14a", "#141414"
_LINES = 400  # along the longer side of a picture
_CELL, _GAP, _TITLE = 480, 12, 26  # pixels
_NUM_COLUMNS = 3


def draw_windows(image: Any, windows: Iterable[Sequence[float]]) -> Image.Image:
    """
    Draws a line round some windows of a picture; windows side by side have one line round all of them.

    Args:
        image (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The picture.
        windows (`Iterable[Sequence[float]]`):
            Left, top, right and bottom of each, as shares of width and height, such as
            [`FgaesqImageProcessor.refined_windows`] gives them.

    Returns:
        `PIL.Image.Image` of mode `"RGB"`, as large as the picture.

    Raises:
        ImageReadError: If the picture cannot be read.

    Example:
        >>> drawn = draw_windows(Image.new("RGB", (400, 300), "gray"), [(0.25, 0.0, 0.5, 0.5), (0.5, 0.0, 0.75, 0.5)])
        >>> [drawn.getpixel((x, 20)) for x in (97, 99, 101, 200)]  # dark, light, and what is inside as it was
        [(20, 20, 20), (255, 225, 74), (128, 128, 128), (128, 128, 128)]
    """
    picture = read_image(image)
    line = max(1, round(max(picture.size) / _LINES)) + 1
    drawn = picture.copy()
    boxes = [
        (
            round(left * picture.width),
            round(top * picture.height),
            round(right * picture.width),
            round(low * picture.height),
        )
        for left, top, right, low in (map(float, window) for window in windows)
    ]
    for colour, width in ((_DARK, 2 * line), (_LIGHT, line)):
        draw = ImageDraw.Draw(drawn)
        for left, top, right, low in boxes:
            draw.rectangle((left - width, top - width, right + width - 1, low + width - 1), fill=colour)
    for left, top, right, low in boxes:
        # at an edge of the picture the line is within, where it is seen
        inside = max(left, line), max(top, line), min(right, picture.width - line), min(low, picture.height - line)
        drawn.paste(picture.crop(inside), inside)
    return drawn


def draw_close_looks(processor: BaseImageProcessor, pictures: Sequence[Any], side: int) -> list[Image.Image]:
    """
    Draws on each picture of a series the windows through which it was looked at closely when it was compared with the
    best one; on the best one those of its comparison with the second.

    Args:
        processor ([`FgaesqImageProcessor`]):
            Of a model that compares.
        pictures (`Sequence` of `str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The best first.
        side (`int`):
            Pixels of the longer side of what is drawn.

    Raises:
        ImageReadError: If a picture cannot be read.
        ValueError: If the processor is that of a model that sees pictures one by one.

    Example:
        >>> from hf_aesthetics import FgaesqImageProcessor
        >>> sea, sky = Image.new("RGB", (600, 400), "teal"), Image.new("RGB", (600, 400), "azure")
        >>> [drawn.size for drawn in draw_close_looks(FgaesqImageProcessor(), [sea, sky], side=300)]
        [(300, 200), (300, 200)]
    """
    refined_windows = getattr(processor, "refined_windows", None)
    if refined_windows is None:
        raise ValueError(
            f"Expected the processor of a model that compares, such as FgaesqImageProcessor, got "
            f"{type(processor).__name__}, whose model sees pictures one by one. Explain those with explain."
        )
    pictures = [read_image(picture) for picture in pictures]
    drawn = []
    for place, picture in enumerate(pictures):
        windows = refined_windows(picture, pictures[0] if place else pictures[:2][-1])[0]
        # the smaller picture is drawn on, so that lines are as wide as they are meant to be
        drawn.append(draw_windows(ImageOps.contain(picture, (side, side)), windows.tolist()))
    return drawn


def draw_series(
    processor: BaseImageProcessor, images: Sequence[Any], order: Sequence[int] | None = None
) -> Image.Image:
    """
    Draws the pictures of a series side by side, each with the windows through which it was looked at closely when it
    was compared with the best one; the best one as it was compared with the second.

        ranked = rank(scorer, images)
        draw_series(scorer.processor, images, ranked.order)

    Args:
        processor ([`FgaesqImageProcessor`]):
            Of a model that compares.
        images (`Sequence` of `str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The pictures, at least 2.
        order (`Sequence[int]`, *optional*):
            Positions of those that are drawn, the best first, such as [`RankedSeries.order`]; by default as they come.

    Raises:
        ImageReadError: If a picture cannot be read.
        ValueError: If there are fewer than 2, or the processor is that of a model that sees pictures one by one.

    Example:
        >>> from hf_aesthetics import FgaesqImageProcessor
        >>> sea, sky = Image.new("RGB", (600, 400), "teal"), Image.new("RGB", (600, 400), "azure")
        >>> draw_series(FgaesqImageProcessor(), [sea, sky], order=[1, 0]).size
        (996, 370)
    """
    order = range(len(images)) if order is None else order
    if len(order) < 2:
        raise ValueError(f"A series needs at least 2 pictures, got {len(order)}. Pass more.")
    drawn = draw_close_looks(processor, [images[place] for place in order], _CELL)
    cells = [(f"{place}, beside {1 if place > 1 else 2}", cell) for place, cell in enumerate(drawn, start=1)]
    num_columns = min(len(cells), _NUM_COLUMNS)
    width, height = (_GAP + max(edges) for edges in zip(*(cell.size for _, cell in cells), strict=True))
    height += _TITLE
    sheet = Image.new(
        "RGB", (_GAP + width * num_columns, _GAP + height * math.ceil(len(cells) / num_columns)), "white"
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for number, (title, cell) in enumerate(cells):
        left, top = _GAP + width * (number % num_columns), _GAP + height * (number // num_columns)
        draw.text((left, top), title, "black", font)
        sheet.paste(cell, (left, top + _TITLE))
    return sheet
