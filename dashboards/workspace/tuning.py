"""The section on sweeps: every trial, by its parameters and by the loss that it came to."""

from collections.abc import Iterator, Sequence
from typing import Any

from dashboards.workspace.headlines import words
from dashboards.workspace.panels import Panels
from dashboards.workspace.shown import Content, architecture
from workbench.studies import Study

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
    return name, words(name.removeprefix(PARAMS)).lower(), name in logs


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
