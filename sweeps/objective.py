"""The objective of a study: trains the run of a trial, and reports its losses."""

import math
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from sweeps.search_space import SearchSpace
from sweeps.storage_retry import with_retries
from sweeps.studies import LoadedStudy
from sweeps.trial_budget import DIVERGED, DUPLICATE, ERROR, IDENTITY, INTERRUPTED, OUTCOME, WORKER, is_duplicate
from workbench.config import TUNING_SEED, Experiment
from workbench.errors import UserError
from workbench.files import write_text
from workbench.logger_interface import LoggerSpec
from workbench.memory_needs import check_memory
from workbench.results import Run
from workbench.run import RunDevice, run
from workbench.run_folder import BusyError, run_folder
from workbench.run_pool import describe_failure

BUSY_SECONDS = 1.0
"""Seconds between two attempts at a run that another process is training."""


class InterruptedTrialError(Exception):
    """A trial was stopped, and is to be resumed another time."""


class FailedTrialError(Exception):
    """A trial failed by an error of its own; the message is the reason in one line."""


class DuplicateTrialError(Exception):
    """A trial's slot belongs to another trial."""


class TrialLostError(Exception):
    """A trial has ended in the store, because this process was taken for dead; another trial continues its run."""


class WorkerUnusableError(Exception):
    """A trial failed on a GPU, after which the process may be unusable; another process is to take over."""


@dataclass(slots=True, kw_only=True)
class Objective:
    """The function that Optuna optimizes: trains a trial's run, and reports its metric on each row.

    Args:
        study: the study.
        space: the study's search space.
        out: the folder of results.
        device: the device to train on.
        worker: name of the worker, as it is stored with the trial.
        loggers: what the trial is logged to while it is trained.
        stop: asked after every step whether to stop there.
        on_begin: called with the trial's number and its run once the parameters are chosen.
        on_progress: called with the number of steps made.
        log: called with lines that a user should know.
    """

    study: LoadedStudy
    space: SearchSpace
    out: Path
    device: RunDevice
    worker: str
    loggers: tuple[LoggerSpec, ...] = ()
    stop: Callable[[], bool] = lambda: False
    on_begin: Callable[[int, Experiment], None] = lambda number, experiment: None
    on_progress: Callable[[int], None] = lambda step: None
    log: Callable[[str], None] = lambda line: None
    _reported_steps: set[int] = field(default_factory=set, init=False)
    _pruned: bool = field(default=False, init=False)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Runs a trial to its end, and returns the values of the objectives.

        Raises:
            optuna.TrialPruned: if it was given up, or diverged.
            InterruptedTrialError: if it was stopped.
            DuplicateTrialError: if another trial has its slot.
            FailedTrialError: if it failed by an error of its own.
            TrialLostError: if it has ended in the store meanwhile.
            UserError: if the folder of results or the store is at fault, and not the trial.
        """
        self._reported_steps, self._pruned = set(), False
        self._set_attribute(trial, WORKER, self.worker)
        trials = self._call_store(lambda: self.study.optuna_study.get_trials(deepcopy=False))
        if is_duplicate(trials, next(other for other in trials if other.number == trial.number)):
            self._set_attribute(trial, OUTCOME, DUPLICATE)
            raise DuplicateTrialError
        params = self._call_store(lambda: self.space.suggest(trial))
        try:
            experiment = self.study.spec.experiment(params, TUNING_SEED)
            check_memory(experiment, self.device.device)
        except Exception as error:
            raise self._failure(trial, failure_message(error)) from error
        self._set_attribute(trial, IDENTITY, experiment.identity)
        self.on_begin(trial.number, experiment)
        try:
            return self._read_values(trial, self._train(trial, experiment))
        except (optuna.TrialPruned, InterruptedTrialError, TrialLostError):
            raise
        except FailedTrialError as error:
            raise self._failure(trial, str(error)) from None
        except (UserError, OSError):
            # The disk or the store is at fault, not the parameters; it may not even be possible to record that.
            with suppress(UserError):
                self._interruption(trial)
            raise
        except Exception as error:
            try:
                path = write_traceback(self.out, experiment)
            except OSError:
                with suppress(UserError):
                    self._interruption(trial)
                raise
            raise self._failure(trial, f"{failure_message(error)} (see {path})") from error

    def _train(self, trial: optuna.Trial, experiment: Experiment) -> Run | None:
        while True:
            try:
                return run(
                    experiment,
                    self.out,
                    self.device,
                    stop=lambda: self._pruned or self.stop(),
                    on_progress=self.on_progress,
                    on_row=lambda row: self._report(trial, row),
                    log=self.log,
                    loggers=self.loggers,
                    trial=(self.study.spec.name, trial.number),
                )
            except BusyError:
                # The run of the same configuration, or of a trial that was wrongly taken for dead. Once it is no longer
                # busy, its result is read, or it is resumed.
                if self.stop():
                    raise self._interruption(trial) from None
                sleep(BUSY_SECONDS)
                self._call_store(lambda: self._check_running(trial))

    def _read_values(self, trial: optuna.Trial, finished: Run | None) -> float | tuple[float, ...]:
        if finished is None:
            if self._pruned:
                raise optuna.TrialPruned
            raise self._interruption(trial)
        for row in finished.metrics().to_dict("records"):
            # The rows of a run that had finished before have not been reported yet.
            self._report(trial, {str(name): float(value) for name, value in row.items()})
        if finished.diverged:
            self._set_attribute(trial, OUTCOME, DIVERGED)
            # However good its losses were before: the estimator ranks trials that break a constraint below all others.
            self._call_store(lambda: trial.set_constraint(DIVERGED, 1.0))
            raise optuna.TrialPruned
        metric, *costs = self.study.spec.objectives
        validation = finished.result.get("validation") or {}
        if metric not in validation:
            raise UserError(f"{finished.folder} says nothing of the {metric}; move it away and run again")
        if validation[metric] is None:
            raise FailedTrialError(f"{self.study.spec.metric} is not a finite number at the end")
        values = [validation[metric]]
        for name in costs:
            values.append(finished.timing.get("seconds") if name == "seconds" else finished.result["parameters"])
            if values[-1] is None:
                raise UserError(f"{finished.folder} says nothing of the {name}; move it away and run again")
        # This process may have been taken for dead while the last files were written.
        self._call_store(lambda: self._check_running(trial))
        return tuple(map(float, values))

    def _report(self, trial: optuna.Trial, row: dict[str, float]) -> None:
        """Reports a row's value of the metric, and asks the pruner whether to give the trial up."""
        if len(self.study.spec.objectives) > 1:
            # Optuna takes no reports of trials with two objectives.
            return
        step, value = int(row["step"]), row.get(self.study.spec.metric, math.nan)
        if step in self._reported_steps or not math.isfinite(value):
            return
        self._reported_steps.add(step)
        self._call_store(lambda: trial.report(value, step))
        if step < self.study.spec.budget.steps:
            self._pruned = self._pruned or bool(self._call_store(trial.should_prune))

    def _check_running(self, trial: optuna.Trial) -> None:
        """Refuses to continue with a trial that has ended in the store."""
        trials = self.study.optuna_study.get_trials(deepcopy=False)
        if next(other for other in trials if other.number == trial.number).state.is_finished():
            raise TrialLostError

    def _interruption(self, trial: optuna.Trial) -> InterruptedTrialError:
        self._set_attribute(trial, OUTCOME, INTERRUPTED)
        return InterruptedTrialError()

    def _failure(self, trial: optuna.Trial, message: str) -> FailedTrialError:
        self._set_attribute(trial, ERROR, message)
        return FailedTrialError(message)

    def _set_attribute(self, trial: optuna.Trial, key: str, value: Any) -> None:
        self._call_store(lambda: trial.set_user_attr(key, value))

    def _call_store(self, call: Callable[[], Any]) -> Any:
        try:
            return with_retries(call, self.log)
        except UpdateFinishedTrialError:
            raise TrialLostError from None


def failure_message(error: Exception) -> str:
    """Returns the reason why a trial failed, in one line."""
    return str(error) if isinstance(error, UserError) else describe_failure(error)


def write_traceback(out: Path, experiment: Experiment) -> Path:
    """Writes the traceback of the current exception beside the run; returns the file."""
    path = run_folder(out, experiment) / "error.log"
    write_text(path, traceback.format_exc())
    return path
