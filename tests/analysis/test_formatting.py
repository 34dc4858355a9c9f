"""Formatting of numbers, names and lists."""

import math

import pytest

from analysis.formatting import (
    format_count,
    format_interval,
    format_number,
    format_percent,
    format_range,
    format_seeds,
    join_names,
    make_printable,
    pluralize,
)
from analysis.statistics import Mean


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 6, "0.167"),
        (12.3456, "12.3"),
        (123.456, "123"),
        (0.001, "0.00100"),
        (0.000999, "9.99 \u00d7 10⁻⁴"),
        (1.5e-12, "1.50 \u00d7 10⁻¹²"),
        (2.5e7, "2.50 \u00d7 10⁷"),
        (-0.5, "-0.500"),
        (0.0, "0.00"),
        (math.nan, "\u2013"),
        (None, "\u2013"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.12345, None, "0.123"),
        (0.12345, 0.0021, "0.1235 ± 0.0021"),
        (0.12345, 0.021, "0.123 ± 0.021"),
        (0.12345, 0.0, "0.123 ± 0"),
        (0.12345, 1e-17, "0.123 ± 0"),
        (1.234e-5, 2.1e-6, "(1.23 ± 0.21) \u00d7 10⁻⁵"),
        (0.01, 5.0, "0.0100 ± 5.0000"),
    ],
)
def test_a_mean_and_its_interval_have_the_same_decimals(mean: float, half: float | None, text: str) -> None:
    assert format_interval(Mean(mean=mean, half_width=half, n=3)) == text


def test_an_accuracy_is_not_rounded_to_one() -> None:
    assert format_interval(Mean(mean=0.9996, half_width=None, n=1), min_decimals=4) == "0.9996"


def test_no_values_no_number() -> None:
    assert format_interval(Mean(mean=math.nan, half_width=None, n=0)) == "\u2013"


def test_counts_and_lists() -> None:
    assert format_count(1254001) == "1,254,001"
    assert format_range([500, 500]) == "500"
    assert format_range([2000, 500]) == "500\u20132,000"
    assert format_range([None], default="all") == "all"
    assert format_seeds([2, 0, 1, 7, 9, 8, 4]) == "0\u20132, 4, 7\u20139"
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b", "c"]) == "a, b and c"
    assert pluralize(1, "seed") == "1 seed"
    assert format_percent(1866.7) == "1,867 %"
    assert format_percent(1.234) == "1.2 %"
    assert make_printable("a\x00b\n") == "a\ufffdb\ufffd"
