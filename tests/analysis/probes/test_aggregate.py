"""Probe results over seeds, against SciPy's intervals."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.formatting import format_estimate
from analysis.grouping import Row, build_sections
from analysis.probes.aggregate import RowResults, rows_with_metric
from analysis.probes.result import Curve, Metric, ProbeResult
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs


@pytest.fixture
def row(tmp_path: Path) -> Row:
    write_run(tmp_path, experiment("lstm"))
    return build_sections(finished_runs(tmp_path))[0].rows[0]


def one_metric(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    censored: bool = False,
    unit: str = "steps",
) -> ProbeResult:
    return ProbeResult(metrics={"n": Metric(value=value, unit=unit, what="it", low=low, high=high, censored=censored)})


def one_curve(xs: list[float], ys: list[float], unit: str = "nats") -> ProbeResult:
    return ProbeResult(curves={"c": Curve.from_arrays(xs, ys, x_unit="steps", y_unit=unit, what="it")})


def test_several_seeds_have_students_interval(row: Row) -> None:
    values = [13.0, 15.0, 20.0]
    estimate = RowResults(
        row=row, results=tuple(one_metric(value, value - 0.1, value + 0.1) for value in values)
    ).metric("n")
    assert estimate is not None
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((16.0, low, high))
    assert (estimate.unit, estimate.seeds, estimate.censored, estimate.has_interval) == ("steps", 3, False, True)


def test_one_seed_has_the_probes_own_interval(row: Row) -> None:
    estimate = RowResults(row=row, results=(one_metric(3, 2, 7),)).metric("n")
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high, estimate.seeds, estimate.seeds_missing) == (3, 2, 7, 1, 0)
    without_interval = RowResults(row=row, results=(one_metric(3),)).metric("n")
    assert without_interval is not None
    assert not without_interval.has_interval
    assert math.isnan(without_interval.low)


def test_the_one_seed_of_several_that_has_a_number_speaks_for_itself_alone(row: Row) -> None:
    estimate = RowResults(row=row, results=(one_metric(3, 2, 7), one_metric(None), ProbeResult())).metric("n")
    assert estimate is not None
    assert (estimate.value, estimate.seeds, estimate.seeds_missing, estimate.has_interval) == (3, 1, 2, False)
    assert format_estimate(estimate) == "3 steps (1 of 3 seeds)"


def test_seeds_that_agree_are_no_surer_than_each_by_itself(row: Row) -> None:
    estimate = RowResults(row=row, results=(one_metric(4, 2, 8), one_metric(4, 1, 4))).metric("n")
    assert estimate is not None
    # Root mean squares of 2 and 3 below, and of 4 and 0 above.
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((4, 4 - math.sqrt(6.5), 4 + math.sqrt(8)))
    exact = RowResults(row=row, results=(one_metric(4), one_metric(4))).metric("n")
    assert exact is not None
    assert (exact.low, exact.high) == (4, 4)


def test_the_least_over_the_seeds_is_known_if_it_is_of_each(row: Row) -> None:
    assert RowResults(row=row, results=(one_metric(32), one_metric(8))).least("n") == 8
    for lacking in (one_metric(None), ProbeResult()):
        assert RowResults(row=row, results=(one_metric(32), lacking)).least("n") is None


def test_the_test_set_that_all_seeds_share_bounds_the_certainty(row: Row) -> None:
    """Of 200 sequences 95 % are right: Wilson's interval does not shrink because five seeds answer alike."""
    values = (0.955, 0.955, 0.955, 0.955, 0.9550001)
    results = tuple(one_metric(value, 0.917, 0.976, unit="share") for value in values)
    estimate = RowResults(row=row, results=results).metric("n")
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((0.917, 0.976), abs=1e-6)
    curves = [
        ProbeResult(
            curves={"c": Curve.from_arrays([1], [y], low=[0.917], high=[0.976], x_unit="", y_unit="1", what="")}
        )
        for y in values
    ]
    curve = RowResults(row=row, results=tuple(curves)).curve("c")
    assert curve is not None
    assert curve.low is not None
    assert curve.high is not None
    assert (curve.low[0], curve.high[0]) == pytest.approx((0.917, 0.976), abs=1e-5)
    # Units differ from seed to seed: their sampling error is in the spread of the seeds.
    other = RowResults(row=row, results=results, shared_error=False).metric("n")
    assert other is not None
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (other.low, other.high) == pytest.approx((low, high), abs=1e-12)


def test_a_side_without_an_end_is_left_as_it_is(row: Row) -> None:
    estimate = RowResults(row=row, results=(one_metric(3, 0, None), one_metric(5, 2, None))).metric("n")
    assert estimate is not None
    half = 12.7062 * 1
    assert (estimate.low, estimate.high) == pytest.approx((0, 4 + half), rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "values", "ends"),
    [("share", (0.4, 0.8), (0, 1)), ("steps", (1, 3), (0, None)), ("log10 of the share left", (-3, -1), (None, 0))],
)
def test_no_interval_leaves_where_its_unit_can_lie(
    row: Row, unit: str, values: tuple[float, float], ends: tuple[float | None, float | None]
) -> None:
    estimate = RowResults(row=row, results=tuple(one_metric(value, unit=unit) for value in values)).metric("n")
    mean_curve = RowResults(row=row, results=tuple(one_curve([1], [value], unit) for value in values)).curve("c")
    assert estimate is not None
    assert mean_curve is not None
    assert mean_curve.low is not None
    assert mean_curve.high is not None
    half = 12.7062 * (values[1] - values[0]) / 2
    low, high = ends
    expected = (estimate.value - half if low is None else low, estimate.value + half if high is None else high)
    assert (estimate.low, estimate.high) == pytest.approx(expected, rel=1e-4)
    assert (mean_curve.low[0], mean_curve.high[0]) == pytest.approx(expected, rel=1e-4)
    pure_number = RowResults(row=row, results=tuple(one_metric(value, unit="1") for value in values)).metric("n")
    assert pure_number is not None
    assert (pure_number.low, pure_number.high) == pytest.approx(
        (pure_number.value - half, pure_number.value + half), rel=1e-4
    )


def test_one_seed_at_its_limit_makes_the_mean_a_lower_bound(row: Row) -> None:
    estimate = RowResults(row=row, results=(one_metric(3), one_metric(9, censored=True))).metric("n")
    assert estimate is not None
    assert estimate.censored
    assert estimate.high == math.inf
    assert estimate.has_interval
    alone = RowResults(row=row, results=(one_metric(9, 8, censored=True),)).metric("n")
    assert alone is not None
    assert (alone.low, alone.high, alone.has_interval) == (8, math.inf, True)
    assert format_estimate(alone) == "≥ 9 steps [≥ 8]"
    without_interval = RowResults(row=row, results=(one_metric(9, censored=True),)).metric("n")
    assert without_interval is not None
    assert not without_interval.has_interval


def test_what_no_seed_has_is_none(row: Row) -> None:
    row_results = RowResults(row=row, results=(one_metric(None), ProbeResult(unavailable={"n": "too short"})))
    assert row_results.metric("n") is None
    assert row_results.metric("other") is None
    assert row_results.curve("c") is None
    assert row_results.label("w") is None
    assert row_results.unavailable("n") == "too short"
    assert row_results.unavailable("other") is None


def test_a_curve_is_the_mean_where_all_seeds_have_a_value(row: Row) -> None:
    results = (one_curve([1, 2, 4], [1, 2, 4]), one_curve([2, 3, 4], [4, 9, 8]), one_curve([4, 2], [12, 6]))
    mean_curve = RowResults(row=row, results=results).curve("c")
    assert mean_curve is not None
    assert mean_curve.x == (2, 4)
    assert mean_curve.y == (4, 8)
    assert mean_curve.low is not None
    assert mean_curve.high is not None
    low, high = stats.t.interval(0.95, 2, loc=4, scale=stats.sem([2, 4, 6]))
    assert (mean_curve.low[0], mean_curve.high[0]) == pytest.approx((low, high), rel=1e-5)


def test_a_curve_of_one_seed_is_itself(row: Row) -> None:
    result = one_curve([1, 2], [3, 4])
    assert RowResults(row=row, results=(result, ProbeResult())).curve("c") == result.curves["c"]


def test_curves_without_a_common_place_are_empty(row: Row) -> None:
    mean_curve = RowResults(row=row, results=(one_curve([1], [3]), one_curve([2], [4]))).curve("c")
    assert mean_curve is not None
    assert mean_curve.x == ()


def test_a_seed_without_a_value_leaves_a_gap(row: Row) -> None:
    mean_curve = RowResults(row=row, results=(one_curve([1, 2], [3, math.nan]), one_curve([1, 2], [5, 6]))).curve("c")
    assert mean_curve is not None
    assert mean_curve.y == (4, None)
    assert mean_curve.low is not None
    assert mean_curve.low[1] is None


def test_the_word_is_that_of_most_seeds(row: Row) -> None:
    results = [ProbeResult(labels={"w": word}) for word in ("exponential", "power law", "power law")]
    assert RowResults(row=row, results=tuple(results)).label("w") == "power law"
    assert RowResults(row=row, results=tuple(results[:2])).label("w") == "exponential"


def test_rows_with_a_number_come_largest_first(row: Row) -> None:
    rows = [RowResults(row=row, results=(one_metric(value),)) for value in (2, None, 5)]
    assert [estimate.value for _, estimate in rows_with_metric(rows, "n")] == [5, 2]
