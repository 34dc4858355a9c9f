"""A worker: takes trials from the store, one after another, until no place is left. Workers are equal, wherever they
are; only the store knows of them all."""

import math
import os
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import TrialState

from sweeps.objective import (
    DuplicateTrialError,
    FailedTrialError,
    InterruptedTrialError,
    Objective,
    TrialLostError,
    WorkerUnusableError,
)
from sweeps.retry import with_retries
from sweeps.search_space import Space
from sweeps.storage import QueueEmptyError, connect
from sweeps.studies import LoadedStudy, load_studies, refresh
from sweeps.trial_budget import UnstartedTrials, abandoned_slots, enqueue_slots, failed_attempts, finished_trials
from workbench.config import Experiment
from workbench.run import RunDevice

REFRESH_SECONDS = 5.0
"""Between two looks for trials whose process is dead, while there are others to begin."""
IDLE_SECONDS = 1.0
"""Between two looks at a store in which nothing waits, while others are at the last trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What a worker is told at the start: the store, what to look for in it, and where to train."""

    url: str
    names: tuple[str, ...]
    """Studies; of the store's all, where none is named."""
    out: Path
    device: str = "cpu"
    threads: int = 1
    heartbeat: int = 10
    """Seconds between signs of life."""
    grace: int = 30
    """Seconds without one after which a trial is taken for dead."""
    retries: int = 5
    """How often one whose process died is tried again with the same parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialListener:
    """Who is told what a worker does."""

    stop: Callable[[], bool] = lambda: False
    begun: Callable[[str, int, Experiment], None] = lambda study, number, experiment: None
    progress: Callable[[int], None] = lambda step: None
    ended: Callable[[], None] = lambda: None
    note: Callable[[str], None] = lambda line: None


@dataclass(slots=True, kw_only=True)
class TrialWorker:
    """Works on the studies of an order.

    Args:
        order: what to do.
        listener: who is told, and asked whether to stop.
    """

    order: WorkerConfig
    listener: TrialListener
    _unborn: UnstartedTrials = field(init=False)
    _studies: list[LoadedStudy] = field(default_factory=list, init=False)
    _spaces: dict[str, Space] = field(default_factory=dict, init=False)

    def run(self) -> None:
        """Works until every place is finished, its study is given up, or it is told to stop.

        Raises:
            UserError: if the store or the folder of results is at fault.
            SpentError: if a trial failed on a GPU, so that another process is to go on.
        """
        silence_optuna()
        order, note = self.order, self.listener.note
        self._unborn = UnstartedTrials(order.grace)
        storage = connect(order.url, heartbeat=order.heartbeat, grace=order.grace, say=note)
        self._studies = with_retries(lambda: load_studies(storage, order.names), note)
        for opened in self._studies:
            opened.spec.check_source()
            self._spaces[opened.spec.name] = opened.spec.searched()
        looked = -math.inf
        while not self.listener.stop():
            if time.monotonic() - looked > REFRESH_SECONDS:
                self._studies = with_retries(lambda: [self._look_after(opened) for opened in self._studies], note)
                looked = time.monotonic()
            chosen = with_retries(lambda: next_trial(self._studies), note)
            if chosen is not None:
                self._one(chosen)
            elif with_retries(lambda: all(is_complete(opened) for opened in self._studies), note):
                return
            else:
                looked = -math.inf
                time.sleep(IDLE_SECONDS)

    def _look_after(self, opened: LoadedStudy) -> LoadedStudy:
        """Fails the trials of the dead, and has each place filled."""
        study = refresh(opened)
        with warnings.catch_warnings():
            # Optuna calls them experimental, and relies on them itself.
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(study.study)
        self._unborn.fail(study.study)
        enqueue_all([study], self.order.retries)
        return study

    def _one(self, opened: LoadedStudy) -> None:
        objective = Objective(
            opened=opened,
            space=self._spaces[opened.spec.name],
            out=self.order.out,
            machine=RunDevice(device=self.order.device, threads=self.order.threads),
            worker=f"{platform.node()}:{os.getpid()}",
            stop=self.listener.stop,
            begun=lambda number, experiment: self.listener.begun(opened.spec.name, number, experiment),
            progress=self.listener.progress,
            note=self.listener.note,
        )
        spent = False
        try:
            with_retries(lambda: attempt(opened, objective), self.listener.note)
        except (QueueEmptyError, InterruptedTrialError, DuplicateTrialError, TrialLostError, UpdateFinishedTrialError):
            pass
        except FailedTrialError:
            # Its reason is in the store, for whoever watches.
            spent = self.order.device == "cuda"
        except ValueError as error:
            # What Optuna says of a trial that was ended in the store by somebody who took this process for dead.
            if "Cannot tell" not in str(error):
                raise
        self.listener.ended()
        if spent:
            raise WorkerUnusableError


def attempt(opened: LoadedStudy, objective: Objective) -> None:
    """Begins one waiting trial, and ends it.

    Raises:
        Exception: what the objective raises, and what the store says of writing the end down.
    """
    try:
        opened.study.optimize(objective, n_trials=1)
    except (AssertionError, UnboundLocalError) as error:
        # Optuna's own, as it looks again at a trial whose end could not be written down.
        raise (error.__context__ or error) from None


def enqueue_all(studies: Sequence[LoadedStudy], retries: int) -> None:
    """Has each place of each study filled."""
    for opened in studies:
        enqueue_slots(opened.study, opened.asked, opened.spec.default(), retries)


def next_trial(studies: Sequence[LoadedStudy]) -> LoadedStudy | None:
    """The study that is furthest from its goal of those in which a trial waits, unless it is given up: all get on side
    by side."""
    begun = {}
    for index, opened in enumerate(studies):
        trials = opened.trials
        if any(trial.state is TrialState.WAITING for trial in trials) and not abandoned_slots(trials, opened.asked):
            running = sum(trial.state is TrialState.RUNNING for trial in trials)
            begun[index] = (finished_trials(trials, opened.asked) + running) / opened.asked
    return studies[min(begun, key=lambda index: (begun[index], index))] if begun else None


def is_complete(opened: LoadedStudy) -> bool:
    """Whether nothing is left to do in a study."""
    trials = opened.trials
    if abandoned_slots(trials, opened.asked):
        return not any(trial.state is TrialState.RUNNING for trial in trials)
    return finished_trials(trials, opened.asked) == opened.asked


def abandoned_reason(opened: LoadedStudy) -> str | None:
    """Why a study cannot be finished, in a line; `None` where nothing is wrong."""
    trials = opened.trials
    if not abandoned_slots(trials, opened.asked):
        return None
    wrong = failed_attempts(trials)
    return (
        f"{opened.spec.name} is given up: {len(wrong)} trials failed, the last: {wrong[-1]}; see to that, and ask for "
        "more --trials, or begin anew under another --name"
    )


def silence_optuna() -> None:
    """Optuna tells of every trial; whoever watches a sweep is told by the bench."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
