"""What a chapter on tuning is about: the studies of one variant of a task, with what was trained from them."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from analysis.formatting import join_names, pluralize
from analysis.grouping import Row, Section, catalogue_order, distinct, labels, natural_sort_key, task_title, variant_key
from analysis.statistics import Mean
from analysis.style import LineStyle, line_styles
from workbench.study_files import State, Study, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedArchitecture:
    """An architecture, its study, and the rows that were trained from it on fresh seeds."""

    name: str
    """The architecture's, as it is printed; the study's where several have tuned the same one."""
    slug: str
    """The same in file names, its own among those of the task."""
    study: Study
    look: LineStyle
    tuned: Row | None = None
    default: Row | None = None
    """The same row, where the default configuration is also the best."""

    @property
    def losses(self) -> tuple[Mean, Mean] | None:
        """The mean test losses of the default and of the tuned configuration; `None` unless there are both."""
        if self.tuned is None or self.default is None:
            return None
        found = self.default.test("loss"), self.tuned.test("loss")
        return found if all(each.n for each in found) else None

    @property
    def winner(self) -> Trial | None:
        """The trial with the lowest validation loss."""
        return next((trial for trial in self.study.trials if trial.number == self.study.winner), None)

    @property
    def best(self) -> float | None:
        """Its validation loss."""
        return None if self.winner is None else loss_of(self.study, self.winner)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedTask:
    """A variant of a task on which architectures were tuned."""

    anchor: str
    title: str
    of: tuple[TunedArchitecture, ...]
    """In the catalogue's order, the user's own after it."""
    section: Section | None = field(default=None)
    """What was trained on it with fresh seeds; `None` where nothing is yet."""


def tuned_tasks(studies: Sequence[Study], sections: Sequence[Section]) -> tuple[TunedTask, ...]:
    """The studies by variant of a task: in the order of the report's sections, then those that have none.

    Args:
        studies: all of the report.
        sections: all of the report; those of tuned tasks have their studies in them.
    """
    names = {row.experiment.architecture.name for section in sections for row in section.rows}
    of_name = line_styles(names | {study.architecture for study in studies})
    found: list[tuple[str, Section | None, list[Study]]] = [
        (section.title, section, list(section.studies)) for section in sections if section.studies
    ]
    placed = {id(study) for _, _, mine in found for study in mine}
    rest: dict[str, list[Study]] = {}
    for study in studies:
        if id(study) not in placed:
            rest.setdefault(variant_key(study.task, study.task_options), []).append(study)
    alone: list[tuple[str, Section | None, list[Study]]] = [
        (task_title(mine[0].task, mine[0].task_options), None, mine) for mine in rest.values()
    ]
    found += sorted(alone, key=lambda each: natural_sort_key(each[0]))
    anchors = with_anchors([(title, section) for title, section, _ in found], {section.anchor for section in sections})
    return tuple(
        TunedTask(anchor=anchor, title=title, section=section, of=tuple(tuned_architectures(mine, section, of_name)))
        for anchor, (title, section, mine) in zip(anchors, found, strict=True)
    )


def with_anchors(found: Sequence[tuple[str, Section | None]], taken: set[str]) -> list[str]:
    """A name for each subject in links and files, after the section's where there is one."""
    keys = [json.dumps([index, title]) for index, (title, _) in enumerate(found)]
    slugs = distinct({key: title for key, (title, _) in zip(keys, found, strict=True)})
    names = [
        f"tuning-{slugs[key] if section is None else section.anchor}"
        for key, (_, section) in zip(keys, found, strict=True)
    ]
    # A task may be named so that its own chapter has the name.
    return [f"{name}-search" if name in taken else name for name in names]


def tuned_architectures(
    studies: Iterable[Study], section: Section | None, of_name: dict[str, LineStyle]
) -> Iterable[TunedArchitecture]:
    """The studies of one subject, each with its rows."""
    ordered = sorted(studies, key=lambda study: (*catalogue_order(study.architecture), study.name))
    slugs = distinct({str(index): study.architecture for index, study in enumerate(ordered)})
    rows = {row.experiment.identity: row for row in (section.rows if section else ())}
    for index, (study, name) in enumerate(zip(ordered, labels(ordered), strict=True)):
        yield TunedArchitecture(
            name=name,
            slug=slugs[str(index)],
            study=study,
            look=of_name[study.architecture],
            tuned=rows.get(study.winner_identity or ""),
            default=rows.get(study.default_identity or ""),
        )


OTHERS: tuple[tuple[State, str, str], ...] = (
    ("failed", "failed", "failed"),
    ("interrupted", "was interrupted", "were interrupted"),
    ("running", "is running", "are running"),
    ("waiting", "is waiting", "are waiting"),
)
"""The states that do not count against a budget, and what is said of one and of several."""


def loss_of(study: Study, trial: Trial) -> float | None:
    """The validation loss at the end of a complete trial; `None` for all others."""
    if trial.values is None or trial.state != "complete":
        return None
    loss = trial.values[study.objectives.index("loss") if "loss" in study.objectives else 0]
    return loss if math.isfinite(loss) else None


def last_of(trial: Trial) -> float | None:
    """The last validation loss that a trial reported, however it ended."""
    finite = [value for _, value in trial.intermediate if math.isfinite(value)]
    return finite[-1] if finite else None


def shown_loss(study: Study, trial: Trial) -> float | None:
    """The loss at which a trial is drawn: that at the end, or for a pruned one the last."""
    return last_of(trial) if trial.state == "pruned" else loss_of(study, trial)


def best_so_far(study: Study) -> np.ndarray:
    """The lowest validation loss up to each finished trial, by number.

    Returns:
        (finished,); NaN before the first complete trial.
    """
    losses = [loss_of(study, trial) for trial in study.finished]
    return np.fmin.accumulate(np.array([math.nan if loss is None else loss for loss in losses], dtype=float))


def default_trial(study: Study) -> Trial | None:
    """The finished trial of the default configuration; `None` where none was."""
    return next((trial for trial in study.finished if trial.default), None)


def seconds_of(study: Study) -> float | None:
    """Seconds of all trials together, however they ended; `None` where none is known."""
    known = [trial.seconds for trial in study.trials if trial.seconds is not None]
    return sum(known) if known else None


def counted(studies: Iterable[Study]) -> str:
    """How many trials ended how, in a sentence.

    Example: `Of 80 finished trials 12 were pruned and 1 diverged; beside them 2 failed.`
    """
    given = tuple(studies)

    def of(state: State) -> int:
        return sum(len(study.in_state(state)) for study in given)

    finished = sum(len(study.finished) for study in given)
    pruned, diverged = of("pruned"), of("diverged")
    ends = [f"{pruned} {'was' if pruned == 1 else 'were'} pruned"] if pruned else []
    ends += [f"{diverged} diverged"] if diverged else []
    if finished:
        said = f"Of {pluralize(finished, 'finished trial')} {join_names(ends) or 'none was pruned and none diverged'}"
    else:
        said = "No trial has finished"
    others = [f"{amount} {one if amount == 1 else many}" for state, one, many in OTHERS if (amount := of(state))]
    beside = f"; beside them {join_names(others)}" if others else ""
    return f"{said}{beside}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RankChange:
    """Where an architecture stands before and after it was tuned."""

    of: TunedArchitecture
    default: Mean
    """Test loss of the default configuration."""
    tuned: Mean
    """Test loss of the winner."""
    before: int
    """1 for the lowest mean; two that are equal share a place."""
    after: int

    @property
    def moved(self) -> int:
        """Places won; negative, places lost."""
        return self.before - self.after

    @property
    def factor(self) -> float | None:
        """By what the loss became smaller, as default / tuned; `None` where that means nothing."""
        return self.default.mean / self.tuned.mean if self.default.mean > 0 and self.tuned.mean > 0 else None

    @property
    def told(self) -> bool:
        """Whether the intervals tell the two losses apart."""
        return intervals_apart(self.default, self.tuned)


def rank_changes(of: Sequence[TunedArchitecture]) -> tuple[RankChange, ...]:
    """The places of those that have both losses, in the order given. Others are in neither ranking: an order that one
    has joined is another order."""
    both = [(each, losses) for each in of if (losses := each.losses) is not None]

    def rank(index: int, mean: float) -> int:
        return 1 + sum(losses[index].mean < mean for _, losses in both)

    return tuple(
        RankChange(
            of=each,
            default=default,
            tuned=tuned,
            before=rank(0, default.mean),
            after=rank(1, tuned.mean),
        )
        for each, (default, tuned) in both
    )


def swapped_ranks(found: Sequence[RankChange]) -> list[tuple[RankChange, RankChange]]:
    """The pairs whose order tuning reverses: the first was ahead, the second is now."""
    pairs = []
    for one, other in combinations(found, 2):
        ahead = one.before - other.before
        if ahead * (one.after - other.after) < 0:
            pairs.append((one, other) if ahead < 0 else (other, one))
    return pairs


def is_certain(pair: tuple[RankChange, RankChange]) -> bool:
    """Whether the intervals tell the two apart, before and after."""
    one, other = pair
    return intervals_apart(one.default, other.default) and intervals_apart(one.tuned, other.tuned)


def intervals_apart(one: Mean, other: Mean) -> bool:
    """Whether both have an interval, and these have no point in common."""
    return one.half is not None and other.half is not None and not one.overlaps(other)


def format_rank(rank: int, mean: Mean, among: Sequence[Mean]) -> str:
    """A rank as the report prints it: `1=` where the interval overlaps that of the first, `(2)` where there is none to
    tell it from the first."""
    first = min(among, key=lambda each: each.mean)
    if first.half is None or mean.half is None:
        return f"({rank})"
    near = [each for each in among if not intervals_apart(first, each) and each.half is not None]
    return "1=" if len(near) > 1 and mean in near else str(rank)
