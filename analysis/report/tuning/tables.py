"""Tables of a chapter on tuning, and the table of all trials that is written to `tuning.csv`."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.formatting import (
    ABSENT,
    format_count,
    format_number,
    format_range,
    make_printable,
)
from analysis.grouping import Row
from analysis.report.blocks import Cell, Column, Table
from analysis.report.summary import format_p, format_standing
from analysis.report.tuning.measure import study_measure
from analysis.report.tuning.rank_changes import RankChange, compare_rows, format_gain, format_rank, rank_changes
from analysis.report.tuning.search_space import format_domain, format_value, study_domains
from analysis.report.tuning.tuned_tasks import (
    TunedArchitecture,
    TunedTask,
    default_trial,
    final_score,
    last_score,
    total_seconds,
)
from analysis.variant_names import flatten_config, study_task
from workbench.study_files import Study, Trial

MINUS_SIGN = "\u2212"
SOURCES = ("task_source", "architecture_source")
"""Columns of the hashes of code and data that are no part of the bench."""


def tuning_table(task: TunedTask) -> Table:
    """Returns the scores and ranks of each architecture before and after tuning, and the cost of the search."""
    rankings = rank_changes(task)
    changes = {} if rankings is None else {change.architecture.slug: change for change in rankings.changes}
    losses = format_test_losses(task)
    measure = task.measure

    def table_row(architecture: TunedArchitecture) -> tuple[Cell, ...]:
        study, change = architecture.study, changes.get(architecture.slug)
        untuned = default_trial(study)
        if rankings is None or change is None:
            rows = (architecture.default, architecture.tuned)
            compared = (*(ABSENT if row is None else losses.get(row.label, ABSENT) for row in rows), *[ABSENT] * 4)
        else:
            compared = (
                format_standing(measure.restore(change.default)),
                format_standing(measure.restore(change.tuned)),
                format_gain(change),
                format_gain_p(change),
                format_rank(change.before, change.default, rankings.before),
                format_rank(change.after, change.tuned, rankings.after),
            )
        texts = (
            *compared,
            format_number(None if untuned is None else final_score(study, untuned)),
            format_number(architecture.best),
            f"{len(study.finished_trials)} of {study.asked}",
            *(format_count(len(study.trials_in(state))) for state in ("pruned", "diverged")),
            format_count(len(study.trials_in("failed", "interrupted"))),
            format_parameters(architecture),
            format_number(total_seconds(study)),
        )
        return (
            Cell(text=architecture.name, line_style=architecture.line_style),
            *(Cell(text=text) for text in texts),
        )

    # Losses of which one is negative have no ratio.
    is_ratio = not changes or all(change.gain.scale == "log" for change in changes.values())
    difference = f"default\n{'/' if is_ratio else MINUS_SIGN} tuned"
    if measure.maximize:
        difference = f"tuned\n{MINUS_SIGN} default"
    columns = (
        (f"test {measure.words}", ("default", "tuned", difference, "p")),
        ("rank", ("default", "tuned")),
        (f"validation {measure.words}", ("default", "best\ntrial")),
        ("trials", ("finished", "pruned", "diverged", "failed,\ninterrupted")),
        ("", ("parameters\nof the winner", "seconds of\nthe search")),
    )
    return Table(
        caption=f"Tuned against default on {task.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            *(Column(heading=heading, group=group) for group, headings in columns for heading in headings),
        ),
        rows=tuple(table_row(architecture) for architecture in task.architectures),
    )


def format_gain_p(change: RankChange) -> str:
    """Formats the p-value of a gain without its letter, which heads the column; none with too few seeds."""
    if change.gain.p is None or change.is_indicative:
        return ABSENT
    return format_p(change.gain.p).removeprefix("p ").removeprefix("= ")


def format_test_losses(task: TunedTask) -> dict[str, str]:
    """Returns the mean test score of each default and winner with its interval, by the label of the row."""
    rows = [
        row
        for architecture in task.architectures
        for row in (architecture.default, architecture.tuned)
        if row is not None
    ]
    comparison = compare_rows(task, rows)
    if comparison is None:
        return {}
    return {standing.row.label: format_standing(task.measure.restore(standing)) for standing in comparison.standings}


def format_parameters(architecture: TunedArchitecture) -> str:
    """Returns the number of the winner's parameters, from its runs or else from the study's second objective."""
    if architecture.tuned is not None:
        return format_range(architecture.tuned.result_values("parameters"))
    winner, objectives = architecture.winner, architecture.study.objectives
    if winner is None or winner.values is None or "parameters" not in objectives:
        return ABSENT
    return format_count(winner.values[objectives.index("parameters")])


def best_parameters_table(architecture: TunedArchitecture, task: TunedTask) -> Table | None:
    """Returns the parameters of the winner, beside the default and the search space; `None` without parameters."""
    winner, untuned = architecture.winner, default_trial(architecture.study)
    importances = architecture.study.importances or {}
    domains = study_domains(architecture.study)
    if not domains:
        return None
    searched_first = sorted(domains, key=lambda domain: domain.is_fixed)
    rows = [
        (
            make_printable(domain.name),
            format_domain(domain),
            format_chosen(domain.name, untuned, architecture.default, conditional=bool(domain.when)),
            format_chosen(domain.name, winner, architecture.tuned, conditional=bool(domain.when)),
            ABSENT if (share := importances.get(domain.name)) is None else f"{share:.2f}",
        )
        for domain in searched_first
    ]
    return Table(
        caption=f"Best parameters of {architecture.name} on {task.title}",
        columns=(
            Column(heading="parameter", kind="text"),
            Column(heading="searched", kind="prose"),
            *(Column(heading=heading) for heading in ("default", "winner", "importance")),
        ),
        rows=tuple(tuple(Cell(text=text) for text in row) for row in rows),
    )


def format_chosen(name: str, trial: Trial | None, row: Row | None, *, conditional: bool = False) -> str:
    """Returns the value of a parameter in a trial, or else in the configuration of a row.

    Args:
        name: name of the parameter in the search space.
        trial: the trial.
        row: the runs of the same configuration.
        conditional: whether a trial without the parameter did not use it, so that the configuration does not count.
    """
    if trial is not None and name in trial.params:
        return format_value(trial.params[name])
    if row is None or (trial is not None and conditional):
        return ABSENT
    configuration = flatten_config(row.experiment)
    option = name.removeprefix("architecture.")
    for key in (f"architecture.options.{option}", f"optimization.{name}", name):
        if key in configuration:
            return format_value(configuration[key])
    return ABSENT


def pareto_table(task: TunedTask) -> Table | None:
    """Returns the Pareto fronts, architecture by architecture; `None` if no study has two objectives."""
    rows = []
    second = ""
    for architecture in task.architectures:
        if len(architecture.study.objectives) < 2:
            continue
        second = architecture.study.objectives[1]
        for trial in architecture.study.pareto_front:
            values = trial.values or ()
            params = ", ".join(f"{make_printable(key)} {format_value(value)}" for key, value in trial.params.items())
            rows.append(
                (
                    Cell(text=architecture.name, line_style=architecture.line_style),
                    Cell(text=format_count(trial.number)),
                    Cell(text=format_number(values[0])),
                    Cell(text=format_count(values[1]) if second == "parameters" else format_number(values[1])),
                    Cell(text=params),
                )
            )
    if not rows:
        return None
    return Table(
        caption=f"Pareto front of loss and {make_printable(second)} on {task.title}",
        columns=(
            Column(heading="architecture", kind="text"),
            Column(heading="trial"),
            Column(heading="validation\nloss"),
            Column(heading=make_printable(second)),
            Column(heading="chosen", kind="prose"),
        ),
        rows=tuple(rows),
    )


def trials_table(studies: Sequence[Study]) -> pd.DataFrame:
    """Returns a row for each trial, by task, architecture and number.

    Every objective has a column of its own, such as `values/loss`; `last/loss` is the last validation loss that was
    reported, also by a pruned trial, and `last/accuracy` the last accuracy of a study that is judged by that. Values
    that a trial does not have are missing.
    """
    objectives = sorted({name for study in studies for name in study.objectives})
    metrics = sorted({study_measure(study).name for study in studies} - {"loss"})
    records = [trial_record(study, trial, objectives) for study in studies for trial in study.trials]
    # Integer columns stay integer even if some trials have no value.
    columns = [*trial_columns(objectives), *(f"last/{name}" for name in metrics), "enqueued"]
    return pd.DataFrame(records, columns=columns).convert_dtypes()


def trial_columns(objectives: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of the table of trials, in order."""
    identity = ("task", "task_options", "architecture", "study", "number", "place", "state", "default", "winner")
    values = (f"values/{name}" for name in objectives)
    return (*identity, *values, "last/step", "last/loss", "params", "seconds", "ended", "identity", "error", *SOURCES)


def trial_record(study: Study, trial: Trial, objectives: Sequence[str]) -> dict[str, Any]:
    """Returns a trial as one flat row."""
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
        f"last/{study_measure(study).name}": last_score(trial),
        "params": json.dumps(dict(trial.params), sort_keys=True),
        "seconds": trial.seconds,
        "ended": trial.ended,
        "identity": trial.identity,
        "error": trial.error,
        "enqueued": trial.enqueued,
        "task_source": study_task(study).source,
        "architecture_source": study.settings.get("source"),
    }
