"""One bar for a whole comparison; lines where nobody watches."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from workbench.config import Experiment
from workbench.results import Run


class Progress:
    """Shows how far a number of experiments has come, and how long the rest will take.

    On a terminal one bar over all optimiser steps; elsewhere a line for each run that ends.

    Args:
        experiments: what is run.
        labels: what each is called; by default after its task, architecture and seed.
    """

    def __init__(self, experiments: Sequence[Experiment], labels: Sequence[str] | None = None) -> None:
        self.steps = [experiment.budget.steps for experiment in experiments]
        self.labels = list(labels or map(label, experiments))
        self.made = [0] * len(experiments)
        self.begun: set[int] = set()
        self.ended = 0
        self.bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=sum(self.steps),
                unit="step",
                dynamic_ncols=True,
                smoothing=0.05,
                bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} steps, {remaining} left {postfix}",
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self, index: int, step: int) -> None:
        """An experiment has made so many steps."""
        if self.bar is not None:
            if index not in self.begun:
                # It may go on from a checkpoint: those steps took no time now, so the time left must not count them.
                self.begun.add(index)
                self.bar.initial += step
            self.bar.update(step - self.made[index])
            self.bar.set_postfix_str(f"({self.ended}/{len(self.steps)} runs; {self.labels[index]})", refresh=False)
        self.made[index] = step

    def end(self, index: int, run: Run | None, text: str = "") -> None:
        """An experiment has ended, well or not."""
        self.ended += 1
        self.step(index, self.steps[index])
        if self.bar is None:
            self.say(f"[{self.ended}/{len(self.steps)}] {self.labels[index]}: {text or summary(run)}")

    def say(self, line: str) -> None:
        """Prints a line without tearing the bar."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)


def label(experiment: Experiment) -> str:
    """An experiment in a few words."""
    return f"{experiment.task.name} {experiment.architecture.name} seed {experiment.seed}"


def summary(run: Run | None) -> str:
    """A run's outcome in a few words."""
    if run is None:
        return "stopped"
    if run.diverged:
        return f"diverged at step {run.result['diverged_at']}"
    scores = ", ".join(f"{name} {value:.4g}" for name, value in run.result["test"].items())
    solved = run.result["solved_at"]
    return f"test {scores}" + (f", solved at step {solved}" if solved is not None else "")
