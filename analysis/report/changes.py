"""Changes from one folder of results to another: configurations that both have, and runs that should be the same."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.comparison.intervals import Scale, from_scale, loss_scale, to_scale
from analysis.grouping import Row, build_sections, catalogue_sort_key
from analysis.statistics import CONFIDENCE, mean_interval
from analysis.variant_names import flatten_config, natural_sort_key, variant_key
from workbench.errors import UserError
from workbench.results import Run, finished_runs

COMPARED_RESULTS = ("status", "steps", "diverged_at", "solved_at", "solved_at_mean50", "parameters")
"""Entries of `result.json` that are the same whenever a run is repeated, beside its scores."""
SCORES = ("test", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A configuration in one of the folders, with its runs."""

    task: str
    """The title of its section."""
    row: Row

    @property
    def key(self) -> tuple[str, str]:
        """What two configurations must share to be compared: task with options, and architecture."""
        experiment = self.row.experiment
        return variant_key(experiment.task.name, experiment.task.options), experiment.architecture.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting that differs, by its path in `config.yaml`; `None` where it is not set."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The test loss of a row relative to another's."""

    scale: Scale
    """`log`: the ratio of geometric means; `linear`, if some loss is negative: the difference of means."""
    value: float
    low: float | None
    """The lower end of the 95 % interval; `None` if there are too few seeds."""
    high: float | None

    @property
    def neutral(self) -> float:
        """The value if nothing has changed."""
        return 1.0 if self.scale == "log" else 0.0

    @property
    def is_clear(self) -> bool:
        """True if the interval does not contain the value of no change."""
        return self.low is not None and self.high is not None and not self.low <= self.neutral <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A configuration in the base and its counterpart."""

    before: Entry
    after: Entry
    settings: tuple[Setting, ...]
    """Settings that differ; none if the configurations are identical."""
    effect: Effect | None
    """`None` if one of them has no loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnequalRun:
    """Two runs of the same configuration and seed with different results."""

    task: str
    before: Run
    after: Run
    differences: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderChanges:
    """What has changed from one folder to another."""

    changes: tuple[Change, ...]
    only_before: tuple[Entry, ...]
    only_after: tuple[Entry, ...]
    num_repeated: int
    """The number of runs that both have, of the same configuration and seed."""
    unequal: tuple[UnequalRun, ...]
    """Those of them whose results differ."""


def compare_folders(base: Path, other: Path) -> FolderChanges:
    """Compares the finished runs of two folders.

    Configurations of equal identity belong together. Of the rest, those on the same variant of a task, by the same
    architecture, are paired so that as few settings as possible differ.

    Raises:
        UserError: if a folder has no finished runs, or one that cannot be read.
    """
    before, after = read_entries(base), read_entries(other)
    pairs = list(pair_entries(before, after))
    paired = {id(entry) for pair in pairs for entry in pair}
    repeated = [
        (one.task, run, same)
        for one, two in pairs
        if one.row.experiment.identity == two.row.experiment.identity
        for run in one.row.runs
        for same in two.row.runs
        if run.experiment.seed == same.experiment.seed
    ]
    unequal = (
        UnequalRun(task=task, before=run, after=same, differences=result_differences(run, same))
        for task, run, same in repeated
    )
    return FolderChanges(
        changes=tuple(
            Change(
                before=one,
                after=two,
                settings=setting_differences(one.row, two.row),
                effect=loss_effect(one.row.runs, two.row.runs),
            )
            for one, two in pairs
        ),
        only_before=tuple(entry for entry in before if id(entry) not in paired),
        only_after=tuple(entry for entry in after if id(entry) not in paired),
        num_repeated=len(repeated),
        unequal=tuple(run for run in unequal if run.differences),
    )


def read_entries(out: Path) -> list[Entry]:
    """Returns the configurations of a folder, task by task.

    Raises:
        UserError: if there are none, or a run cannot be read.
    """
    runs = list(finished_runs(out))
    if not runs:
        raise UserError(f"there are no finished runs in {out}; a comparison keeps them in {out / 'runs'}")
    return [Entry(task=section.title, row=row) for section in build_sections(runs) for row in section.rows]


def pair_entries(before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yields the configurations that belong together, in the order of tasks and of the catalogue."""
    candidates = [
        # A difference of zero is that of the same configuration.
        (len(setting_differences(one.row, two.row)), number, place)
        for number, one in enumerate(before)
        for place, two in enumerate(after)
        if one.key == two.key
    ]
    partner: dict[int, int] = {}
    for _, number, place in sorted(candidates):
        if number not in partner and place not in partner.values():
            partner[number] = place
    pairs = [(before[number], after[place]) for number, place in partner.items()]
    yield from sorted(pairs, key=lambda pair: (natural_sort_key(pair[1].task), *sort_key(pair[1])))


def sort_key(entry: Entry) -> tuple[Any, ...]:
    """Returns a sort key within a task: the order of the catalogue, then labels."""
    return *catalogue_sort_key(entry.row.experiment.architecture.name), natural_sort_key(entry.row.label)


def setting_differences(before: Row, after: Row) -> tuple[Setting, ...]:
    """Returns the settings of two configurations that differ, the seed apart, by their paths in `config.yaml`."""
    return differences(flatten_config(before.experiment), flatten_config(after.experiment))


def result_differences(before: Run, after: Run) -> tuple[Setting, ...]:
    """Returns the results of two runs that differ, by their names; no time is a result."""
    return differences(flat_results(before), flat_results(after))


def flat_results(run: Run) -> dict[str, Any]:
    """Returns the results of a run that a repetition should give again, with one flat key for each."""
    scores = {f"{split} {name}": value for split in SCORES for name, value in (run.result.get(split) or {}).items()}
    return scores | {key.replace("_", " "): run.result.get(key) for key in COMPARED_RESULTS}


def differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[Setting, ...]:
    """Returns the keys of two mappings with different values; the number 1 and the text "1" differ."""
    return tuple(
        Setting(name=key, before=before.get(key), after=after.get(key))
        for key in dict.fromkeys([*before, *after])
        if json.dumps(before.get(key), sort_keys=True) != json.dumps(after.get(key), sort_keys=True)
    )


def loss_effect(before: Sequence[Run], after: Sequence[Run]) -> Effect | None:
    """Returns the test loss of runs relative to others, with its 95 % interval; diverged runs have none.

    If the seeds with a loss are the same on both sides, they are paired: a seed means the same data in the same order,
    and mostly the same initial weights. The interval is then Student's for the mean of the seeds' differences, else
    Welch's (1947) for a difference of means; both on the scale of the losses.
    """
    first, second = seed_losses(before), seed_losses(after)
    if not first or not second:
        return None
    scale = loss_scale([*first.values(), *second.values()])
    if first.keys() == second.keys():
        paired = to_scale([second[seed] for seed in first], scale) - to_scale(list(first.values()), scale)
        mean = mean_interval(paired)
        difference, half = mean.mean, mean.half_width
    else:
        x, y = to_scale(list(first.values()), scale), to_scale(list(second.values()), scale)
        difference, half = float(y.mean() - x.mean()), welch_half_width(x, y)
    return Effect(
        scale=scale,
        value=from_scale(difference, scale),
        low=None if half is None else from_scale(difference - half, scale),
        high=None if half is None else from_scale(difference + half, scale),
    )


def seed_losses(runs: Iterable[Run]) -> dict[int, float]:
    """Returns the finite test losses by seed, in its order."""
    losses = {run.experiment.seed: run.test_metric("loss") for run in runs}
    return {seed: losses[seed] for seed in sorted(losses) if math.isfinite(losses[seed])}


def welch_half_width(x: np.ndarray, y: np.ndarray) -> float | None:
    """Returns half the width of Welch's 95 % interval for a difference of means; `None` with fewer than two values."""
    from scipy.special import stdtrit

    if min(len(x), len(y)) < 2:
        return None
    errors = np.array([values.var(ddof=1) / len(values) for values in (x, y)])
    total = float(errors.sum())
    if total == 0:
        return 0.0
    freedom = total**2 / float((errors**2 / np.array([len(x) - 1, len(y) - 1])).sum())
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * math.sqrt(total)
