"""Parsing and formatting of published figures."""

import math

import pytest

from analysis.published_figures import PublishedFigure


@pytest.mark.parametrize(
    ("text", "value", "bound", "shown"),
    [
        ("2036", 2036.0, "exact", "2,036"),
        ("71", 71.0, "exact", "71"),
        ("1234567", 1234567.0, "exact", "1,234,567"),
        ("> 10000", 10000.0, "above", "> 10,000"),
        (">10000", 10000.0, "above", "> 10,000"),
        ("< 0.2", 0.2, "below", "< 0.2"),
        ("0.0204", 0.0204, "exact", "0.0204"),
        ("0.9850", 0.985, "exact", "0.9850"),
        ("5.8e-5", 0.000058, "exact", "5.8 \u00d7 10⁻⁵"),
        ("3e4", 30000.0, "exact", "3 \u00d7 10⁴"),
        ("< 1e-10", 1e-10, "below", "< 1 \u00d7 10⁻¹⁰"),
        ("98.11 %", 0.9811, "exact", "98.11 %"),
        ("99.0 %", 0.99, "exact", "99.0 %"),
        ("> 20 %", 0.2, "above", "> 20 %"),
        ("-1.5", -1.5, "exact", "-1.5"),
        ("0", 0.0, "exact", "0"),
    ],
)
def test_a_figure_is_its_number_its_bound_and_what_was_printed(text, value, bound, shown):
    figure = PublishedFigure.parse(text)
    assert math.isclose(figure.value, value, rel_tol=1e-15)
    assert (figure.text, figure.bound, str(figure)) == (text, bound, shown)


@pytest.mark.parametrize(
    "text",
    ["", "never", "> ", "10,000", "1 000", "98.11%", "98.11 % of them", "about 5", "1e", "1.", ".5", "5 6", ">= 3",
     "> > 3", "nan", "inf", " 5", "5 ", "5\n"],
)  # fmt: skip
def test_other_text_is_refused_and_quoted(text):
    with pytest.raises(ValueError, match="is not a figure such as") as refused:
        PublishedFigure.parse(text)
    assert repr(text) in str(refused.value)
