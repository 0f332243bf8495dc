"""Figures stand where their numbers say."""

from xml.etree import ElementTree

import numpy as np
import pytest

from hf_aesthetics.analysis.findings import Estimate
from hf_aesthetics.reports.charts import WIDTH, Axis, bar_plot, interval_plot, trend_plot


UNIT = Axis(0, 1, 0.25)


def parse(figure) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure))


def numbers(element, *names) -> list[float]:
    return [float(element.get(name)) for name in names]


def points(element) -> np.ndarray:
    return np.array([[float(number) for number in pair.split(",")] for pair in element.get("points").split()])


def tick_places(svg) -> dict[str, float]:
    """Where the labels of the horizontal axis stand."""
    labels = [text for text in svg.iter("text") if text.get("text-anchor") == "middle"]
    return {text.text: float(text.get("x")) for text in labels}


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_a_dot_stands_over_its_value_on_the_axis(value):
    svg = parse(interval_plot("SRCC", {"depth": [Estimate(value, value - 0.2, value + 0.1)]}, UNIT))
    ticks = tick_places(svg)
    (dot,) = svg.iter("circle")
    (whisker,) = svg.findall(".//line[@class='whisker']")
    assert float(dot.get("cx")) == pytest.approx(ticks[f"{value:.2f}"], abs=0.01)
    length = ticks["1.00"] - ticks["0.00"]
    assert numbers(whisker, "x1", "x2") == pytest.approx(
        [ticks["0.00"] + (value - 0.2) * length, ticks["0.00"] + (value + 0.1) * length], abs=0.02
    )


def test_the_middle_of_the_axis_is_one_half_and_the_mark_is_where_it_should():
    svg = parse(interval_plot("SRCC", {"depth": [Estimate(0.5, 0.4, 0.6)]}, UNIT, mark=0.75))
    places = sorted(tick_places(svg).values())
    (dot,) = svg.iter("circle")
    assert float(dot.get("cx")) == pytest.approx((places[0] + places[-1]) / 2, abs=0.01)
    (mark,) = svg.findall(".//line[@class='mark']")
    assert float(mark.get("x1")) == pytest.approx(tick_places(svg)["0.75"], abs=0.01)


def test_series_keep_their_row_and_their_shape_where_others_are_undefined():
    both = {"depth": [Estimate(0.2, 0.1, 0.3), Estimate(0.8, 0.7, 0.9)], "blur": [None, Estimate(0.4, 0.3, 0.5)]}
    svg = parse(interval_plot("SRCC", {**both, "constant": [None, None]}, UNIT, series=["parks", "snow"]))
    first, second = (svg.findall(f".//g[@class='series-{place}']") for place in (0, 1))
    assert [group.find("title").text[:10] for group in first + second] == ["depth park", "depth snow", "blur snow:"]
    assert len(first) == 1 and len(second) == 2 and all(group.find("polygon") is not None for group in second)
    assert [text.text for text in svg.iter("text")].count("undefined") == 1


def test_bars_are_as_long_as_their_values_and_begin_at_zero():
    values = {"depth": 0.5, "saliency": Estimate(0.25, 0.1, 0.3), "blur": -0.25, "none": 0.0}
    svg = parse(bar_plot("shares", values, Axis(-0.5, 0.5, 0.25)))
    ticks = tick_places(svg)
    quarter, bars = ticks["0.25"] - ticks["0.00"], list(svg.iter("rect"))
    assert [float(bar.get("width")) for bar in bars] == pytest.approx([2 * quarter, quarter, quarter, 0], abs=0.02)
    starts = [ticks["0.00"], ticks["0.00"], ticks["0.00"] - quarter, ticks["0.00"]]
    assert [float(bar.get("x")) for bar in bars] == pytest.approx(starts, abs=0.02)
    assert [bar.get("class") for bar in bars] == ["bar plus", "bar plus", "bar minus", "bar plus"]
    assert len(svg.findall(".//line[@class='whisker']")) == 1


def test_a_rising_trend_rises_within_its_band():
    centers, means = [0.0, 1.0, 2.0, 4.0], np.array([3.0, 4.0, 5.0, 7.0])
    svg = parse(trend_plot("depth", centers, means, means - 0.5, means + 1, Axis(2, 8, 2)))
    line, band = points(svg.find(".//polyline")), points(svg.find(".//g/polygon"))
    assert np.ptp(np.diff(line[:, 1]) / np.diff(line[:, 0])) < 1e-3 and line[0, 1] > line[-1, 1]
    pixels_a_score = (line[0, 1] - line[-1, 1]) / 4
    np.testing.assert_allclose(line[:, 1] - band[:4, 1], pixels_a_score, atol=0.02)
    np.testing.assert_allclose(band[4:][::-1, 1] - line[:, 1], pixels_a_score / 2, atol=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_axes_hold_all_values_and_have_round_ticks(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(0, 3), 10.0 ** rng.integers(-4, 4), size=rng.integers(1, 6))
    axis = Axis.around(values)
    assert axis.low <= values.min() and values.max() <= axis.high
    assert 2 <= len(axis.ticks) <= 6 and axis.low <= min(axis.ticks) + 1e-9 and max(axis.ticks) <= axis.high + 1e-9
    mantissa = axis.step / 10.0 ** np.floor(np.log10(axis.step) + 1e-9)
    assert np.isclose(mantissa, [1, 2, 2.5, 5]).any()
    assert len({axis.label(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_nothing_leaves_the_figure():
    rows = {"m" * 50: [Estimate(0.9, 0.5, 1.0)], "blur": [Estimate(-0.3, -0.4, 0.1)]}
    axis = Axis.around([-0.4, 1.0])
    svgs = [
        interval_plot("<SRCC>", rows, axis),
        bar_plot("shares", {name: row[0] for name, row in rows.items()}, axis),
    ]
    for svg in map(parse, svgs):
        height = float(svg.get("viewBox").split()[3])
        for line in svg.iter("line"):
            assert all(0 <= x <= WIDTH for x in numbers(line, "x1", "x2"))
            assert all(0 <= y <= height for y in numbers(line, "y1", "y2"))
        assert all(len(text.text) < 25 for text in svg.iter("text"))
        assert "m" * 50 in [title.text for title in svg.findall(".//text/title")]
