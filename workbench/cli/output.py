"""Terminal output that the commands share: a progress bar, runs in words, tables and warnings."""

import sys
import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from workbench.config import Experiment
from workbench.errors import one_line

if TYPE_CHECKING:
    from workbench.results import Run

BAR_FORMAT = "{{percentage:3.0f}}% |{{bar}}| {{n_fmt}}/{{total_fmt}} {unit}, {{remaining}} left{{postfix}}"
COUNT_FORMAT = "{{n_fmt}} {unit}{{postfix}}"
"""For a total that is not known."""


class ProgressBar:
    """Progress on stderr: a bar if that is a terminal, plain lines if it is not.

    Args:
        unit: what is counted, in the plural.
        total: how many there are; `None` if that is not known.
        done: how many were done before; the time left is estimated without them.
        smoothing: weight of the latest speed in the estimate of the time left, from 0 (mean speed) to 1 (latest).
        line_every: without a bar, how many have to be done between two lines; 1 prints every line.
        leave: whether the bar stays on the screen at the end.
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
    ) -> None:
        self.unit, self.total, self.done = unit, total, done
        self.smoothing, self.line_every, self.leave = smoothing, line_every, leave
        self._bar: Any = None
        self._last_line = ""

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = tqdm(
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
    """

    def __init__(self, experiments: Sequence[Experiment], labels: Sequence[str], *, tell_time: bool = False) -> None:
        self.run_steps = [experiment.budget.steps for experiment in experiments]
        super().__init__("steps", sum(self.run_steps), smoothing=0.05)
        self.labels = labels
        self.steps_done: dict[int, int] = {}
        """Steps of each run that has begun, by its index."""
        self.ended = 0
        self.tell_time = tell_time
        self._start: float | None = None
        self._timed_steps = 0

    def on_step(self, index: int, step: int, line: str = "") -> None:
        """Shows that a run has made so many steps."""
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
        line = f"[{self.ended}/{len(self.run_steps)}] {self.labels[index]}: {outcome}"
        self.on_step(index, self.run_steps[index], line)
        left = len(self.run_steps) - self.ended
        if self.tell_time and self._bar is None and left and (seconds := self.seconds_left()) is not None:
            self.tell_time = False
            self.print_line(f"about {tqdm.format_interval(seconds)} left for {left} more, at the speed so far")

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


def align_columns(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Returns rows of cells as lines whose columns have equal widths.

    Args:
        rows: cells, equally many in each row.
        left: the columns that are aligned to the left; the others are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_bytes(count: int) -> str:
    """Returns a size as users read it, with a decimal prefix.

    Example:
        >>> format_bytes(999), format_bytes(1_234_567)
        ('999 B', '1.23 MB')
    """
    text = tqdm.format_sizeof(count)
    return f"{text} B" if text[-1].isdigit() else f"{text[:-1]} {text[-1]}B"


def warn(line: str) -> None:
    """Prints a line on stderr about what went wrong."""
    print(one_line(f"workbench: {line}"), file=sys.stderr)
