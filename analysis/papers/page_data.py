"""Tables of a page as JSON, so that claims can be judged from committed pages, without the runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.papers.tables import ComparisonTable, OurResult, TableRow, seed_value
from analysis.presets.metric import Metric
from analysis.published_figures import PublishedFigure
from workbench.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """What a page's JSON file holds of its tables."""

    tables: tuple[ComparisonTable, ...]
    """The tables, without their runs and sources."""
    seconds: Mapping[tuple[str, str], tuple[float, ...]]
    """Seconds a training step of each seed, by variant and row."""


def dump_tables(tables: Sequence[ComparisonTable]) -> list[dict[str, Any]]:
    """Returns tables as plain values, every seed with its own: `None` if it has none, as it never reached the goal."""
    return [
        {
            "measure": table.metric.text,
            "variant": table.variant,
            "factor": table.factor,
            "trivial_loss": table.trivial_loss,
            "published_trivial_loss": table.published_trivial_loss,
            "same_task": table.same_task,
            "edge_rates": list(table.edge_rates),
            "rows": [dump_row(row, table) for row in table.rows],
        }
        for table in tables
    ]


def dump_row(row: TableRow, table: ComparisonTable) -> dict[str, Any]:
    """Returns a row as plain values, its seeds in order."""
    values = [seed_value(table.metric, run) for run in row.runs]
    return {
        "architecture": row.architecture,
        "published": None if row.published is None else row.published.text,
        "values": [value if value is not None and math.isfinite(value) else None for value in values],
        "diverged": row.ours.num_diverged,
        "budget": row.ours.budget,
        "resolution": row.ours.resolution,
        "answers": row.ours.answers,
        "lucky": row.ours.num_lucky,
        "parameters": row.ours.parameters,
        "seconds_per_step": [
            float(run.timing["seconds_per_step"]) for run in row.runs if run.timing.get("seconds_per_step") is not None
        ],
    }


def load_tables(content: Mapping[str, Any], name: str) -> PageData | None:
    """Returns the tables of a page's JSON file; `None` if it is older than such tables.

    Args:
        content: the content of the file.
        name: the file, for the message.

    Raises:
        UserError: if the tables are not as `dump_tables` writes them.
    """
    if "tables" not in content:
        return None
    try:
        if any("edge_rates" not in values for values in content["tables"]):
            return None
        tables = tuple(_load_table(values) for values in content["tables"])
        seconds = {
            (values["variant"], row["architecture"]): tuple(float(number) for number in row["seconds_per_step"])
            for values in content["tables"]
            for row in values["rows"]
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UserError):
        raise UserError(f"{name} was not written by workbench reproduce; move it away") from None
    return PageData(tables=tables, seconds=seconds)


def _load_table(values: Mapping[str, Any]) -> ComparisonTable:
    return ComparisonTable(
        metric=Metric.parse(values["measure"]),
        variant=str(values["variant"]),
        source=None,
        rows=tuple(_load_row(row) for row in values["rows"]),
        trivial_loss=_optional(values["trivial_loss"]),
        published_trivial_loss=_optional(values["published_trivial_loss"]),
        factor=float(values["factor"]),
        same_task=bool(values["same_task"]),
        edge_rates=tuple(_names(values["edge_rates"])),
    )


def _load_row(values: Mapping[str, Any]) -> TableRow:
    seeds = list(values["values"])
    return TableRow(
        architecture=str(values["architecture"]),
        runs=(),
        ours=OurResult(
            values=tuple(float(value) for value in seeds if value is not None),
            seeds=len(seeds),
            budget=int(values["budget"]),
            num_diverged=int(values["diverged"]),
            resolution=float(values["resolution"]),
            answers=_count(values["answers"]),
            num_lucky=int(values["lucky"]),
            parameters=_count(values["parameters"]),
        ),
        published=None if values["published"] is None else PublishedFigure.parse(values["published"]),
    )


def _names(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError("no list")
    return [str(name) for name in values]


def _count(value: Any) -> int | None:
    if value is not None and int(value) < 1:
        raise ValueError("less than one")
    return None if value is None else int(value)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
