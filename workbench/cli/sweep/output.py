"""How a sweep gets on, shown while it runs: one bar on a terminal, a line for each trial elsewhere."""

import math
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import mean
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from sweeps.export import best_trial
from sweeps.local_launcher import TrialEvent
from sweeps.studies import LoadedStudy
from sweeps.trial_budget import finished_trials
from workbench.study_files import FINISHED, State, Study, Trial


class SweepProgress:
    """Shows how many trials are finished, which are under way, and the best so far.

    Args:
        studies: what is tuned.
    """

    def __init__(self, studies: Sequence[LoadedStudy]) -> None:
        self.asked = sum(opened.asked for opened in studies)
        self.finished = sum(finished_trials(opened.trials, opened.asked) for opened in studies)
        self.best: dict[str, float] = {}
        for opened in studies:
            if (best := best_trial(opened.trials)) is not None:
                self.best[opened.spec.name] = best.values[0]
        self.under_way: dict[int, tuple[str, int, int, int]] = {}
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.finished:
            self.say(f"{self.finished} of {self.asked} trials are finished already")
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=self.asked,
                initial=self.finished,
                unit="trial",
                dynamic_ncols=True,
                smoothing=0.1,
                bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} trials, {remaining} left {postfix}",
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()

    def tell(self, worker: int, event: TrialEvent) -> None:
        """A worker has begun a trial, or made steps of it, or ended it."""
        if event.kind == "begun":
            self.under_way[worker] = (event.study, event.number, 0, event.steps)
        elif event.kind == "step" and worker in self.under_way:
            study, number, _, steps = self.under_way[worker]
            self.under_way[worker] = (study, number, event.steps, steps)
        elif event.kind == "ended":
            self.under_way.pop(worker, None)
        if self.bar is not None:
            shares = [(f"{study} {number}", made / steps) for study, number, made, steps in self.under_way.values()]
            said = ", ".join(f"{name} at {share:.0%}" for name, share in shares)
            self.bar.set_postfix_str(f"({said})" if said else "")

    def ended(self, opened: LoadedStudy, trial: Trial) -> None:
        """A trial has ended."""
        name = opened.spec.name
        if trial.values is not None:
            self.best[name] = min(self.best.get(name, math.inf), trial.values[0])
        if trial.state in FINISHED:
            self.finished += 1
            if self.bar is not None:
                self.bar.update()
        if self.bar is None or trial.state == "failed":
            outcome = describe_outcome(opened, trial, self.best)
            self.say(f"[{self.finished}/{self.asked}] {name} trial {trial.number}: {outcome}")

    def say(self, line: str) -> None:
        """Prints a line without tearing the bar."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)


def describe_outcome(opened: LoadedStudy, trial: Trial, best: dict[str, float]) -> str:
    """How a trial ended, in a few words."""
    if trial.values is not None:
        scores = zip(opened.spec.objectives, trial.values, strict=True)
        said = ", ".join(f"{name} {value:.4g}" for name, value in scores)
        return f"validation {said}" + (", the best so far" if trial.values[0] <= best[opened.spec.name] else "")
    if trial.state == "pruned" and trial.intermediate:
        step, loss = trial.intermediate[-1]
        return f"pruned at step {step}, loss {loss:.4g}"
    return f"failed: {trial.error}" if trial.error else trial.state


RECENT = 10
"""Finished trials by whose time the rest is estimated."""
COUNTED_STATES: tuple[State, ...] = ("running", "waiting", "pruned", "diverged", "failed")
HEADINGS = ("study", "finished", "of", *COUNTED_STATES, "best loss", "time left")


def status_table(studies: Sequence[Study]) -> str:
    """How far each study has come, a line each."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    for study in studies:
        counts = [str(len(study.in_state(state))) for state in COUNTED_STATES]
        lines.append(
            (
                study.name,
                str(len(study.finished)),
                str(study.asked),
                *counts,
                "" if (found := winner_table(study)) is None or found.values is None else f"{found.values[0]:.4g}",
                time_left(study),
            )
        )
    return align(lines)


def best_table(studies: Sequence[Study]) -> str:
    """The winner of each study and its parameters, a line each."""
    lines: list[tuple[str, ...]] = [("study", "trial", *objectives(studies), "chosen")]
    for study in studies:
        trial = winner_table(study)
        if trial is None or trial.values is None:
            lines.append((study.name, "none", *[""] * len(objectives(studies)), "no trial is complete"))
            continue
        values = [f"{value:.4g}" for value in trial.values]
        chosen = ", ".join(f"{name}={format_value(value)}" for name, value in trial.params.items())
        lines.append((study.name, str(trial.number), *values, chosen))
    return align(lines)


def objectives(studies: Sequence[Study]) -> tuple[str, ...]:
    """What trials are judged by; the same for all studies of a sweep."""
    return max((study.objectives for study in studies), key=len, default=())


def winner_table(study: Study) -> Trial | None:
    """The trial that won."""
    return next((trial for trial in study.trials if trial.number == study.winner), None)


def time_left(study: Study) -> str:
    """How long the rest will take, if it goes on as the last trials did; empty where nothing is known."""
    rest = study.asked - len(study.finished)
    recent = [trial.seconds for trial in study.finished[-RECENT:] if trial.seconds is not None]
    running = len(study.in_state("running"))
    if rest <= 0:
        return "done"
    if not recent or not running:
        return ""
    return str(timedelta(seconds=math.ceil(rest * mean(recent) / running)))


def format_value(value: Any) -> str:
    """A parameter's value: four digits of a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def align(lines: Sequence[Sequence[str]]) -> str:
    """Columns of equal width; the first and the last flush left, the others flush right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        cells = [
            text.ljust(width) if index in (0, len(line) - 1) else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        rows.append("  ".join(cells).rstrip())
    return "\n".join(rows)


def clock_time() -> str:
    """The time of day."""
    return datetime.now().strftime("%H:%M:%S")
