"""The sections of a workspace: what each shows, as far as something of it is logged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.curves import Whose
from dashboards.workspace import figures
from dashboards.workspace.headlines import SHELVES, shelf, words
from dashboards.workspace.library import Library
from dashboards.workspace.panels import OVER_SEEDS, Panels
from dashboards.workspace.shown import Content
from dashboards.workspace.tuning import sweeps

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
class Shelves:
    """A section's name, and its panels."""

    name: str
    panels: tuple[Any, ...]


def sections(content: Content, library: Library, groups: int) -> tuple[Shelves, ...]:
    """All sections that have something to show, in their order."""
    make = Panels(library, groups)
    known = content.logged
    probes = ordered([*SHELVES, *content.probes])
    found = [
        (GLANCE, list(glance(content, known, make))),
        (figures.LEARNING, [*learning(known, make), *drawn(content, figures.LEARNING, make)]),
        *((name := title_of(probe), [*numbers(content, probe, make), *drawn(content, name, make)]) for probe in probes),
        (COST, list(cost(known, make))),
        (figures.SWEEPS, [*sweeps(content, make), *drawn(content, figures.SWEEPS, make)]),
        (figures.REPORT, list(report(content, known, make))),
    ]
    return tuple(Shelves(name=name, panels=tuple(panels)) for name, panels in found if panels)


def ordered(probed: Iterable[str]) -> list[str]:
    """Probes in the order of the report, those that we know nothing of at the end."""
    names = set(probed)
    return [*(probe for probe in SHELVES if probe in names), *sorted(names - SHELVES.keys())]


def title_of(probe: str) -> str:
    """What the section of a probe is called."""
    return SHELVES[probe].title if probe in SHELVES else words(probe)


def glance(content: Content, known: frozenset[str], make: Panels) -> Iterator[Any]:
    """Who learns best, and at what cost: the nine panels of a page, all of which stand in their own sections too."""
    yield from drawn(content, figures.LEARNING, make)
    yield from (validation(name, make) for name in ("val/loss", "val/accuracy") if name in known)
    yield from (test(name, make) for name in ("test/loss", "test/accuracy") if name in known)
    for number in MEMORY:
        if (name := f"probe/memory_length/{number}") in known:
            yield make.bar(SHELVES["memory_length"].numbers[number], name)
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
    ours = curves.keys() - {"x", *Whose.__annotations__}
    plain = [column for column in sorted(ours) if not column.endswith(("_low", "_high"))]
    what = shelf(
        probe,
        {name: f"{words(name)} (as in analysis.json)" for name in measured},
        {name: words(name) for name in plain},
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


def drawn(content: Content, section: str, make: Panels) -> Iterator[Any]:
    """The figures of the report that belong to a section, a panel for all that show the same of different tasks."""
    same: dict[str, list[figures.Shown]] = {}
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
    yield from drawn(content, figures.REPORT, make)
    for name, said in TABLES.items():
        if name in known:
            yield make.note(said, f"The table beside this is `{name}`; choose the comparison's own run to see it.")
            yield make.table(name)
