"""Comparison tables: the results of a preset's finished runs beside the figures of its sources."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.comparison.losses import UNLEARNED
from analysis.presets.metric import Metric
from analysis.presets.preset import PlannedRun, Preset, Scale
from analysis.presets.rates import RateChoice
from analysis.published_figures import PublishedFigure, PublishedSource, catalogue_name, find_published
from analysis.statistics import Mean, mean_interval
from workbench import tasks
from workbench.config import Part
from workbench.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OurResult:
    """Values of one metric for one architecture, over the seeds."""

    values: tuple[float, ...]
    """Values of the seeds that have one."""
    seeds: int
    """Number of finished seeds."""
    budget: int
    """Steps of a seed at most."""
    num_diverged: int = 0
    """Number of seeds that diverged."""
    resolution: float = 0.0
    """Resolution of the values: goals on the validation set are checked only once per row of metrics, and a share of
    right answers is a multiple of one answer."""
    answers: int | None = None
    """Sequences of the test set, each of which counts as one answer behind a share; `None` of old pages."""
    num_lucky: int = 0
    """Number of seeds that met a goal on one training batch without having learned anything; they have no value."""
    parameters: int | None = None
    """Number of learned numbers; `None` of old pages, or if no seed is finished."""

    @property
    def mean(self) -> Mean:
        """Mean over the seeds that have a value."""
        return mean_interval(self.values)

    @property
    def censored_steps(self) -> list[float | None]:
        """Number of steps of each seed, `None` for those that did not reach the goal."""
        return [*self.values, *[None] * (self.seeds - len(self.values))]

    @property
    def complete(self) -> bool:
        """True if there are finished seeds, and all of them have a value."""
        return len(self.values) == self.seeds > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """An architecture in one table."""

    architecture: str
    runs: tuple[Run, ...]
    """The finished runs, in order of seed."""
    ours: OurResult
    published: PublishedFigure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTable:
    """One metric on one variant of the task."""

    metric: Metric
    variant: str
    """The options that distinguish the variant, such as `length 50`; empty if the preset has only one."""
    source: PublishedSource | None
    rows: tuple[TableRow, ...]
    trivial_loss: float | None
    """Trivial loss of the task as it was run; `None` if no run is finished."""
    published_variant: str = ""
    """`variant` in the paper's setting."""
    published_trivial_loss: float | None = None
    """Trivial loss of the task in the paper's setting, if the published figures are losses."""
    factor: float = 1.5
    """Factor within which a figure agrees with a published one."""
    same_task: bool = True
    """False if the task was not run as the source has it: over shorter sequences, an order may be another."""
    edge_rates: tuple[str, ...] = ()
    """Rows whose learning rate is the first or the last of its grid, so that a better one may lie beyond it."""


def build_tables(
    preset: Preset,
    scale: Scale,
    planned: Sequence[PlannedRun],
    runs: Sequence[Run],
    choices: Sequence[RateChoice] = (),
) -> list[ComparisonTable]:
    """Returns a table for each variant and metric, in the order of the preset's metrics.

    Args:
        preset: the preset, which must not be a figure of other presets.
        scale: the paper's setting, or the small one.
        planned: all runs of the preset at this scale.
        runs: the finished runs.
        choices: the learning rates that were chosen.
    """
    runs_by_key = {(run.experiment.identity, run.experiment.seed): run for run in runs}
    tables = []
    for variant, (options, paper_options, sources, part) in enumerate(
        zip(
            preset.variants(scale),
            preset.variants("full"),
            sources_by_variant(preset),
            published_variants(preset),
            strict=True,
        )
    ):
        own = [run for run in planned if run.variant == variant]
        for metric in preset.measures:
            source = next((entry for entry in sources if entry.of == metric.text), None)
            rows = tuple(build_rows(own, runs_by_key, metric, source))
            losses = [run.result["trivial_loss"] for row in rows for run in row.runs]
            is_loss = source is not None and metric.text == "test/loss"
            tables.append(
                ComparisonTable(
                    metric=metric,
                    variant=describe_options(options),
                    source=source,
                    rows=rows,
                    trivial_loss=losses[0] if losses else None,
                    published_variant=describe_options(paper_options),
                    factor=preset.factor,
                    published_trivial_loss=tasks.build(part.name, **part.options).trivial_loss if is_loss else None,
                    same_task=source is None or all(source.matches(run.experiment.task) for run in own),
                    edge_rates=tuple(c.row for c in choices if c.variant == variant and c.is_at_edge),
                )
            )
    return sorted(tables, key=lambda table: preset.measures.index(table.metric))


def describe_options(options: Mapping[str, Any]) -> str:
    """Returns the options of a variant in words."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())


def build_rows(
    planned: Sequence[PlannedRun],
    runs_by_key: Mapping[tuple[str, int], Run],
    metric: Metric,
    source: PublishedSource | None,
) -> Iterator[TableRow]:
    """Yields the rows of a table, in the order of the preset's rows.

    Args:
        planned: the runs of one variant.
        runs_by_key: the finished runs, by identity and seed.
        metric: the metric of the table.
        source: the published figures, if there are any.
    """
    for name in dict.fromkeys(run.row for run in planned):
        own = [run.experiment for run in planned if run.row == name]
        keys = [(experiment.identity, experiment.seed) for experiment in own]
        runs = tuple(runs_by_key[key] for key in keys if key in runs_by_key)
        values = [seed_value(metric, run) for run in runs]
        # A row by another name than its architecture's is not what the source means by it.
        is_published = source is not None and own[0].architecture.name == name
        yield TableRow(
            architecture=name,
            runs=runs,
            ours=OurResult(
                values=tuple(value for value in values if value is not None and math.isfinite(value)),
                seeds=len(runs),
                budget=own[0].budget.steps,
                num_diverged=sum(run.diverged for run in runs),
                resolution=own[0].budget.log_every if metric.is_per_row else share_of_an_answer(metric, runs),
                answers=own[0].budget.evaluation_size,
                num_lucky=sum(was_lucky(metric, run) for run in runs),
                parameters=max((run.result["parameters"] for run in runs), default=None),
            ),
            published=source.figures.get(catalogue_name(own[0].architecture)) if source and is_published else None,
        )


def seed_value(metric: Metric, run: Run) -> float | None:
    """Returns the value of a run; `None` if it has none, or met its goal by luck alone."""
    return None if was_lucky(metric, run) else metric.evaluate(run)


def was_lucky(metric: Metric, run: Run) -> bool:
    """Returns whether a run met a goal on one training batch, and nothing that was measured says that it had learned.

    Of two classes, a batch of 20 is all right by chance once in a million steps, which ten runs of 2,500 steps meet in
    one case of forty. A run has learned if its loss on the test set at the end, or in any row of metrics that on the
    validation set or the mean over training batches, is below 95 % of the trivial one.
    """
    if metric.goal is None or metric.goal.split != "train" or metric.evaluate(run) is None:
        return False
    rows = run.metrics()
    losses = [run.test_metric("loss"), *(rows[name].min() for name in ("train/loss", "val/loss") if name in rows)]
    return bool(min(losses) >= UNLEARNED * run.result["trivial_loss"])


def share_of_an_answer(metric: Metric, runs: Sequence[Run]) -> float:
    """Returns the share of the test set that one answer is, or less, if a metric is a share of right answers; else 0.

    Where every step has an answer, some may count for nothing, so that a share may be coarser.
    """
    if metric.less_is_better or not runs:
        return 0.0
    experiment = runs[0].experiment
    several = tasks.load(experiment.task.name).readout == "every"
    return 1 / (experiment.budget.evaluation_size * (runs[0].result["time"] if several else 1))


def sources_by_variant(preset: Preset) -> list[list[PublishedSource]]:
    """Returns what the preset's sources report for each variant of the paper's setting."""
    return [
        [entry for entry in find_published(part) if entry.source in preset.sources]
        for part in published_variants(preset)
    ]


def published_variants(preset: Preset) -> list[Part]:
    """Returns the task of each variant of the paper's setting, without building it, as its data may be missing."""
    (name,) = preset.full["tasks"]
    defaults = {key: item.default for key, item in tasks.options(name).items()}
    settings: dict[str, Any] = preset.full.get("task", {}).get(name, {})
    return [Part(name=name, options={**defaults, **settings, **options}) for options in preset.variants("full")]
