"""Tables of runs: a row for each, with every option (`comparison.csv`), and a row for each step (`curves.csv`)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison.floors import reached_floor
from analysis.variant_names import identity_columns
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.results import Run

SPLITS = ("test", "validation")
"""Keys of `result.json` that hold a mapping of metrics."""
LEADING = ("task", "architecture", "identity", "seed")
"""The first columns of both tables; `hidden_size` comes next."""
SECTIONS = ("optimization", "budget", "numerics")
"""Parts of an experiment whose fields are columns such as `budget/steps`."""


KINDS = ("identity", "task", "architecture", "settings", "result", "timing", "texts")
"""The kinds of columns of a run, in their order."""


def comparison_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Returns a row for each run: what it is, every option, its results and its timing.

    Nested values have columns of their own: `hidden_size` first, then `task/length`, `architecture/num_layers`,
    `budget/steps`, `test/loss`. Values that a run does not have are missing.
    """
    metrics = sorted({name for run in runs for split in SPLITS for name in run.result.get(split) or {}})
    records = [run_record(run, metrics) for run in runs]
    # In the order of their kinds, whatever the first run has of each.
    kinds = [list(dict.fromkeys(key for record in records for key in record[kind])) for kind in range(len(KINDS))]
    rows = [{key: value for part in record for key, value in part.items()} for record in records]
    # Integer columns stay integer even if some runs have no value.
    return pd.DataFrame(rows, columns=[key for keys in kinds for key in keys]).convert_dtypes()


def run_record(run: Run, metrics: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Returns the columns of a run, by kind, with one for each of the metrics in every split."""
    experiment = run.experiment
    identity = identity_columns(experiment)
    leading = {key: identity.pop(key) for key in LEADING}
    return (
        {**leading, "hidden_size": experiment.architecture.options.get("hidden_size")},
        option_columns("task", experiment.task.options),
        option_columns("architecture", without_width(experiment)),
        setting_columns(experiment),
        {key: value for key, value in run.result.items() if key not in (*SPLITS, *leading, "floors")}
        | floor_columns(run)
        | {f"{split}/{name}": (run.result.get(split) or {}).get(name) for split in SPLITS for name in metrics},
        run.timing,
        identity,
    )


def floor_columns(run: Run) -> dict[str, Any]:
    """Returns the floors of the task as JSON, and the name of the one that the run is at; nothing if there are none."""
    return {"floors": to_cell(run.result["floors"]), "floor": reached_floor(run)} if run.floors else {}


def without_width(experiment: Experiment) -> dict[str, Any]:
    """Returns the options of an architecture except its width, which is a column of all."""
    return {key: value for key, value in experiment.architecture.options.items() if key != "hidden_size"}


def option_columns(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a column for each option of a task or an architecture; lists and mappings as JSON."""
    return {f"{kind}/{key}": to_cell(value) for key, value in options.items()}


def setting_columns(experiment: Experiment) -> dict[str, Any]:
    """Returns a column for each setting of the optimisation, the budget and the numerics, defaults included."""
    columns: dict[str, Any] = {"embedding_size": experiment.embedding_size}
    for section in SECTIONS:
        columns |= {f"{section}/{key}": to_cell(value) for key, value in asdict(getattr(experiment, section)).items()}
    return columns


def to_cell(value: Any) -> Any:
    """Returns a value as a cell of a table holds it."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | tuple | Mapping) else value


def curves_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Returns a row for each run and step that was logged: what the run is, and the columns of its `metrics.csv`.

    Raises:
        UserError: if the metrics of a run cannot be read.
    """
    tables, leading = [], []
    for run in runs:
        path = run.folder / "metrics.csv"
        if not path.exists():
            continue
        try:
            # By Python, to the last digit, as which version of pandas reads it depends.
            metrics = pd.read_csv(path, dtype=str).map(float)
        except (OSError, ValueError, pd.errors.EmptyDataError) as error:
            raise UserError(f"{path} is not readable: {describe_error(error)}") from None
        columns = identity_columns(run.experiment)
        width = run.experiment.architecture.options.get("hidden_size")
        leading.append({**{key: columns[key] for key in LEADING}, "hidden_size": width})
        tables.append(metrics.astype({"step": int}))
    if not tables:
        return pd.DataFrame(columns=[*LEADING, "hidden_size", "step"])
    logged = pd.concat(tables, ignore_index=True)
    of_run = np.repeat(np.arange(len(tables)), [len(metrics) for metrics in tables])
    table = pd.concat([pd.DataFrame(leading).iloc[of_run].reset_index(drop=True), logged], axis=1)
    # An architecture may have no width.
    return table.astype({"hidden_size": "Int64"})
