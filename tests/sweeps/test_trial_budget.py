"""The budget of a study: whatever happens to its workers, each slot is finished exactly once."""

from collections import Counter, defaultdict

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps.trial_budget import (
    ATTEMPT,
    DUPLICATE,
    ERROR,
    FINISHED_STATES,
    INTERRUPTED,
    OUTCOME,
    SLOT,
    WORKER,
    SlotOrderedStudy,
    UnstartedTrials,
    attempt_of,
    count_finished,
    enqueue_missing,
    fail_trial,
    failure_reasons,
    is_abandoned,
    is_duplicate,
    slot_of,
)
from sweeps.worker import abandoned_reason, is_done, next_study
from tests.sweeps.small_sweeps import fill_slots, make_study

RETRIES = 3
WORKERS = 3
DEFAULT = {"x": 0.5, "y": 0.25}


class StaleStudy(SlotOrderedStudy):
    """A study with the trials that it had some time ago."""

    def __init__(self, study):
        self.__dict__.update(study.__dict__)
        self.stale_trials = study.get_trials()

    def get_trials(self, deepcopy=True, states=None):
        return self.stale_trials


class FakeWorker:
    """A worker that makes one step at a time."""

    def __init__(self, study):
        self.study = study
        self.forget()

    def forget(self):
        self.trial, self.begun, self.stale_study = None, False, None

    def look(self):
        self.stale_study = StaleStudy(self.study)

    def fill(self, num_trials):
        enqueue_missing(self.stale_study or self.study, num_trials, DEFAULT, RETRIES)
        self.stale_study = None

    def pop(self):
        if self.trial is None and (number := self.study._pop_waiting_trial_id()) is not None:
            self.trial, self.begun = optuna.Trial(self.study, number), False

    def begin(self):
        """Starts the trial, or ends it as a duplicate."""
        if self.trial is None or self.begun:
            return
        trials = self.study.get_trials()
        self.trial.set_user_attr(WORKER, "me")
        if is_duplicate(trials, trials[self.trial.number]):
            self.trial.set_user_attr(OUTCOME, DUPLICATE)
            self.tell(TrialState.FAIL)
        else:
            self.begun = True

    def choose(self, count):
        if self.begun:
            assert self.trial is not None
            for name in ("x", "y")[:count]:
                self.trial.suggest_float(name, 0, 1)

    def end(self, outcome):
        if self.begun:
            assert self.trial is not None
            self.choose(2)
            if outcome == "complete":
                self.tell(None, 1.0)
            elif outcome == "pruned":
                self.tell(TrialState.PRUNED)
            else:
                self.trial.set_user_attr(*{"error": (ERROR, "bad"), "interrupt": (OUTCOME, INTERRUPTED)}[outcome])
                self.tell(TrialState.FAIL)

    def tell(self, state, value=None):
        self.study.tell(self.trial, value, state)
        self.trial, self.begun = None, False

    def step(self, name, num_trials):
        """Makes a step; drops the trial if the store refuses, as another worker has ended it."""
        try:
            match name:
                case "look" | "pop" | "begin":
                    getattr(self, name)()
                case "fill":
                    self.fill(num_trials)
                case "one" | "both":
                    self.choose(1 if name == "one" else 2)
                case "die":
                    self.forget()
                case _:
                    self.end(name)
        except (UpdateFinishedTrialError, ValueError) as error:
            if not isinstance(error, UpdateFinishedTrialError) and "Cannot tell" not in str(error):
                raise
            self.forget()


STEPS = ("look", "fill", "pop", "begin", "one", "both", "die", "complete", "pruned", "error", "interrupt")
STEP_AND_WORKER = st.tuples(
    st.sampled_from((*STEPS, "work", "work", "taken for dead", "more")), st.integers(0, WORKERS - 1)
)


def random_study(num_trials=4):
    """Returns a study with random proposals, and a second, empty study in the same storage."""
    study = make_study(num_trials=num_trials, sampler="random", pruner="none")
    return study, SlotOrderedStudy(
        study_name=optuna.create_study(storage=study.optuna_study._storage).study_name,
        storage=study.optuna_study._storage,
        sampler=study.optuna_study.sampler,
    )


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP_AND_WORKER, max_size=80))
def test_whatever_happens_each_slot_is_finished_once(steps):
    _, shared = random_study()
    num_trials, errors = 4, 0
    workers = [FakeWorker(shared) for _ in range(WORKERS)]
    for name, index in steps:
        worker = workers[index]
        if name == "more":
            num_trials += 1
        elif name == "taken for dead":
            if worker.trial is not None:
                fail_trial(shared, worker.trial.number)
        elif name == "work":
            for step in ("fill", "pop", "begin", "both", "complete"):
                worker.step(step, num_trials)
        elif name != "error" or errors < 3:
            errors += name == "error"
            worker.step(name, num_trials)
    for worker in workers:
        worker.forget()
    last = FakeWorker(shared)
    for _ in range(200):
        # Trials of dead workers are failed sooner or later.
        for trial in shared.get_trials(states=(TrialState.RUNNING,)):
            fail_trial(shared, trial.number)
        if count_finished(shared.get_trials(), num_trials) == num_trials:
            break
        for step in ("fill", "pop", "begin", "complete"):
            last.step(step, num_trials)
    trials = shared.get_trials()
    assert not is_abandoned(trials, num_trials)
    finished = [trial for trial in trials if trial.state in FINISHED_STATES]
    assert sorted(map(slot_of, finished)) == list(range(num_trials))
    params_by_attempt: dict[tuple[int, int], list[dict[str, float]]] = defaultdict(list)
    died: Counter[tuple[int, int]] = Counter()
    for trial in trials:
        if trial.user_attrs.get(OUTCOME) != DUPLICATE:
            params_by_attempt[slot_of(trial), attempt_of(trial)].append(trial.params)
        died[slot_of(trial), attempt_of(trial)] += trial.state is TrialState.FAIL and not (
            {OUTCOME, ERROR} & trial.user_attrs.keys()
        )
    complete = {key: max(all_params, key=len) for key, all_params in params_by_attempt.items()}
    for key, all_params in params_by_attempt.items():
        assert all(params.items() <= complete[key].items() for params in all_params), "retried with other parameters"
    for (slot, attempt), params in complete.items():
        if attempt and params and (slot, attempt - 1) in complete:
            previous = complete[slot, attempt - 1]
            assert params.items().isdisjoint(previous.items()), "retried with parameters that had failed"
    # One more for each worker that had read the trials before.
    assert max(died.values()) <= RETRIES + 1 + WORKERS
    assert complete[0, 0].items() <= DEFAULT.items(), "the first slot is that of the default"


def test_a_slot_whose_processes_keep_dying_gets_other_parameters_until_the_study_is_given_up():
    study, _ = random_study(num_trials=2)
    for _ in range(100):
        fill_slots(study, RETRIES)
        if is_done(study):
            break
        trial = study.optuna_study.ask()
        study.spec.search_space().suggest(trial)
        fail_trial(study.optuna_study, trial.number)
    params = [tuple(trial.params.values()) for trial in study.trials if trial.params]
    # Each is started once, and retried as often as it may be.
    assert [params.count(values) for values in dict.fromkeys(params)] == [RETRIES + 1] * 4
    assert "its process died each time" in (abandoned_reason(study) or "")
    assert next_study([study]) is None, "trials that wait in a study that was given up stay there"


def test_a_trial_that_dies_before_it_has_parameters_is_not_retried_for_ever():
    study, _ = random_study(num_trials=1)
    for _ in range(100):
        fill_slots(study, RETRIES)
        if is_done(study):
            break
        fail_trial(study.optuna_study, study.optuna_study.ask().number)
    assert is_abandoned(study.trials, 1)


def test_errors_make_new_attempts_until_the_study_is_given_up_with_the_last_reason():
    study, _ = random_study(num_trials=10)
    for number in range(20):
        before = len(study.trials)
        fill_slots(study)
        assert abandoned_reason(study) is None or number == 6
        if is_done(study):
            break
        trial = study.optuna_study.ask()
        study.spec.search_space().suggest(trial)
        trial.set_user_attr(ERROR, f"reason {number}")
        study.optuna_study.tell(trial, state=TrialState.FAIL)
    # More than half of the trials.
    assert number == 6
    assert failure_reasons(study.trials) == [f"reason {number}" for number in range(6)]
    assert "6 trials failed, the last: reason 5" in (abandoned_reason(study) or "")
    assert is_done(study)
    assert len(study.trials) == before, "nothing more is enqueued in a study that is given up"


def test_a_study_that_is_given_up_is_not_over_while_a_trial_is_under_way():
    study, _ = random_study(num_trials=6)
    running = study.optuna_study.ask()
    for _ in range(4):
        trial = fill_slots(study).optuna_study.ask()
        trial.set_user_attr(ERROR, "bad")
        study.optuna_study.tell(trial, state=TrialState.FAIL)
    assert is_abandoned(study.trials, 6)
    assert not is_done(study)
    study.optuna_study.tell(running, 1.0)
    assert is_done(study)


def test_an_interruption_is_neither_a_death_nor_an_error():
    study, _ = random_study(num_trials=1)
    params = []
    for _ in range(3 * RETRIES):
        fill_slots(study, RETRIES)
        trial = study.optuna_study.ask()
        params.append(study.spec.search_space().suggest(trial))
        trial.set_user_attr(OUTCOME, INTERRUPTED)
        study.optuna_study.tell(trial, state=TrialState.FAIL)
    assert all(values == params[0] for values in params)
    assert failure_reasons(study.trials) == []


def test_a_trial_that_died_halfway_through_its_parameters_chooses_the_rest_as_it_would_have():
    uninterrupted, _ = random_study(num_trials=3)
    interrupted, _ = random_study(num_trials=3)
    space = uninterrupted.spec.search_space()
    for _ in range(3):
        space.suggest(uninterrupted.optuna_study.ask())
    expected = [trial.params for trial in uninterrupted.trials]
    for _ in range(2):
        interrupted.optuna_study.tell(interrupted.optuna_study.ask(), 1.0)
    trial = interrupted.optuna_study.ask()
    (first, *_) = space.parameters
    first.domain.suggest(trial, first.name)
    fail_trial(interrupted.optuna_study, trial.number)
    assert space.suggest(fill_slots(interrupted).optuna_study.ask()) == expected[2]


def test_a_duplicate_that_died_unnoticed_does_not_cost_the_slot_its_parameters():
    study, _ = random_study(num_trials=1)
    trial = study.optuna_study.ask()
    chosen = study.spec.search_space().suggest(trial)
    study.optuna_study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={SLOT: 0, ATTEMPT: 0}))
    fail_trial(study.optuna_study, study.optuna_study.ask().number)
    fail_trial(study.optuna_study, trial.number)
    assert study.spec.search_space().suggest(fill_slots(study).optuna_study.ask()) == chosen


def test_a_default_that_died_halfway_through_its_parameters_is_still_the_default():
    study, _ = random_study(num_trials=1)
    space = study.spec.search_space()
    trial = study.optuna_study.ask()
    (first, *_) = space.parameters
    first.domain.suggest(trial, first.name)
    fail_trial(study.optuna_study, trial.number)
    assert space.suggest(fill_slots(study).optuna_study.ask()) == space.with_fixed(study.spec.default_params())


def test_a_duplicate_of_a_later_attempt_does_not_cost_the_earlier_its_parameters():
    study, _ = random_study(num_trials=1)
    trial = study.optuna_study.ask()
    chosen = study.spec.search_space().suggest(trial)
    trial.set_user_attr(OUTCOME, INTERRUPTED)
    study.optuna_study.tell(trial, state=TrialState.FAIL)
    duplicate = {SLOT: 0, ATTEMPT: 1, OUTCOME: DUPLICATE}
    study.optuna_study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=duplicate))
    assert study.spec.search_space().suggest(fill_slots(study).optuna_study.ask()) == chosen
    assert attempt_of(study.trials[-1]) == 0


def test_trials_without_a_slot_do_not_count():
    study, _ = random_study(num_trials=1)
    study.optuna_study.add_trial(create_trial(value=0.0))
    study.optuna_study.add_trial(create_trial(value=0.0, user_attrs={SLOT: "first"}))
    assert count_finished(study.trials, 1) == 0
    assert not is_done(study)


def test_a_trial_without_a_heartbeat_is_failed_after_the_grace_period(monkeypatch):
    study = make_study(InMemoryStorage(), num_trials=2)
    now = [0.0]
    monkeypatch.setattr("sweeps.trial_budget.time.monotonic", lambda: now[0])
    unstarted, alive = study.optuna_study.ask(), study.optuna_study.ask()
    alive.set_user_attr(WORKER, "me")
    unstarted_trials = UnstartedTrials(30)
    for second in (0, 29, 30):
        now[0] = second
        unstarted_trials.fail_stale(study.optuna_study)
        assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2
    now[0] = 30.5
    unstarted_trials.fail_stale(study.optuna_study)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert unstarted.number == 0


def test_failing_a_trial_that_has_ended_changes_nothing():
    study, _ = random_study(num_trials=1)
    study.optuna_study.tell(study.optuna_study.ask(), 1.0)
    fail_trial(study.optuna_study, 0)
    assert study.trials[0].state is TrialState.COMPLETE


def test_failing_a_trial_that_ends_at_the_same_moment_changes_nothing(monkeypatch):
    study, _ = random_study(num_trials=1)
    study.optuna_study.ask()

    def ended(*args, **kwargs):
        raise UpdateFinishedTrialError

    monkeypatch.setattr(study.optuna_study._storage, "set_trial_state_values", ended)
    fail_trial(study.optuna_study, 0)


@pytest.mark.parametrize("num_trials", [1, 8])
def test_each_slot_has_one_trial_at_first_and_only_the_first_has_the_default(num_trials):
    study, _ = random_study(num_trials=num_trials)
    fill_slots(study)
    assert [slot_of(trial) for trial in study.trials] == list(range(num_trials))
    assert [bool(trial.system_attrs.get("fixed_params")) for trial in study.trials] == [True] + [False] * (
        num_trials - 1
    )
