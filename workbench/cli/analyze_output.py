"""What `workbench analyze` shows: how far it is, what went wrong, and the numbers that matter most."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from analysis.formatting import ABSENT, AT_LEAST, UNSAID, format_number, format_plain, pluralize
from analysis.probes.errors import LACKING
from analysis.probes.registry import ProbeRecord
from analysis.probes.runner import ProbeEvent, ProbeJob, ran_out_of_memory, unavailable_measures
from analysis.report.ranking import QUESTIONS
from workbench.cli.output import run_label


class AnalyzeProgress:
    """On a terminal one bar over all probes of all models; elsewhere a line for each that ends."""

    def __init__(self, jobs: Sequence[ProbeJob], names: Sequence[str]) -> None:
        self.labels = labels(jobs)
        self.total, self.ended, self.known = len(jobs) * len(names), 0, 0
        self.failed: dict[tuple[str, str], list[int]] = {}
        """The jobs that a probe failed on, by the probe and the reason."""
        self.bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            form = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} probes, {remaining} left {postfix}"
            self.bar = tqdm(total=self.total, unit="probe", dynamic_ncols=True, bar_format=form)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
        if kind is None and self.known:
            print(f"{self.known} of {pluralize(self.total, 'probe')} known already", file=sys.stderr)

    def hear(self, event: ProbeEvent) -> None:
        """Something has happened."""
        what = f"{self.labels[event.job]}, {event.probe}"
        if event.kind == "begun":
            if self.bar is not None:
                self.bar.set_postfix_str(f"({what})")
            return
        self.ended += 1
        if event.kind == "failed":
            self.failed.setdefault((event.probe, event.text), []).append(event.job)
        if event.kind == "read":
            self.known += 1
        if self.bar is not None:
            if event.kind == "read":
                # It took no time, so the time left must not count it.
                self.bar.initial += 1
            self.bar.update(1)
        elif event.kind != "read":
            outcome = "failed" if event.kind == "failed" else f"{format_number(event.seconds)} s"
            if event.entry is not None and event.entry.result is None:
                outcome = "not available"
            print(f"[{self.ended}/{self.total}] {what}: {outcome}", file=sys.stderr, flush=True)


def labels(jobs: Sequence[ProbeJob]) -> list[str]:
    """Each model in a few words, with its identity where that is not enough to tell it from another."""
    short = [run_label(job.experiment) for job in jobs]
    return [
        f"{name} ({job.experiment.identity})" if short.count(name) > 1 else name
        for name, job in zip(short, jobs, strict=True)
    ]


def notes(
    jobs: Sequence[ProbeJob],
    entries: Sequence[Mapping[str, ProbeRecord]],
    failed: Mapping[tuple[str, str], Sequence[int]],
) -> list[str]:
    """A line for each probe and each reason for which it came to nothing."""
    lines = []
    for (probe, reason), indices in unavailable_measures(entries).items():
        lines.append(f"{probe} is not available for {_model_name(jobs, indices)}: {reason}")
    for (probe, parts), indices in ran_out_of_memory(entries).items():
        lacking = ", ".join(part.replace("_", " ") for part in parts)
        lines.append(f"{probe} of {_model_name(jobs, indices)} is without {lacking}: {LACKING}")
    by_reason: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (probe, reason), found in failed.items():
        by_reason.setdefault((reason, tuple(found)), []).append(probe)
    for (reason, found), names in by_reason.items():
        lines.append(f"{', '.join(names)} failed for {_model_name(jobs, found)}: {reason}")
    return lines


def _model_name(jobs: Sequence[ProbeJob], indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return run_label(jobs[indices[0]].experiment)
    if len(indices) == len(jobs):
        return f"any of the {len(jobs)} models"
    names = dict.fromkeys(f"{jobs[i].experiment.task.name} {jobs[i].experiment.architecture.name}" for i in indices)
    return f"{', '.join(names)} ({pluralize(len(indices), 'model')})"


def result_table(jobs: Sequence[ProbeJob], entries: Sequence[Mapping[str, ProbeRecord]]) -> str:
    """A line for each model, with those of the ranked numbers that some of them have."""
    rows = []
    for name, found in zip(labels(jobs), entries, strict=True):
        values = {}
        for question in QUESTIONS:
            entry = found.get(question.probe)
            if entry is not None and entry.result is not None and question.number in entry.result.metrics:
                mine = entry.result.metrics[question.number]
                value = ABSENT if mine.value is None else (AT_LEAST if mine.censored else "") + format_plain(mine.value)
                values[question.short, "" if mine.unit in UNSAID else mine.unit] = value
        rows.append((name, values))
    headings = list(dict.fromkeys(key for _, values in rows for key in values))
    lines = [["", *(short for short, _ in headings)], ["", *(unit for _, unit in headings)]]
    lines += [[name, *(values.get(key, ABSENT) for key in headings)] for name, values in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings) + 1)]
    # Names flush left, numbers flush right.
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(padded)
        ).rstrip()
        for padded in (list(zip(line, widths, strict=True)) for line in lines)
    )
