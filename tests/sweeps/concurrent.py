"""Several processes that do the same at the same moment."""

import multiprocessing
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

T = TypeVar("T")

SECONDS = 60
"""After which those that wait for the others give up."""
barrier: Barrier


def together(number: int, call: Callable[[str], T], url: str) -> list[T]:
    """What the call, a function of a module, returned in each of the processes."""
    # From a process that has imported everything once, and has no threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sweeps.storage"])
    start = context.Barrier(number)
    with ProcessPoolExecutor(number, mp_context=context, initializer=prepare, initargs=(start,)) as pool:
        return [done.result() for done in [pool.submit(begin, call, url) for _ in range(number)]]


def prepare(start: Barrier) -> None:
    """In each process, before the call."""
    global barrier
    barrier = start
    warnings.simplefilter("error")
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def begin(call: Callable[[str], T], url: str) -> T:
    """Waits for the others."""
    barrier.wait(SECONDS)
    return call(url)


def open_and_add(url: str) -> None:
    """Opens a store that may be empty, and adds a trial."""
    storage = connect(url, heartbeat=60, grace=120, say=print)
    study = optuna.create_study(storage=storage, study_name="study", load_if_exists=True)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    storage.close()


def take_all(url: str) -> list[int]:
    """Works on waiting trials until there is none, and returns their numbers."""
    checked = RDBStorage.check_trial_is_updatable

    def slowly(self: RDBStorage, trial_id: int, state: TrialState) -> None:
        # Between reading that a trial is waiting and writing that it is taken, so that a race is all but sure to show.
        time.sleep(0.005)
        checked(self, trial_id, state)

    RDBStorage.check_trial_is_updatable = slowly  # type: ignore[method-assign, assignment]
    storage = connect(url, heartbeat=60, grace=120, say=print)
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
