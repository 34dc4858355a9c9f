"""The budget of a study, kept in its store: exactly so many places, each of which one trial finishes.

Workers are equal and none coordinates them. What keeps the count is that every trial carries the number of a place,
and that a trial begins only if no earlier one of its place is alive or finished. Optuna numbers trials in the order of
their creation and a trial that has failed stays so; hence of all trials of a place at most one can finish, however many
processes fill the places at once. One whose process died is made up for by another with the same parameters.
"""

import copy
import time
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

PLACE, DRAW, ENDED, ERROR, WORKER, IDENTITY = "place", "draw", "ended", "error", "worker", "identity"
"""What trials carry: their place, how many choices of parameters it had used up before, why one failed on purpose
(SURPLUS or INTERRUPTED) or by an error, who is at it, and the identity of its configuration."""
SURPLUS, INTERRUPTED, DIVERGED = "surplus", "interrupted", "diverged"

ACTIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
ERRORS_AT_LEAST = 3
"""Failures that a study may always have before it is given up."""


def slot_of(trial: FrozenTrial) -> int:
    """The place that a trial is to fill; -1 for one that is none of ours."""
    place = trial.user_attrs.get(PLACE, -1)
    return place if isinstance(place, int) else -1


def attempt_of(trial: FrozenTrial) -> int:
    """How many choices of parameters its place had used up before."""
    draw = trial.user_attrs.get(DRAW, 0)
    return draw if isinstance(draw, int) else 0


def is_duplicate(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    """Whether an earlier trial of the same place is alive or finished."""
    return any(
        other.number < trial.number and slot_of(other) == slot_of(trial) and other.state in ACTIVE for other in trials
    )


def finished_trials(trials: Sequence[FrozenTrial], asked: int) -> int:
    """How many of the places are finished."""
    return len({slot_of(trial) for trial in trials if trial.state in FINISHED} & set(range(asked)))


def failed_attempts(trials: Sequence[FrozenTrial]) -> list[str]:
    """What went wrong with parameters that were given up: those that failed by themselves, and those at which process
    after process died; each once, as they came."""
    found: dict[tuple[int, int], str] = {}
    latest: dict[int, int] = defaultdict(int)
    for trial in trials:
        latest[slot_of(trial)] = max(latest[slot_of(trial)], attempt_of(trial))
    for trial in trials:
        draw = slot_of(trial), attempt_of(trial)
        if ERROR in trial.user_attrs:
            found[draw] = str(trial.user_attrs[ERROR])
        elif attempt_of(trial) < latest[slot_of(trial)] and ENDED not in trial.user_attrs:
            found.setdefault(draw, f"trial {trial.number} was begun again and again, and its process died each time")
    return list(found.values())


def abandoned_slots(trials: Sequence[FrozenTrial], asked: int) -> bool:
    """Whether so many parameters failed that others would too."""
    return len(failed_attempts(trials)) > max(ERRORS_AT_LEAST, asked // 2)


def enqueue_slots(study: Study, asked: int, default: Mapping[str, Any], retries: int) -> None:
    """Makes sure that each place has a trial that waits, runs or is finished.

    Args:
        study: the study.
        asked: the number of places.
        default: the parameters of the first.
        retries: how often a trial whose process died is tried again with the same parameters; one that kills whoever
            runs it must not do so for ever.
    """
    trials = study.get_trials(deepcopy=False)
    if abandoned_slots(trials, asked):
        return
    by_place: dict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if trial.user_attrs.get(ENDED) != SURPLUS:
            by_place[slot_of(trial)].append(trial)
    for place in range(asked):
        before = by_place[place]
        if any(trial.state in ACTIVE for trial in before):
            continue
        draw = max(map(attempt_of, before), default=0)
        latest = [trial for trial in before if attempt_of(trial) == draw]
        if is_exhausted(latest, retries):
            draw += 1
        elif any(trial.params for trial in latest):
            # One that died before its parameters were all chosen, or before it was seen to be surplus, has fewer.
            study.add_trial(enqueue_again(max(latest, key=lambda trial: len(trial.params))))
            continue
        anew = default if place == 0 and draw == 0 else {}
        study.enqueue_trial(dict(anew), user_attrs={PLACE: place, DRAW: draw})


def is_exhausted(attempts: Sequence[FrozenTrial], retries: int) -> bool:
    """Whether parameters that were tried so are not to be tried again."""
    died = sum(ENDED not in trial.user_attrs for trial in attempts)
    return died > retries or any(ERROR in trial.user_attrs for trial in attempts)


def enqueue_again(trial: FrozenTrial) -> FrozenTrial:
    """One like it, to be begun: its run goes on from its checkpoint, as the same parameters have the same folder."""
    kept = ("fixed_params",)
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={PLACE: slot_of(trial), DRAW: attempt_of(trial)},
        # The rest of what was enqueued, should it have died while its parameters were being chosen.
        system_attrs={key: value for key, value in trial.system_attrs.items() if key in kept},
    )


class UnstartedTrials:
    """Trials that were taken from the queue by a process that died before its first heartbeat, for which Optuna does
    not look. By this process's own clock: those of other machines may be wrong."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._since: dict[tuple[str, int], float] = {}

    def fail(self, study: Study) -> None:
        """Fails those that have not shown a sign of life for as long as they were watched."""
        now = time.monotonic()
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            key = study.study_name, trial.number
            if WORKER in trial.user_attrs:
                self._since.pop(key, None)
            elif now - self._since.setdefault(key, now) > self.grace:
                fail_trial(study, trial.number)


def fail_trial(study: Study, number: int) -> None:
    """Marks a trial whose process is no more, unless it has ended meanwhile."""
    try:
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return


class SlotOrderedStudy(Study):
    """A study whose waiting trials are begun by place, and not by age: one that is tried again has a new number, but
    comes before those that were never begun. An interrupted sweep then goes on in the order of one that was not."""

    def _pop_waiting_trial_id(self) -> int | None:
        waiting = self._storage.get_all_trials(self._study_id, deepcopy=False, states=(TrialState.WAITING,))
        for trial in sorted(waiting, key=lambda each: (slot_of(each), each.number)):
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


class SlotNumberedStudy(Study):
    """What a sampler sees of a study: its trials in the order of their places, and with those for numbers. An estimator
    goes by the order of what it has seen."""

    def __init__(self, study: SlotOrderedStudy) -> None:
        self.__dict__.update(study.__dict__)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        found = super()._get_trials(deepcopy, states, use_cache)
        return [with_slot_number(trial) for trial in sorted(found, key=lambda each: (slot_of(each), each.number))]


def with_slot_number(trial: FrozenTrial) -> FrozenTrial:
    """The trial with its place for a number, if it has one."""
    placed = copy.copy(trial)
    placed.number = slot_of(trial) if slot_of(trial) >= 0 else trial.number
    return placed
