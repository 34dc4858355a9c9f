"""Tables with known numbers."""

from collections.abc import Sequence
from typing import Any

from analysis.papers.metric import Metric
from analysis.papers.preset import Preset
from analysis.papers.tables import ComparisonTable, OurResult, TableRow
from analysis.published import PublishedFigure

STEPS = "train/loss < 0.001"


def ours(values: Sequence[float], seeds: int | None = None, budget: int = 10_000) -> OurResult:
    """What came out: by default every seed has a value."""
    return OurResult(values=tuple(values), seeds=len(values) if seeds is None else seeds, budget=budget)


def line(name: str, values: Sequence[float], published: str | None, seeds: int | None = None, **rest: Any) -> TableRow:
    """An architecture, without its runs."""
    figure = None if published is None else PublishedFigure.read(published)
    return TableRow(architecture=name, runs=(), ours=ours(values, seeds, **rest), published=figure)


def table(*lines: TableRow, of: str = STEPS, variant: str = "") -> ComparisonTable:
    """A table of some lines."""
    return ComparisonTable(measure=Metric.read(of), variant=variant, source=None, lines=lines, trivial_loss=None)


def preset(**rest: Any) -> Preset:
    """A preset of two architectures on a short addition, each of which takes a fraction of a second."""
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
    told: dict[str, Any] = {"name": "made", "title": "Made up", "small": {}, "sources": (), **rest}
    return Preset(full={**full, **told.pop("full", {})}, measures=tuple(map(Metric.read, measures)), **told)
