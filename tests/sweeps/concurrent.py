"""Processes that do the same thing at the same moment, to provoke races."""

import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from threading import Barrier
from typing import TypeVar

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from sweeps.storage import QueueEmptyError, connect
from tests import fork_server

T = TypeVar("T")

BARRIER_SECONDS = 60
"""Seconds after which a process that waits for the others gives up."""
barrier: Barrier


def run_together(number: int, call: Callable[[str], T], url: str) -> list[T]:
    """Returns the results of the call, a function of a module, in each of the processes."""
    # The fork server of all tests has imported everything once, and has no threads.
    context = fork_server.CONTEXT
    start = context.Barrier(number)
    with ProcessPoolExecutor(number, mp_context=context, initializer=prepare, initargs=(start,)) as pool:
        return [future.result() for future in [pool.submit(begin, call, url) for _ in range(number)]]


def prepare(start: Barrier) -> None:
    """Prepares a process for the call."""
    global barrier
    barrier = start
    warnings.simplefilter("error")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def begin(call: Callable[[str], T], url: str) -> T:
    """Waits for the other processes, and makes the call."""
    barrier.wait(BARRIER_SECONDS)
    return call(url)


def open_and_add(url: str) -> None:
    """Opens a store that may be empty, and adds a trial."""
    storage = connect(url, heartbeat=60, grace=120, log=print)
    study = optuna.create_study(storage=storage, study_name="study", load_if_exists=True)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    storage.close()


def take_all(url: str) -> list[int]:
    """Runs waiting trials until none is left, and returns their numbers."""
    original = RDBStorage.check_trial_is_updatable

    def check_slowly(self: RDBStorage, trial_id: int, state: TrialState) -> None:
        # Between the read that a trial is waiting and the write that it is running, so that a race is almost certain.
        time.sleep(0.005)
        original(self, trial_id, state)

    RDBStorage.check_trial_is_updatable = check_slowly  # type: ignore[method-assign, assignment]
    storage = connect(url, heartbeat=60, grace=120, log=print)
    study = optuna.load_study(storage=storage, study_name="study")
    taken: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        taken.append(trial.number)
        return 0.0

    while True:
        try:
            study.optimize(objective, n_trials=1)
        except QueueEmptyError:
            storage.close()
            return taken
