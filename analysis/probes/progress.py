"""Progress of probes, and what went wrong, in words."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from analysis.formatting import format_number, pluralize
from analysis.probes.errors import OUT_OF_MEMORY
from analysis.probes.records import ProbeRecord
from analysis.probes.runner import ProbeEvent, ProbeJob, out_of_memory_measures, unavailable_probes
from workbench.progress import ProgressBar, run_label


class ProbeProgress(ProgressBar):
    """Progress of probes: a bar over all probes of all models, or a line for each probe that ends.

    Args:
        jobs: the models.
        names: the probes that are applied to each.
        quiet: whether nothing is shown.
    """

    def __init__(self, jobs: Sequence[ProbeJob], names: Sequence[str], *, quiet: bool = False) -> None:
        self.count = len(jobs) * len(names)
        super().__init__("probes", self.count, quiet=quiet)
        self.labels = model_labels(jobs)
        self.read = 0
        """Probes whose results were there already."""
        self.failed: dict[tuple[str, str], list[int]] = {}
        """The jobs that a probe failed on, by the probe and the reason."""
        self._left = [len(names)] * len(jobs)
        """Probes of each model that have not ended yet."""
        self._elsewhere: dict[int, str] = {}
        """Models that other processes are at work on, and which those are."""
        self._awaited: frozenset[int] = frozenset()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, value, tb)
        if kind is None and self.read and not self.quiet:
            print(f"{self.read} of {pluralize(self.count, 'probe')} known already", file=sys.stderr)

    def on_event(self, event: ProbeEvent) -> None:
        """Shows what has happened to a probe of a model."""
        label = f"{self.labels[event.job]}, {event.probe}"
        if event.kind == "elsewhere":
            self._elsewhere[event.job] = event.text
            self._tell_awaited()
            return
        self._elsewhere.pop(event.job, None)
        if event.kind == "begun":
            self.update(self.done, status=label)
            return
        done = self.done + 1
        self._left[event.job] -= 1
        if event.kind == "read":
            self.read += 1
            self.update(done, instant=True)
            return
        outcome = "done by another process" if event.seconds is None else f"{format_number(event.seconds)} s"
        if event.kind == "failed":
            self.failed.setdefault((event.probe, event.text), []).append(event.job)
            outcome = "failed"
        if event.record is not None and event.record.result is None:
            outcome = "not available"
        self.update(done, line=f"[{done}/{self.count}] {label}: {outcome}")

    def _tell_awaited(self) -> None:
        """Says which models other processes are at work on, once they are all that is left."""
        waiting = frozenset(self._elsewhere)
        if waiting <= self._awaited or any(left and job not in waiting for job, left in enumerate(self._left)):
            return
        self._awaited = waiting
        names = [f"{self.labels[job]} ({self._elsewhere[job]})" for job in sorted(waiting)]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        self.print_line(f"waiting for {pluralize(len(names), 'model')} that others probe: {', '.join(names[:3])}{more}")


def model_labels(jobs: Sequence[ProbeJob]) -> list[str]:
    """Returns a short name of each model, with its identity if the name alone is not unique."""
    names = [run_label(job.experiment) for job in jobs]
    return [
        f"{name} ({job.experiment.identity})" if names.count(name) > 1 else name
        for name, job in zip(names, jobs, strict=True)
    ]


def describe_problems(
    jobs: Sequence[ProbeJob],
    records: Sequence[Mapping[str, ProbeRecord]],
    failed: Mapping[tuple[str, str], Sequence[int]],
) -> list[str]:
    """Returns a line for each probe and reason for which something is not available, is incomplete or has failed.

    Args:
        jobs: the models.
        records: the results of each, by probe.
        failed: the indices of the jobs that a probe failed on, by the probe and the reason.
    """
    lines = []
    for (probe, reason), indices in unavailable_probes(records).items():
        lines.append(f"{probe} is not available for {_describe_models(jobs, indices)}: {reason}")
    for (probe, measures), indices in out_of_memory_measures(records).items():
        missing = ", ".join(measure.replace("_", " ") for measure in measures)
        lines.append(f"{probe} of {_describe_models(jobs, indices)} is without {missing}: {OUT_OF_MEMORY}")
    by_reason: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (probe, reason), failed_jobs in failed.items():
        by_reason.setdefault((reason, tuple(failed_jobs)), []).append(probe)
    for (reason, jobs_of_reason), probes in by_reason.items():
        lines.append(f"{', '.join(probes)} failed for {_describe_models(jobs, jobs_of_reason)}: {reason}")
    return lines


def _describe_models(jobs: Sequence[ProbeJob], indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return run_label(jobs[indices[0]].experiment)
    if len(indices) == len(jobs):
        return f"any of the {len(jobs)} models"
    names = dict.fromkeys(f"{jobs[i].experiment.task.name} {jobs[i].experiment.architecture.name}" for i in indices)
    return f"{', '.join(names)} ({pluralize(len(indices), 'model')})"
