"""What a chapter on tuning is about: the studies of one variant of a task, with what was trained from them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from analysis.groups import Row, Section, catalogue_order, distinct
from analysis.naming import described, natural, variant_key
from analysis.statistics import Mean
from analysis.style import Look, looks
from analysis.tuning.labels import labels
from analysis.tuning.outcomes import loss_of
from workbench.study_files import Study, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """An architecture, its study, and the rows that were trained from it on fresh seeds."""

    name: str
    """The architecture's, as it is printed; the study's where several have tuned the same one."""
    slug: str
    """The same in file names, its own among those of the task."""
    study: Study
    look: Look
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
class Subject:
    """A variant of a task on which architectures were tuned."""

    anchor: str
    title: str
    of: tuple[Tuned, ...]
    """In the catalogue's order, the user's own after it."""
    section: Section | None = field(default=None)
    """What was trained on it with fresh seeds; `None` where nothing is yet."""


def subjects(studies: Sequence[Study], sections: Sequence[Section]) -> tuple[Subject, ...]:
    """The studies by variant of a task: in the order of the report's sections, then those that have none.

    Args:
        studies: all of the report.
        sections: all of the report; those of tuned tasks have their studies in them.
    """
    names = {row.experiment.architecture.name for section in sections for row in section.rows}
    of_name = looks(names | {study.architecture for study in studies})
    found: list[tuple[str, Section | None, list[Study]]] = [
        (section.title, section, list(section.studies)) for section in sections if section.studies
    ]
    placed = {id(study) for _, _, mine in found for study in mine}
    rest: dict[str, list[Study]] = {}
    for study in studies:
        if id(study) not in placed:
            rest.setdefault(variant_key(study.task, study.task_options), []).append(study)
    alone: list[tuple[str, Section | None, list[Study]]] = [
        (described(mine[0].task, mine[0].task_options), None, mine) for mine in rest.values()
    ]
    found += sorted(alone, key=lambda each: natural(each[0]))
    anchors = anchored([(title, section) for title, section, _ in found], {section.anchor for section in sections})
    return tuple(
        Subject(anchor=anchor, title=title, section=section, of=tuple(tuned(mine, section, of_name)))
        for anchor, (title, section, mine) in zip(anchors, found, strict=True)
    )


def anchored(found: Sequence[tuple[str, Section | None]], taken: set[str]) -> list[str]:
    """A name for each subject in links and files, after the section's where there is one."""
    keys = [json.dumps([index, title]) for index, (title, _) in enumerate(found)]
    slugs = distinct({key: title for key, (title, _) in zip(keys, found, strict=True)})
    names = [
        f"tuning-{slugs[key] if section is None else section.anchor}"
        for key, (_, section) in zip(keys, found, strict=True)
    ]
    # A task may be named so that its own chapter has the name.
    return [f"{name}-search" if name in taken else name for name in names]


def tuned(studies: Iterable[Study], section: Section | None, of_name: dict[str, Look]) -> Iterable[Tuned]:
    """The studies of one subject, each with its rows."""
    ordered = sorted(studies, key=lambda study: (*catalogue_order(study.architecture), study.name))
    slugs = distinct({str(index): study.architecture for index, study in enumerate(ordered)})
    rows = {row.experiment.identity: row for row in (section.rows if section else ())}
    for index, (study, name) in enumerate(zip(ordered, labels(ordered), strict=True)):
        yield Tuned(
            name=name,
            slug=slugs[str(index)],
            study=study,
            look=of_name[study.architecture],
            tuned=rows.get(study.winner_identity or ""),
            default=rows.get(study.default_identity or ""),
        )
