"""Axes of the first screen, their ticks, and colors on a dark page."""

import math

import pytest

from analysis.report.first_screen.axis import fit_axis, format_short, format_tick
from analysis.report.first_screen.colors import DARK_PAPER, contrast, lighten, parse_color
from analysis.style import LINE_STYLES


def test_a_logarithmic_axis_has_room_at_both_ends() -> None:
    axis = fit_axis([0.001, 0.1, 0.01])
    assert axis.log
    # 4 % of the range at each end.
    assert [axis.place(value) for value in (0.001, 0.01, 0.1)] == pytest.approx([0.04 / 1.08, 0.5, 1.04 / 1.08])
    assert (axis.place(1e-9), axis.place(5.0)) == (0.0, 1.0)
    assert axis.ticks() == [(0.001, "0.001"), (0.003, "0.003"), (0.01, "0.01"), (0.03, "0.03"), (0.1, "0.1")]


def test_equal_values_are_in_the_middle() -> None:
    assert fit_axis([0.2, 0.2]).place(0.2) == pytest.approx(0.5)
    assert fit_axis([0.0]).place(0.0) == pytest.approx(0.5)


def test_an_axis_with_a_loss_of_zero_is_linear() -> None:
    axis = fit_axis([0.0, 10.0])
    assert not axis.log
    assert axis.place(5.0) == pytest.approx(0.5)
    assert [text for _, text in axis.ticks()] == ["0", "2", "4", "6", "8", "10"]


@pytest.mark.parametrize("values", [[1e-12, 1e6], [0.3, 0.5], [1e3, 5e4], [2.0, 2.1], [-3.0, 900.0]])
def test_ticks_are_few_and_inside(values: list[float]) -> None:
    axis = fit_axis(values)
    ticks = [value for value, _ in axis.ticks()]
    assert 1 <= len(ticks) <= 7
    assert all(axis.low <= value <= axis.high for value in ticks)


@pytest.mark.parametrize(
    ("value", "tick", "short"),
    [
        (0.00001, "1e-5", "1.0e-5"),
        (0.001, "0.001", "0.001"),
        (0.1666, "0.1666", "0.167"),
        (3000.0, "3,000", "3000"),
        (0.0, "0", "0.00"),
        (2e7, "2e7", "2.00 \u00d7 10⁷"),
    ],
)
def test_numbers_are_short(value: float, tick: str, short: str) -> None:
    assert (format_tick(value), format_short(value)) == (tick, short)


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    # An example of the guidelines' authors: #777777 on white falls just short of 4.5.
    assert contrast(parse_color("#777777"), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", LINE_STYLES)
def test_colors_are_seen_on_a_dark_page(name: str) -> None:
    color = lighten(LINE_STYLES[name].color)
    red, green, blue = parse_color(color)
    assert contrast((red, green, blue), DARK_PAPER) >= 4.5
    assert math.isfinite(red + green + blue)
    assert math.dist(parse_color(lighten("#111111")), parse_color(lighten("#6d6d6d"))) > 60
