"""Probes that count and fail, and shortcuts for running them, for tests of the runner."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from analysis.probes.models import LoadedModel
from analysis.probes.parallel import run_all
from analysis.probes.result import ProbeResult
from analysis.probes.runner import ProbeEvent, ProbeJob, ProbeOptions
from analysis.probes.settings import ProbeSettings
from tests.analysis.toy_probe import count_parameters

SETTINGS = ProbeSettings(sequences=2, directions=2, longest=50, length=6)


class CountingProbe:
    """A probe that records the architectures that it is applied to.

    Args:
        hook: is called with every model, and may fail.
    """

    def __init__(self, hook: Callable[[LoadedModel], None] = lambda loaded: None) -> None:
        self.names: list[str] = []
        self.hook = hook

    def __call__(self, loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        self.names.append(loaded.name)
        self.hook(loaded)
        return count_parameters(loaded, settings)


def fail_with(error: BaseException, only: str = "") -> Callable[[LoadedModel], None]:
    """Returns a hook that raises an error for architectures whose name contains `only`."""

    def fail(loaded: LoadedModel) -> None:
        if only in loaded.name:
            raise error

    return fail


def probe_options(*names: str, seed: int = 0, again: bool = False, threads: int = 1) -> ProbeOptions:
    return ProbeOptions(names=names, settings=replace(SETTINGS, seed=seed), again=again, threads=threads)


def failed_jobs(jobs: Sequence[ProbeJob], names: Sequence[str] = ("toy",)) -> Mapping[int, str]:
    """Runs probes; returns the reasons for those that failed, by the index of the job."""
    events: list[ProbeEvent] = []
    run_all(jobs, probe_options(*names), on_event=events.append)
    return {event.job: event.text for event in events if event.kind == "failed"}
