"""What a preset's finished runs come to, beside what its sources have."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.papers.metric import Metric
from analysis.papers.preset import Preset, Scale
from analysis.published import PublishedFigure, PublishedSource, catalogue_name, published_for
from analysis.statistics import Mean, mean_interval
from workbench import tasks
from workbench.config import Experiment, Part
from workbench.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OurResult:
    """One measure of one architecture, over the seeds."""

    values: tuple[float, ...]
    """Of the seeds that have one."""
    seeds: int
    """All that are finished."""
    budget: int
    """The most steps that a seed could have made."""
    diverged: int = 0
    """Those whose loss stopped being a number."""
    grain: float = 0.0
    """How finely it is counted: goals on the validation set are looked at once a row of metrics."""

    @property
    def mean(self) -> Mean:
        """Over the seeds that have a value."""
        return mean_interval(self.values)

    @property
    def complete(self) -> bool:
        """Whether every finished seed has a value."""
        return len(self.values) == self.seeds > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """An architecture in one table."""

    architecture: str
    runs: tuple[Run, ...]
    """Those that are finished, by seed."""
    ours: OurResult
    published: PublishedFigure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTable:
    """One measure on one variant of the task."""

    measure: Metric
    variant: str
    """What tells it from the others of the preset, as `length 50`; empty where there is only one."""
    source: PublishedSource | None
    lines: tuple[TableRow, ...]
    trivial_loss: float | None
    """Of the task as it was run; `None` where nothing is finished."""
    published_variant: str = ""
    """What `variant` is in the paper's setting."""
    published_trivial_loss: float | None = None
    """Of the task in the paper's setting, where losses are what is published."""


def tables(
    preset: Preset, scale: Scale, experiments: Sequence[Experiment], runs: Sequence[Run]
) -> list[ComparisonTable]:
    """A table for each variant and measure, measures in the preset's order.

    Args:
        preset: what was asked for, with runs of its own.
        scale: at which.
        experiments: all of its runs.
        runs: those that are finished.
    """
    found = {(run.experiment.identity, run.experiment.seed): run for run in runs}
    of_variant: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        of_variant[repr(sorted(experiment.task.options.items()))].append(experiment)
    made = []
    for same, options, theirs, published, part in zip(
        of_variant.values(),
        preset.variants(scale),
        preset.variants("full"),
        sources(preset),
        published_variants(preset),
        strict=True,
    ):
        for measure in preset.measures:
            source = next((entry for entry in published if entry.of == measure.text), None)
            lines = tuple(table_rows(same, found, measure, source))
            losses = [run.result["trivial_loss"] for line in lines for run in line.runs]
            is_loss = source is not None and measure.text == "test/loss"
            made.append(
                ComparisonTable(
                    measure=measure,
                    variant=describe_options(options),
                    source=source,
                    lines=lines,
                    trivial_loss=losses[0] if losses else None,
                    published_variant=describe_options(theirs),
                    published_trivial_loss=tasks.build(part.name, **part.options).trivial_loss if is_loss else None,
                )
            )
    return sorted(made, key=lambda table: preset.measures.index(table.measure))


def describe_options(options: Mapping[str, Any]) -> str:
    """What tells a variant from others."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())


def table_rows(
    experiments: Sequence[Experiment],
    found: Mapping[tuple[str, int], Run],
    measure: Metric,
    source: PublishedSource | None,
) -> Iterator[TableRow]:
    """The lines of a table, in the order in which the preset names its architectures."""
    for name in dict.fromkeys(experiment.architecture.name for experiment in experiments):
        mine = [each for each in experiments if each.architecture.name == name]
        runs = tuple(found[key] for each in mine if (key := (each.identity, each.seed)) in found)
        known = [value for run in runs if (value := measure.of(run)) is not None and math.isfinite(value)]
        yield TableRow(
            architecture=name,
            runs=runs,
            ours=OurResult(
                values=tuple(known),
                seeds=len(runs),
                budget=mine[0].budget.steps,
                diverged=sum(run.diverged for run in runs),
                grain=mine[0].budget.log_every if measure.by_rows else 0.0,
            ),
            published=None if source is None else source.figures.get(catalogue_name(mine[0].architecture)),
        )


def sources(preset: Preset) -> list[list[PublishedSource]]:
    """What the preset's sources have of each variant of the paper's setting."""
    return [
        [entry for entry in published_for(part) if entry.source in preset.sources]
        for part in published_variants(preset)
    ]


def published_variants(preset: Preset) -> list[Part]:
    """The task of each variant of the paper's setting. It is not built: its data need not be here."""
    (name,) = preset.full["tasks"]
    defaults = {key: item.default for key, item in tasks.options(name).items()}
    given: dict[str, Any] = preset.full.get("task", {}).get(name, {})
    return [Part(name=name, options={**defaults, **given, **options}) for options in preset.variants("full")]
