"""One bar for a whole comparison; lines where nobody watches."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from workbench.config import Experiment
from workbench.results import Run


class RunProgress:
    """Shows how far a number of experiments has come, and how long the rest will take.

    On a terminal one bar over all optimiser steps; elsewhere a line for each run that ends.

    Args:
        experiments: what is run.
        labels: what each is called; by default after its task, architecture and seed.
    """

    def __init__(self, experiments: Sequence[Experiment], labels: Sequence[str] | None = None) -> None:
        self.steps = [experiment.budget.steps for experiment in experiments]
        self.labels = list(labels or map(run_label, experiments))
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
            self.say(f"[{self.ended}/{len(self.steps)}] {self.labels[index]}: {text or run_summary(run)}")

    def say(self, line: str) -> None:
        """Prints a line without tearing the bar."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)


def run_label(experiment: Experiment) -> str:
    """An experiment in a few words."""
    return f"{experiment.task.name} {experiment.architecture.name} seed {experiment.seed}"


def run_summary(run: Run | None) -> str:
    """A run's outcome in a few words."""
    if run is None:
        return "stopped"
    if run.diverged:
        return f"diverged at step {run.result['diverged_at']}"
    scores = ", ".join(f"{name} {value:.4g}" for name, value in run.result["test"].items())
    solved = run.result["solved_at"]
    return f"test {scores}" + (f", solved at step {solved}" if solved is not None else "")


class ProgressBar:
    """Shows how far it is: a bar on a terminal, a line now and then elsewhere.

    Args:
        done: what happens to records.
        total: how many there are, if that is known.
    """

    EVERY = 20

    def __init__(self, done: str, total: int | None = None) -> None:
        self.done, self.total, self.count = done, total, 0
        self.bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit=" records", desc=self.done, dynamic_ncols=True, leave=False)
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the bar."""
        if self.bar is not None:
            self.bar.close()

    def one(self) -> None:
        """One more."""
        self.show(self.count + 1)

    def show(self, count: int) -> None:
        """So many."""
        if self.bar is not None:
            self.bar.update(count - self.count)
        elif count // self.EVERY > self.count // self.EVERY or count == self.total:
            of = "" if self.total is None else f" of {self.total}"
            print(f"{count}{of} records {self.done}", file=sys.stderr, flush=True)
        self.count = count


def warn(line: str) -> None:
    """Tells on stderr what went wrong, in one line."""
    print(f"workbench: {line}", file=sys.stderr)
