"""
Figures drawn from numbers, as SVG that takes its colours from the page around it.

Knows nothing about modalities or findings.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from markupsafe import Markup

from ..analysis.findings import Estimate
from .numbers import number


WIDTH = 344  # of every figure, so that a phone shows it without shrinking its letters
RIGHT = WIDTH - 16
ROW = 26
LETTER = 7.8  # width of a wide one
MAX_LETTERS = 19
SVG_TAG = '<svg xmlns="http://www.w3.org/2000/svg"'  # a page knows what an SVG is, a file has to say so


@dataclass(frozen=True)
class Axis:
    """
    A scale of values, with its ticks.

    Args:
        low (`float`), high (`float`):
            Its ends.
        step (`float`):
            Distance between ticks.
        write (`Callable[[float], str]`, *optional*):
            How to write a value. By default with as many decimals as the step has.

    Example:
        >>> axis = Axis(0, 1, 0.5)
        >>> axis.place(0.5, 100, 300), axis.ticks
        (200.0, [0.0, 0.5, 1.0])
    """

    low: float
    high: float
    step: float
    write: Callable[[float], str] | None = None

    @classmethod
    def around(cls, values: Iterable[float], write: Callable[[float], str] | None = None) -> Self:
        """
        A scale that holds all values with a little room, and has about four round ticks.

        Example:
            >>> Axis.around([0, 0.37, 0.99]).ticks
            [0.0, 0.25, 0.5, 0.75, 1.0]
        """
        values = list(values)
        low, high = min(values), max(values)
        if math.isclose(low, high, abs_tol=1e-9):
            low, high = low - 0.5, high + 0.5
        rough = (high - low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
        room = 0.04 * (high - low)
        start = max(low - room, math.floor(low / step + 1e-9) * step)
        return cls(start, min(high + room, math.ceil(high / step - 1e-9) * step), step, write)

    @property
    def ticks(self) -> list[float]:
        """Values of the ticks, multiples of the step."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [float(index * self.step) for index in range(first, last + 1)]

    def place(self, value: float, start: float, end: float) -> float:
        """Where a value lies between two coordinates."""
        return start + (value - self.low) / (self.high - self.low) * (end - start)

    def label(self, value: float) -> str:
        """A value as it is written at a tick."""
        if self.write is not None:
            return self.write(value)
        return number(value, next((n for n in range(6) if math.isclose(self.step, round(self.step, n))), 6))


def interval_plot(
    title: str,
    rows: Mapping[str, Sequence[Estimate | None]],
    axis: Axis,
    *,
    series: Sequence[str] = ("",),
    mark: float | None = None,
) -> Markup:
    """
    Dots with their 95 % intervals, one row a name.

    Args:
        title (`str`):
            What the figure shows, for those who cannot see it.
        rows (`Mapping[str, Sequence[Estimate | None]]`):
            Estimates of every series by the name of the row. Where all are `None`, the row says "undefined".
        axis ([`Axis`]):
            Scale of the estimates.
        series (`Sequence[str]`, *optional*):
            Names of the series; the first four have colours and shapes of their own.
        mark (`float`, *optional*):
            Value that a dashed line marks.

    Returns:
        `Markup`: The SVG.
    """
    left, top = _label_width(rows), 4
    height = ROW + 8 * (len(series) - 1)
    bottom = top + height * len(rows)
    svg = _canvas(title, bottom + 24)
    _draw_grid(svg, axis, left, RIGHT, top, bottom)
    if mark is not None:
        x = axis.place(mark, left, RIGHT)
        _add(svg, "line", x1=x, x2=x, y1=top, y2=bottom, class_="mark")
    for index, (name, estimates) in enumerate(rows.items()):
        middle = top + height * (index + 0.5)
        _draw_label(svg, name, left, middle)
        if not any(estimates):
            _add(svg, "text", "undefined", x=left + 4, y=middle + 4.5, class_="quiet")
        for place, estimate in enumerate(estimates):
            if estimate is not None:
                y = middle + 9 * (place - (len(estimates) - 1) / 2)
                group = _add(svg, "g", class_=f"series-{place % 4}")
                _add(group, "title", f"{name} {series[place]}: {_words(estimate)}")
                low, high = (axis.place(end, left, RIGHT) for end in (estimate.low, estimate.high))
                _add(group, "line", x1=low, x2=high, y1=y, y2=y, class_="whisker")
                _draw_dot(group, axis.place(estimate.value, left, RIGHT), y, place % 4)
    return _finish(svg)


def bar_plot(title: str, rows: Mapping[str, Estimate | float], axis: Axis) -> Markup:
    """
    Bars from zero with their values, and with 95 % intervals where there are any; below zero in another colour.

    Args:
        title (`str`):
            What the figure shows, for those who cannot see it.
        rows (`Mapping[str, Estimate | float]`):
            Values by the name of the row.
        axis ([`Axis`]):
            Scale of the values. Zero lies on it.

    Returns:
        `Markup`: The SVG.
    """
    values = {name: row.value if isinstance(row, Estimate) else row for name, row in rows.items()}
    left, right = _label_width(rows), RIGHT - LETTER * max(len(axis.label(value)) for value in values.values())
    bottom = 4 + ROW * len(rows)
    svg = _canvas(title, bottom + 24)
    _draw_grid(svg, axis, left, right, 4, bottom)
    zero = axis.place(0, left, right)
    for index, (name, row) in enumerate(rows.items()):
        middle, end = 4 + ROW * (index + 0.5), axis.place(values[name], left, right)
        _draw_label(svg, name, left, middle)
        sign = "minus" if values[name] < 0 else "plus"
        x, width = min(zero, end), abs(end - zero)
        bar = _add(svg, "rect", x=x, y=middle - 8, width=width, height=16, class_=f"bar {sign}")
        _add(bar, "title", f"{name}: {_words(row) if isinstance(row, Estimate) else axis.label(row)}")
        if isinstance(row, Estimate):
            low, high = (axis.place(bound, left, right) for bound in (row.low, row.high))
            _add(svg, "line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker")
        _add(svg, "text", axis.label(values[name]), x=WIDTH, y=middle + 4.5, text_anchor="end")
    return _finish(svg)


def trend_plot(
    title: str,
    centers: Sequence[float],
    means: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    y_axis: Axis,
) -> Markup:
    """
    A line through means, in the band of their 95 % intervals.

    Args:
        title (`str`):
            What the figure shows, for those who cannot see it.
        centers (`Sequence[float]`):
            Where the means lie.
        means (`Sequence[float]`), lows (`Sequence[float]`), highs (`Sequence[float]`):
            Values with their intervals.
        y_axis ([`Axis`]):
            Scale of the values; the same for figures that are compared.

    Returns:
        `Markup`: The SVG.
    """
    top, bottom = 8, 168
    left = 10 + LETTER * max(len(y_axis.label(tick)) for tick in y_axis.ticks)
    x_axis = Axis.around(centers)
    svg = _canvas(title, bottom + 24)
    _draw_grid(svg, x_axis, left, RIGHT, top, bottom)
    for tick in y_axis.ticks:
        y = y_axis.place(tick, bottom, top)
        _add(svg, "line", x1=left, x2=RIGHT, y1=y, y2=y, class_="grid")
        _add(svg, "text", y_axis.label(tick), x=left - 8, y=y + 4.5, text_anchor="end", class_="quiet")
    line, upper, lower = (
        [(x_axis.place(x, left, RIGHT), y_axis.place(y, bottom, top)) for x, y in zip(centers, ys, strict=True)]
        for ys in (means, highs, lows)
    )
    group = _add(svg, "g", class_="series-0")
    _add(group, "polygon", points=_points([*upper, *reversed(lower)]), class_="band")
    _add(group, "polyline", points=_points(line), class_="trend")
    for (x, y), *estimate in zip(line, means, lows, highs, strict=True):
        _add(_draw_dot(group, x, y, 0), "title", _words(Estimate(*estimate)))
    return _finish(svg)


def legend(series: Sequence[str]) -> Markup:
    """
    Which colour and shape stands for which series.

    Example:
        >>> print(legend(["parks"]).striptags())
        parks
    """
    items = []
    for place, name in enumerate(series):
        icon = ElementTree.Element("svg", {"width": "16", "height": "16", "aria-hidden": "true"})
        _draw_dot(_add(icon, "g", class_=f"series-{place % 4}"), 8, 8, place % 4)
        items.append(Markup("<li>{} {}</li>").format(_finish(icon), name))
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def standalone(svg: Markup) -> str:
    """
    A figure as an SVG file of its own, with the colours that the page would give it.

    Example:
        >>> standalone(bar_plot("Shares", {"depth": 1.0}, Axis(0, 1, 0.5)))[:39]
        '<svg xmlns="http://www.w3.org/2000/svg"'
    """
    start, rest = str(svg).split(">", 1)
    style = Path(__file__).with_name("charts.css").read_text(encoding="utf-8")
    return f"{start.replace('<svg', SVG_TAG, 1)}><style>\n{style}</style>{rest}\n"


def _canvas(title: str, height: float) -> ElementTree.Element:
    size = {"viewBox": f"0 0 {WIDTH} {height:g}", "width": f"{WIDTH}", "height": f"{height:g}"}
    return ElementTree.Element("svg", {**size, "role": "img", "aria-label": title})


def _add(parent: ElementTree.Element, tag: str, text: str | None = None, **attributes: str | float):
    named = {
        name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else f"{value:.2f}"
        for name, value in attributes.items()
    }
    element = ElementTree.SubElement(parent, tag, named)
    element.text = text
    return element


def _finish(svg: ElementTree.Element) -> Markup:
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _label_width(names: Iterable[str]) -> float:
    return 14 + LETTER * max(min(len(name), MAX_LETTERS) for name in names)


def _draw_label(svg: ElementTree.Element, name: str, left: float, middle: float) -> None:
    shown = name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    label = _add(svg, "text", shown, x=left - 10, y=middle + 4.5, text_anchor="end")
    if shown != name:
        _add(label, "title", name)


def _draw_grid(svg: ElementTree.Element, axis: Axis, left: float, right: float, top: float, bottom: float) -> None:
    widest = LETTER * max(len(axis.label(tick)) for tick in axis.ticks)
    labelled = math.ceil((widest + 4) / (axis.place(axis.step, left, right) - axis.place(0, left, right)))
    for tick in axis.ticks:
        x = axis.place(tick, left, right)
        zero = " zero" if abs(tick) < axis.step / 1e6 else ""
        _add(svg, "line", x1=x, x2=x, y1=top, y2=bottom, class_=f"grid{zero}")
        if round(tick / axis.step) % labelled == 0:  # where there is no room for all
            _add(svg, "text", axis.label(tick), x=x, y=bottom + 17, text_anchor="middle", class_="quiet")


def _draw_dot(group: ElementTree.Element, x: float, y: float, shape: int) -> ElementTree.Element:
    """A circle, diamond, square or triangle around a point, because colours alone do not tell everybody apart."""
    if shape == 0:
        return _add(group, "circle", cx=x, cy=y, r=4.5, class_="dot")
    corners = ([(0, -6), (6, 0), (0, 6), (-6, 0)], [(-4, -4), (4, -4), (4, 4), (-4, 4)], [(0, -5), (5, 4), (-5, 4)])
    return _add(group, "polygon", points=_points([(x + dx, y + dy) for dx, dy in corners[shape - 1]]), class_="dot")


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _words(estimate: Estimate) -> str:
    return f"{number(estimate.value, 3)}, 95 % interval {number(estimate.low, 3)} to {number(estimate.high, 3)}"
