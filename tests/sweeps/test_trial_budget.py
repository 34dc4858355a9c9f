"""The budget of a study: whatever happens to whom, each place is finished once."""

from collections import Counter, defaultdict

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from sweeps.trial_budget import (
    DRAW,
    ENDED,
    ERROR,
    FINISHED,
    INTERRUPTED,
    PLACE,
    SURPLUS,
    WORKER,
    SlotOrderedStudy,
    UnstartedTrials,
    abandoned_slots,
    attempt_of,
    enqueue_slots,
    fail_trial,
    failed_attempts,
    finished_trials,
    is_duplicate,
    slot_of,
)
from sweeps.worker import abandoned_reason, is_complete, next_trial
from tests.sweeps.small_sweeps import filled, study

RETRIES = 3
PROCESSES = 3
DEFAULT = {"x": 0.5, "y": 0.25}


class Stale(SlotOrderedStudy):
    """A study as a process sees it that read it a while ago."""

    def __init__(self, of):
        self.__dict__.update(of.__dict__)
        self.read = of.get_trials()

    def get_trials(self, deepcopy=True, states=None):
        return self.read


class Process:
    """A worker, one move at a time."""

    def __init__(self, study):
        self.study = study
        self.forget()

    def forget(self):
        self.trial, self.begun, self.seen = None, False, None

    def look(self):
        self.seen = Stale(self.study)

    def fill(self, asked):
        enqueue_slots(self.seen or self.study, asked, DEFAULT, RETRIES)
        self.seen = None

    def pop(self):
        if self.trial is None and (number := self.study._pop_waiting_trial_id()) is not None:
            self.trial, self.begun = optuna.Trial(self.study, number), False

    def begin(self):
        """Whatever the store says of a trial that was ended meanwhile, the process lets go of it."""
        if self.trial is None or self.begun:
            return
        trials = self.study.get_trials()
        self.trial.set_user_attr(WORKER, "me")
        if is_duplicate(trials, trials[self.trial.number]):
            self.trial.set_user_attr(ENDED, SURPLUS)
            self.tell(TrialState.FAIL)
        else:
            self.begun = True

    def choose(self, number):
        if self.begun:
            assert self.trial is not None
            for name in ("x", "y")[:number]:
                self.trial.suggest_float(name, 0, 1)

    def end(self, how):
        if self.begun:
            assert self.trial is not None
            self.choose(2)
            if how == "complete":
                self.tell(None, 1.0)
            elif how == "pruned":
                self.tell(TrialState.PRUNED)
            else:
                self.trial.set_user_attr(*{"error": (ERROR, "bad"), "interrupt": (ENDED, INTERRUPTED)}[how])
                self.tell(TrialState.FAIL)

    def tell(self, state, value=None):
        self.study.tell(self.trial, value, state)
        self.trial, self.begun = None, False

    def move(self, name, asked):
        try:
            match name:
                case "look" | "pop" | "begin":
                    getattr(self, name)()
                case "fill":
                    self.fill(asked)
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


MOVES = ("look", "fill", "pop", "begin", "one", "both", "die", "complete", "pruned", "error", "interrupt")
STEP = st.tuples(st.sampled_from((*MOVES, "work", "work", "taken for dead", "more")), st.integers(0, PROCESSES - 1))


def in_memory(asked=4):
    """A study that proposes by chance."""
    given = study(asked=asked, sampler="random", pruner="none")
    return given, SlotOrderedStudy(
        study_name=optuna.create_study(storage=given.study._storage).study_name,
        storage=given.study._storage,
        sampler=given.study.sampler,
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=80))
def test_whatever_happens_each_place_is_finished_once(steps):
    _, shared = in_memory()
    asked, errors = 4, 0
    processes = [Process(shared) for _ in range(PROCESSES)]
    for name, index in steps:
        process = processes[index]
        if name == "more":
            asked += 1
        elif name == "taken for dead":
            if process.trial is not None:
                fail_trial(shared, process.trial.number)
        elif name == "work":
            for move in ("fill", "pop", "begin", "both", "complete"):
                process.move(move, asked)
        elif name != "error" or errors < 3:
            errors += name == "error"
            process.move(name, asked)
    for process in processes:
        process.forget()
    last = Process(shared)
    for _ in range(200):
        # The dead are found out sooner or later.
        for trial in shared.get_trials(states=(TrialState.RUNNING,)):
            fail_trial(shared, trial.number)
        if finished_trials(shared.get_trials(), asked) == asked:
            break
        for move in ("fill", "pop", "begin", "complete"):
            last.move(move, asked)
    trials = shared.get_trials()
    assert not abandoned_slots(trials, asked)
    finished = [trial for trial in trials if trial.state in FINISHED]
    assert sorted(map(slot_of, finished)) == list(range(asked))
    chosen: dict[tuple[int, int], list[dict[str, float]]] = defaultdict(list)
    died: Counter[tuple[int, int]] = Counter()
    for trial in trials:
        if trial.user_attrs.get(ENDED) != SURPLUS:
            chosen[slot_of(trial), attempt_of(trial)].append(trial.params)
        died[slot_of(trial), attempt_of(trial)] += trial.state is TrialState.FAIL and not (
            {ENDED, ERROR} & trial.user_attrs.keys()
        )
    for found in chosen.values():
        whole = max(found, key=len)
        assert all(params.items() <= whole.items() for params in found), "tried again with other parameters"
    wholes = {key: max(found, key=len) for key, found in chosen.items()}
    for (place, draw), params in wholes.items():
        if draw and params and (place, draw - 1) in wholes:
            assert params.items().isdisjoint(wholes[place, draw - 1].items()), "tried again with what had failed"
    # One more for each process that had looked before.
    assert max(died.values()) <= RETRIES + 1 + PROCESSES
    first = wholes[0, 0]
    assert first.items() <= DEFAULT.items(), "the first place is that of the default"


def test_a_place_whose_process_dies_and_dies_gets_other_parameters_and_in_the_end_the_study_is_given_up():
    given, _ = in_memory(asked=2)
    for _ in range(100):
        filled(given, RETRIES)
        if is_complete(given):
            break
        trial = given.study.ask()
        given.spec.searched().choose(trial)
        fail_trial(given.study, trial.number)
    params = [tuple(trial.params.values()) for trial in given.trials if trial.params]
    # Each begun once, and again as often as it may be.
    assert [params.count(each) for each in dict.fromkeys(params)] == [RETRIES + 1] * 4
    assert "its process died each time" in (abandoned_reason(given) or "")
    assert next_trial([given]) is None, "what waits in a study that was given up is left"


def test_one_that_dies_before_it_has_parameters_is_not_tried_for_ever():
    given, _ = in_memory(asked=1)
    for _ in range(100):
        filled(given, RETRIES)
        if is_complete(given):
            break
        fail_trial(given.study, given.study.ask().number)
    assert abandoned_slots(given.trials, 1)


def test_errors_make_new_draws_until_the_study_is_given_up_with_the_last_reason():
    given, _ = in_memory(asked=10)
    for number in range(20):
        before = len(given.trials)
        filled(given)
        assert abandoned_reason(given) is None or number == 6
        if is_complete(given):
            break
        trial = given.study.ask()
        given.spec.searched().choose(trial)
        trial.set_user_attr(ERROR, f"reason {number}")
        given.study.tell(trial, state=TrialState.FAIL)
    # More than half of those asked for.
    assert number == 6
    assert failed_attempts(given.trials) == [f"reason {number}" for number in range(6)]
    assert "6 trials failed, the last: reason 5" in (abandoned_reason(given) or "")
    assert is_complete(given)
    assert len(given.trials) == before, "nothing more is begun in a study that is given up"


def test_a_study_that_is_given_up_is_not_over_while_a_trial_is_under_way():
    given, _ = in_memory(asked=6)
    running = given.study.ask()
    for _ in range(4):
        trial = filled(given).study.ask()
        trial.set_user_attr(ERROR, "bad")
        given.study.tell(trial, state=TrialState.FAIL)
    assert abandoned_slots(given.trials, 6)
    assert not is_complete(given)
    given.study.tell(running, 1.0)
    assert is_complete(given)


def test_an_interruption_is_neither_a_death_nor_an_error():
    given, _ = in_memory(asked=1)
    params = []
    for _ in range(3 * RETRIES):
        filled(given, RETRIES)
        trial = given.study.ask()
        params.append(given.spec.searched().choose(trial))
        trial.set_user_attr(ENDED, INTERRUPTED)
        given.study.tell(trial, state=TrialState.FAIL)
    assert all(each == params[0] for each in params)
    assert failed_attempts(given.trials) == []


def test_what_has_died_halfway_through_its_parameters_chooses_the_rest_as_it_would_have():
    whole, _ = in_memory(asked=3)
    cut, _ = in_memory(asked=3)
    space = whole.spec.searched()
    for _ in range(3):
        space.choose(whole.study.ask())
    expected = [trial.params for trial in whole.trials]
    for _ in range(2):
        cut.study.tell(cut.study.ask(), 1.0)
    trial = cut.study.ask()
    (first, *_) = space.parameters
    first.domain.suggest(trial, first.name)
    fail_trial(cut.study, trial.number)
    assert space.choose(filled(cut).study.ask()) == expected[2]


def test_a_surplus_trial_that_died_unseen_does_not_cost_the_place_its_parameters():
    given, _ = in_memory(asked=1)
    trial = given.study.ask()
    chosen = given.spec.searched().choose(trial)
    given.study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={PLACE: 0, DRAW: 0}))
    fail_trial(given.study, given.study.ask().number)
    fail_trial(given.study, trial.number)
    assert given.spec.searched().choose(filled(given).study.ask()) == chosen


def test_a_default_that_died_halfway_through_its_parameters_is_still_the_default():
    given, _ = in_memory(asked=1)
    space = given.spec.searched()
    trial = given.study.ask()
    (first, *_) = space.parameters
    first.domain.suggest(trial, first.name)
    fail_trial(given.study, trial.number)
    assert space.choose(filled(given).study.ask()) == space.filled(given.spec.default())


def test_a_surplus_trial_of_a_later_draw_does_not_cost_the_earlier_its_parameters():
    given, _ = in_memory(asked=1)
    trial = given.study.ask()
    chosen = given.spec.searched().choose(trial)
    trial.set_user_attr(ENDED, INTERRUPTED)
    given.study.tell(trial, state=TrialState.FAIL)
    surplus = {PLACE: 0, DRAW: 1, ENDED: SURPLUS}
    given.study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=surplus))
    assert given.spec.searched().choose(filled(given).study.ask()) == chosen
    assert attempt_of(given.trials[-1]) == 0


def test_trials_without_a_place_are_none_of_the_budget():
    given, _ = in_memory(asked=1)
    given.study.add_trial(create_trial(value=0.0))
    given.study.add_trial(create_trial(value=0.0, user_attrs={PLACE: "first"}))
    assert finished_trials(given.trials, 1) == 0
    assert not is_complete(given)


def test_a_trial_that_shows_no_sign_of_life_is_failed_after_a_while(monkeypatch):
    given = study(InMemoryStorage(), asked=2)
    now = [0.0]
    monkeypatch.setattr("sweeps.trial_budget.time.monotonic", lambda: now[0])
    unborn, alive = given.study.ask(), given.study.ask()
    alive.set_user_attr(WORKER, "me")
    watch = UnstartedTrials(30)
    for second in (0, 29, 30):
        now[0] = second
        watch.fail(given.study)
        assert [trial.state for trial in given.trials] == [TrialState.RUNNING] * 2
    now[0] = 30.5
    watch.fail(given.study)
    assert [trial.state for trial in given.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert unborn.number == 0


def test_failing_a_trial_that_has_ended_changes_nothing():
    given, _ = in_memory(asked=1)
    given.study.tell(given.study.ask(), 1.0)
    fail_trial(given.study, 0)
    assert given.trials[0].state is TrialState.COMPLETE


def test_failing_a_trial_that_ends_at_the_same_moment_changes_nothing(monkeypatch):
    given, _ = in_memory(asked=1)
    given.study.ask()

    def ended(*given, **told):
        raise UpdateFinishedTrialError

    monkeypatch.setattr(given.study._storage, "set_trial_state_values", ended)
    fail_trial(given.study, 0)


@pytest.mark.parametrize("asked", [1, 8])
def test_each_place_has_one_trial_at_first_and_only_the_first_has_the_default(asked):
    given, _ = in_memory(asked=asked)
    filled(given)
    assert [slot_of(trial) for trial in given.trials] == list(range(asked))
    assert [bool(trial.system_attrs["fixed_params"]) for trial in given.trials] == [True] + [False] * (asked - 1)
