"""Finished runs, grouped for comparison: a section for each variant of a task, a row for each configuration."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Literal

from analysis.formatting import make_printable
from analysis.statistics import Mean, mean_interval
from analysis.style import LINE_STYLES, LineStyle, line_styles, restyled, variant_colors
from analysis.variant_names import (
    describe_differences,
    natural_sort_key,
    study_task,
    variant_anchors,
    variant_key,
    variant_titles,
)
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.results import Run
from workbench.study_files import Study
from workbench.tasks.floors import Floor

Role = Literal["tuned", "default", "both"]
"""Role of a configuration in a tuning study: its best trial, its default, or a default that is also the best."""

ROLE_SUFFIXES: dict[Role, str] = {
    "both": ", default (also the best)",
    "tuned": ", tuned",
    "default": ", default",
}
"""Text behind the architecture's name in a row's label, in the order of rows."""
ROLE_VARIANTS: dict[Role, int] = {"both": 0, "tuned": 0, "default": 1}
"""Variant of the architecture's line style, as in `restyled`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One configuration of one architecture, with the runs of all its seeds."""

    label: str
    """The architecture's name; if a section has it more than once, with what distinguishes this row."""
    line_style: LineStyle
    runs: tuple[Run, ...]
    """In order of seed."""
    role: Role | None = None
    """Role of the configuration in a study of the section."""

    @property
    def experiment(self) -> Experiment:
        """The configuration, with the seed of the first run."""
        return self.runs[0].experiment

    @property
    def trained_runs(self) -> tuple[Run, ...]:
        """The runs that did not diverge."""
        return tuple(run for run in self.runs if not run.diverged)

    @property
    def num_diverged(self) -> int:
        """The number of diverged runs."""
        return len(self.runs) - len(self.trained_runs)

    def result_values(self, key: str) -> tuple[Any, ...]:
        """Returns a value of `result.json`, seed by seed."""
        return tuple(run.result[key] for run in self.runs)

    def test_mean(self, metric: str) -> Mean:
        """Returns the mean of a test metric over the seeds; diverged runs are left out and counted."""
        return mean_interval(run.test_metric(metric) for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All runs on one variant of a task."""

    anchor: str
    """The section's name in links and file names."""
    title: str
    rows: tuple[Row, ...]
    studies: tuple[Study, ...] = ()
    """The studies that tuned architectures on this variant."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, row by row."""
        return tuple(run for row in self.rows for run in row.runs)

    def common_result(self, key: str) -> Any:
        """Returns a value of `result.json` that belongs to the task, not the run; `None` if the runs disagree."""
        values = {run.result[key] for run in self.runs}
        return values.pop() if len(values) == 1 else None

    @property
    def trivial_loss(self) -> float | None:
        """The loss of the best answer without memory; `None` if the runs disagree."""
        values = [run.result["trivial_loss"] for run in self.runs]
        # Losses that are computed from data may differ in the last digit from machine to machine.
        if None in values or max(values) - min(values) > 1e-9 * abs(max(values)):
            return None
        return float(values[0])

    @property
    def floors(self) -> dict[str, Floor]:
        """What cheap strategies reach, by their names; empty if no run says so, or the runs disagree."""
        known = [run.floors for run in self.runs if run.result.get("floors") is not None]
        if not known or any(other.keys() != known[0].keys() for other in known):
            return {}
        for name, floor in known[0].items():
            losses = [other[name].loss for other in known]
            if max(losses) - min(losses) > 1e-9 * abs(floor.loss):
                return {}
        return known[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the test metrics, except the loss."""
        names = {name for run in self.runs for name in run.result["test"] or {}}
        return tuple(sorted(names - {"loss"}))


def build_sections(runs: Iterable[Run], studies: Sequence[Study] = ()) -> tuple[Section, ...]:
    """Groups runs by task, its options and its source, and within these by configuration.

    Args:
        runs: the finished runs.
        studies: tuning studies; each goes to the section of its task, code and data included, and is left out if that
            has no runs.

    Raises:
        UserError: if two folders hold the same run, which would make intervals too narrow.
    """
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    names, tasks = {study.architecture for study in studies}, {}
    for run in runs:
        task = run.experiment.task
        key = variant_key(task.name, task.options, task.source)
        groups[key][run.experiment.identity].append(run)
        tasks[key] = task
        names.add(run.experiment.architecture.name)
    titles = variant_titles([*tasks.values(), *(study_task(study) for study in studies)])
    anchors, styles = variant_anchors(tasks, titles), line_styles(names)
    studies_by_variant: dict[str, list[Study]] = defaultdict(list)
    for study in sorted(studies, key=lambda study: (*catalogue_sort_key(study.architecture), study.name)):
        task = study_task(study)
        studies_by_variant[variant_key(task.name, task.options, task.source)].append(study)
    sections = []
    for key in sorted(groups, key=lambda key: (natural_sort_key(titles[key]), key)):
        configurations = [sort_by_seed(same) for same in groups[key].values()]
        roles = roles_by_identity(studies_by_variant[key])
        sections.append(
            Section(
                anchor=anchors[key],
                title=titles[key],
                rows=tuple(build_rows(configurations, styles, roles)),
                studies=tuple(studies_by_variant[key]),
            )
        )
    return tuple(sections)


def sort_by_seed(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Sorts the runs of one configuration by seed.

    Raises:
        UserError: if two of them have the same seed.
    """
    ordered = sorted(runs, key=lambda run: run.experiment.seed)
    for run, following in pairwise(ordered):
        if run.experiment.seed == following.experiment.seed:
            raise UserError(f"{run.folder} and {following.folder} hold the same run; move one of them away")
    return tuple(ordered)


def build_rows(
    groups: Iterable[tuple[Run, ...]], styles: Mapping[str, LineStyle], roles: Mapping[str, Role]
) -> Iterable[Row]:
    """Yields a labelled row for each configuration.

    Rows are in the order of the catalogue, custom architectures last; rows of one architecture that have a role come
    before the others.

    Args:
        groups: the runs of each configuration.
        styles: line style of each architecture, by name.
        roles: roles of configurations in studies, by identity.
    """
    by_name: dict[str, list[tuple[Run, ...]]] = defaultdict(list)
    for runs in groups:
        by_name[runs[0].experiment.architecture.name].append(runs)
    for name in sorted(by_name, key=catalogue_sort_key):
        # Where nothing else is in the report, colors are free to tell variants apart.
        colors = variant_colors(styles[name]) if len(styles) == 1 else ()
        used_variants: set[int] = set()
        for role, suffix in ROLE_SUFFIXES.items():
            # More than one if several sweeps have tuned the same architecture.
            with_role = [runs for runs in by_name[name] if roles.get(runs[0].experiment.identity) == role]
            for runs, difference in zip(with_role, describe_differences(with_role), strict=True):
                label = make_printable(name) + suffix + difference
                variant = next(variant for variant in count(ROLE_VARIANTS[role], 2) if variant not in used_variants)
                used_variants.add(variant)
                yield Row(label=label, line_style=restyled(styles[name], variant, colors), runs=runs, role=role)
        others = [runs for runs in by_name[name] if runs[0].experiment.identity not in roles]
        labels = [make_printable(name) + difference for difference in describe_differences(others)]
        labelled = sorted(zip(labels, others, strict=True), key=lambda pair: natural_sort_key(pair[0]))
        for variant, (label, runs) in enumerate(labelled, start=2 * len(used_variants)):
            yield Row(label=label, line_style=restyled(styles[name], variant, colors), runs=runs)


def roles_by_identity(studies: Iterable[Study]) -> dict[str, Role]:
    """Returns the roles that configurations have in studies, by the configuration's identity."""
    roles: dict[str, Role] = {}
    for study in studies:
        winner, default = study.winner_identity, study.default_identity
        if default is not None and roles.get(default) != "both":
            roles[default] = "both" if default == winner else "default"
        if winner is not None and winner != default:
            roles[winner] = "tuned"
    return roles


def catalogue_sort_key(name: str) -> tuple[int, str]:
    """Returns a sort key: the architectures of the catalogue in its order, all others after them."""
    order = list(LINE_STYLES)
    return (order.index(name) if name in order else len(order)), name
