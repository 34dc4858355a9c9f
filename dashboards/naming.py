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
from typing import Any, Literal

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
