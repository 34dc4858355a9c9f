"""Durations as users write them."""

import pytest

from workbench.cli.options import parse_duration
from workbench.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("9m", 540), ("1h", 3600), ("1h30m", 5400), ("1h0m5s", 3605), ("0.5h", 1800), (" 9m ", 540)],
)
def test_a_time_with_units(text, expected):
    assert parse_duration(text, "--time-limit") == expected


@pytest.mark.parametrize("text", ["9", "0.5", " 10 "])
def test_a_number_alone_is_asked_for_its_unit(text):
    number = text.strip()
    with pytest.raises(
        UserError, match=rf"--time-limit {number}: say the unit, as in {number}s, {number}m or {number}h"
    ):
        parse_duration(text, "--time-limit")


@pytest.mark.parametrize("text", ["", "soon", "9 m", "m", "-9m", "30m1h", "0s", "9min", "1e3s"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UserError, match=r"--time-limit must be a time such as 90s, 9m or 1h30m, not "):
        parse_duration(text, "--time-limit")
