"""Probes that count, fail, and are told of, for tests of what is around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from analysis.probes.models import LoadedModel
from analysis.probes.parallel import run_all
from analysis.probes.result import ProbeResult
from analysis.probes.runner import ProbeEvent, ProbeJob, ProbeOptions
from analysis.probes.settings import ProbeSettings
from tests.analysis.toy_probe import parameters

SETTINGS = ProbeSettings(sequences=2, directions=2, longest=50, length=6)


class Counted:
    """A probe that counts how often it is used, and on what."""

    def __init__(self, then: Callable[[LoadedModel], None] = lambda subject: None) -> None:
        self.names: list[str] = []
        self.then = then

    def __call__(self, subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        self.names.append(subject.name)
        self.then(subject)
        return parameters(subject, settings)


def asked(*names: str, seed: int = 0, again: bool = False, threads: int = 1) -> ProbeOptions:
    return ProbeOptions(names=names, settings=replace(SETTINGS, seed=seed), again=again, threads=threads)


def raising(error: BaseException, only: str = "") -> Callable[[LoadedModel], None]:
    def then(subject: LoadedModel) -> None:
        if only in subject.name:
            raise error

    return then


def failures(found: Sequence[ProbeJob], names: Sequence[str] = ("toy",)) -> Mapping[int, str]:
    events: list[ProbeEvent] = []
    run_all(found, asked(*names), listen=events.append)
    return {event.job: event.text for event in events if event.kind == "failed"}
