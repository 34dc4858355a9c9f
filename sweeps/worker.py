"""A worker: takes trials from the store, one after another, until no slot is left.

Workers are equal, wherever they run; they know of each other only through the store.
"""

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
from optuna.trial import FrozenTrial, TrialState

from sweeps.method_names import SearchObjects
from sweeps.objective import (
    DuplicateTrialError,
    FailedTrialError,
    InterruptedTrialError,
    Objective,
    TrialLostError,
    WorkerUnusableError,
)
from sweeps.own_sampler import equip
from sweeps.search_space import SearchSpace
from sweeps.storage import QueueEmptyError, connect
from sweeps.storage_retry import with_retries
from sweeps.studies import LoadedStudy, load_studies, refresh
from sweeps.trial_budget import (
    UnstartedTrials,
    count_finished,
    enqueue_missing,
    failure_reasons,
    is_abandoned,
    slot_of,
)
from workbench.config import Experiment
from workbench.logger_interface import LoggerSpec
from workbench.run import RunDevice

REFRESH_SECONDS = 5.0
"""Seconds between two searches for trials whose process died, while other trials are waiting."""
IDLE_SECONDS = 1.0
"""Seconds between two looks at a store in which no trial is waiting, while other workers finish the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Configuration of a worker: the store, the studies to work on, and where to train."""

    url: str
    study_names: tuple[str, ...]
    """Studies to work on; all studies of the store if empty."""
    out: Path
    device: str = "cpu"
    threads: int = 1
    heartbeat: int = 10
    """Seconds between two heartbeats of a running trial."""
    grace: int = 30
    """Seconds without a heartbeat after which a trial is taken for dead."""
    retries: int = 5
    """How often a trial whose process died is tried again with the same parameters."""
    loggers: tuple[LoggerSpec, ...] = ()
    """What each trial is logged to while it is trained."""
    objects: SearchObjects = field(default_factory=SearchObjects)
    """The sampler and the pruner, if they are objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialListener:
    """Callbacks of a worker.

    Args:
        stop: asked after every step whether to stop there.
        on_begin: called with the study, the trial's number and its run once the parameters are chosen.
        on_progress: called with the number of steps made.
        on_end: called when a trial has ended, however it did.
        log: called with lines that a user should know.
    """

    stop: Callable[[], bool] = lambda: False
    on_begin: Callable[[str, int, Experiment], None] = lambda study, number, experiment: None
    on_progress: Callable[[int], None] = lambda step: None
    on_end: Callable[[], None] = lambda: None
    log: Callable[[str], None] = lambda line: None


@dataclass(slots=True, kw_only=True)
class TrialWorker:
    """A worker on the trials of one or more studies.

    Args:
        config: what to work on.
        listener: callbacks.
    """

    config: WorkerConfig
    listener: TrialListener
    _unstarted: UnstartedTrials = field(init=False)
    _studies: list[LoadedStudy] = field(default_factory=list, init=False)
    _spaces: dict[str, SearchSpace] = field(default_factory=dict, init=False)

    def run(self) -> None:
        """Works until every slot is finished, every other study is given up, or it is told to stop.

        Raises:
            UserError: if the store or the folder of results is at fault.
            WorkerUnusableError: if a trial failed on a GPU, so that another process has to take over.
        """
        silence_optuna()
        config, log = self.config, self.listener.log
        self._unstarted = UnstartedTrials(config.grace)
        storage = connect(config.url, heartbeat=config.heartbeat, grace=config.grace, log=log)
        self._studies = with_retries(lambda: load_studies(storage, config.study_names), log)
        for study in self._studies:
            study.spec.check_source()
            study.spec.check_methods()
            equip(study, config.objects)
            self._spaces[study.spec.name] = study.spec.search_space()
        refreshed_at = -math.inf
        while not self.listener.stop():
            if time.monotonic() - refreshed_at > REFRESH_SECONDS:
                self._studies = with_retries(lambda: [self._refresh(study) for study in self._studies], log)
                refreshed_at = time.monotonic()
            study_or_none = with_retries(lambda: next_study(self._studies), log)
            if study_or_none is not None:
                self._run_trial(study_or_none)
            elif with_retries(lambda: all(is_done(study) for study in self._studies), log):
                return
            else:
                refreshed_at = -math.inf
                time.sleep(IDLE_SECONDS)

    def _refresh(self, study: LoadedStudy) -> LoadedStudy:
        """Fails the trials of dead processes, and enqueues a trial for each slot that has none."""
        refreshed = refresh(study)
        with warnings.catch_warnings():
            # Optuna calls heartbeats experimental, but relies on them itself.
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(refreshed.optuna_study)
        self._unstarted.fail_stale(refreshed.optuna_study)
        enqueue_all([refreshed], self.config.retries)
        return refreshed

    def _run_trial(self, study: LoadedStudy) -> None:
        objective = Objective(
            study=study,
            space=self._spaces[study.spec.name],
            out=self.config.out,
            device=RunDevice(device=self.config.device, threads=self.config.threads),
            loggers=self.config.loggers,
            worker=f"{platform.node()}:{os.getpid()}",
            stop=self.listener.stop,
            on_begin=lambda number, experiment: self.listener.on_begin(study.spec.name, number, experiment),
            on_progress=self.listener.on_progress,
            log=self.listener.log,
        )
        unusable = False
        try:
            with_retries(lambda: run_waiting_trial(study, objective), self.listener.log)
        except (QueueEmptyError, InterruptedTrialError, DuplicateTrialError, TrialLostError, UpdateFinishedTrialError):
            pass
        except FailedTrialError:
            # The reason is in the store, for the monitor.
            unusable = self.config.device == "cuda"
        except ValueError as error:
            # Optuna's error for a trial that another worker has ended in the store, as it took this process for dead.
            if "Cannot tell" not in str(error):
                raise
        self.listener.on_end()
        if unusable:
            raise WorkerUnusableError


def run_waiting_trial(study: LoadedStudy, objective: Objective) -> None:
    """Takes a waiting trial, and runs it to its end.

    Raises:
        Exception: any exception of the objective, or of the store when the end of the trial is written.
    """
    try:
        study.optuna_study.optimize(objective, n_trials=1)
    except (AssertionError, UnboundLocalError) as error:
        # Optuna's own errors, when it looks again at a trial whose end could not be written.
        raise (error.__context__ or error) from None


def enqueue_all(studies: Sequence[LoadedStudy], retries: int) -> None:
    """Enqueues a trial for each slot that has none, in every study."""
    for study in studies:
        enqueue_missing(study.optuna_study, study.num_trials, study.spec.default_params(), retries)


def next_study(studies: Sequence[LoadedStudy]) -> LoadedStudy | None:
    """Returns the study with a waiting trial that is furthest from its end, so that all advance side by side.

    Studies that are given up are ignored; `None` if no trial is waiting.
    """
    progress = {}
    for index, study in enumerate(studies):
        trials = study.trials
        if any(map(can_start, trials)) and not is_abandoned(trials, study.num_trials):
            running = sum(trial.state is TrialState.RUNNING for trial in trials)
            progress[index] = (count_finished(trials, study.num_trials) + running) / study.num_trials
    return studies[min(progress, key=lambda index: (progress[index], index))] if progress else None


def can_start(trial: FrozenTrial) -> bool:
    """Returns whether a trial waits for a worker. One without a slot waits for a place among the trials."""
    return trial.state is TrialState.WAITING and slot_of(trial) >= 0


def is_done(study: LoadedStudy) -> bool:
    """Returns whether nothing is left to do in a study."""
    trials = study.trials
    if is_abandoned(trials, study.num_trials):
        return not any(trial.state is TrialState.RUNNING for trial in trials)
    return count_finished(trials, study.num_trials) == study.num_trials


def abandoned_reason(study: LoadedStudy) -> str | None:
    """Returns why a study was given up, in one line; `None` if it was not."""
    trials = study.trials
    if not is_abandoned(trials, study.num_trials):
        return None
    reasons = failure_reasons(trials)
    return (
        f"{study.spec.name} is given up: {len(reasons)} trials failed, the last: {reasons[-1]}; fix this, and ask for "
        "more --trials, or begin anew under another --name"
    )


def silence_optuna() -> None:
    """Keeps Optuna from logging every trial; the workbench shows the progress of a sweep itself."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
