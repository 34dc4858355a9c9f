"""Presets: a task with its settings at each scale, its metrics, and what is known of its source."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.presets.metric import Metric
from workbench.comparison import Comparison
from workbench.config import Experiment, Numerics
from workbench.errors import UserError
from workbench.validation import check_int, check_number

Scale = Literal["full", "long", "small"]
"""The paper's setting; the same with what makes training cheaper, such as narrower models and smaller batches; or one
with short sequences too, which trains in minutes."""
Settings = Mapping[str, Any]
"""Settings with the keys of `workbench compare --config`; under `each`, more of them by row; under `over`, the values
of one option of the task, if the table has several variants; `rates` and `rate_seeds`, the grid of learning rates."""
RATE_SEEDS = 2
"""Number of seeds that each rate of a grid is tried with, unless the settings say otherwise."""
OWN_KEYS = ("each", "over", "rates", "rate_seeds", "base")
"""Keys of the settings that are a preset's own, and not those of a comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run of a table, and its place in it."""

    row: str
    """Label of the row: the architecture's name, or the name under `each` of a row whose `base` is an architecture."""
    variant: int
    """Place of the variant, counted from 0."""
    experiment: Experiment
    rates: tuple[float, ...] = ()
    """Learning rates to choose from, if the row has a grid; the experiment's own is then only a placeholder."""
    rate_seeds: int = RATE_SEEDS
    """Number of seeds that each rate is tried with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A task with its settings: a table of a paper, or a task of a suite.

    Args:
        name: name of its file.
        title: title of the table.
        sources: sources of the figures to compare with, as in analysis/published.yaml.
        full: the paper's setting.
        long: what differs at the long scale.
        small: what differs from the paper's setting at the small scale.
        factor: factor within which a figure of ours agrees with a published one.
        measures: the metrics; the first decides whether the page agrees with the paper.
        unlike: where the setting differs from the source's, or may differ, in sentences.
        found: what was found out about disagreements, in sentences, by scale.
        history: changes of the setting after it was first run, with their reasons, in sentences.
        of: other presets, for a figure that is drawn from their runs.
        numerics: precision and random numbers of the runs, which no paper and no file states.
    """

    name: str
    title: str
    sources: tuple[str, ...] = ()
    full: Settings = field(default_factory=dict)
    long: Settings = field(default_factory=dict)
    small: Settings = field(default_factory=dict)
    factor: float = 1.5
    measures: tuple[Metric, ...] = ()
    unlike: tuple[str, ...] = ()
    found: Mapping[Scale, Sequence[str]] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    numerics: Numerics = field(default_factory=Numerics)

    def page_name(self, scale: Scale) -> str:
        """Returns the name of the page, without a suffix."""
        return f"{self.name}-{scale}{numerics_suffix(self.numerics)}"

    def settings(self, scale: Scale) -> dict[str, Any]:
        """Returns the settings at a scale, with those of single architectures under `each`."""
        changes: Mapping[Scale, Settings] = {"full": {}, "long": self.long, "small": self.small}
        settings = overlay(self.full, changes[scale])
        return {**settings, **self.numerics.non_defaults}

    def plan(self, scale: Scale, seeds: int | None = None) -> list[PlannedRun]:
        """Returns all runs of the table, seed by seed, so that early results include every row.

        Args:
            scale: the paper's setting, or another one.
            seeds: number of seeds; by default that of the preset.

        Raises:
            UserError: if a data file is missing, or a setting is invalid.
        """
        planned = [
            run
            for variant, options in enumerate(self.variants(scale))
            for run in self._plan_variant(variant, options, scale, seeds)
        ]
        return sorted(planned, key=lambda run: run.experiment.seed)

    def experiments(self, scale: Scale, seeds: int | None = None) -> list[Experiment]:
        """Returns the experiments of the plan."""
        return [run.experiment for run in self.plan(scale, seeds)]

    def variants(self, scale: Scale) -> list[dict[str, Any]]:
        """Returns the task options of each variant of the table."""
        over: Mapping[str, Sequence[Any]] = self.settings(scale).get("over", {})
        return [{key: value} for key, values in over.items() for value in values] or [{}]

    def _plan_variant(
        self, variant: int, options: Mapping[str, Any], scale: Scale, seeds: int | None
    ) -> Iterator[PlannedRun]:
        settings = self.settings(scale)
        each: Mapping[str, Settings] = settings.pop("each", {})
        settings.pop("over", None)
        (task,) = settings["tasks"]
        settings = overlay(settings, {"task": {task: options}} if options else {})
        if seeds is not None:
            settings["seeds"] = seeds
        for row in settings["architectures"]:
            # A comparison for each row, as one may have its own optimizer.
            single = overlay(settings, each.get(row, {}))
            name = single.get("base", row)
            single["architectures"] = [name]
            # An option of the architecture that follows the variant.
            over = {key: values[variant] for key, values in single.get("over", {}).items()}
            if over:
                single = overlay(single, {"architecture": {name: over}})
            for kind in ("architecture", "task"):
                single[kind] = {key: value for key, value in single.get(kind, {}).items() if key in (name, task)}
            rates, rate_seeds = read_rates(single, self.name)
            comparison = {key: value for key, value in single.items() if key not in OWN_KEYS}
            for experiment in Comparison.from_dict(comparison).experiments():
                yield PlannedRun(row=row, variant=variant, experiment=experiment, rates=rates, rate_seeds=rate_seeds)


def read_rates(settings: Settings, preset: str) -> tuple[tuple[float, ...], int]:
    """Returns the grid of learning rates of a row, empty if it has none, and the number of seeds to try each with.

    Raises:
        UserError: if one of them is invalid.
    """
    rates, seeds = settings.get("rates", ()), settings.get("rate_seeds", RATE_SEEDS)
    if not isinstance(rates, list | tuple) or len(set(map(repr, rates))) != len(rates):
        raise UserError(f"preset {preset}: rates must be a list of different learning rates, not {rates!r}")
    for rate in rates:
        check_number("rates", rate, above=0)
    check_int("rate_seeds", seeds, least=1)
    return tuple(map(float, rates)), seeds


def numerics_suffix(numerics: Numerics) -> str:
    """Returns the suffix of pages with other than the default numerics: `-bf16`, `-bf16-drawn-on-device`."""
    changed = numerics.non_defaults
    return f"-{numerics.precision}" * ("precision" in changed) + f"-drawn-on-{numerics.draw}" * ("draw" in changed)


def overlay(settings: Settings, changes: Settings) -> dict[str, Any]:
    """Returns settings with changes applied: mappings key by key, everything else as a whole.

    `each` is replaced as a whole too: what one scale sets for an architecture does not apply to the other scale.
    """
    merged = dict(settings)
    for key, value in changes.items():
        are_mappings = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = overlay(merged[key], value) if are_mappings and key != "each" else value
    return merged
