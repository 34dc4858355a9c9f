"""Terminal output of the sweep commands: progress, and the tables of `status` and `best`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean
from typing import TYPE_CHECKING, Any, Self

from workbench.cli.output import ProgressBar, align_columns
from workbench.logger_failures import FailureCount
from workbench.study_files import FINISHED_STATES, Study, Trial, TrialStatus

if TYPE_CHECKING:
    from sweeps.local_launcher import TrialEvent
    from sweeps.studies import LoadedStudy

RECENT_TRIALS = 10
"""Finished trials from whose times the time left is estimated."""
COUNTED_STATES: tuple[TrialStatus, ...] = ("running", "waiting", "pruned", "diverged", "failed")
HEADINGS = ("study", "finished", "of", *COUNTED_STATES)


@dataclass(slots=True, kw_only=True)
class RunningTrial:
    """A trial that a worker is running."""

    study: str
    number: int
    steps: int
    """Steps of the whole trial."""
    steps_done: int = 0

    def __str__(self) -> str:
        return f"{self.study} {self.number} at {self.steps_done / self.steps:.0%}"


class SweepProgress(ProgressBar):
    """Progress of a sweep: a bar over its trials, or a line for each trial that ends.

    Args:
        studies: the studies that are tuned.
    """

    def __init__(self, studies: Sequence["LoadedStudy"]) -> None:
        from sweeps.export import best_trial
        from sweeps.trial_budget import count_finished

        self.num_trials = sum(study.num_trials for study in studies)
        finished = sum(count_finished(study.trials, study.num_trials) for study in studies)
        super().__init__("trials", self.num_trials, done=finished, smoothing=0.1)
        self.best: dict[str, float] = {}
        """The best value so far of each study's first objective, by name."""
        for study in studies:
            if (best := best_trial(study.trials, study.spec.direction)) is not None:
                self.best[study.spec.name] = best.values[0]
        self.running: dict[int, RunningTrial] = {}
        """By the slot of the worker."""
        self.logger_failures = FailureCount()

    def __enter__(self) -> Self:
        if self.done:
            self.print_line(f"{self.done} of {self.num_trials} trials are finished already")
        return super().__enter__()

    def on_event(self, slot: int, event: "TrialEvent") -> None:
        """Shows what has happened in a worker.

        Args:
            slot: of the worker.
            event: it has begun a trial, made steps of it, ended it, or has something to say.
        """
        match event.kind:
            case "begun":
                self.running[slot] = RunningTrial(study=event.study, number=event.number, steps=event.steps)
            case "step" if slot in self.running:
                self.running[slot].steps_done = event.steps
            case "ended":
                self.running.pop(slot, None)
            case "note":
                if self.logger_failures.is_news(event.text):
                    self.print_line(event.text)
                return
        self.update(self.done, status=", ".join(map(str, self.running.values())))

    def on_trial_end(self, study: "LoadedStudy", trial: Trial) -> None:
        """Shows how a trial ended."""
        name = study.spec.name
        if trial.values is not None:
            choose = min if study.spec.direction == "minimize" else max
            self.best[name] = choose(self.best.get(name, trial.values[0]), trial.values[0])
        done = self.done + 1 if trial.state in FINISHED_STATES else self.done
        line = f"[{done}/{self.num_trials}] {name} trial {trial.number}: {describe_outcome(study, trial, self.best)}"
        if trial.state == "failed":
            # Printed even above a bar.
            self.print_line(line)
            line = ""
        self.update(done, line=line)


def describe_outcome(study: "LoadedStudy", trial: Trial, best: dict[str, float]) -> str:
    """Returns how a trial ended, in a few words.

    Args:
        study: the study of the trial.
        trial: the trial.
        best: the best value so far of each study's first objective, by name.
    """
    if trial.values is not None:
        values = zip(study.spec.objectives, trial.values, strict=True)
        scores = ", ".join(f"{name} {value:.4g}" for name, value in values)
        return f"validation {scores}" + (", the best so far" if trial.values[0] == best[study.spec.name] else "")
    if trial.state == "pruned" and trial.intermediate:
        step, value = trial.intermediate[-1]
        return f"pruned at step {step}, {study.spec.objectives[0]} {value:.4g}"
    return f"failed: {trial.error}" if trial.error else trial.state


def status_table(studies: Sequence[Study]) -> str:
    """Returns a table of the progress of each study, a line each."""
    metrics = {study.objectives[0] for study in studies if study.objectives}
    best = f"best {metrics.pop()}" if len(metrics) == 1 else "best"
    rows: list[tuple[str, ...]] = [(*HEADINGS, best, "time left")]
    for study in studies:
        winner = find_winner(study)
        rows.append(
            (
                study.name,
                str(len(study.finished_trials)),
                str(study.asked),
                *(str(len(study.trials_in(state))) for state in COUNTED_STATES),
                "" if winner is None or winner.values is None else f"{winner.values[0]:.4g}",
                format_time_left(study),
            )
        )
    return align_columns(rows, left=(0, len(rows[0]) - 1))


def best_table(studies: Sequence[Study]) -> str:
    """Returns a table of the winner of each study and its parameters, a line each."""
    # The same for all studies of a sweep; a store may have several.
    named = {study.objectives for study in studies}
    objectives: tuple[str, ...] = max(named, key=len, default=())
    if len({each[0] for each in named}) > 1:
        objectives = ("value", *objectives[1:])
    rows: list[tuple[str, ...]] = [("study", "trial", *objectives, "chosen")]
    for study in studies:
        winner = find_winner(study)
        if winner is None or winner.values is None:
            rows.append((study.name, "none", *[""] * len(objectives), "no trial is complete"))
            continue
        values = [f"{value:.4g}" for value in winner.values]
        params = ", ".join(f"{name}={format_value(value)}" for name, value in winner.params.items())
        values += [""] * (len(objectives) - len(values))
        rows.append((study.name, str(winner.number), *values, params))
    return align_columns(rows, left=(0, len(rows[0]) - 1))


def find_winner(study: Study) -> Trial | None:
    """Returns the trial that won; `None` if no trial is complete."""
    return next((trial for trial in study.trials if trial.number == study.winner), None)


def format_time_left(study: Study) -> str:
    """Returns how long the remaining trials take at the speed of the last ones; empty if that is not known."""
    remaining = study.asked - len(study.finished_trials)
    recent = [trial.seconds for trial in study.finished_trials[-RECENT_TRIALS:] if trial.seconds is not None]
    running = len(study.trials_in("running"))
    if remaining <= 0:
        return "done"
    if not recent or not running:
        return ""
    return str(timedelta(seconds=math.ceil(remaining * mean(recent) / running)))


def format_value(value: Any) -> str:
    """Returns the value of a parameter; a number has four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def clock_time() -> str:
    """Returns the time of day."""
    return datetime.now().strftime("%H:%M:%S")
