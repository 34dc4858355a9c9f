"""Studies in a store: made once, and opened only as what they were made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from architectures.suggest import did_you_mean
from sweeps.samplers import PerTrial, make_pruner
from sweeps.study_spec import StudySpec
from sweeps.trial_budget import SlotOrderedStudy
from workbench.errors import UserError
from workbench.validation import check_int

SPEC, ASKED, VERSIONS = "spec", "asked", "versions"
"""What a study carries: its settings, the number of finished trials asked for, and what it was made with."""
MAX_TRIALS = 10_000
"""Trials that a study may be asked for: every place is put into the store before the first is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStudy:
    """A study, and what it is."""

    study: Study
    spec: StudySpec
    asked: int

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of its trials, as they are now; not to be changed.

        Raises:
            UserError: if it was deleted.
        """
        try:
            return self.study.get_trials(deepcopy=False)
        except KeyError:
            raise UserError(deleted_error(self.spec.name)) from None


def create_studies(storage: BaseStorage, specs: Sequence[StudySpec], asked: int) -> list[LoadedStudy]:
    """Makes studies, or opens them and has them ask for as many trials as are asked for now; all of them, or none.

    Raises:
        UserError: if there is one of other settings under such a name, or one that asks for more trials; or if they
            are too many.
    """
    check_int("trials", asked, least=1, most=MAX_TRIALS)
    known = summaries(storage)
    for spec in specs:
        if spec.name in known:
            study = optuna.load_study(storage=storage, study_name=spec.name)
            check_same_study(study, spec, asked)
    return [create_optuna_study(storage, spec, asked) for spec in specs]


def check_same_study(study: Study, spec: StudySpec, asked: int) -> None:
    """Refuses to take a study for another.

    Raises:
        UserError: if it is none of this bench's, has other settings, or asks for more trials.
    """
    attributes = study.user_attrs
    if SPEC not in attributes:
        half_made = not (attributes.keys() - {VERSIONS, ASKED} or study.get_trials(deepcopy=False))
        if not half_made or study.directions != [StudyDirection.MINIMIZE] * len(spec.objectives):
            raise UserError(f"study {spec.name!r} in this store is none of this bench's; choose another --name")
        return
    found_spec, found_asked = read_attributes(study.study_name, attributes)
    differing = found_spec.differences(spec)
    if differing:
        raise UserError(
            f"study {spec.name!r} was made with other settings: {'; '.join(differing)}; give those, or another --name"
        )
    if asked < found_asked:
        raise UserError(f"study {spec.name!r} has been asked for {found_asked} trials; fewer cannot be asked: {asked}")


def create_optuna_study(storage: BaseStorage, spec: StudySpec, asked: int) -> LoadedStudy:
    """Makes a study, completes one that was half made, or opens it."""
    study = optuna.create_study(
        storage=storage, study_name=spec.name, directions=["minimize"] * len(spec.objectives), load_if_exists=True
    )
    # Another sweep may have made it meanwhile.
    check_same_study(study, spec, asked)
    attributes = study.user_attrs
    if attributes.get(ASKED) != asked:
        study.set_user_attr(ASKED, asked)
    if SPEC not in attributes:
        study.set_user_attr(VERSIONS, {"optuna": optuna.__version__})
        # Last, so that a study that has it has everything.
        study.set_user_attr(SPEC, spec.to_dict())
    return load_study(storage, spec.name, {SPEC: spec.to_dict(), ASKED: asked})


def load_studies(storage: BaseStorage, names: tuple[str, ...] = ()) -> list[LoadedStudy]:
    """The studies of these names; all of this bench's in the store where none is named.

    Raises:
        UserError: if there is none of a name, or one that this bench did not make.
    """
    known = summaries(storage)
    for name in names:
        if name not in known:
            raise UserError(f"there is no study {name!r} in this store{did_you_mean(name, known)}")
        if SPEC not in known[name]:
            raise UserError(f"study {name!r} is none of this bench's, or is only being made; try again in a moment")
    wanted = names or tuple(name for name, attributes in known.items() if SPEC in attributes)
    if not wanted:
        raise UserError("this store has no studies of this bench yet; workbench sweep run makes them")
    return [load_study(storage, name, known[name]) for name in wanted]


def summaries(storage: BaseStorage) -> dict[str, dict[str, Any]]:
    """What the studies of a store carry, by name."""
    found = optuna.get_all_study_summaries(storage=storage, include_best_trial=False)
    return {summary.study_name: summary.user_attrs for summary in found}


def load_study(storage: BaseStorage, name: str, attributes: Mapping[str, Any]) -> LoadedStudy:
    """A study with what proposes its trials and gives them up.

    Raises:
        UserError: if it is none of this bench's.
    """
    spec, asked = read_attributes(name, attributes)
    study = SlotOrderedStudy(study_name=name, storage=storage, sampler=PerTrial(spec), pruner=make_pruner(spec))
    return LoadedStudy(study=study, spec=spec, asked=asked)


def read_attributes(name: str, attributes: Mapping[str, Any]) -> tuple[StudySpec, int]:
    """What a study carries, read.

    Raises:
        UserError: if something else wrote it.
    """
    settings, asked = attributes.get(SPEC), attributes.get(ASKED)
    if not isinstance(settings, Mapping) or not isinstance(asked, int):
        raise UserError(f"study {name!r} is none of this bench's; name others with --study, or choose another --name")
    try:
        return StudySpec.from_dict(settings), asked
    except UserError as error:
        raise UserError(f"study {name!r}: {error}") from None


def refresh(found: LoadedStudy) -> LoadedStudy:
    """The same study with the number of trials that is asked for by now.

    Raises:
        UserError: if it was deleted.
    """
    try:
        return LoadedStudy(study=found.study, spec=found.spec, asked=int(found.study.user_attrs[ASKED]))
    except KeyError:
        raise UserError(deleted_error(found.spec.name)) from None


def deleted_error(name: str) -> str:
    """What is said where a study is no longer there."""
    return f"study {name!r} is no longer in the store; the same sweep makes it again and reads the runs that are there"
