"""Optuna studies in a store: created once, and loaded only with the settings that they were created with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from architectures.suggest import did_you_mean
from sweeps.method_names import is_short
from sweeps.samplers import SlotSampler, make_pruner
from sweeps.study_spec import StudySpec
from sweeps.sweep import MAX_TRIALS
from sweeps.trial_budget import SlotOrderedStudy
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.validation import check_int

SPEC, NUM_TRIALS, VERSIONS, DEFAULT_IDENTITY = "spec", "asked", "versions", "default_identity"
"""User attributes of a study, as they are stored: its settings, its number of finished trials, library versions, and
the identity of its default configuration, if custom code is needed to compute it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStudy:
    """An Optuna study together with its specification.

    Args:
        optuna_study: the study in its store.
        spec: its settings.
        num_trials: how many finished trials it is to have.
    """

    optuna_study: Study
    spec: StudySpec
    num_trials: int

    @property
    def default_identity(self) -> str | None:
        """Identity of the default configuration, which a comparison without tuning would train.

        `None` if custom code would be needed to compute it, and the study was made by an earlier version.
        """
        if not self.spec.names_custom_code:
            return self.spec.experiment({}, TUNING_SEED).identity
        identity = self.optuna_study.user_attrs.get(DEFAULT_IDENTITY)
        return identity if isinstance(identity, str) else None

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials as they are now; they must not be changed.

        Raises:
            UserError: if the study was deleted.
        """
        try:
            return self.optuna_study.get_trials(deepcopy=False)
        except KeyError:
            raise UserError(deleted_message(self.spec.name)) from None


def create_studies(storage: BaseStorage, specs: Sequence[StudySpec], num_trials: int) -> list[LoadedStudy]:
    """Creates studies, or loads existing ones and raises their number of trials; all of them, or none.

    Raises:
        UserError: if a study of that name has other settings or more trials, or `num_trials` is too large.
    """
    check_int("trials", num_trials, least=1, most=MAX_TRIALS)
    existing = study_attributes(storage)
    for spec in specs:
        if spec.name in existing:
            study = optuna.load_study(storage=storage, study_name=spec.name)
            check_same_study(study, spec, num_trials)
    return [create_or_load_study(storage, spec, num_trials) for spec in specs]


def check_same_study(study: Study, spec: StudySpec, num_trials: int) -> None:
    """Refuses a study that does not match a specification.

    Raises:
        UserError: if it was not created by the workbench, has other settings, or has more trials.
    """
    attributes = study.user_attrs
    if SPEC not in attributes:
        # A user may have made it to enqueue trials.
        only_waiting = all(trial.state is TrialState.WAITING for trial in study.get_trials(deepcopy=False))
        if attributes.keys() - {VERSIONS, NUM_TRIALS, DEFAULT_IDENTITY} or not only_waiting:
            raise UserError(f"study {spec.name!r} in this store was not made by the workbench; choose another --name")
        directions = [direction.name.lower() for direction in study.directions]
        if directions != list(spec.directions):
            raise UserError(
                f"study {spec.name!r} in this store is to {' and '.join(directions)}, but its objectives are to "
                f"{' and '.join(spec.directions)}; make it with directions={list(spec.directions)!r}, or choose "
                "another --name"
            )
        return
    stored_spec, stored_trials = parse_attributes(study.study_name, attributes)
    differences = stored_spec.differences(spec)
    if differences:
        raise UserError(
            f"study {spec.name!r} was made with other settings: {'; '.join(differences)}; give those, or another --name"
        )
    if num_trials < stored_trials:
        raise UserError(
            f"study {spec.name!r} already has {stored_trials} trials; ask for at least as many, not {num_trials}"
        )


def create_or_load_study(storage: BaseStorage, spec: StudySpec, num_trials: int) -> LoadedStudy:
    """Creates a study, completes one whose creation was interrupted, or loads it."""
    study = optuna.create_study(
        storage=storage, study_name=spec.name, directions=list(spec.directions), load_if_exists=True
    )
    # Another sweep may have created it meanwhile.
    check_same_study(study, spec, num_trials)
    attributes = study.user_attrs
    if attributes.get(NUM_TRIALS) != num_trials:
        study.set_user_attr(NUM_TRIALS, num_trials)
    if spec.names_custom_code and DEFAULT_IDENTITY not in attributes:
        # Those who only look at the study do not import the code.
        study.set_user_attr(DEFAULT_IDENTITY, spec.experiment({}, TUNING_SEED).identity)
    if SPEC not in attributes:
        study.set_user_attr(VERSIONS, {"optuna": optuna.__version__})
        # Last, so that a study that has it has everything.
        study.set_user_attr(SPEC, spec.to_dict())
    return load_study(storage, spec.name, {SPEC: spec.to_dict(), NUM_TRIALS: num_trials})


def load_studies(storage: BaseStorage, names: tuple[str, ...] = ()) -> list[LoadedStudy]:
    """Loads the studies of these names, or all studies of the workbench in the store if no names are given.

    Raises:
        UserError: if there is no study of a name, or it was not created by the workbench.
    """
    existing = study_attributes(storage)
    for name in names:
        if name not in existing:
            raise UserError(f"there is no study {name!r} in this store{did_you_mean(name, existing)}")
        if SPEC not in existing[name]:
            raise UserError(
                f"study {name!r} was not made by the workbench, or is still being made; try again in a moment"
            )
    names = names or tuple(name for name, attributes in existing.items() if SPEC in attributes)
    if not names:
        raise UserError("this store has no studies of the workbench yet; workbench sweep run makes them")
    return [load_study(storage, name, existing[name]) for name in names]


def load_study(storage: BaseStorage, name: str, attributes: Mapping[str, Any]) -> LoadedStudy:
    """Returns a study with its sampler and its pruner, if they have short names.

    Raises:
        UserError: if it was not created by the workbench.
    """
    spec, num_trials = parse_attributes(name, attributes)
    # Those of a dotted path are not imported here, where a study may only be looked at: see `sweeps.own_sampler`.
    sampler = SlotSampler(spec) if is_short("sampler", spec.sampler) else RandomSampler()
    pruner = make_pruner(spec) if is_short("pruner", spec.pruner) else NopPruner()
    study = SlotOrderedStudy(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
    return LoadedStudy(optuna_study=study, spec=spec, num_trials=num_trials)


def refresh(study: LoadedStudy) -> LoadedStudy:
    """Returns the study with its present number of trials, which another sweep may have raised.

    Raises:
        UserError: if the study was deleted.
    """
    try:
        num_trials = int(study.optuna_study.user_attrs[NUM_TRIALS])
    except KeyError:
        raise UserError(deleted_message(study.spec.name)) from None
    return LoadedStudy(optuna_study=study.optuna_study, spec=study.spec, num_trials=num_trials)


def study_attributes(storage: BaseStorage) -> dict[str, dict[str, Any]]:
    """Returns the user attributes of all studies in a store, by name."""
    summaries = optuna.get_all_study_summaries(storage=storage, include_best_trial=False)
    return {summary.study_name: summary.user_attrs for summary in summaries}


def parse_attributes(name: str, attributes: Mapping[str, Any]) -> tuple[StudySpec, int]:
    """Returns a study's specification and number of trials from its user attributes.

    Raises:
        UserError: if something else wrote them.
    """
    settings, num_trials = attributes.get(SPEC), attributes.get(NUM_TRIALS)
    if not isinstance(settings, Mapping) or not isinstance(num_trials, int):
        raise UserError(
            f"study {name!r} was not made by the workbench; name others with --study, or choose another --name"
        )
    try:
        return StudySpec.from_dict(settings), num_trials
    except UserError as error:
        raise UserError(f"study {name!r}: {error}") from None


def deleted_message(name: str) -> str:
    """Returns the error message for a study that was deleted."""
    return f"study {name!r} is no longer in the store; the same sweep makes it again and reads the runs that are there"
