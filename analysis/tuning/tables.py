"""The tables of a chapter on tuning."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.blocks import Cell, Column, Table
from analysis.formats import ABSENT, TIMES, count, interval, number, printable, span
from analysis.groups import Row
from analysis.naming import flattened
from analysis.tuning.domains import domains, said, worded
from analysis.tuning.outcomes import default_trial, loss_of, seconds_of
from analysis.tuning.ranks import mark, places
from analysis.tuning.subject import Subject, Tuned
from workbench.study_files import Trial


def against_default(subject: Subject) -> Table:
    """Each architecture tuned against its default, and what the search took."""
    found = {each.of.slug: each for each in places(subject.of)}
    defaults, tuned = ([getattr(each, key) for each in found.values()] for key in ("default", "tuned"))

    def line(each: Tuned) -> tuple[Cell, ...]:
        study, place = each.study, found.get(each.slug)
        untuned = default_trial(study)
        factor = None if place is None else place.factor
        texts = (
            tested(each.default),
            tested(each.tuned),
            ABSENT if factor is None else f"{number(factor)} {TIMES}",
            ABSENT if place is None else mark(place.before, place.default, defaults),
            ABSENT if place is None else mark(place.after, place.tuned, tuned),
            number(None if untuned is None else loss_of(study, untuned)),
            number(each.best),
            f"{len(study.finished)} of {study.asked}",
            *(count(len(study.in_state(state))) for state in ("pruned", "diverged")),
            count(len(study.in_state("failed", "interrupted"))),
            parameters(each),
            number(seconds_of(study)),
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
    return ABSENT if row is None else interval(row.test("loss"))


def parameters(each: Tuned) -> str:
    """How many the winner has, by its runs or by the study's second objective."""
    if each.tuned is not None:
        return span(each.tuned.results("parameters"))
    winner, names = each.winner, each.study.objectives
    if winner is None or winner.values is None or "parameters" not in names:
        return ABSENT
    return count(winner.values[names.index("parameters")])


def best(each: Tuned, subject: Subject) -> Table | None:
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
    flat: Mapping[str, Any] = flattened(row.experiment)
    bare = name.removeprefix("architecture.")
    for key in (f"architecture.options.{bare}", f"optimization.{name}", name):
        if key in flat:
            return worded(flat[key])
    return ABSENT


def front(of: Sequence[Tuned], subject: Subject) -> Table | None:
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
                    Cell(text=count(trial.number)),
                    Cell(text=number(losses[0])),
                    Cell(text=count(losses[1]) if second == "parameters" else number(losses[1])),
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
