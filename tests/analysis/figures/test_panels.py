"""Panels of lines: what is drawn is what was given, and labels overlap nothing."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.figures.axes import UNIT, AxisScale
from analysis.figures.panels import AID, PANEL, Line, Panel, draw, end
from analysis.style import LINE_STYLES


def line(y: Any, x: Any = None, name: str = "lstm", **rest: Any) -> Line:
    values = np.asarray(y, dtype=float)
    places = np.arange(1.0, len(values) + 1) if x is None else np.asarray(x, dtype=float)
    return Line(label=name, x=places, y=values, look=LINE_STYLES[name].line(), **rest)


def panel(*lines: Line, **rest: Any) -> Panel:
    return Panel(lines=lines, x_label="lag, steps", y_label="accuracy", **rest)


def axes_of(figure: Figure) -> list[Axes]:
    FigureCanvasAgg(figure).draw()
    return figure.axes


def marks(drawn: Any) -> list[int]:
    """The places of a line's markers."""
    return list(drawn.get_markevery())


def test_the_line_is_the_curve_and_its_interval_the_band() -> None:
    (axes,) = axes_of(
        draw([panel(line([0.2, 0.4, 0.9], low=np.array([0.1, 0.3, 0.8]), high=np.array([0.3, 0.5, 1.0])))])
    )
    drawn = axes.lines[0]
    np.testing.assert_array_equal(np.asarray(drawn.get_xdata()), [1, 2, 3])
    np.testing.assert_array_equal(np.asarray(drawn.get_ydata()), [0.2, 0.4, 0.9])
    band = np.asarray(axes.collections[0].get_paths()[0].vertices, dtype=float)
    corners = {(round(float(x), 6), round(float(y), 6)) for x, y in band}
    assert {(2.0, 0.3), (2.0, 0.5)} <= corners
    assert axes.get_xlabel() == "lag, steps"
    assert axes.get_xlim() == (1, 3)


def test_what_lies_beyond_the_scale_is_at_its_edge() -> None:
    (axes,) = axes_of(draw([panel(line([-5, 0.5, 7]), scale=UNIT)]))
    np.testing.assert_array_equal(np.asarray(axes.lines[0].get_ydata()), [UNIT.low, 0.5, UNIT.high])


def test_many_decades_are_logarithmic_and_few_are_not() -> None:
    wide, narrow = axes_of(draw([panel(line([1, 1e-3, 1e-6])), panel(line([1, 2, 3]))]))
    assert wide.get_yscale() == "log"
    assert narrow.get_yscale() == "linear"


def test_a_logarithmic_axis_starts_at_the_first_positive_place() -> None:
    (axes,) = axes_of(draw([panel(line([1, 2, 3, 4], x=[0, 1, 10, 1000]), log_x=True)]))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (1, 1000)
    assert 0 not in marks(axes.lines[0])


def test_what_is_missing_is_neither_drawn_nor_marked() -> None:
    (axes,) = axes_of(draw([panel(line([0.1, math.nan, 0.3, math.nan]), line([math.nan] * 4, name="gru"))]))
    assert set(marks(axes.lines[0])) <= {0, 2}
    assert marks(axes.lines[1]) == []
    assert np.isnan(np.asarray(axes.lines[1].get_ydata(), dtype=float)).all()


def test_a_label_stands_where_its_line_ends() -> None:
    scale = AxisScale(low=0, high=1)
    assert end(line([0.1, 0.7, math.nan]), scale) == 0.7
    assert end(line([math.nan]), scale) == 0


@pytest.mark.parametrize("lines", [[], [line([])], [line([5])]])
def test_a_panel_of_nearly_nothing_can_be_drawn(lines: list[Line]) -> None:
    (axes,) = axes_of(draw([panel(*lines)]))
    low, high = axes.get_xlim()
    assert low < high


def test_labels_overlap_neither_each_other_nor_the_other_panel() -> None:
    def crowded() -> Panel:
        return panel(*(line([0.1, 0.5], name=name) for name in LINE_STYLES), log_x=True)

    figure = draw(
        [crowded(), panel(line([1, 2]), Line(label="bound", x=np.array([1.0, 2.0]), y=np.ones(2), look=AID)), crowded()]
    )
    axes = axes_of(figure)
    boxes = [text.get_window_extent() for each in axes for text in each.texts]
    assert len(boxes) == 2 * len(LINE_STYLES) + 2
    for one, other in combinations(boxes, 2):
        # Ascenders and descenders share a line's height; overlapping by less than a pixel is none.
        shared = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert shared <= 1 or one.x1 <= other.x0 or other.x1 <= one.x0
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    for each in axes:
        for box in boxes:
            assert box.x0 >= each.get_window_extent().x1 - 1
    lefts = {round(each.get_window_extent().x0, 3) for each in axes}
    rights = {round(each.get_window_extent().x1, 3) for each in axes}
    assert len(lefts) == len(rights) == 1


def test_more_labels_make_a_panel_higher() -> None:
    names = [f"architecture-number-{index}" for index in range(30)]
    many = panel(*(Line(label=name, x=np.arange(2.0), y=np.ones(2), look=AID) for name in names))
    low, high = (axes_of(draw([each]))[0].get_window_extent().height for each in (panel(line([1, 2])), many))
    points = 72 / draw([many]).dpi
    assert low * points == pytest.approx(PANEL)
    assert high > 1.5 * low
