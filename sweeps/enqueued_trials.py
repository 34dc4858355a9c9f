"""Trials that a user enqueues with Optuna: each takes one of the study's slots, and runs before the others.

`study.enqueue_trial({"learning_rate": 0.01})` puts a waiting trial into the store that has no slot. `adopt_enqueued`
gives it one that no trial has begun yet, so that it counts against the number of trials; the trial that waited there
without parameters of its own is dropped. Only the process that runs the sweep adopts trials, as two of them could give
the same slot to two trials.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from architectures.suggest import did_you_mean
from sweeps.search_space import Parameter, SearchSpace
from sweeps.studies import LoadedStudy
from sweeps.trial_budget import (
    DUPLICATE,
    ENQUEUED,
    OUTCOME,
    SLOT,
    fixed_params,
    is_enqueued,
    slot_of,
)

POLL_SECONDS = 5.0
"""Seconds between two searches for new trials while a sweep runs."""
REFUSED = "refused"
"""User attribute of an enqueued trial that cannot be run: the reason, in one line."""


def adopt_enqueued(studies: Sequence[LoadedStudy]) -> list[str]:
    """Gives each enqueued trial of each study a slot, or refuses it.

    Returns:
        A line for each trial that is refused, and for each study in which some have to wait for more trials.
    """
    return [line for study in studies for line in adopt_in_study(study)]


@dataclass(slots=True, kw_only=True)
class Adoption:
    """Adoption of trials that are enqueued while a sweep runs.

    Args:
        studies: the studies.
        log: receives a line about each trial that cannot be run, once.
    """

    studies: Sequence[LoadedStudy]
    log: Callable[[str], None]
    _told: set[str] = field(default_factory=set, init=False)
    _polled_at: float = field(default_factory=time.monotonic, init=False)

    def poll(self) -> None:
        """Looks for enqueued trials every few seconds, and gives them slots."""
        if time.monotonic() - self._polled_at < POLL_SECONDS:
            return
        self._polled_at = time.monotonic()
        for line in adopt_enqueued(self.studies):
            if line not in self._told:
                self._told.add(line)
                self.log(line)


def adopt_in_study(study: LoadedStudy) -> Iterator[str]:
    """Does the same in one study."""
    spec, optuna_study = study.spec, study.optuna_study
    trials = optuna_study.get_trials(deepcopy=False)
    new = [trial for trial in trials if trial.state is TrialState.WAITING and slot_of(trial) < 0]
    if not new:
        return
    space = spec.search_space()
    waiting = 0
    for trial in new:
        if (reason := find_fault(space, fixed_params(trial))) is not None:
            refuse(optuna_study, trial, reason)
            yield f"{spec.name}: the enqueued trial {trial.number} is left out: {reason}"
        elif not adopt(optuna_study, trial, study.num_trials):
            waiting += 1
    if waiting:
        yield (
            f"{spec.name}: {waiting} enqueued trial{'s' if waiting > 1 else ''} cannot start, since all of its "
            f"{study.num_trials} trials have begun; ask for more --trials"
        )


def find_fault(space: SearchSpace, params: dict[str, Any]) -> str | None:
    """Returns why parameters cannot be tried, in one line; `None` if they can. Those left out are proposed."""
    by_name = {parameter.name: parameter for parameter in space.parameters}
    for name, value in params.items():
        if name in space.fixed:
            if value != space.fixed[name]:
                return f"{name} is fixed at {space.fixed[name]!r} in the search space, so it cannot be {value!r}"
        elif name not in by_name:
            return f"the search space has no parameter {name!r}{did_you_mean(name, (*by_name, *space.fixed))}"
        elif not by_name[name].domain.contains(value):
            return f"{name} is {value!r}, which lies outside the search space: {by_name[name].domain.to_dict()}"
        elif (parent := contradicted_parent(by_name[name], params)) is not None:
            return f"{name} is not used where {parent} is {params[parent]!r}; drop one of them"
    return None


def contradicted_parent(parameter: Parameter, params: dict[str, Any]) -> str | None:
    """Returns the name of a parameter whose value does not meet this one's condition; `None` if there is none."""
    return next(
        (parent for parent, condition in parameter.when if parent in params and not condition.matches(params[parent])),
        None,
    )


def refuse(study: Study, trial: FrozenTrial, reason: str) -> None:
    """Ends an enqueued trial that cannot be run; the reason stays with it."""
    end_waiting(study, trial, REFUSED, reason)


def end_waiting(study: Study, trial: FrozenTrial, key: str, value: Any) -> bool:
    """Ends a waiting trial as failed, with a user attribute; returns whether it was still waiting."""
    storage, trial_id = study._storage, trial._trial_id
    try:
        # Only one process at a time can take a trial from the queue.
        if not storage.set_trial_state_values(trial_id, state=TrialState.RUNNING):
            return False
        storage.set_trial_user_attr(trial_id, key, value)
        storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    return True


def adopt(study: Study, trial: FrozenTrial, num_trials: int) -> bool:
    """Gives an enqueued trial the first slot that no trial has begun; returns whether there is one."""
    trials = [each for each in study.get_trials(deepcopy=False) if each.user_attrs.get(OUTCOME) != DUPLICATE]
    for slot in range(num_trials):
        holders = [holder for holder in trials if slot_of(holder) == slot]
        # One that is taken from the queue meanwhile has begun.
        if all(is_replaceable(holder) and end_waiting(study, holder, OUTCOME, DUPLICATE) for holder in holders):
            storage, trial_id = study._storage, trial._trial_id
            storage.set_trial_user_attr(trial_id, ENQUEUED, True)
            # Last, as it may start from then on.
            storage.set_trial_user_attr(trial_id, SLOT, slot)
            return True
    return False


def is_replaceable(trial: FrozenTrial) -> bool:
    """Returns whether a trial of a slot waits without parameters of its own: not the default's, nor one to resume."""
    return trial.state is TrialState.WAITING and not trial.params and not fixed_params(trial) and not is_enqueued(trial)
