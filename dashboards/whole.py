"""What a comparison says to W&B as a whole: its report, and every figure and table in it."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from dashboards.record import TAG, Record
from dashboards.table import Table
from workbench.errors import UserError
from workbench.files import one_line, read_yaml

ASKED = ("comparison", "sweep")
"""YAML files that say what was asked for."""
TABLES = ("comparison", "analysis", "tuning")
"""CSV files that come with a report."""
JOB = "comparison"
PAGE = "report.html"


def whole_record(out: Path, id: str) -> Record | None:  # noqa: A002
    """The comparison in a folder, as its report shows it; `None` where there is no report yet.

    Args:
        out: the folder of results.
        id: of the record in its W&B project.

    Raises:
        UserError: if a file cannot be read.
    """
    page = out / PAGE
    if not page.is_file():
        return None
    tables = {f"table/{name}": table(out / f"{name}.csv") for name in TABLES if (out / f"{name}.csv").exists()}
    config = {name: read_yaml(out / f"{name}.yaml") for name in ASKED if (out / f"{name}.yaml").exists()}
    tasks = sorted({task for asked in config.values() for task in listed(asked.get("tasks"))})
    return Record(
        id=id,
        name=f"{out.resolve().name}: report",
        group=JOB,
        job_type=JOB,
        tags=tuple(tag[:TAG] for tag in (JOB, *tasks)),
        config=config,
        tables=tables,
        images={f"figure/{path.stem}": path for path in sorted((out / "figures").glob("*.png")) if path.is_file()},
        pages={"report/page": page},
    )


def listed(names: Any) -> list[str]:
    """The names that a YAML file lists; none where it is something else."""
    return [name for name in names if isinstance(name, str) and name] if isinstance(names, list) else []


def table(path: Path) -> Table:
    """A CSV file: what looks like numbers is numbers, and what is empty is `None`.

    Raises:
        UserError: if it is none.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no readable table ({one_line(error)}); write it again: workbench report") from None
    return Table(
        columns=tuple(map(str, frame.columns)),
        rows=tuple(tuple(cell(value) for value in row) for row in frame.itertuples(index=False)),
    )


def cell(value: Any) -> Any:
    """A cell of a table as plain Python has it."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
