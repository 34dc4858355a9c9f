"""The one scheme by which everything is called in W&B: a word for what it is, a slash, its name in the files here.

=====================================  ==========================================================================
`step`                                 the axis: optimiser steps made
`train/...`, `val/...`                 columns of `metrics.csv`; the best validation value is in the summary
`test/...`                             metrics of the test set, once, at the end
`cost/...`                             parameters, state, seconds
`result/...`                           all else of `result.json`; `result/phase` is `run`, or a sweep's `trial`
`machine/...`                          where it was trained
`trial/...`                            a sweep's trial: study, number, state, objectives, `trial/params/...`
`probe/<probe>/<number>`               numbers of `analysis.json`, with `/low`, `/high` and `/at_least` behind them
`word/<probe>/<name>`                  what is no number
`curve/<probe>/<table>`                tables of its curves
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
"""Of `result.json`."""
SECONDS = ("seconds", "seconds_per_step")
"""Of `timing.json`."""
Best = Literal["min", "max"]


def history_name(column: str) -> str:
    """What a column of `metrics.csv` is called."""
    return f"train/{column}" if column == "learning_rate" else column


def best_of(metric: str, criterion: str | None = None) -> Best | None:
    """Which value of a metric is the best one: the smallest, the largest; `None` where nobody says.

    Args:
        metric: without what it was measured on: `loss`, `accuracy`, or one of the user's own.
        criterion: the task's, as in `result.json`, such as `accuracy > 0.99`.
    """
    if metric == "loss":
        return "min"
    if metric == "accuracy":
        return "max"
    found = re.match(rf"{re.escape(metric)}\s*([<>=])", criterion or "")
    return None if found is None else ("min" if found[1] == "<" else "max")


def result_names(result: Mapping[str, Any], timing: Mapping[str, Any], phase: str) -> dict[str, Any]:
    """`result.json` and `timing.json` by the names of the scheme."""
    named: dict[str, Any] = {"result/phase": phase}
    for key, value in result.items():
        if key == "test":
            named |= {f"test/{metric}": score for metric, score in (value or {}).items()}
        elif key == "validation":
            named |= {f"result/validation/{metric}": score for metric, score in (value or {}).items()}
        else:
            named[f"cost/{key}" if key in COST else f"result/{key}"] = value
    for key, value in timing.items():
        named[f"cost/{key}" if key in SECONDS else f"machine/{key}"] = value
    return named


def slug(text: str) -> str:
    """A unit as part of a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


class RunColumns(TypedDict):
    """Columns that say which run a table is of."""

    run: str
    architecture: str
    task: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbTable:
    """Rows under named columns; a cell is a number, a text or `None`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def curve_tables(curves: Mapping[str, Curve], whose: RunColumns) -> dict[str, WandbTable]:
    """The curves of one probe of one run.

    Curves over the same unit stand side by side, with `<curve>_low` and `<curve>_high` where they have intervals, so
    that a run needs few tables; an x that a curve does not have leaves its cell empty.

    Args:
        curves: by name.
        whose: they are, the same in every row.

    Returns:
        By `by-<unit of x>`, tables with the column `x` first.
    """
    units: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        units.setdefault(curve.x_unit, {})[name] = curve
    return {f"by-{slug(unit)}": _curve_table(found, whose) for unit, found in units.items()}


def _curve_table(curves: Mapping[str, Curve], whose: RunColumns) -> WandbTable:
    columns: dict[str, dict[float, float | None]] = {}
    for name, curve in curves.items():
        columns[name] = dict(zip(curve.x, curve.y, strict=True))
        for end, values in (("low", curve.low), ("high", curve.high)):
            if values is not None:
                columns[f"{name}_{end}"] = dict(zip(curve.x, values, strict=True))
    places = sorted({x for curve in curves.values() for x in curve.x})
    return WandbTable(
        columns=("x", *columns, *whose),
        rows=tuple((x, *(column.get(x) for column in columns.values()), *whose.values()) for x in places),
    )
