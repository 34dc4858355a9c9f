"""Whether what is known of a model already is as good as probing it again, or better."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analysis.faults import LACKING
from analysis.probes import Entry
from analysis.settings import Settings


def worse(found: Entry, known: Entry) -> str | None:
    """What found findings lack that are known already of the same weights, probed so, in a line; `None` if nothing."""
    assert known.findings is not None
    if found.findings is None:
        return found.reason
    lost = [
        f"{name.replace('_', ' ')}: {why}"
        for name, why in found.findings.missing.items()
        if name not in known.findings.missing
    ]
    return "; ".join(lost) or None


def same(entry: Entry, weights: str, settings: Mapping[str, Any]) -> bool:
    """Whether an entry is of these weights, probed so."""
    return entry.weights == weights and dict(entry.settings) == dict(settings)


def holds(entry: Entry, weights: str, settings: Settings, device: str) -> bool:
    """Whether an entry is what a probe would come to again. On another device, findings are the same, and failures may
    not be; with more memory, there may be more of them."""
    known = device == entry.device if entry.findings is None else LACKING not in entry.findings.missing.values()
    return known and same(entry, weights, asdict(settings))
