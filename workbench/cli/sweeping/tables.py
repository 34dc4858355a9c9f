"""Studies as lines of text."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import mean
from typing import Any

from workbench.studies import State, Study, Trial

RECENT = 10
"""Finished trials by whose time the rest is estimated."""
COUNTED: tuple[State, ...] = ("running", "waiting", "pruned", "diverged", "failed")
HEADINGS = ("study", "finished", "of", *COUNTED, "best loss", "time left")


def status(studies: Sequence[Study]) -> str:
    """How far each study has come, a line each."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    for study in studies:
        counts = [str(len(study.in_state(state))) for state in COUNTED]
        lines.append(
            (
                study.name,
                str(len(study.finished)),
                str(study.asked),
                *counts,
                "" if (found := winner(study)) is None or found.values is None else f"{found.values[0]:.4g}",
                time_left(study),
            )
        )
    return aligned(lines)


def best(studies: Sequence[Study]) -> str:
    """The winner of each study and its parameters, a line each."""
    lines: list[tuple[str, ...]] = [("study", "trial", *objectives(studies), "chosen")]
    for study in studies:
        trial = winner(study)
        if trial is None or trial.values is None:
            lines.append((study.name, "none", *[""] * len(objectives(studies)), "no trial is complete"))
            continue
        values = [f"{value:.4g}" for value in trial.values]
        chosen = ", ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
        lines.append((study.name, str(trial.number), *values, chosen))
    return aligned(lines)


def objectives(studies: Sequence[Study]) -> tuple[str, ...]:
    """What trials are judged by; the same for all studies of a sweep."""
    return max((study.objectives for study in studies), key=len, default=())


def winner(study: Study) -> Trial | None:
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


def shown(value: Any) -> str:
    """A parameter's value: four digits of a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def aligned(lines: Sequence[Sequence[str]]) -> str:
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


def now() -> str:
    """The time of day."""
    return datetime.now().strftime("%H:%M:%S")
