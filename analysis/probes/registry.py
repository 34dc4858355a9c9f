"""The catalogue of probes, and what they have found, kept beside each run in `analysis.json`."""

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from analysis.probes.errors import LACKING, MachineError, reason
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.suggest import did_you_mean
from workbench.devices import matmul_precision
from workbench.errors import UserError
from workbench.files import one_line, read_json, write_json

if TYPE_CHECKING:
    from analysis.probes.models import LoadedModel

SCHEMA = 1
"""Counted up whenever findings of the same name come to mean something else."""
FILE = "analysis.json"

PROBES: Mapping[str, str] = {
    "memory_length": "how far back a model remembers",
    "gradient_decay": "how its gradient decays with the lag",
    "discount_dynamics": "how it discounts its past",
    "alternation": "whether its attention has to grow, as lemma 1 of the RDA paper says",
    "signal_survival": "how much of a signal is left after a hundred thousand steps",
}
"""By the name of the module in this package, in the order of the report."""


class Probe(Protocol):
    """What a probe's module has."""

    def measure(self, subject: "LoadedModel", settings: ProbeSettings) -> ProbeResult:
        """Probes one model. What the model does not have is among the findings' `missing`.

        Raises:
            NotAvailableError: if there is nothing at all to be found in such a model.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord:
    """What one probe came to in one model: findings, or why there are none."""

    settings: Mapping[str, Any]
    weights: str
    """The hash of the weights that were probed."""
    result: ProbeResult | None
    reason: str = ""
    device: str = "cpu"
    """Where: it may change last digits."""


def load_probe(name: str) -> Probe:
    """A probe's module.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in PROBES:
        raise UserError(f"unknown probe {name!r}{did_you_mean(name, PROBES)}")
    return cast(Probe, importlib.import_module(f"analysis.probes.{name}"))


def analyze(subject: "LoadedModel", name: str, settings: ProbeSettings) -> ProbeRecord:
    """Applies a probe to a model, where that is. A model that a probe cannot take costs its findings, and nothing else.

    Raises:
        MachineError: if it is not the model that failed.
    """
    probe = load_probe(name)
    weights = ""
    try:
        weights = subject.weights
        # A GPU would round the factors of a product; what a state holds in its smallest components would go with it.
        with matmul_precision("highest"):
            findings, why = probe.measure(subject, settings), ""
    except NotAvailableError as error:
        findings, why = None, one_line(error)
    except (UserError, MachineError):
        raise
    except (Exception, SystemExit) as error:
        # The user's own architecture may fail in any way, and the other probes go on.
        findings, why = None, reason(error, subject.model.device)
        if why == LACKING:
            raise MachineError(why) from error
    return ProbeRecord(
        settings=asdict(settings), weights=weights, result=findings, reason=why, device=subject.model.device.type
    )


def read_records(folder: Path) -> dict[str, ProbeRecord]:
    """What is known of the model in a folder, by probe; nothing where it was not probed.

    Raises:
        UserError: if the file there is none of this bench.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        plain = read_json(path)
    except UserError as error:
        raise UserError(f"{error}; move it away and analyze again") from None
    if plain.get("schema") != SCHEMA or not isinstance(plain.get("probes"), dict):
        raise UserError(f"{path} was not written by this version of the bench; move it away and analyze again")
    try:
        return {name: _entry(value) for name, value in plain["probes"].items() if name in PROBES}
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} was not written by this bench ({one_line(error)}); move it away") from None


def write_records(folder: Path, entries: Mapping[str, ProbeRecord]) -> None:
    """Writes `analysis.json` into a folder, whole or not at all, over what other probes have found there."""
    known = {**read_records(folder), **entries}
    probes = {
        name: {
            "status": "done" if known[name].result is not None else "not available",
            "reason": known[name].reason,
            "settings": dict(known[name].settings),
            "weights": known[name].weights,
            "device": known[name].device,
            **(known[name].result or ProbeResult()).to_dict(),
        }
        for name in PROBES
        if name in known
    }
    write_json(folder / FILE, {"schema": SCHEMA, "probes": probes})


def _entry(plain: Mapping[str, Any]) -> ProbeRecord:
    return ProbeRecord(
        settings=dict(plain["settings"]),
        weights=str(plain["weights"]),
        result=ProbeResult.from_dict(plain) if plain["status"] == "done" else None,
        reason=str(plain["reason"]),
        # Those of before there was a choice name none.
        device=str(plain.get("device") or "cpu"),
    )
