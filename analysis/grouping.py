"""Finished runs, grouped for comparison: a section for each variant of a task, a row for each configuration."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Literal

from analysis.formatting import make_printable
from analysis.statistics import Mean, mean_interval
from analysis.style import LINE_STYLES, LineStyle, line_styles, restyled
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.results import Run
from workbench.study_files import Study

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
    def metrics(self) -> tuple[str, ...]:
        """The names of the test metrics, except the loss."""
        names = {name for run in self.runs for name in run.result["test"] or {}}
        return tuple(sorted(names - {"loss"}))


def build_sections(runs: Iterable[Run], studies: Sequence[Study] = ()) -> tuple[Section, ...]:
    """Groups runs by task and its options, and within these by configuration.

    Args:
        runs: the finished runs.
        studies: tuning studies; each goes to the section of its task, and is left out if that has no runs.

    Raises:
        UserError: if two folders hold the same run, which would make intervals too narrow.
    """
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    names, titles = {study.architecture for study in studies}, {}
    for run in runs:
        task = run.experiment.task
        key = variant_key(task.name, task.options)
        groups[key][run.experiment.identity].append(run)
        titles[key] = task_title(task.name, task.options)
        names.add(run.experiment.architecture.name)
    anchors, styles = make_anchors(titles), line_styles(names)
    studies_by_variant: dict[str, list[Study]] = defaultdict(list)
    for study in sorted(studies, key=lambda study: (*catalogue_sort_key(study.architecture), study.name)):
        studies_by_variant[variant_key(study.task, study.task_options)].append(study)
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
        used_variants: set[int] = set()
        for role, suffix in ROLE_SUFFIXES.items():
            # More than one if several sweeps have tuned the same architecture.
            with_role = [runs for runs in by_name[name] if roles.get(runs[0].experiment.identity) == role]
            configs = [flatten_config(runs[0].experiment) for runs in with_role]
            for runs, config in zip(with_role, configs, strict=True):
                label = make_printable(name) + suffix
                if len(with_role) > 1:
                    label += describe_difference(config, configs)
                variant = next(variant for variant in count(ROLE_VARIANTS[role], 2) if variant not in used_variants)
                used_variants.add(variant)
                yield Row(label=label, line_style=restyled(styles[name], variant), runs=runs, role=role)
        others = [runs for runs in by_name[name] if runs[0].experiment.identity not in roles]
        configs = [flatten_config(runs[0].experiment) for runs in others]
        labels = [make_printable(name) + describe_difference(config, configs) for config in configs]
        labelled = sorted(zip(labels, others, strict=True), key=lambda pair: natural_sort_key(pair[0]))
        for variant, (label, runs) in enumerate(labelled, start=2 * len(used_variants)):
            yield Row(label=label, line_style=restyled(styles[name], variant), runs=runs)


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


def make_anchors(titles: Mapping[str, str]) -> dict[str, str]:
    """Returns an anchor for each key: its title in lower-case letters, digits and hyphens, with a hash if ambiguous."""
    slugs = {key: re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "task" for key, title in titles.items()}
    return {
        key: f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:6]}" if list(slugs.values()).count(slug) > 1 else slug
        for key, slug in slugs.items()
    }


def variant_key(task: str, options: Mapping[str, Any]) -> str:
    """Returns a key of a variant of a task: JSON, so that the number 1 and the text "1" are two options."""
    return json.dumps([task, options], sort_keys=True)


def task_title(name: str, options: Mapping[str, Any]) -> str:
    """Returns the heading of a section: a task with its options.

    Example:
        >>> task_title("addition", {"length": 100})
        'addition, length=100'
    """
    return make_printable(", ".join([name, *(f"{key}={format_option(value)}" for key, value in options.items())]))


def format_option(value: Any) -> str:
    """Formats the value of an option: strings unchanged, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten_config(experiment: Experiment) -> dict[str, Any]:
    """Returns the configuration, except for the seed, with one flat key for each value: `budget.steps`, ..."""
    flat: dict[str, Any] = {}

    def walk(values: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(experiment.to_dict(), "")
    del flat["seed"]
    return flat


def describe_difference(config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> str:
    """Returns the values of a configuration that differ among several: ` (hidden_size=100)`, or nothing."""
    keys = sorted({key for other in configs for key in other})
    differing = [key for key in keys if len({json.dumps(other.get(key)) for other in configs}) > 1]
    parts = [f"{key.rpartition('.')[2]}={format_option(config[key])[:16]}" for key in differing if key in config]
    return make_printable(f" ({', '.join(parts)})") if parts else ""


def natural_sort_key(text: str) -> list[tuple[float, str]]:
    """Returns a sort key that compares numbers by value: `length=100` is between `length=20` and `length=1000`."""
    parts = re.split(r"([0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?)", text)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]


def study_labels(studies: Sequence[Study]) -> list[str]:
    """Returns a label for each study: its architecture, or its own name if several tuned the same architecture."""
    names = [study.architecture for study in studies]
    return [
        make_printable(study.name if names.count(study.architecture) > 1 else study.architecture) for study in studies
    ]


def identity_columns(experiment: Experiment) -> dict[str, Any]:
    """Returns the columns of a table that identify a run."""
    return {
        "task": experiment.task.name,
        "task_options": json.dumps(dict(experiment.task.options), sort_keys=True),
        "architecture": experiment.architecture.name,
        "architecture_options": json.dumps(dict(experiment.architecture.options), sort_keys=True),
        "identity": experiment.identity,
        "seed": experiment.seed,
    }
