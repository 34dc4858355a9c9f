"""Comparison tables and presets with known numbers."""

from collections.abc import Sequence
from typing import Any

from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.presets.metric import Metric
from analysis.presets.preset import Preset
from analysis.published_figures import PublishedFigure

STEPS = "train/loss < 0.001"


def our_result(values: Sequence[float], seeds: int | None = None, budget: int = 10_000) -> OurResult:
    """Returns our result; by default every seed has a value."""
    return OurResult(values=tuple(values), seeds=len(values) if seeds is None else seeds, budget=budget)


def table_row(
    name: str, values: Sequence[float], published: str | None, seeds: int | None = None, **rest: Any
) -> TableRow:
    """Returns the row of an architecture, without its runs."""
    figure = None if published is None else PublishedFigure.parse(published)
    return TableRow(architecture=name, runs=(), ours=our_result(values, seeds, **rest), published=figure)


def comparison_table(*rows: TableRow, of: str = STEPS, variant: str = "", factor: float = 1.5) -> ComparisonTable:
    """Returns a table of some rows."""
    return ComparisonTable(
        metric=Metric.parse(of), variant=variant, source=None, rows=rows, trivial_loss=None, factor=factor
    )


def example_preset(**rest: Any) -> Preset:
    """Returns a preset of two architectures on a short addition task, which trains in a fraction of a second."""
    full: dict[str, Any] = {
        "tasks": ["addition"],
        "architectures": ["gru", "rwa"],
        "seeds": 2,
        "hidden_size": 5,
        "batch_size": 4,
        "steps": 20,
        "log_every": 5,
        "evaluation_size": 10,
        "task": {"addition": {"length": 8}},
    }
    measures = rest.pop("measures", (STEPS, "test/loss"))
    values: dict[str, Any] = {"name": "made", "title": "Made up", "small": {}, "sources": (), **rest}
    return Preset(full={**full, **values.pop("full", {})}, measures=tuple(map(Metric.parse, measures)), **values)
