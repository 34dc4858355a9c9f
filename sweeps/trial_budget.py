"""The budget of a study, kept in its store: a fixed number of slots, each of which is finished by exactly one trial.

Workers are equal, and nothing coordinates them. The count is right because every trial carries the number of a slot,
and starts only if no earlier trial of its slot is alive or finished. Optuna numbers trials in the order of their
creation, and a failed trial stays failed; hence of all trials of a slot at most one can finish, however many processes
fill the slots at once. A trial whose process died is retried by another trial with the same parameters.
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

SLOT, ATTEMPT, OUTCOME, ERROR, WORKER, IDENTITY = "place", "draw", "ended", "error", "worker", "identity"
ENQUEUED = "enqueued"
"""User attributes of trials, as they are stored in Optuna's database.

The slot of a trial; the number of earlier attempts of that slot, each with other parameters; the outcome, if Optuna's
state does not tell it; the error; the worker; the identity of the trial's configuration; whether the user enqueued it.
"""
DUPLICATE, INTERRUPTED, DIVERGED = "surplus", "interrupted", "diverged"
"""Values of `OUTCOME`, as they are stored."""

FIXED_PARAMS = "fixed_params"
"""Optuna's system attribute with the parameters of an enqueued trial."""

ACTIVE_STATES = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
"""States of a trial that occupies its slot."""
FINISHED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)
TOLERATED_FAILURES = 3
"""Failures that never make a study be given up, however few trials it has."""


def slot_of(trial: FrozenTrial) -> int:
    """Returns the slot of a trial; -1 if the trial was not created by a sweep."""
    slot = trial.user_attrs.get(SLOT, -1)
    return slot if isinstance(slot, int) else -1


def attempt_of(trial: FrozenTrial) -> int:
    """Returns the number of attempts, each with other parameters, that the trial's slot had before."""
    attempt = trial.user_attrs.get(ATTEMPT, 0)
    return attempt if isinstance(attempt, int) else 0


def is_enqueued(trial: FrozenTrial) -> bool:
    """Returns whether the user enqueued the trial, and it has a slot."""
    return trial.user_attrs.get(ENQUEUED) is True


def fixed_params(trial: FrozenTrial) -> dict[str, Any]:
    """Returns the parameters with which a trial was enqueued."""
    return dict(trial.system_attrs.get(FIXED_PARAMS, {}))


def is_duplicate(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> bool:
    """Returns whether an earlier trial of the same slot is alive or finished."""
    return any(
        other.number < trial.number and slot_of(other) == slot_of(trial) and other.state in ACTIVE_STATES
        for other in trials
    )


def count_finished(trials: Sequence[FrozenTrial], num_trials: int) -> int:
    """Returns how many of the first `num_trials` slots are finished."""
    return len({slot_of(trial) for trial in trials if trial.state in FINISHED_STATES} & set(range(num_trials)))


def failure_reasons(trials: Sequence[FrozenTrial]) -> list[str]:
    """Returns the reasons of failed attempts, one for each, in order.

    An attempt fails by an error, or because every process that tried its parameters died.
    """
    reasons: dict[tuple[int, int], str] = {}
    latest: dict[int, int] = defaultdict(int)
    for trial in trials:
        latest[slot_of(trial)] = max(latest[slot_of(trial)], attempt_of(trial))
    for trial in trials:
        key = slot_of(trial), attempt_of(trial)
        if ERROR in trial.user_attrs:
            reasons[key] = str(trial.user_attrs[ERROR])
        elif attempt_of(trial) < latest[slot_of(trial)] and OUTCOME not in trial.user_attrs:
            reasons.setdefault(key, f"trial {trial.number} was begun again and again, and its process died each time")
    return list(reasons.values())


def is_abandoned(trials: Sequence[FrozenTrial], num_trials: int) -> bool:
    """Returns whether so many attempts failed that a study is given up."""
    return len(failure_reasons(trials)) > max(TOLERATED_FAILURES, num_trials // 2)


def enqueue_missing(study: Study, num_trials: int, default: Mapping[str, Any], retries: int) -> None:
    """Enqueues a trial for each slot that has none that is waiting, running or finished.

    Args:
        study: the study.
        num_trials: the number of slots.
        default: parameters of the first trial that the user did not enqueue.
        retries: how often a trial whose process died is tried again with the same parameters. The limit is needed
            because some parameters kill every process that tries them.
    """
    trials = study.get_trials(deepcopy=False)
    if is_abandoned(trials, num_trials):
        return
    by_slot: dict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if trial.user_attrs.get(OUTCOME) != DUPLICATE:
            by_slot[slot_of(trial)].append(trial)
    first = min((slot for slot in range(num_trials) if not any(map(is_enqueued, by_slot[slot]))), default=None)
    for slot in range(num_trials):
        earlier = by_slot[slot]
        if any(trial.state in ACTIVE_STATES for trial in earlier):
            continue
        attempt = max(map(attempt_of, earlier), default=0)
        latest = [trial for trial in earlier if attempt_of(trial) == attempt]
        if is_exhausted(latest, retries):
            attempt += 1
        elif any(trial.params for trial in latest):
            # One that died before all its parameters were chosen, or before it was seen to be a duplicate, has fewer.
            study.add_trial(make_retry(max(latest, key=lambda trial: len(trial.params))))
            continue
        attributes: dict[str, Any] = {SLOT: slot, ATTEMPT: attempt}
        params = dict(default) if slot == first and attempt == 0 else {}
        if latest and is_enqueued(latest[0]) and attempt_of(latest[0]) == attempt:
            # It died before its parameters were taken over.
            params, attributes = fixed_params(latest[0]), {**attributes, ENQUEUED: True}
        # Without parameters it is not marked as having some, which some samplers would take for a trial of the user.
        system_attrs = {FIXED_PARAMS: params} if params else {}
        study.add_trial(create_trial(state=TrialState.WAITING, system_attrs=system_attrs, user_attrs=attributes))


def is_exhausted(trials: Sequence[FrozenTrial], retries: int) -> bool:
    """Returns whether the parameters of these trials of one attempt are not to be tried again."""
    died = sum(OUTCOME not in trial.user_attrs for trial in trials)
    return died > retries or any(ERROR in trial.user_attrs for trial in trials)


def make_retry(trial: FrozenTrial) -> FrozenTrial:
    """Returns a waiting trial with the same parameters; it resumes the same run, as its folder follows from them."""
    # The rest of the parameters that were enqueued, in case the trial died while its parameters were being chosen.
    system_attrs = {key: value for key, value in trial.system_attrs.items() if key == FIXED_PARAMS}
    enqueued = {ENQUEUED: True} if is_enqueued(trial) else {}
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={SLOT: slot_of(trial), ATTEMPT: attempt_of(trial), **enqueued},
        system_attrs=system_attrs,
    )


class UnstartedTrials:
    """Running trials that have not had a heartbeat yet.

    Their processes may have died right after taking them from the queue; Optuna looks only for trials that had a
    heartbeat. Time is measured by this process's own clock, as clocks of other machines may be wrong.

    Args:
        grace: seconds without a heartbeat after which a trial is failed.
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._first_seen: dict[tuple[str, int], float] = {}

    def fail_stale(self, study: Study) -> None:
        """Fails the trials that have been seen without a heartbeat for longer than the grace period."""
        now = time.monotonic()
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            key = study.study_name, trial.number
            if WORKER in trial.user_attrs:
                self._first_seen.pop(key, None)
            elif now - self._first_seen.setdefault(key, now) > self.grace:
                fail_trial(study, trial.number)


def fail_trial(study: Study, number: int) -> None:
    """Marks a trial whose process has died as failed, unless the trial has ended meanwhile."""
    try:
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return


class SlotOrderedStudy(Study):
    """A study whose waiting trials start in the order of their slots, but for a user's, which come first.

    A trial without a slot, which the user has just enqueued, does not start. A retried trial has a new number, but
    starts before trials of later slots. The trials of an interrupted sweep are thus in the same order as those of an
    uninterrupted one.
    """

    def _pop_waiting_trial_id(self) -> int | None:
        waiting = self._storage.get_all_trials(self._study_id, deepcopy=False, states=(TrialState.WAITING,))
        waiting = [trial for trial in waiting if slot_of(trial) >= 0]
        for trial in sorted(waiting, key=lambda trial: (not is_enqueued(trial), slot_of(trial), trial.number)):
            try:
                is_ours = self._storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if is_ours:
                # Optuna's first heartbeat comes from a thread. If this process died before it, no one would notice.
                if isinstance(self._storage, BaseHeartbeat):
                    self._storage.record_heartbeat(trial._trial_id)
                return trial._trial_id
        return None


class SlotNumberedStudy(Study):
    """A sampler's view of a study: its trials in the order of their slots, and numbered by them.

    The proposals of an estimator depend on the order of the trials that it sees.
    """

    def __init__(self, study: SlotOrderedStudy) -> None:
        self.__dict__.update(study.__dict__)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return [with_slot_number(trial) for trial in sorted(trials, key=lambda trial: (slot_of(trial), trial.number))]


def with_slot_number(trial: FrozenTrial) -> FrozenTrial:
    """Returns a copy of the trial whose number is its slot; it keeps its number if it has no slot."""
    renumbered = copy.copy(trial)
    renumbered.number = slot_of(trial) if slot_of(trial) >= 0 else trial.number
    return renumbered
