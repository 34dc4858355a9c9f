"""Finished runs, put together to what is compared: sections for the variants of tasks, rows for configurations."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Literal

from analysis.formatting import printable
from analysis.statistics import Mean, mean_interval
from analysis.style import LINE_STYLES, LineStyle, line_styles, restyled
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.results import Run
from workbench.study_files import Study

Role = Literal["tuned", "default", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One configuration of one architecture, with the runs of all its seeds."""

    label: str
    """The architecture's name; where a section has it more than once, with what tells it apart."""
    look: LineStyle
    runs: tuple[Run, ...]
    """By seed."""
    role: Role | None = None
    """What it is to a study of the section."""

    @property
    def experiment(self) -> Experiment:
        """The configuration; its seed is that of the first run."""
        return self.runs[0].experiment

    @property
    def trained(self) -> tuple[Run, ...]:
        """The runs that did not diverge."""
        return tuple(run for run in self.runs if not run.diverged)

    @property
    def diverged(self) -> int:
        """The number of diverged runs."""
        return len(self.runs) - len(self.trained)

    def results(self, key: str) -> tuple[Any, ...]:
        """A value of `result.json`, seed by seed."""
        return tuple(run.result[key] for run in self.runs)

    def test(self, metric: str) -> Mean:
        """A test metric over the seeds; diverged runs are left out and counted."""
        return mean_interval(run.test(metric) for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All that was run on one variant of a task."""

    anchor: str
    """Its name in links and file names."""
    title: str
    rows: tuple[Row, ...]
    studies: tuple[Study, ...] = ()
    """Those that tuned architectures on it."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, row by row."""
        return tuple(run for row in self.rows for run in row.runs)

    def agreed(self, key: str) -> Any:
        """A value of `result.json` that belongs to the task, not the run; `None` where the runs disagree."""
        values = {run.result[key] for run in self.runs}
        return values.pop() if len(values) == 1 else None

    @property
    def trivial_loss(self) -> float | None:
        """The loss of the best answer without memory; `None` where the runs disagree."""
        values = [run.result["trivial_loss"] for run in self.runs]
        # One computed from data may differ in its last digit from machine to machine.
        if None in values or max(values) - min(values) > 1e-9 * abs(max(values)):
            return None
        return float(values[0])

    @property
    def metrics(self) -> tuple[str, ...]:
        """The test metrics beside the loss."""
        names = {name for run in self.runs for name in run.result["test"] or {}}
        return tuple(sorted(names - {"loss"}))


def sections(runs: Iterable[Run], studies: Sequence[Study] = ()) -> tuple[Section, ...]:
    """Groups runs by task and its options, and within these by identity; studies come to the runs of their task.

    Raises:
        UserError: if two folders hold the same run, which would make an interval narrower than it is.
    """
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    names, titles = {study.architecture for study in studies}, {}
    for run in runs:
        task = run.experiment.task
        key = variant_key(task.name, task.options)
        groups[key][run.experiment.identity].append(run)
        titles[key] = task_title(task.name, task.options)
        names.add(run.experiment.architecture.name)
    anchors, of_name = distinct(titles), line_styles(names)
    of_variant: dict[str, list[Study]] = defaultdict(list)
    for study in sorted(studies, key=lambda study: (*catalogue_order(study.architecture), study.name)):
        of_variant[variant_key(study.task, study.task_options)].append(study)
    return tuple(
        Section(
            anchor=anchors[key],
            title=titles[key],
            rows=tuple(rows_of([by_seed(same) for same in groups[key].values()], of_name, roles(of_variant[key]))),
            studies=tuple(of_variant[key]),
        )
        for key in sorted(groups, key=lambda key: (natural_sort_key(titles[key]), key))
    )


def by_seed(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs of one configuration, by seed."""
    ordered = sorted(runs, key=lambda run: run.experiment.seed)
    for one, other in pairwise(ordered):
        if one.experiment.seed == other.experiment.seed:
            raise UserError(f"{one.folder} and {other.folder} hold the same run; move one of them away")
    return tuple(ordered)


def rows_of(
    groups: Iterable[tuple[Run, ...]], report_looks: Mapping[str, LineStyle], known: Mapping[str, Role]
) -> Iterable[Row]:
    """Rows in the catalogue's order, the user's own architectures after it, each with a label of its own; those with a
    role before the others."""
    by_name: dict[str, list[tuple[Run, ...]]] = defaultdict(list)
    for runs in groups:
        by_name[runs[0].experiment.architecture.name].append(runs)
    for name in sorted(by_name, key=catalogue_order):
        look = report_looks[name]
        taken: set[int] = set()
        for role in SAID:
            # Several, where several sweeps have tuned the same architecture.
            same = [runs for runs in by_name[name] if known.get(runs[0].experiment.identity) == role]
            alike = [flatten(runs[0].experiment) for runs in same]
            for runs, one in zip(same, alike, strict=True):
                label = printable(name) + SAID[role] + (difference(one, alike) if len(same) > 1 else "")
                shade = next(shade for shade in count(SHADE[role], 2) if shade not in taken)
                taken.add(shade)
                yield Row(label=label, look=restyled(look, shade), runs=runs, role=role)
        rest = [runs for runs in by_name[name] if runs[0].experiment.identity not in known]
        flat = [flatten(runs[0].experiment) for runs in rest]
        labels = [printable(name) + difference(one, flat) for one in flat]
        labelled = sorted(zip(labels, rest, strict=True), key=lambda pair: natural_sort_key(pair[0]))
        for index, (label, runs) in enumerate(labelled, start=2 * len(taken)):
            yield Row(label=label, look=restyled(look, index), runs=runs)


def catalogue_order(name: str) -> tuple[int, str]:
    """A sorting key: the catalogue's names in its order, all others after it."""
    order = list(LINE_STYLES)
    return (order.index(name) if name in order else len(order)), name


def distinct(titles: Mapping[str, str]) -> dict[str, str]:
    """A name for each key, in lower-case letters, digits and hyphens; a hash tells apart what would be the same."""
    slugs = {key: re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "task" for key, title in titles.items()}
    return {
        key: f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:6]}" if list(slugs.values()).count(slug) > 1 else slug
        for key, slug in slugs.items()
    }


def variant_key(task: str, options: Mapping[str, Any]) -> str:
    """The same for the same variant of a task: JSON, so that the number 1 and the text "1" are two options."""
    return json.dumps([task, options], sort_keys=True)


def task_title(name: str, options: Mapping[str, Any]) -> str:
    """A task with its options, as sections are headed.

    Example:
        >>> described("addition", {"length": 100})
        'addition, length=100'
    """
    return printable(", ".join([name, *(f"{key}={format_option(value)}" for key, value in options.items())]))


def format_option(value: Any) -> str:
    """An option's value: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten(experiment: Experiment) -> dict[str, Any]:
    """The configuration, seed apart, under one flat key for each value: `budget.steps`, ..."""
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


def difference(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """What tells a configuration from others of the same architecture: ` (hidden_size=100)`, or nothing."""
    keys = sorted({key for other in others for key in other})
    differing = [key for key in keys if len({json.dumps(other.get(key)) for other in others}) > 1]
    parts = [f"{key.rpartition('.')[2]}={format_option(one[key])[:16]}" for key in differing if key in one]
    return printable(f" ({', '.join(parts)})") if parts else ""


def natural_sort_key(text: str) -> list[tuple[float, str]]:
    """A sorting key that takes numbers for numbers: `length=100` stands between `length=20` and `length=1000`."""
    parts = re.split(r"([0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?)", text)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]


def labels(studies: Sequence[Study]) -> list[str]:
    """The architecture of each study; the study's own name where several have tuned the same one."""
    known = [study.architecture for study in studies]
    return [printable(study.name if known.count(study.architecture) > 1 else study.architecture) for study in studies]


SAID: dict[Role, str] = {
    "both": ", default (also the best)",
    "tuned": ", tuned",
    "default": ", default",
}
"""What is said of it behind the architecture's name, in the order of rows."""
SHADE: dict[Role, int] = {"both": 0, "tuned": 0, "default": 1}
"""Which variant of its architecture's look it has."""


def roles(studies: Iterable[Study]) -> dict[str, Role]:
    """By identity, what the configurations of studies are; all others are not in it."""
    found: dict[str, Role] = {}
    for study in studies:
        winner, default = study.winner_identity, study.default_identity
        if default is not None and found.get(default) != "both":
            found[default] = "both" if default == winner else "default"
        if winner is not None and winner != default:
            found[winner] = "tuned"
    return found


def run_identity(experiment: Experiment) -> dict[str, Any]:
    """What a line of a table is about."""
    return {
        "task": experiment.task.name,
        "task_options": json.dumps(dict(experiment.task.options), sort_keys=True),
        "architecture": experiment.architecture.name,
        "architecture_options": json.dumps(dict(experiment.architecture.options), sort_keys=True),
        "identity": experiment.identity,
        "seed": experiment.seed,
    }
