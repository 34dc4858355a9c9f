"""Probe results as JSON: read back unchanged, and refused if they were tampered with."""

import json
import math

import numpy as np
import pytest
import torch

from analysis.probes.result import Curve, Heatmap, Metric, ProbeResult
from workbench.errors import UserError


def example_result() -> ProbeResult:
    return ProbeResult(
        metrics={
            "horizon": Metric(value=620, unit="steps", what="largest lag", low=590.5, high=650, censored=True),
            "none": Metric(value=None, unit="1", what="nothing to measure"),
        },
        curves={
            "recall": Curve.from_arrays(
                [1, 2, 5],
                torch.tensor([1.0, math.nan, 1 / 3]),
                x_unit="steps",
                y_unit="share",
                what="accuracy",
                low=[0.9, 0.8, 0.3],
                high=np.array([1.0, 0.9, math.inf]),
            )
        },
        heatmaps={
            "retention": Heatmap.from_arrays(
                [[0.5, math.nan], [1.0, 0.25], [0.0, 1e-9]],
                rows=range(3),
                columns=[0, 10],
                row_name="unit",
                column_name="step",
                unit="share",
                what="what is kept",
            )
        },
        labels={"fit": "power law"},
        unavailable={"capacity": "too few samples"},
    )


def through_json(result: ProbeResult) -> ProbeResult:
    return ProbeResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))


def test_findings_come_back_as_they_were() -> None:
    assert through_json(example_result()) == example_result()


def test_values_are_kept_to_six_digits_and_what_is_no_number_is_missing() -> None:
    curve = example_result().curves["recall"]
    assert curve.y == (1.0, None, 0.333333)
    assert curve.high == (1.0, 0.9, None)
    np.testing.assert_array_equal(curve.to_array(), [1.0, math.nan, 0.333333])
    np.testing.assert_array_equal(curve.to_array("x"), [1, 2, 5])
    grid = example_result().heatmaps["retention"]
    np.testing.assert_array_equal(grid.to_array(), [[0.5, math.nan], [1.0, 0.25], [0.0, 1e-9]])


def test_a_curve_without_an_interval_has_none() -> None:
    curve = Curve.from_arrays([1, 2], [3, 4], x_unit="steps", y_unit="1", what="a line")
    assert curve.low is None
    assert np.isnan(curve.to_array("low")).all()
    assert through_json(ProbeResult(curves={"line": curve})).curves["line"] == curve


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_becomes_none(value: float) -> None:
    result = ProbeResult(metrics={"a": Metric(value=value, unit="1", what="it", low=value, high=np.float64(2))})
    number = through_json(result).metrics["a"]
    assert (number.value, number.low, number.high) == (None, None, 2.0)


def test_numbers_of_numpy_are_numbers() -> None:
    number = Metric(value=np.float32(0.5), unit="1", what="it", censored=np.bool_(True))  # type: ignore[arg-type]
    assert through_json(ProbeResult(metrics={"a": number})).metrics["a"].censored is True


@pytest.mark.parametrize(
    ("x", "y", "low"), [([1, 2], [1], None), ([1], [1], [1, 2]), ([math.nan], [1], None), ([math.inf], [1], None)]
)
def test_a_curve_that_cannot_be_drawn_is_refused(x: list[float], y: list[float], low: list[float] | None) -> None:
    with pytest.raises(ValueError, match="a line"):
        Curve.from_arrays(x, y, x_unit="steps", y_unit="1", what="a line", low=low)


@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (0, 2)])
def test_a_grid_that_does_not_fit_its_rows_and_columns_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a map"):
        Heatmap.from_arrays(
            np.zeros(shape),
            rows=range(3),
            columns=range(2),
            row_name="unit",
            column_name="step",
            unit="1",
            what="a map",
        )


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("numbers",), None),
        (("numbers",), [1]),
        (("numbers", "horizon"), 3),
        (("numbers", "horizon", "value"), "620"),
        (("numbers", "horizon", "unit"), 5),
        (("numbers", "horizon", "more"), 5),
        (("curves", "recall", "y"), [1.0]),
        (("curves", "recall", "y"), "abc"),
        (("curves", "recall", "x"), [1, None, 3]),
        (("grids", "retention", "values"), [[1.0]]),
        (("grids", "retention", "values"), 5),
        (("words", "fit"), 5),
        (("missing", "capacity"), {"a": "b"}),
    ],
)
def test_what_was_tampered_with_is_refused_in_one_line(keys: tuple[str, ...], value: object) -> None:
    plain = example_result().to_dict()
    inner = plain
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    with pytest.raises(UserError, match="not the results of a probe") as refused:
        ProbeResult.from_dict(json.loads(json.dumps(plain)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["numbers", "curves", "grids", "words", "missing"])
def test_a_part_that_is_not_there_is_refused(kind: str) -> None:
    plain = example_result().to_dict()
    del plain[kind]
    with pytest.raises(UserError, match=kind):
        ProbeResult.from_dict(plain)
