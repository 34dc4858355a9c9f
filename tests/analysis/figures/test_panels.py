"""Panels: lines, bands, axes and markers as specified, and labels that overlap nothing."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.figures.axes import SHARE_SCALE, AxisScale
from analysis.figures.panels import (
    MAX_LINES,
    MIN_PANEL_HEIGHT,
    REFERENCE_LINE,
    Line,
    Panel,
    curve_line,
    draw_panels,
    line_end,
)
from analysis.probes.result import Curve
from analysis.style import LINE_STYLES, family
from tests.analysis.report_runs import experiment


def line(y: Any, x: Any = None, name: str = "lstm", **rest: Any) -> Line:
    values = np.asarray(y, dtype=float)
    positions = np.arange(1.0, len(values) + 1) if x is None else np.asarray(x, dtype=float)
    return Line(label=name, x=positions, y=values, plot_keywords=LINE_STYLES[name].plot_keywords(), **rest)


def panel(*lines: Line, **rest: Any) -> Panel:
    return Panel(lines=lines, x_label="lag, steps", y_label="accuracy", **rest)


def drawn_axes(figure: Figure) -> list[Axes]:
    FigureCanvasAgg(figure).draw()
    return figure.axes


def marker_indices(curve: Any) -> list[int]:
    """Returns the indices of a line's markers."""
    return list(curve.get_markevery())


def test_the_line_is_the_curve_and_its_interval_the_band() -> None:
    (axes,) = drawn_axes(
        draw_panels([panel(line([0.2, 0.4, 0.9], low=np.array([0.1, 0.3, 0.8]), high=np.array([0.3, 0.5, 1.0])))])
    )
    curve = axes.lines[0]
    np.testing.assert_array_equal(np.asarray(curve.get_xdata()), [1, 2, 3])
    np.testing.assert_array_equal(np.asarray(curve.get_ydata()), [0.2, 0.4, 0.9])
    band = np.asarray(axes.collections[0].get_paths()[0].vertices, dtype=float)
    corners = {(round(float(x), 6), round(float(y), 6)) for x, y in band}
    assert {(2.0, 0.3), (2.0, 0.5)} <= corners
    assert axes.get_xlabel() == "lag, steps"
    assert axes.get_xlim() == (1, 3)


def test_what_lies_beyond_the_scale_is_at_its_edge() -> None:
    (axes,) = drawn_axes(draw_panels([panel(line([-5, 0.5, 7]), scale=SHARE_SCALE)]))
    np.testing.assert_array_equal(np.asarray(axes.lines[0].get_ydata()), [SHARE_SCALE.low, 0.5, SHARE_SCALE.high])


def test_many_decades_are_logarithmic_and_few_are_not() -> None:
    wide, narrow = drawn_axes(draw_panels([panel(line([1, 1e-3, 1e-6])), panel(line([1, 2, 3]))]))
    assert wide.get_yscale() == "log"
    assert narrow.get_yscale() == "linear"


def test_a_logarithmic_axis_starts_at_the_first_positive_place() -> None:
    (axes,) = drawn_axes(draw_panels([panel(line([1, 2, 3, 4], x=[0, 1, 10, 1000]), log_x=True)]))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (1, 1000)
    assert 0 not in marker_indices(axes.lines[0])


def test_what_is_missing_is_neither_drawn_nor_marked() -> None:
    (axes,) = drawn_axes(draw_panels([panel(line([0.1, math.nan, 0.3, math.nan]), line([math.nan] * 4, name="gru"))]))
    assert set(marker_indices(axes.lines[0])) <= {0, 2}
    assert marker_indices(axes.lines[1]) == []
    assert np.isnan(np.asarray(axes.lines[1].get_ydata(), dtype=float)).all()


def test_a_label_stands_where_its_line_ends() -> None:
    scale = AxisScale(low=0, high=1)
    assert line_end(line([0.1, 0.7, math.nan]), scale) == 0.7
    assert line_end(line([math.nan]), scale) == 0


@pytest.mark.parametrize("lines", [[], [line([])], [line([5])]])
def test_a_panel_of_nearly_nothing_can_be_drawn(lines: list[Line]) -> None:
    (axes,) = drawn_axes(draw_panels([panel(*lines)]))
    low, high = axes.get_xlim()
    assert low < high


def test_labels_overlap_neither_each_other_nor_the_other_panel() -> None:
    def crowded() -> Panel:
        return panel(*(line([0.1, 0.5], name=name) for name in LINE_STYLES), log_x=True)

    figure = draw_panels(
        [
            crowded(),
            panel(
                line([1, 2]), Line(label="bound", x=np.array([1.0, 2.0]), y=np.ones(2), plot_keywords=REFERENCE_LINE)
            ),
            crowded(),
        ]
    )
    axes = drawn_axes(figure)
    boxes = [text.get_window_extent() for panel_axes in axes for text in panel_axes.texts]
    assert len(boxes) == 2 * len(LINE_STYLES) + 2
    for one, other in combinations(boxes, 2):
        # Ascenders and descenders share a line's height; an overlap of less than a pixel does not count.
        shared = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert shared <= 1 or one.x1 <= other.x0 or other.x1 <= one.x0
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    for panel_axes in axes:
        for box in boxes:
            assert box.x0 >= panel_axes.get_window_extent().x1 - 1
    lefts = {round(panel_axes.get_window_extent().x0, 3) for panel_axes in axes}
    rights = {round(panel_axes.get_window_extent().x1, 3) for panel_axes in axes}
    assert len(lefts) == len(rights) == 1


def test_more_labels_make_a_panel_higher() -> None:
    names = [f"architecture-number-{index}" for index in range(30)]
    many = panel(*(Line(label=name, x=np.arange(2.0), y=np.ones(2), plot_keywords=REFERENCE_LINE) for name in names))
    low, high = (
        drawn_axes(draw_panels([single]))[0].get_window_extent().height for single in (panel(line([1, 2])), many)
    )
    points = 72 / draw_panels([many]).dpi
    assert low * points == pytest.approx(MIN_PANEL_HEIGHT)
    assert high > 1.5 * low


def test_too_many_lines_for_one_panel_are_drawn_family_by_family() -> None:
    names = ["custom", *list(LINE_STYLES)[: MAX_LINES + 6]]
    families = {name: family(name) for name in names}
    lines = [
        Line(
            label=name,
            x=np.array([1.0, 3.0 + place]),
            y=np.array([0.1 * place, 2.0]),
            plot_keywords=REFERENCE_LINE,
            family=families[name],
        )
        for place, name in enumerate(names)
    ]
    bound = Line(label="bound", x=np.array([1.0, 2.0]), y=np.ones(2), plot_keywords=REFERENCE_LINE)
    axes = drawn_axes(draw_panels([panel(*lines, bound, log_x=True), panel(line([1, 2]))]))
    *parts, other = axes
    assert [part.get_title(loc="left") for part in parts] == ["recurrent", "gated", "averaging", "custom"]
    for part in parts:
        own = [name for name in names if families[name] == part.get_title(loc="left")]
        assert sorted(text.get_text() for text in part.texts) == sorted([*own, "bound"])
    # All have the axes of the whole, which is named below the last.
    assert {part.get_xlim() for part in parts} == {(1.0, 3.0 + len(names) - 1)}
    assert len({part.get_ylim() for part in parts}) == 1
    assert [part.get_xlabel() for part in parts] == ["", "", "", "lag, steps"]
    assert other.get_title(loc="left") == ""
    boxes = [part.get_tightbbox() for part in parts]
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(box for box in boxes if box is not None))


def test_two_panels_that_are_split_share_nothing_but_the_figure() -> None:
    names = list(LINE_STYLES)[: MAX_LINES + 6]
    lines = [line([1, 2], name=name, family=family(name)) for name in names]
    long_name = "the share of what was aligned, where that changes"
    split = [replace(panel(*lines), y_label=long_name), replace(panel(*lines), y_label="loss")]
    axes = drawn_axes(draw_panels(split))
    titles = ["recurrent", "gated", "averaging"]
    assert [part.get_title(loc="left") for part in axes] == [*titles, *titles]
    assert [part.get_ylabel() for part in axes] == 3 * [long_name] + 3 * ["loss"]
    assert [part.get_xlabel() for part in axes] == 2 * ["", "", "lag, steps"]
    for upper, lower in pairwise(axes):
        above, below = upper.get_tightbbox(), lower.get_tightbbox()
        assert above is not None
        assert below is not None
        assert above.y0 > below.y1
    top = axes[0].get_tightbbox()
    assert top is not None
    assert top.y1 <= axes[0].figure.bbox.y1


def test_as_many_lines_as_a_panel_can_show_and_those_of_one_family_stay_together() -> None:
    def count_axes(families: Sequence[str | None]) -> int:
        lines = [line([1, 2], name=name, family=place) for name, place in zip(LINE_STYLES, families, strict=False)]
        return len(drawn_axes(draw_panels([panel(*lines)])))

    half = MAX_LINES // 2
    assert count_axes(["gated"] * half + ["averaging"] * (MAX_LINES - half)) == 1
    assert count_axes(["gated"] * half + ["averaging"] * (MAX_LINES - half) + [None] * 5) == 1
    assert count_axes(["gated"] * half + ["averaging"] * (MAX_LINES - half + 1)) == 2
    assert count_axes(["gated"] * (MAX_LINES + 3)) == 1


@pytest.mark.parametrize(("num_seeds", "has_band"), [(1, True), (2, False), (3, False), (4, True)])
def test_a_band_over_a_few_seeds_is_left_out(num_seeds: int, has_band: bool) -> None:
    curve = Curve(x=(1, 2), y=(0.2, 0.4), low=(0.1, 0.3), high=(0.3, 0.5), x_unit="steps", y_unit="1", what="")
    shown = SimpleNamespace(label="lstm", line_style=LINE_STYLES["lstm"], experiment=experiment("lstm"))
    row = SimpleNamespace(row=shown, results=(None,) * num_seeds)
    drawn = curve_line(row, curve)  # type: ignore[arg-type]
    assert drawn.y.tolist() == [0.2, 0.4]
    assert drawn.family == "gated"
    assert (drawn.low is not None, drawn.high is not None) == (has_band, has_band)
