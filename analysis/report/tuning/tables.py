"""The tables of a chapter on tuning."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.formatting import ABSENT, TIMES, format_count, format_interval, format_number, format_range, printable
from analysis.grouping import Row, flatten
from analysis.report.blocks import Cell, Column, Table
from analysis.report.tuning.search_space import domains, said, worded
from analysis.report.tuning.tuned import (
    TunedArchitecture,
    TunedTask,
    default_trial,
    format_rank,
    last_of,
    loss_of,
    rank_changes,
    seconds_of,
)
from workbench.study_files import Study, Trial


def against_default(subject: TunedTask) -> Table:
    """Each architecture tuned against its default, and what the search took."""
    found = {each.of.slug: each for each in rank_changes(subject.of)}
    defaults, tuned = ([getattr(each, key) for each in found.values()] for key in ("default", "tuned"))

    def line(each: TunedArchitecture) -> tuple[Cell, ...]:
        study, place = each.study, found.get(each.slug)
        untuned = default_trial(study)
        factor = None if place is None else place.factor
        texts = (
            tested(each.default),
            tested(each.tuned),
            ABSENT if factor is None else f"{format_number(factor)} {TIMES}",
            ABSENT if place is None else format_rank(place.before, place.default, defaults),
            ABSENT if place is None else format_rank(place.after, place.tuned, tuned),
            format_number(None if untuned is None else loss_of(study, untuned)),
            format_number(each.best),
            f"{len(study.finished)} of {study.asked}",
            *(format_count(len(study.in_state(state))) for state in ("pruned", "diverged")),
            format_count(len(study.in_state("failed", "interrupted"))),
            parameters(each),
            format_number(seconds_of(study)),
        )
        return (Cell(text=each.name, look=each.look), *(Cell(text=text) for text in texts))

    columns = (
        ("test loss", ("default", "tuned", "default\n/ tuned")),
        ("rank", ("default", "tuned")),
        ("validation loss", ("default", "best\ntrial")),
        ("trials", ("finished", "pruned", "diverged", "failed,\ninterrupted")),
        ("", ("parameters\nof the winner", "seconds of\nthe search")),
    )
    return Table(
        caption=f"Tuned against default on {subject.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            *(Column(heading=heading, group=group) for group, headings in columns for heading in headings),
        ),
        lines=tuple(line(each) for each in subject.of),
    )


def tested(row: Row | None) -> str:
    """A row's test loss."""
    return ABSENT if row is None else format_interval(row.test("loss"))


def parameters(each: TunedArchitecture) -> str:
    """How many the winner has, by its runs or by the study's second objective."""
    if each.tuned is not None:
        return format_range(each.tuned.results("parameters"))
    winner, names = each.winner, each.study.objectives
    if winner is None or winner.values is None or "parameters" not in names:
        return ABSENT
    return format_count(winner.values[names.index("parameters")])


def best(each: TunedArchitecture, subject: TunedTask) -> Table | None:
    """What the winner has chosen, beside the default and what was searched; `None` where there is nothing."""
    winner, untuned = each.winner, default_trial(each.study)
    importances = each.study.importances or {}
    known = domains(each.study)
    if not known:
        return None
    searched = [domain for domain in known if not domain.fixed]
    lines = [
        (
            printable(domain.name),
            said(domain),
            chosen(domain.name, untuned, each.default, conditional=bool(domain.when)),
            chosen(domain.name, winner, each.tuned, conditional=bool(domain.when)),
            ABSENT if (share := importances.get(domain.name)) is None else f"{share:.2f}",
        )
        for domain in (*searched, *(domain for domain in known if domain.fixed))
    ]
    kinds = ("text", "prose", "number", "number", "number")
    headings = ("parameter", "searched", "default", "winner", "importance")
    return Table(
        caption=f"Best parameters of {each.name} on {subject.title}",
        columns=tuple(
            Column(heading=heading, kind=kind)  # type: ignore[arg-type]
            for heading, kind in zip(headings, kinds, strict=True)
        ),
        lines=tuple(tuple(Cell(text=text) for text in line) for line in lines),
    )


def chosen(name: str, trial: Trial | None, row: Row | None, *, conditional: bool = False) -> str:
    """A parameter's value in a trial, or else in the configuration of a row; nothing where a trial did not have it."""
    if trial is not None and name in trial.params:
        return worded(trial.params[name])
    if row is None or (trial is not None and conditional):
        return ABSENT
    flat: Mapping[str, Any] = flatten(row.experiment)
    bare = name.removeprefix("architecture.")
    for key in (f"architecture.options.{bare}", f"optimization.{name}", name):
        if key in flat:
            return worded(flat[key])
    return ABSENT


def front(of: Sequence[TunedArchitecture], subject: TunedTask) -> Table | None:
    """The Pareto fronts, architecture by architecture; `None` where no study has two objectives."""
    lines = []
    second = ""
    for each in of:
        if len(each.study.objectives) < 2:
            continue
        second = each.study.objectives[1]
        for trial in each.study.front:
            losses = trial.values or ()
            lines.append(
                (
                    Cell(text=each.name, look=each.look),
                    Cell(text=format_count(trial.number)),
                    Cell(text=format_number(losses[0])),
                    Cell(text=format_count(losses[1]) if second == "parameters" else format_number(losses[1])),
                    Cell(text=", ".join(f"{printable(key)} {worded(value)}" for key, value in trial.params.items())),
                )
            )
    if not lines:
        return None
    return Table(
        caption=f"Pareto front of loss and {printable(second)} on {subject.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            Column(heading="trial"),
            Column(heading="validation\nloss"),
            Column(heading=printable(second)),
            Column(heading="chosen", kind="prose"),
        ),
        lines=tuple(lines),
    )


def trials(studies: Sequence[Study]) -> pd.DataFrame:
    """A row for each trial, by task, architecture and number.

    Every objective has a column of its own, `values/loss`; `last/loss` is the last validation loss that was reported,
    of a pruned trial too. What a trial does not have is missing.
    """
    objectives = sorted({name for study in studies for name in study.objectives})
    found = [record(study, trial, objectives) for study in studies for trial in study.trials]
    # Whole numbers stay whole where some trials have none.
    return pd.DataFrame(found, columns=list(columns(objectives))).convert_dtypes()


def columns(objectives: Sequence[str]) -> tuple[str, ...]:
    """The columns, in their order."""
    before = ("task", "task_options", "architecture", "study", "number", "place", "state", "default", "winner")
    values = (f"values/{name}" for name in objectives)
    return (*before, *values, "last/step", "last/loss", "params", "seconds", "ended", "identity", "error")


def record(study: Study, trial: Trial, objectives: Sequence[str]) -> dict[str, Any]:
    """A trial in one flat row."""
    values = dict(zip(study.objectives, trial.values or (), strict=False))
    return {
        "task": study.task,
        "task_options": json.dumps(dict(study.task_options), sort_keys=True),
        "architecture": study.architecture,
        "study": study.name,
        "number": trial.number,
        "place": trial.place,
        "state": trial.state,
        "default": trial.default,
        "winner": trial.number == study.winner,
        **{f"values/{name}": values.get(name) for name in objectives},
        "last/step": trial.intermediate[-1][0] if trial.intermediate else None,
        "last/loss": last_of(trial),
        "params": json.dumps(dict(trial.params), sort_keys=True),
        "seconds": trial.seconds,
        "ended": trial.ended,
        "identity": trial.identity,
        "error": trial.error,
    }
