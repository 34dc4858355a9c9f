"""Probes that count, fail, and are told of, for tests of what is around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from analysis.analyze import Event, Order, run_all
from analysis.findings import Findings
from analysis.jobs import Job
from analysis.settings import Settings
from analysis.subjects import Subject
from tests.analysis.toy_probe import parameters

SETTINGS = Settings(sequences=2, directions=2, longest=50, length=6)


class Counted:
    """A probe that counts how often it is used, and on what."""

    def __init__(self, then: Callable[[Subject], None] = lambda subject: None) -> None:
        self.names: list[str] = []
        self.then = then

    def __call__(self, subject: Subject, settings: Settings) -> Findings:
        self.names.append(subject.name)
        self.then(subject)
        return parameters(subject, settings)


def asked(*names: str, seed: int = 0, again: bool = False, threads: int = 1) -> Order:
    return Order(names=names, settings=replace(SETTINGS, seed=seed), again=again, threads=threads)


def raising(error: BaseException, only: str = "") -> Callable[[Subject], None]:
    def then(subject: Subject) -> None:
        if only in subject.name:
            raise error

    return then


def failures(found: Sequence[Job], names: Sequence[str] = ("toy",)) -> Mapping[int, str]:
    events: list[Event] = []
    run_all(found, asked(*names), listen=events.append)
    return {event.job: event.text for event in events if event.kind == "failed"}
