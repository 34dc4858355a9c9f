"""Naming scheme of everything logged to W&B: a prefix for its kind, a slash, and its name in the files of results.

=====================================  ==========================================================================
`step`                                 the x axis: optimiser steps
`train/...`, `val/...`                 columns of `metrics.csv`; the best validation value is in the summary
`test/...`                             metrics of the test set, once, at the end
`cost/...`                             parameters, state, seconds
`result/...`                           all else of `result.json`; `result/phase` is `run`, or a sweep's `trial`
`machine/...`                          device, threads, processor and versions
`trial/...`                            a sweep's trial: study, number, state, objectives, `trial/params/...`
`probe/<probe>/<number>`               numbers of `analysis.json`, with `/low`, `/high` and `/at_least` behind them
`word/<probe>/<name>`                  findings of a probe that are text
`curve/<probe>/<table>`                tables of a probe's curves
`figure/...`, `table/...`, `report/...`  of the comparison as a whole
=====================================  ==========================================================================
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from analysis.probes.result import Curve

STEP = "step"
COST = ("parameters", "state_size")
"""Keys of `result.json` that are costs."""
SECONDS = ("seconds", "seconds_per_step")
"""Keys of `timing.json` that are costs."""
Direction = Literal["min", "max"]


def history_name(column: str) -> str:
    """Returns the W&B name of a column of `metrics.csv`."""
    return f"train/{column}" if column == "learning_rate" else column


def best_direction(metric: str, criterion: str | None = None) -> Direction | None:
    """Returns whether the smallest or the largest value of a metric is the best; `None` if unknown.

    Args:
        metric: without the data set's prefix: `loss`, `accuracy`, or a custom metric.
        criterion: the task's, as in `result.json`, such as `accuracy > 0.99`.
    """
    if metric == "loss":
        return "min"
    if metric == "accuracy":
        return "max"
    comparison = re.match(rf"{re.escape(metric)}\s*([<>=])", criterion or "")
    return None if comparison is None else ("min" if comparison[1] == "<" else "max")


def result_summary(result: Mapping[str, Any], timing: Mapping[str, Any], phase: str) -> dict[str, Any]:
    """Returns the values of `result.json` and `timing.json` by their W&B names."""
    summary: dict[str, Any] = {"result/phase": phase}
    for key, value in result.items():
        if key == "test":
            summary |= {f"test/{metric}": score for metric, score in (value or {}).items()}
        elif key == "floors":
            for name, floor in (value or {}).items():
                summary |= {f"result/floors/{name.replace(' ', '_')}/{part}": floor[part] for part in floor}
        elif key == "validation":
            summary |= {f"result/validation/{metric}": score for metric, score in (value or {}).items()}
        else:
            summary[f"cost/{key}" if key in COST else f"result/{key}"] = value
    for key, value in timing.items():
        summary[f"cost/{key}" if key in SECONDS else f"machine/{key}"] = value
    return summary


def slug(text: str) -> str:
    """Returns a unit in a form that can be part of a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


class RunColumns(TypedDict):
    """Table columns that identify the run."""

    run: str
    architecture: str
    task: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbTable:
    """Rows under named columns; a cell is a number, a text or `None`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def curve_tables(curves: Mapping[str, Curve], run_columns: RunColumns) -> dict[str, WandbTable]:
    """Collects the curves of one probe of one run in tables, one table for each unit of x.

    Curves over the same unit stand side by side, with `<curve>_low` and `<curve>_high` if they have intervals, so that
    a run needs few tables; an x that a curve lacks leaves its cell empty.

    Args:
        curves: by name.
        run_columns: of the run; the same in every row.

    Returns:
        Tables with the column `x` first, by `by-<unit of x>`.
    """
    by_unit: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        by_unit.setdefault(curve.x_unit, {})[name] = curve
    return {f"by-{slug(unit)}": _curve_table(same_unit, run_columns) for unit, same_unit in by_unit.items()}


def _curve_table(curves: Mapping[str, Curve], run_columns: RunColumns) -> WandbTable:
    columns: dict[str, dict[float, float | None]] = {}
    for name, curve in curves.items():
        columns[name] = dict(zip(curve.x, curve.y, strict=True))
        for end, values in (("low", curve.low), ("high", curve.high)):
            if values is not None:
                columns[f"{name}_{end}"] = dict(zip(curve.x, values, strict=True))
    xs = sorted({x for curve in curves.values() for x in curve.x})
    return WandbTable(
        columns=("x", *columns, *run_columns),
        rows=tuple((x, *(column.get(x) for column in columns.values()), *run_columns.values()) for x in xs),
    )
