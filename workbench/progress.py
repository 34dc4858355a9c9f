"""Progress of work in a terminal or a notebook: a bar, or a line for each thing that is done."""

import sys
import time
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from workbench.config import Experiment

if TYPE_CHECKING:
    from workbench.results import Run

BAR_FORMAT = "{{percentage:3.0f}}% |{{bar}}| {{n_fmt}}/{{total_fmt}} {unit}, {{remaining}} left{{postfix}}"
COUNT_FORMAT = "{{n_fmt}} {unit}{{postfix}}"
"""For a total that is not known."""


class ProgressBar:
    """Progress on stderr: a bar in a terminal or a notebook, plain lines elsewhere, or nothing.

    Args:
        unit: what is counted, in the plural.
        total: how many there are; `None` if that is not known.
        done: how many were done before; the time left is estimated without them.
        smoothing: weight of the latest speed in the estimate of the time left, from 0 (mean speed) to 1 (latest).
        line_every: without a bar, how many have to be done between two lines; 1 prints every line.
        leave: whether the bar stays on the screen at the end.
        quiet: whether nothing is shown.
    """

    def __init__(
        self,
        unit: str,
        total: int | None = None,
        *,
        done: int = 0,
        smoothing: float = 0.3,
        line_every: int = 1,
        leave: bool = True,
        quiet: bool = False,
    ) -> None:
        self.quiet = quiet
        self.unit, self.total, self.done = unit, total, done
        self.smoothing, self.line_every, self.leave = smoothing, line_every, leave
        self._bar: Any = None
        self._last_line = ""

    def __enter__(self) -> Self:
        if not self.quiet and (sys.stderr.isatty() or in_notebook()):
            self._bar = bar_class()(
                total=self.total,
                initial=self.done,
                dynamic_ncols=True,
                smoothing=self.smoothing,
                leave=self.leave,
                bar_format=self._format(),
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the bar; what is printed from now on stands below it."""
        if self._bar is not None:
            self._bar.close()

    def update(
        self, done: int, *, total: int | None = None, status: str | None = None, line: str = "", instant: bool = False
    ) -> None:
        """Shows how much is done.

        Args:
            done: how many are done by now.
            total: how many there are, if that has become known.
            status: beside the bar; `None` leaves what is there.
            line: printed if there is no bar, unless it is the last one again, or `line_every` says that it can wait.
            instant: what was done since the last update took no time, so the time left must not count it.
        """
        before, self.done = self.done, done
        if total is not None and total != self.total:
            self.total = total
            if self._bar is not None:
                self._bar.total, self._bar.bar_format = total, self._format()
        if self._bar is None:
            is_due = self.line_every == 1 or done // self.line_every > before // self.line_every or done == self.total
            if line and is_due and line != self._last_line:
                self._last_line = line
                self.print_line(line)
            return
        if status is not None:
            self._bar.set_postfix_str(status, refresh=False)
        if instant:
            self._bar.initial += done - before
        if done == before:
            # tqdm draws by itself, and not too often, only what has been counted.
            self._bar.refresh()
        else:
            self._bar.update(done - before)

    def print_line(self, line: str) -> None:
        """Prints a line, above the bar if there is one."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def _format(self) -> str:
        return (COUNT_FORMAT if self.total is None else BAR_FORMAT).format(unit=self.unit)


class RunProgress(ProgressBar):
    """Progress of training runs: a bar over the steps of all of them, or a line for each run that ends.

    Args:
        experiments: what is run.
        labels: what each is called.
        tell_time: whether a line says once, where there is no bar, how much time is left.
        quiet: whether nothing is shown.
    """

    def __init__(
        self, experiments: Sequence[Experiment], labels: Sequence[str], *, tell_time: bool = False, quiet: bool = False
    ) -> None:
        self.run_steps = [experiment.budget.steps for experiment in experiments]
        super().__init__("steps", sum(self.run_steps), smoothing=0.05, quiet=quiet)
        self.labels = labels
        self.steps_done: dict[int, int] = {}
        """Steps of each run that has begun, by its index."""
        self.ended = 0
        self.elsewhere: dict[int, str] = {}
        """Runs that other processes are at work on, and which those are, by index."""
        self._awaited: frozenset[int] = frozenset()
        self.tell_time = tell_time
        self._start: float | None = None
        self._timed_steps = 0

    def on_step(self, index: int, step: int, line: str = "") -> None:
        """Shows that a run has made so many steps."""
        self.elsewhere.pop(index, None)
        self._on_step(index, step, line)

    def on_elsewhere(self, index: int, step: int, holder: str) -> None:
        """Shows that another process is at work on a run; once it is all that is left, a line says so.

        Args:
            index: of the run.
            step: how many steps it has made.
            holder: the process.
        """
        self.elsewhere[index] = holder
        self._on_step(index, max(step, self.steps_done.get(index, 0)), "")
        waiting = frozenset(self.elsewhere)
        if self.ended + len(waiting) == len(self.run_steps) and not waiting <= self._awaited:
            self._awaited = waiting
            names = [f"{self.labels[index]} ({self.elsewhere[index]})" for index in sorted(waiting)]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            runs = "1 run" if len(names) == 1 else f"{len(names)} runs"
            self.print_line(f"waiting for {runs} that others train: {', '.join(names[:3])}{more}")

    def _on_step(self, index: int, step: int, line: str) -> None:
        # The first report may come from a run that resumes at a checkpoint: the steps before it took no time now.
        is_first = index not in self.steps_done
        new_steps = step - self.steps_done.get(index, 0)
        done = self.done + new_steps
        self.steps_done[index] = step
        if not is_first:
            self._timed_steps += new_steps
        elif self._start is None:
            self._start = time.monotonic()
        running = len(self.steps_done) - self.ended
        status = f"{self.ended}/{len(self.run_steps)} runs, {running} under way; {self.labels[index]}"
        self.update(done, status=status, line=line, instant=is_first)

    def on_end(self, index: int, outcome: str) -> None:
        """Shows that a run has ended, whether it succeeded or not."""
        self.ended += 1
        self.elsewhere.pop(index, None)
        line = f"[{self.ended}/{len(self.run_steps)}] {self.labels[index]}: {outcome}"
        self._on_step(index, self.run_steps[index], line)
        left = len(self.run_steps) - self.ended
        if self.tell_time and self._bar is None and left and (seconds := self.seconds_left()) is not None:
            self.tell_time = False
            self.print_line(f"about {bar_class().format_interval(seconds)} left for {left} more, at the speed so far")

    def seconds_left(self) -> float | None:
        """Returns the time that the remaining steps take at the mean speed so far; `None` if nothing was timed."""
        elapsed = 0.0 if self._start is None else time.monotonic() - self._start
        if not elapsed or not self._timed_steps:
            return None
        return (sum(self.run_steps) - self.done) * elapsed / self._timed_steps


def run_label(experiment: Experiment) -> str:
    """Returns a short name of an experiment: task, architecture and seed."""
    return f"{experiment.task.name} {experiment.architecture.name} seed {experiment.seed}"


def run_summary(run: "Run") -> str:
    """Returns the outcome of a run in a few words: test scores, or validation scores of a run that is never tested."""
    if run.diverged:
        return f"diverged at step {run.result['diverged_at']}"
    split = "validation" if run.result["test"] is None else "test"
    # A metric may have no value: a share of no answers is 0/0, and JSON has no NaN.
    scores = ", ".join(
        f"{name} {'undefined' if value is None else f'{value:.4g}'}"
        for name, value in (run.result.get(split) or {}).items()
    )
    solved_at = run.result["solved_at"]
    return f"{split} {scores}" + (f", solved at step {solved_at}" if solved_at is not None else "")


def in_notebook() -> bool:
    """Returns whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def bar_class() -> Any:
    """Returns tqdm's bar for this place: a widget in a notebook that has widgets, text elsewhere."""
    with warnings.catch_warnings():
        # It warns of a notebook without widgets, in which text does.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    return tqdm
