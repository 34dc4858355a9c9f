"""How a sweep gets on, shown while it runs: one bar on a terminal, a line for each trial elsewhere."""

import math
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from sweeps.export import best_trial
from sweeps.local_launcher import TrialEvent
from sweeps.studies import LoadedStudy
from sweeps.trial_budget import finished_trials
from workbench.studies import FINISHED, Trial


class Board:
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
            self.say(f"[{self.finished}/{self.asked}] {name} trial {trial.number}: {outcome(opened, trial, self.best)}")

    def say(self, line: str) -> None:
        """Prints a line without tearing the bar."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)


def outcome(opened: LoadedStudy, trial: Trial, best: dict[str, float]) -> str:
    """How a trial ended, in a few words."""
    if trial.values is not None:
        scores = zip(opened.spec.objectives, trial.values, strict=True)
        said = ", ".join(f"{name} {value:.4g}" for name, value in scores)
        return f"validation {said}" + (", the best so far" if trial.values[0] <= best[opened.spec.name] else "")
    if trial.state == "pruned" and trial.intermediate:
        step, loss = trial.intermediate[-1]
        return f"pruned at step {step}, loss {loss:.4g}"
    return f"failed: {trial.error}" if trial.error else trial.state
