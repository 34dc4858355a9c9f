"""Sections of a workspace, each with the panels for which something is logged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.dashboards.mirror.naming import RunColumns
from analysis.dashboards.workspace import titles
from analysis.dashboards.workspace.content import Content, architecture_name
from analysis.dashboards.workspace.panels import OVER_SEEDS, Library, PanelFactory
from analysis.dashboards.workspace.titles import PROBE_TITLES, probe_titles, readable_name
from workbench.study_files import Study

OVERVIEW_SECTION, COST_SECTION = "At a glance", "Cost"
REPORT_PAGE = "report/page"
MEMORY_METRICS = ("horizon", "memory_capacity")
"""Metrics of the memory probe for the overview, best first; not every task has the first."""
BEST_SUFFIXES = (".min", ".max")
"""Endings of a metric's name that stand for its best value."""
TABLE_TITLES: Mapping[str, str] = {
    "table/comparison": "Every run, a row each",
    "table/analysis": "Every number of every probe, a row each",
    "table/tuning": "Every trial of the sweeps, a row each",
}
COST_TITLES: Mapping[str, str] = {
    "cost/parameters": "Parameters (count)",
    "cost/seconds_per_step": "Time of a training step (seconds)",
    "cost/state_size": "State size (numbers carried from step to step)",
    "cost/seconds": "Time of training (seconds)",
}
COMPARED_COSTS = ("cost/parameters", "cost/seconds_per_step")
"""Costs against which the loss is shown."""
OBJECTIVES = {"loss": "validation loss", "seconds": "seconds of training", "parameters": "parameters"}
PARAMETER_PREFIX = "trial/params/"
TRIAL_NUMBER = "trial/number"


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSpec:
    """Name and panels of a section."""

    name: str
    panels: tuple[Any, ...]


def build_sections(content: Content, library: Library, groups: int) -> tuple[SectionSpec, ...]:
    """Builds all sections that are not empty, in their order.

    Args:
        content: of the folder of results.
        library: wandb-workspaces.
        groups: number of groups of runs.
    """
    factory = PanelFactory(library, groups)
    logged = content.logged

    def figures(section: str) -> list[Any]:
        return list(figure_panels(content, section, factory))

    sections: list[tuple[str, list[Any]]] = [
        (OVERVIEW_SECTION, list(overview_panels(content, logged, factory))),
        (titles.LEARNING_SECTION, [*learning_panels(logged, factory), *figures(titles.LEARNING_SECTION)]),
    ]
    for probe in order_probes([*PROBE_TITLES, *content.probes]):
        title = probe_title(probe)
        sections.append((title, [*probe_panels(content, probe, factory), *figures(title)]))
    sections += [
        (COST_SECTION, list(cost_panels(logged, factory))),
        (titles.SWEEPS_SECTION, [*sweep_panels(content, factory), *figures(titles.SWEEPS_SECTION)]),
        (titles.REPORT_SECTION, list(report_panels(content, logged, factory))),
    ]
    return tuple(SectionSpec(name=name, panels=tuple(panels)) for name, panels in sections if panels)


def order_probes(probes: Iterable[str]) -> list[str]:
    """Sorts probes in the order of the report, with unknown ones at the end."""
    names = set(probes)
    return [*(probe for probe in PROBE_TITLES if probe in names), *sorted(names - PROBE_TITLES.keys())]


def probe_title(probe: str) -> str:
    """Returns the title of a probe's section."""
    return PROBE_TITLES[probe].title if probe in PROBE_TITLES else readable_name(probe)


def overview_panels(content: Content, logged: frozenset[str], factory: PanelFactory) -> Iterator[Any]:
    """Yields the panels of the overview, nine at most, all of which are in their own sections too."""
    yield from figure_panels(content, titles.LEARNING_SECTION, factory)
    yield from (validation_panel(name, factory) for name in ("val/loss", "val/accuracy") if name in logged)
    yield from (test_panel(name, factory) for name in ("test/loss", "test/accuracy") if name in logged)
    for metric in MEMORY_METRICS:
        if (name := f"probe/memory_length/{metric}") in logged:
            yield factory.bar(PROBE_TITLES["memory_length"].metrics[metric], name)
            break
    for name, title in COST_TITLES.items():
        if name in logged and name in COMPARED_COSTS:
            yield factory.bar(title, name)
    if {COMPARED_COSTS[0], "test/loss"} <= logged:
        yield loss_against_cost(COMPARED_COSTS[0], factory)


def validation_panel(name: str, factory: PanelFactory) -> Any:
    """Returns a metric of the validation set against training steps."""
    metric = name.removeprefix("val/")
    title = f"{metric_title('Validation', metric)} against training steps ({OVER_SEEDS})"
    return factory.line(title, name, axis_title(metric))


def test_panel(name: str, factory: PanelFactory) -> Any:
    """Returns a metric of the test set."""
    return factory.bar(f"{metric_title('Test', name.removeprefix('test/'))} at the end", name)


def learning_panels(logged: frozenset[str], factory: PanelFactory) -> Iterator[Any]:
    """Yields the metrics during training and at its end."""
    validated = sorted(name for name in logged if name.startswith("val/") and not name.endswith(BEST_SUFFIXES))
    first = [name for name in ("val/loss", "val/accuracy") if name in validated]
    for name in [*first, *(name for name in validated if name not in first)]:
        yield validation_panel(name, factory)
    if "train/loss" in logged:
        yield factory.line(f"Training loss against training steps ({OVER_SEEDS})", "train/loss", "loss")
    for name in sorted(logged, key=lambda name: (name != "test/loss", name)):
        if name.startswith("test/"):
            yield test_panel(name, factory)
    for name in sorted(logged, key=lambda name: (name != "val/loss.min", name)):
        if name.startswith("val/") and name.endswith(BEST_SUFFIXES):
            metric, _, direction = name.removeprefix("val/").rpartition(".")
            data = "Lowest validation" if direction == "min" else "Highest validation"
            yield factory.bar(metric_title(data, metric), name)
    if "result/solved_at" in logged:
        yield factory.bar("Solved at (training steps; runs that did not solve it are left out)", "result/solved_at")


def metric_title(data: str, metric: str) -> str:
    """Returns the title of a metric on a data set, with its unit if it has one."""
    return f"{data} {metric.replace('_', ' ')}{' (share of right answers)' if metric == 'accuracy' else ''}"


def axis_title(metric: str) -> str:
    """Returns the title of the vertical axis."""
    return "share of right answers" if metric == "accuracy" else metric.replace("_", " ")


def probe_panels(content: Content, probe: str, factory: PanelFactory) -> Iterator[Any]:
    """Yields the main metrics and curves of a probe."""
    metrics = content.probes.get(probe, ())
    tables = {name: columns for name, columns in content.tables.items() if name.startswith(f"curve/{probe}/")}
    table_of_curve = {column: name for name, columns in sorted(tables.items()) for column in sorted(columns)}
    curves = table_of_curve.keys() - {"x", *RunColumns.__annotations__}
    own_titles = probe_titles(
        probe,
        {name: f"{readable_name(name)} (as in analysis.json)" for name in metrics},
        {name: readable_name(name) for name in sorted(curves) if not name.endswith(("_low", "_high"))},
    )
    for name, title in own_titles.metrics.items():
        if name in metrics:
            yield factory.bar(title, f"probe/{probe}/{name}")
    for name, title in own_titles.curves.items():
        if name in curves:
            yield factory.chart(f"{title}; a line a run", table_of_curve[name], name)


def cost_panels(logged: frozenset[str], factory: PanelFactory) -> Iterator[Any]:
    """Yields the costs of the architectures, and their loss against them."""
    for name, title in COST_TITLES.items():
        if name in logged:
            yield factory.bar(title, name)
    for name in COMPARED_COSTS:
        if {name, "test/loss"} <= logged:
            yield loss_against_cost(name, factory)


def loss_against_cost(name: str, factory: PanelFactory) -> Any:
    """Returns the test loss against a cost."""
    title = COST_TITLES[name]
    return factory.scatter(f"Test loss against {title[:1].lower()}{title[1:]}", name, "test/loss", log_x=True)


def figure_panels(content: Content, section: str, factory: PanelFactory) -> Iterator[Any]:
    """Yields the report's figures that belong to a section, in one panel if they show the same of different tasks."""
    by_description: dict[str, list[titles.FigureTitle]] = {}
    for figure in content.figures:
        if figure.section == section:
            by_description.setdefault(figure.description, []).append(figure)
    for description, figures in by_description.items():
        heading = figures[0].title if len(figures) == 1 else f"{description}: each task"
        yield factory.media(heading, *(figure.name for figure in figures))


def report_panels(content: Content, logged: frozenset[str], factory: PanelFactory) -> Iterator[Any]:
    """Yields the report itself, figures that belong to no other section, and the tables."""
    if REPORT_PAGE in logged:
        yield factory.media("The report of the comparison, with every figure and interval", REPORT_PAGE)
    yield from figure_panels(content, titles.REPORT_SECTION, factory)
    for name, title in TABLE_TITLES.items():
        if name in logged:
            yield factory.note(title, f"The table beside this is `{name}`; choose the comparison's own run to see it.")
            yield factory.table(name)


def sweep_panels(content: Content, factory: PanelFactory) -> Iterator[Any]:
    """Yields parallel coordinates, importances and objectives of trials; nothing if nothing was tuned."""
    trials = [record for record in content.records if record.summary.get("result/phase") == "trial"]
    logged = {name for record in trials for name, value in record.summary.items() if value is not None}
    objectives = [name for name in OBJECTIVES if f"trial/{name}" in logged]
    if not objectives:
        return
    parameters: dict[str, set[str]] = {}
    for record in trials:
        chosen = {
            name for name, value in record.summary.items() if name.startswith(PARAMETER_PREFIX) and value is not None
        }
        parameters.setdefault(architecture_name(record), set()).update(chosen)
    shared = sorted(set.intersection(*parameters.values()))
    logarithmic = logarithmic_parameters(content.studies)
    objective_axes = [(f"trial/{name}", OBJECTIVES[name], name != "loss") for name in objectives]
    if shared:
        architecture_axis = ("config.architecture.name", "architecture", False)
        axes = [architecture_axis, *(parameter_axis(name, logarithmic) for name in shared), *objective_axes]
        yield factory.parallel("Trials: what all architectures were tuned by, and the validation loss", axes)
    for architecture, names in sorted(parameters.items()):
        if names - set(shared):
            axes = [*(parameter_axis(name, logarithmic) for name in sorted(names)), *objective_axes]
            yield factory.parallel(f"Trials of {architecture}: every parameter, and the validation loss", axes)
    for name in objectives:
        yield factory.note(
            f"Importance of the parameters for the {OBJECTIVES[name]} of trials",
            "Beside this, over all trials that are shown: parameters are `trial/params/...`; ignore all other names. "
            "The report's chapter on tuning has PED-ANOVA, architecture by architecture.",
        )
        yield factory.importance(f"trial/{name}")
    first = f"trial/{objectives[0]}"
    if TRIAL_NUMBER in logged:
        yield factory.scatter("Validation loss of each trial, in the order of trials", TRIAL_NUMBER, first)
    for name in shared:
        if is_numeric(name, trials) and name in logarithmic:
            title = f"Validation loss of each trial against {parameter_axis(name, logarithmic)[1]}"
            yield factory.scatter(title, name, first, log_x=True)
    if len(objectives) > 1:
        title = f"Trials by both objectives: {OBJECTIVES[objectives[1]]} against {OBJECTIVES[objectives[0]]}"
        yield factory.scatter(title, first, f"trial/{objectives[1]}", log_y=True)


def parameter_axis(name: str, logarithmic: set[str]) -> tuple[str, str, bool]:
    """Returns a parameter as an axis of parallel coordinates."""
    return name, readable_name(name.removeprefix(PARAMETER_PREFIX)).lower(), name in logarithmic


def is_numeric(name: str, trials: Sequence[Any]) -> bool:
    """Returns whether a parameter is a number in all trials that have it."""
    values = [record.summary[name] for record in trials if record.summary.get(name) is not None]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def logarithmic_parameters(studies: Sequence[Study]) -> set[str]:
    """Returns the parameters that were sampled on a logarithmic scale."""
    return {
        f"{PARAMETER_PREFIX}{name}"
        for study in studies
        for name, domain in study.space.items()
        if isinstance(domain, dict) and domain.get("log")
    }
