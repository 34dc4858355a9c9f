"""A study in the order of its places, however often a trial was begun again."""

import copy
from collections.abc import Container

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweeps.places import place_of


class InTurn(Study):
    """A study whose waiting trials are begun by place, and not by age: one that is tried again has a new number, but
    comes before those that were never begun. An interrupted sweep then goes on in the order of one that was not."""

    def _pop_waiting_trial_id(self) -> int | None:
        waiting = self._storage.get_all_trials(self._study_id, deepcopy=False, states=(TrialState.WAITING,))
        for trial in sorted(waiting, key=lambda each: (place_of(each), each.number)):
            try:
                taken = self._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if taken:
                # Optuna's first sign of life comes from a thread; without one, nobody would look for it if it died now.
                if isinstance(self._storage, BaseHeartbeat):
                    self._storage.record_heartbeat(trial._trial_id)
                return trial._trial_id
        return None


class ByPlace(Study):
    """What a sampler sees of a study: its trials in the order of their places, and with those for numbers. An estimator
    goes by the order of what it has seen."""

    def __init__(self, study: InTurn) -> None:
        self.__dict__.update(study.__dict__)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        found = super()._get_trials(deepcopy, states, use_cache)
        return [as_placed(trial) for trial in sorted(found, key=lambda each: (place_of(each), each.number))]


def as_placed(trial: FrozenTrial) -> FrozenTrial:
    """The trial with its place for a number, if it has one."""
    placed = copy.copy(trial)
    placed.number = place_of(trial) if place_of(trial) >= 0 else trial.number
    return placed
