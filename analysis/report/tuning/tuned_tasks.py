"""Tuned architectures: the studies of a task with the runs trained from them, and the scores of their trials."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.formatting import join_names, pluralize
from analysis.grouping import Row, Section, catalogue_sort_key
from analysis.report.tuning.measure import LOSS, Measure, study_measure
from analysis.style import LineStyle, line_styles
from analysis.variant_names import make_anchors, natural_sort_key, study_labels, study_task, variant_key, variant_titles
from workbench.study_files import Study, Trial, TrialStatus

UNCOUNTED_STATES: tuple[tuple[TrialStatus, str, str], ...] = (
    ("failed", "failed", "failed"),
    ("interrupted", "was interrupted", "were interrupted"),
    ("running", "is running", "are running"),
    ("waiting", "is waiting", "are waiting"),
)
"""States that do not count towards the number of finished trials, with predicates for one trial and for several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedArchitecture:
    """An architecture, its study, and the rows that were trained from it on fresh seeds."""

    name: str
    """Name of the architecture; if several studies have tuned the same one, name of the study."""
    slug: str
    """The name as part of file names, unique in the task."""
    study: Study
    line_style: LineStyle
    tuned: Row | None = None
    default: Row | None = None
    """The same row as `tuned` if the default configuration is also the best."""

    @property
    def measure(self) -> Measure:
        """What its trials are judged by."""
        return study_measure(self.study)

    @property
    def winner(self) -> Trial | None:
        """The trial that is best on the validation set."""
        return next((trial for trial in self.study.trials if trial.number == self.study.winner), None)

    @property
    def best(self) -> float | None:
        """The winner's value of the metric on the validation set."""
        return None if self.winner is None else final_score(self.study, self.winner)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedTask:
    """A variant of a task on which architectures were tuned."""

    anchor: str
    title: str
    architectures: tuple[TunedArchitecture, ...]
    """In the catalogue's order, followed by custom architectures."""
    section: Section | None = None
    """The runs on fresh seeds; `None` if there are none yet."""

    @property
    def measure(self) -> Measure:
        """What trials are judged by; that of the first study, if studies differ, which the fairness line says."""
        return self.architectures[0].measure if self.architectures else LOSS


def tuned_tasks(studies: Sequence[Study], sections: Sequence[Section]) -> tuple[TunedTask, ...]:
    """Groups studies by variant of a task, in the order of the report's sections, followed by those without a section.

    Args:
        studies: all studies of the report.
        sections: all sections of the report; those of tuned tasks hold their studies.
    """
    names = {row.experiment.architecture.name for section in sections for row in section.rows}
    style_of = line_styles(names | {study.architecture for study in studies})
    tasks: list[tuple[str, Section | None, list[Study]]] = [
        (section.title, section, list(section.studies)) for section in sections if section.studies
    ]
    with_section = {id(study) for _, _, task_studies in tasks for study in task_studies}
    by_variant: dict[str, list[Study]] = {}
    for study in studies:
        if id(study) not in with_section:
            task = study_task(study)
            by_variant.setdefault(variant_key(task.name, task.options, task.source), []).append(study)
    titles = variant_titles(
        [study_task(study) for study in studies] + [run.experiment.task for section in sections for run in section.runs]
    )
    without_section: list[tuple[str, Section | None, list[Study]]] = [
        (titles[key], None, variant) for key, variant in by_variant.items()
    ]
    tasks += sorted(without_section, key=lambda task: natural_sort_key(task[0]))
    anchors = tuning_anchors(
        [(title, section) for title, section, _ in tasks], {section.anchor for section in sections}
    )
    return tuple(
        TunedTask(
            anchor=anchor,
            title=title,
            section=section,
            architectures=tuple(tuned_architectures(task_studies, section, style_of)),
        )
        for anchor, (title, section, task_studies) in zip(anchors, tasks, strict=True)
    )


def tuning_anchors(tasks: Sequence[tuple[str, Section | None]], reserved: set[str]) -> list[str]:
    """Returns a unique name for each task in links and files, derived from its section's if it has one.

    Args:
        tasks: title and section of each task.
        reserved: names of other chapters.
    """
    keys = [json.dumps([index, title]) for index, (title, _) in enumerate(tasks)]
    slugs = make_anchors({key: title for key, (title, _) in zip(keys, tasks, strict=True)})
    anchors = [
        f"tuning-{slugs[key] if section is None else section.anchor}"
        for key, (_, section) in zip(keys, tasks, strict=True)
    ]
    # The chapter of another task may have the same name.
    return [f"{anchor}-search" if anchor in reserved else anchor for anchor in anchors]


def tuned_architectures(
    studies: Iterable[Study], section: Section | None, style_of: Mapping[str, LineStyle]
) -> Iterable[TunedArchitecture]:
    """Yields the studies of one task, each with its rows.

    Args:
        studies: studies of the task.
        section: the runs on fresh seeds.
        style_of: line style of every architecture of the report.
    """
    ordered = sorted(studies, key=lambda study: (*catalogue_sort_key(study.architecture), study.name))
    slugs = make_anchors({str(index): study.architecture for index, study in enumerate(ordered)})
    rows = {row.experiment.identity: row for row in (section.rows if section else ())}
    for index, (study, name) in enumerate(zip(ordered, study_labels(ordered), strict=True)):
        yield TunedArchitecture(
            name=name,
            slug=slugs[str(index)],
            study=study,
            line_style=style_of[study.architecture],
            tuned=rows.get(study.winner_identity or ""),
            default=rows.get(study.default_identity or ""),
        )


def final_score(study: Study, trial: Trial) -> float | None:
    """Returns the metric on the validation set at the end of a complete trial; `None` for all others."""
    if trial.values is None or trial.state != "complete":
        return None
    score = trial.values[study.objectives.index("loss") if "loss" in study.objectives else 0]
    return score if math.isfinite(score) else None


def last_score(trial: Trial) -> float | None:
    """Returns the last finite value of the metric that a trial reported, in whatever state it ended."""
    finite = [value for _, value in trial.intermediate if math.isfinite(value)]
    return finite[-1] if finite else None


def plotted_score(study: Study, trial: Trial) -> float | None:
    """Returns the value at which a trial is drawn: the last one if it was pruned, else the final one."""
    return last_score(trial) if trial.state == "pruned" else final_score(study, trial)


def best_so_far(study: Study) -> np.ndarray:
    """Returns the best value of the metric up to each finished trial, in order of number.

    Returns:
        (finished,); NaN before the first complete trial.
    """
    scores = [final_score(study, trial) for trial in study.finished_trials]
    best = np.fmax if study_measure(study).maximize else np.fmin
    return best.accumulate(np.array([math.nan if score is None else score for score in scores], dtype=float))


def default_trial(study: Study) -> Trial | None:
    """Returns the finished trial of the default configuration; `None` if there is none."""
    return next((trial for trial in study.finished_trials if trial.default), None)


def total_seconds(study: Study) -> float | None:
    """Returns the seconds of all trials together, in whatever state they ended; `None` if no trial has a time."""
    seconds = [trial.seconds for trial in study.trials if trial.seconds is not None]
    return sum(seconds) if seconds else None


def describe_trials(studies: Iterable[Study]) -> str:
    """Counts the trials by state, in a sentence.

    Example: `Of 80 finished trials 12 were pruned and 1 diverged; in addition 2 failed.`
    """
    studies = tuple(studies)

    def count(state: TrialStatus) -> int:
        return sum(len(study.trials_in(state)) for study in studies)

    finished = sum(len(study.finished_trials) for study in studies)
    pruned, diverged = count("pruned"), count("diverged")
    ends = [f"{pruned} {'was' if pruned == 1 else 'were'} pruned"] if pruned else []
    ends += [f"{diverged} diverged"] if diverged else []
    if finished:
        text = f"Of {pluralize(finished, 'finished trial')} {join_names(ends) or 'none was pruned and none diverged'}"
    else:
        text = "No trial has finished"
    others = [
        f"{amount} {singular if amount == 1 else plural}"
        for state, singular, plural in UNCOUNTED_STATES
        if (amount := count(state))
    ]
    addition = f"; in addition {join_names(others)}" if others else ""
    return f"{text}{addition}."
