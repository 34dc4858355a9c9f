"""Whether what is known of a model already is as good as probing it again, or better."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analysis.faults import LACKING, MachineError
from analysis.probes import Entry
from analysis.settings import Settings


def refuse_worse(found: Entry, known: Entry | None) -> None:
    """Refuses to put a failure in the place of findings of the same weights, probed so.

    Raises:
        MachineError: with what failed.
    """
    if known is None or known.findings is None or not same(known, found.weights, found.settings):
        return
    if found.findings is None:
        raise MachineError(f"{found.reason}; what was found before stays")
    if LACKING in found.findings.missing.values() and LACKING not in known.findings.missing.values():
        raise MachineError(f"{LACKING}; what was found before stays")


def same(entry: Entry, weights: str, settings: Mapping[str, Any]) -> bool:
    """Whether an entry is of these weights, probed so."""
    return entry.weights == weights and dict(entry.settings) == dict(settings)


def holds(entry: Entry, weights: str, settings: Settings, device: str) -> bool:
    """Whether an entry is what a probe would come to again. On another device, findings are the same, and failures may
    not be; with more memory, there may be more of them."""
    known = device == entry.device if entry.findings is None else LACKING not in entry.findings.missing.values()
    return known and same(entry, weights, asdict(settings))
