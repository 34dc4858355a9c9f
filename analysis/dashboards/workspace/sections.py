"""The sections of a workspace: what each shows, as far as something of it is logged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.dashboards.mirror.naming import RunColumns
from analysis.dashboards.workspace import titles
from analysis.dashboards.workspace.content import Content, architecture
from analysis.dashboards.workspace.panels import OVER_SEEDS, Library, Panels
from analysis.dashboards.workspace.titles import PROBE_TITLES, metric_words, probe_titles
from workbench.study_files import Study

GLANCE, COST = "At a glance", "Cost"
PAGE = "report/page"
MEMORY = ("horizon", "memory_capacity")
"""Of the probe of memory, the number that says most; not every task has the first."""
BEST = (".min", ".max")
"""Behind a metric's name, its best value."""
TABLES: Mapping[str, str] = {
    "table/comparison": "Every run, a row each",
    "table/analysis": "Every number of every probe, a row each",
    "table/tuning": "Every trial of the sweeps, a row each",
}
COSTS: Mapping[str, str] = {
    "cost/parameters": "Parameters (count)",
    "cost/seconds_per_step": "Time of a training step (seconds)",
    "cost/state_size": "State size (numbers carried from step to step)",
    "cost/seconds": "Time of training (seconds)",
}
AGAINST = ("cost/parameters", "cost/seconds_per_step")
"""The costs that the loss is shown against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSpec:
    """A section's name, and its panels."""

    name: str
    panels: tuple[Any, ...]


def sections(content: Content, library: Library, groups: int) -> tuple[SectionSpec, ...]:
    """All sections that have something to show, in their order."""
    make = Panels(library, groups)
    known = content.logged
    probes = order_probes([*PROBE_TITLES, *content.probes])
    found = [
        (GLANCE, list(overview_panels(content, known, make))),
        (titles.LEARNING, [*learning(known, make), *figure_panels(content, titles.LEARNING, make)]),
        *(
            (name := title_of(probe), [*numbers(content, probe, make), *figure_panels(content, name, make)])
            for probe in probes
        ),
        (COST, list(cost(known, make))),
        (titles.SWEEPS, [*sweeps(content, make), *figure_panels(content, titles.SWEEPS, make)]),
        (titles.REPORT, list(report(content, known, make))),
    ]
    return tuple(SectionSpec(name=name, panels=tuple(panels)) for name, panels in found if panels)


def order_probes(probed: Iterable[str]) -> list[str]:
    """Probes in the order of the report, those that we know nothing of at the end."""
    names = set(probed)
    return [*(probe for probe in PROBE_TITLES if probe in names), *sorted(names - PROBE_TITLES.keys())]


def title_of(probe: str) -> str:
    """What the section of a probe is called."""
    return PROBE_TITLES[probe].title if probe in PROBE_TITLES else metric_words(probe)


def overview_panels(content: Content, known: frozenset[str], make: Panels) -> Iterator[Any]:
    """Who learns best, and at what cost: the nine panels of a page, all of which stand in their own sections too."""
    yield from figure_panels(content, titles.LEARNING, make)
    yield from (validation(name, make) for name in ("val/loss", "val/accuracy") if name in known)
    yield from (test(name, make) for name in ("test/loss", "test/accuracy") if name in known)
    for number in MEMORY:
        if (name := f"probe/memory_length/{number}") in known:
            yield make.bar(PROBE_TITLES["memory_length"].numbers[number], name)
            break
    yield from (make.bar(said, name) for name, said in COSTS.items() if name in known and name in AGAINST)
    yield from (against(name, make) for name in AGAINST[:1] if {name, "test/loss"} <= known)


def validation(name: str, make: Panels) -> Any:
    """A metric of the validation set as it is trained."""
    metric = name.removeprefix("val/")
    return make.line(f"{of_set('Validation', metric)} against training steps ({OVER_SEEDS})", name, unit(metric))


def test(name: str, make: Panels) -> Any:
    """A metric of the test set."""
    return make.bar(f"{of_set('Test', name.removeprefix('test/'))} at the end", name)


def learning(known: frozenset[str], make: Panels) -> Iterator[Any]:
    """How the runs learn, and what they come to."""
    measured = sorted(name for name in known if name.startswith("val/") and not name.endswith(BEST))
    first = [name for name in ("val/loss", "val/accuracy") if name in measured]
    for name in [*first, *(name for name in measured if name not in first)]:
        yield validation(name, make)
    if "train/loss" in known:
        yield make.line(f"Training loss against training steps ({OVER_SEEDS})", "train/loss", "loss")
    for name in sorted(known, key=lambda name: (name != "test/loss", name)):
        if name.startswith("test/"):
            yield test(name, make)
    for name in sorted(known, key=lambda name: (name != "val/loss.min", name)):
        if name.startswith("val/") and name.endswith(BEST):
            metric, _, which = name.removeprefix("val/").rpartition(".")
            yield make.bar(of_set("Lowest validation" if which == "min" else "Highest validation", metric), name)
    if "result/solved_at" in known:
        yield make.bar("Solved at (training steps; runs that did not solve it are left out)", "result/solved_at")


def of_set(data: str, metric: str) -> str:
    """A metric on a set, with its unit where it has one."""
    return f"{data} {metric.replace('_', ' ')}{' (share of right answers)' if metric == 'accuracy' else ''}"


def unit(metric: str) -> str:
    """What the vertical axis says."""
    return "share of right answers" if metric == "accuracy" else metric.replace("_", " ")


def numbers(content: Content, probe: str, make: Panels) -> Iterator[Any]:
    """A probe's headline numbers, and its curves."""
    measured = content.probes.get(probe, ())
    tables = {name: columns for name, columns in content.tables.items() if name.startswith(f"curve/{probe}/")}
    curves = {column: name for name, columns in sorted(tables.items()) for column in sorted(columns)}
    ours = curves.keys() - {"x", *RunColumns.__annotations__}
    plain = [column for column in sorted(ours) if not column.endswith(("_low", "_high"))]
    what = probe_titles(
        probe,
        {name: f"{metric_words(name)} (as in analysis.json)" for name in measured},
        {name: metric_words(name) for name in plain},
    )
    for name, said in what.numbers.items():
        if name in measured:
            yield make.bar(said, f"probe/{probe}/{name}")
    for name, said in what.curves.items():
        if name in ours:
            yield make.chart(f"{said}; a line a run", curves[name], name)


def cost(known: frozenset[str], make: Panels) -> Iterator[Any]:
    """What an architecture costs, and what it gives for that."""
    for name, said in COSTS.items():
        if name in known:
            yield make.bar(said, name)
    for name in AGAINST:
        if {name, "test/loss"} <= known:
            yield against(name, make)


def against(name: str, make: Panels) -> Any:
    """What is left of the loss for a cost."""
    said = COSTS[name]
    return make.scatter(f"Test loss against {said[:1].lower()}{said[1:]}", name, "test/loss", log_x=True)


def figure_panels(content: Content, section: str, make: Panels) -> Iterator[Any]:
    """The figures of the report that belong to a section, a panel for all that show the same of different tasks."""
    same: dict[str, list[titles.FigureTitle]] = {}
    for figure in content.figures:
        if figure.section == section:
            same.setdefault(figure.what, []).append(figure)
    for what, each in same.items():
        heading = each[0].title if len(each) == 1 else f"{what}: each task"
        yield make.media(heading, *(figure.name for figure in each))


def report(content: Content, known: frozenset[str], make: Panels) -> Iterator[Any]:
    """The report itself, figures that belong nowhere else, and the tables."""
    if PAGE in known:
        yield make.media("The report of the comparison, with every figure and interval", PAGE)
    yield from figure_panels(content, titles.REPORT, make)
    for name, said in TABLES.items():
        if name in known:
            yield make.note(said, f"The table beside this is `{name}`; choose the comparison's own run to see it.")
            yield make.table(name)


OBJECTIVES = {"loss": "validation loss", "seconds": "seconds of training", "parameters": "parameters"}
PARAMS = "trial/params/"
NUMBER = "trial/number"


def sweeps(content: Content, make: Panels) -> Iterator[Any]:
    """Parallel coordinates, importance, and what trials came to; nothing where nothing was tuned."""
    tried = [record for record in content.records if record.summary.get("result/phase") == "trial"]
    known = {name for record in tried for name, value in record.summary.items() if value is not None}
    goals = [name for name in OBJECTIVES if f"trial/{name}" in known]
    if not goals:
        return
    of_each: dict[str, set[str]] = {}
    for record in tried:
        chosen = {name for name, value in record.summary.items() if name.startswith(PARAMS) and value is not None}
        of_each.setdefault(architecture(record), set()).update(chosen)
    shared = sorted(set.intersection(*of_each.values()))
    logs = logarithmic(content.studies)
    end = [(f"trial/{goal}", OBJECTIVES[goal], goal != "loss") for goal in goals]
    if shared:
        first = ("config.architecture.name", "architecture", False)
        columns = [first, *(column(name, logs) for name in shared), *end]
        yield make.parallel("Trials: what all architectures were tuned by, and the validation loss", columns)
    for name, params in sorted(of_each.items()):
        if params - set(shared):
            own = [column(each, logs) for each in sorted(params)]
            yield make.parallel(f"Trials of {name}: every parameter, and the validation loss", [*own, *end])
    for goal in goals:
        yield make.note(
            f"What mattered for the {OBJECTIVES[goal]} of trials",
            "Beside this, over all trials that are shown: parameters are `trial/params/...`; leave out what is no "
            "parameter. The report's chapter on tuning has PED-ANOVA, architecture by architecture.",
        )
        yield make.importance(f"trial/{goal}")
    if NUMBER in known:
        yield make.scatter("Validation loss of each trial, in the order of trials", NUMBER, f"trial/{goals[0]}")
    for name in shared:
        if numeric(name, tried) and {name} & logs:
            said = column(name, logs)[1]
            yield make.scatter(f"Validation loss of each trial against {said}", name, f"trial/{goals[0]}", log_x=True)
    if len(goals) > 1:
        one, other = (f"trial/{goal}" for goal in goals[:2])
        title = f"Trials by both objectives: {OBJECTIVES[goals[1]]} against {OBJECTIVES[goals[0]]}"
        yield make.scatter(title, one, other, log_y=True)


def column(name: str, logs: set[str]) -> tuple[str, str, bool]:
    """A parameter as an axis."""
    return name, metric_words(name.removeprefix(PARAMS)).lower(), name in logs


def numeric(name: str, tried: Sequence[Any]) -> bool:
    """Whether a parameter is a number wherever it was chosen."""
    values = [record.summary[name] for record in tried if record.summary.get(name) is not None]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def logarithmic(studies: Sequence[Study]) -> set[str]:
    """The parameters that were drawn on a logarithmic axis."""
    return {
        f"{PARAMS}{name}"
        for study in studies
        for name, domain in study.space.items()
        if isinstance(domain, dict) and domain.get("log")
    }
