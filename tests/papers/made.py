"""Tables with known numbers."""

from collections.abc import Sequence
from typing import Any

from analysis.quoted import Quoted
from papers.measure import Measure
from papers.preset import Preset
from papers.table import Line, Ours, Table

STEPS = "train/loss < 0.001"


def ours(values: Sequence[float], seeds: int | None = None, budget: int = 10_000) -> Ours:
    """What came out: by default every seed has a value."""
    return Ours(values=tuple(values), seeds=len(values) if seeds is None else seeds, budget=budget)


def line(name: str, values: Sequence[float], published: str | None, seeds: int | None = None, **rest: Any) -> Line:
    """An architecture, without its runs."""
    figure = None if published is None else Quoted.read(published)
    return Line(architecture=name, runs=(), ours=ours(values, seeds, **rest), published=figure)


def table(*lines: Line, of: str = STEPS, variant: str = "") -> Table:
    """A table of some lines."""
    return Table(measure=Measure.read(of), variant=variant, source=None, lines=lines, trivial_loss=None)


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
    return Preset(full={**full, **told.pop("full", {})}, measures=tuple(map(Measure.read, measures)), **told)
