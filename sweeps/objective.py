"""One trial: parameters proposed, a run trained, its losses reported."""

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

from sweeps.retry import with_retries
from sweeps.search_space import Space
from sweeps.studies import LoadedStudy
from sweeps.trial_budget import DIVERGED, ENDED, ERROR, IDENTITY, INTERRUPTED, SURPLUS, WORKER, is_duplicate
from workbench.config import TUNING_SEED, Experiment
from workbench.errors import UserError
from workbench.files import write_text
from workbench.process_pool import describe_failure
from workbench.results import Run
from workbench.run import RunDevice, run
from workbench.run_folder import BusyError, run_folder

BUSY_SECONDS = 1.0
"""Between two looks at a run that another process is at."""


class InterruptedTrialError(Exception):
    """A trial was left as it stands, to go on another time."""


class FailedTrialError(Exception):
    """A trial failed by itself; the message is the reason, in a line."""


@dataclass(slots=True, kw_only=True)
class Objective:
    """What Optuna minimises: trains a trial's run, and reports the validation loss of each row.

    Args:
        opened: the study.
        space: its space.
        out: the folder of results.
        machine: where to train.
        stop: asked after every step whether to stop there.
        begun: told the trial's number once it has its parameters.
        progress: told the steps that were made.
        note: told in a line what a user should know.
        worker: who is at it.
    """

    opened: LoadedStudy
    space: Space
    out: Path
    machine: RunDevice
    worker: str
    stop: Callable[[], bool] = lambda: False
    begun: Callable[[int, Experiment], None] = lambda number, experiment: None
    progress: Callable[[int], None] = lambda step: None
    note: Callable[[str], None] = lambda line: None
    _reported: set[int] = field(default_factory=set, init=False)
    _pruned: bool = field(default=False, init=False)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Runs a trial to its end.

        Raises:
            optuna.TrialPruned: if it was given up, or diverged.
            InterruptedTrialError, SurplusTrialError, FailedTrialError, TakenError: if it does not count.
            UserError: if the folder of results, or the store, is at fault and not the trial.
        """
        self._reported, self._pruned = set(), False
        self._mark(trial, WORKER, self.worker)
        frozen = self._ask(lambda: self.opened.study.get_trials(deepcopy=False))
        if is_duplicate(frozen, next(each for each in frozen if each.number == trial.number)):
            self._mark(trial, ENDED, SURPLUS)
            raise DuplicateTrialError
        chosen = self._ask(lambda: self.space.choose(trial))
        try:
            experiment = self.opened.spec.experiment(chosen, TUNING_SEED)
        except Exception as error:
            raise self._failed(trial, failure_message(error)) from error
        self._mark(trial, IDENTITY, experiment.identity)
        self.begun(trial.number, experiment)
        try:
            return self._value(trial, self._train(trial, experiment))
        except (optuna.TrialPruned, InterruptedTrialError, TrialLostError):
            raise
        except (UserError, OSError):
            # The disk or the store, not these parameters. What is at fault may not let that be written down either.
            with suppress(UserError):
                self._interrupted(trial)
            raise
        except Exception as error:
            try:
                where = write_traceback(self.out, experiment)
            except OSError:
                with suppress(UserError):
                    self._interrupted(trial)
                raise
            raise self._failed(trial, f"{failure_message(error)} (see {where})") from error

    def _train(self, trial: optuna.Trial, experiment: Experiment) -> Run | None:
        while True:
            try:
                return run(
                    experiment,
                    self.out,
                    self.machine,
                    stop=lambda: self._pruned or self.stop(),
                    progress=self.progress,
                    watch=lambda row: self._report(trial, row),
                    note=self.note,
                )
            except BusyError:
                # The same configuration, or a trial that was taken for dead: its result will be read, or gone on from.
                if self.stop():
                    raise self._interrupted(trial) from None
                sleep(BUSY_SECONDS)
                self._ask(lambda: self._alive(trial))

    def _value(self, trial: optuna.Trial, finished: Run | None) -> float | tuple[float, ...]:
        if finished is None:
            if self._pruned:
                raise optuna.TrialPruned
            raise self._interrupted(trial)
        for row in finished.metrics().to_dict("records"):
            # One that had run before was read, and told nothing.
            self._report(trial, {str(name): float(value) for name, value in row.items()})
        if finished.diverged:
            self._mark(trial, ENDED, DIVERGED)
            # However good its losses were until then: the estimator puts what breaks a constraint below all others.
            self._ask(lambda: trial.set_constraint(DIVERGED, 1.0))
            raise optuna.TrialPruned
        values = {
            "loss": (finished.result.get("validation") or {}).get("loss"),
            "seconds": finished.timing.get("seconds"),
            "parameters": finished.result["parameters"],
        }
        for name in self.opened.spec.objectives:
            if values[name] is None:
                raise UserError(f"{finished.folder} says nothing of the {name}; move it away and run again")
        # It may have been taken for dead while the last numbers were written.
        self._ask(lambda: self._alive(trial))
        return tuple(float(values[name]) for name in self.opened.spec.objectives)

    def _report(self, trial: optuna.Trial, row: dict[str, float]) -> None:
        """Reports a row's validation loss, and decides whether it is enough."""
        step, loss = int(row["step"]), row.get("val/loss", math.nan)
        if not self._single or step in self._reported or not math.isfinite(loss):
            return
        self._reported.add(step)
        self._ask(lambda: trial.report(loss, step))
        if step < self.opened.spec.budget.steps:
            self._pruned = self._pruned or bool(self._ask(trial.should_prune))

    @property
    def _single(self) -> bool:
        # Optuna takes no reports where there are two objectives.
        return len(self.opened.spec.objectives) == 1

    def _alive(self, trial: optuna.Trial) -> None:
        """Refuses to go on with a trial that has ended in the store."""
        known = self.opened.study.get_trials(deepcopy=False)
        if next(each for each in known if each.number == trial.number).state.is_finished():
            raise TrialLostError

    def _mark(self, trial: optuna.Trial, key: str, value: Any) -> None:
        self._ask(lambda: trial.set_user_attr(key, value))

    def _interrupted(self, trial: optuna.Trial) -> InterruptedTrialError:
        self._mark(trial, ENDED, INTERRUPTED)
        return InterruptedTrialError()

    def _failed(self, trial: optuna.Trial, text: str) -> FailedTrialError:
        self._mark(trial, ERROR, text)
        return FailedTrialError(text)

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return with_retries(call, self.note)
        except UpdateFinishedTrialError:
            raise TrialLostError from None


def failure_message(error: Exception) -> str:
    """Why a trial failed, in a line."""
    return str(error) if isinstance(error, UserError) else describe_failure(error)


def write_traceback(out: Path, experiment: Experiment) -> Path:
    """Writes the traceback of the present exception beside the run."""
    path = run_folder(out, experiment) / "error.log"
    write_text(path, traceback.format_exc())
    return path


class DuplicateTrialError(Exception):
    """A trial whose place another has."""


class WorkerUnusableError(Exception):
    """A trial failed on a GPU, after which the process may be of no more use; another is to go on."""


class TrialLostError(Exception):
    """A trial whose process was taken for dead has ended in the store; somebody else goes on with it."""
