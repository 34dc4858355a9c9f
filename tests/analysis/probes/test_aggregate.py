"""Findings over seeds, against SciPy's intervals."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.formatting import format_estimate
from analysis.grouping import Row, sections
from analysis.probes.aggregate import RowResults, with_number
from analysis.probes.result import Curve, Metric, ProbeResult
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished


@pytest.fixture
def row(tmp_path: Path) -> Row:
    write_run(tmp_path, experiment("lstm"))
    return sections(finished(tmp_path))[0].rows[0]


def number(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    at_least: bool = False,
    unit: str = "steps",
) -> ProbeResult:
    return ProbeResult(metrics={"n": Metric(value=value, unit=unit, what="it", low=low, high=high, censored=at_least)})


def curve(xs: list[float], ys: list[float], unit: str = "nats") -> ProbeResult:
    return ProbeResult(curves={"c": Curve.of(xs, ys, x_unit="steps", y_unit=unit, what="it")})


def test_several_seeds_have_students_interval(row: Row) -> None:
    values = [13.0, 15.0, 20.0]
    found = RowResults(row=row, results=tuple(number(value, value - 0.1, value + 0.1) for value in values)).metric("n")
    assert found is not None
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((16.0, low, high))
    assert (found.unit, found.seeds, found.censored, found.has_interval) == ("steps", 3, False, True)


def test_one_seed_has_the_probes_own_interval(row: Row) -> None:
    found = RowResults(row=row, results=(number(3, 2, 7),)).metric("n")
    assert found is not None
    assert (found.value, found.low, found.high, found.seeds, found.seeds_missing) == (3, 2, 7, 1, 0)
    bare = RowResults(row=row, results=(number(3),)).metric("n")
    assert bare is not None
    assert not bare.has_interval
    assert math.isnan(bare.low)


def test_the_one_seed_of_several_that_has_a_number_speaks_for_itself_alone(row: Row) -> None:
    found = RowResults(row=row, results=(number(3, 2, 7), number(None), ProbeResult())).metric("n")
    assert found is not None
    assert (found.value, found.seeds, found.seeds_missing, found.has_interval) == (3, 1, 2, False)
    assert format_estimate(found) == "3 steps (1 of 3 seeds)"


def test_seeds_that_agree_are_no_surer_than_each_by_itself(row: Row) -> None:
    found = RowResults(row=row, results=(number(4, 2, 8), number(4, 1, 4))).metric("n")
    assert found is not None
    assert (found.value, found.low, found.high) == (4, 1.5, 6)
    exact = RowResults(row=row, results=(number(4), number(4))).metric("n")
    assert exact is not None
    assert (exact.low, exact.high) == (4, 4)


@pytest.mark.parametrize(
    ("unit", "values", "ends"),
    [("share", (0.4, 0.8), (0, 1)), ("steps", (1, 3), (0, None)), ("log10 of the share left", (-3, -1), (None, 0))],
)
def test_no_interval_leaves_where_its_unit_can_lie(
    row: Row, unit: str, values: tuple[float, float], ends: tuple[float | None, float | None]
) -> None:
    found = RowResults(row=row, results=tuple(number(value, unit=unit) for value in values)).metric("n")
    drawn = RowResults(row=row, results=tuple(curve([1], [value], unit) for value in values)).curve("c")
    assert found is not None
    assert drawn is not None
    assert drawn.low is not None
    assert drawn.high is not None
    half = 12.7062 * (values[1] - values[0]) / 2
    low, high = ends
    expected = (found.value - half if low is None else low, found.value + half if high is None else high)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-4)
    assert (drawn.low[0], drawn.high[0]) == pytest.approx(expected, rel=1e-4)
    pure = RowResults(row=row, results=tuple(number(value, unit="1") for value in values)).metric("n")
    assert pure is not None
    assert (pure.low, pure.high) == pytest.approx((pure.value - half, pure.value + half), rel=1e-4)


def test_one_seed_at_its_limit_makes_the_mean_a_lower_bound(row: Row) -> None:
    found = RowResults(row=row, results=(number(3), number(9, at_least=True))).metric("n")
    assert found is not None
    assert found.censored
    assert found.high == math.inf
    assert found.has_interval
    alone = RowResults(row=row, results=(number(9, 8, at_least=True),)).metric("n")
    assert alone is not None
    assert (alone.low, alone.high, alone.has_interval) == (8, math.inf, True)
    assert format_estimate(alone) == "≥ 9 steps [≥ 8]"
    bare = RowResults(row=row, results=(number(9, at_least=True),)).metric("n")
    assert bare is not None
    assert not bare.has_interval


def test_what_no_seed_has_is_none(row: Row) -> None:
    probed = RowResults(row=row, results=(number(None), ProbeResult(unavailable={"n": "too short"})))
    assert probed.metric("n") is None
    assert probed.metric("other") is None
    assert probed.curve("c") is None
    assert probed.label("w") is None
    assert probed.unavailable("n") == "too short"
    assert probed.unavailable("other") is None


def test_a_curve_is_the_mean_where_all_seeds_have_a_value(row: Row) -> None:
    findings = (curve([1, 2, 4], [1, 2, 4]), curve([2, 3, 4], [4, 9, 8]), curve([4, 2], [12, 6]))
    found = RowResults(row=row, results=findings).curve("c")
    assert found is not None
    assert found.x == (2, 4)
    assert found.y == (4, 8)
    assert found.low is not None
    assert found.high is not None
    low, high = stats.t.interval(0.95, 2, loc=4, scale=stats.sem([2, 4, 6]))
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), rel=1e-5)


def test_a_curve_of_one_seed_is_itself(row: Row) -> None:
    findings = curve([1, 2], [3, 4])
    assert RowResults(row=row, results=(findings, ProbeResult())).curve("c") == findings.curves["c"]


def test_curves_without_a_common_place_are_empty(row: Row) -> None:
    found = RowResults(row=row, results=(curve([1], [3]), curve([2], [4]))).curve("c")
    assert found is not None
    assert found.x == ()


def test_a_seed_without_a_value_leaves_a_gap(row: Row) -> None:
    found = RowResults(row=row, results=(curve([1, 2], [3, math.nan]), curve([1, 2], [5, 6]))).curve("c")
    assert found is not None
    assert found.y == (4, None)
    assert found.low is not None
    assert found.low[1] is None


def test_the_word_is_that_of_most_seeds(row: Row) -> None:
    said = [ProbeResult(labels={"w": word}) for word in ("exponential", "power law", "power law")]
    assert RowResults(row=row, results=tuple(said)).label("w") == "power law"
    assert RowResults(row=row, results=tuple(said[:2])).label("w") == "exponential"


def test_rows_with_a_number_come_largest_first(row: Row) -> None:
    rows = [RowResults(row=row, results=(number(value),)) for value in (2, None, 5)]
    assert [estimate.value for _, estimate in with_number(rows, "n")] == [5, 2]
