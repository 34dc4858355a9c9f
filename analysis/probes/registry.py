"""List of the probes, and their records, which are kept beside each run in `analysis.json`."""

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from analysis.probes.errors import OUT_OF_MEMORY, MachineError, failure_reason
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.suggest import did_you_mean
from workbench.devices import matmul_precision
from workbench.errors import UserError
from workbench.files import describe_error, read_json, write_json

if TYPE_CHECKING:
    from analysis.probes.models import LoadedModel

SCHEMA_VERSION = 1
"""Version of `analysis.json`, increased whenever a result changes its meaning without changing its name."""
FILE_NAME = "analysis.json"

PROBES: Mapping[str, str] = {
    "memory_length": "how far back a model remembers",
    "gradient_decay": "how its gradient decays with the lag",
    "discount_dynamics": "how it discounts its past",
    "alternation": "whether its attention has to grow, as lemma 1 of the RDA paper says",
    "signal_survival": "how much of a signal is left after a hundred thousand steps",
}
"""Descriptions of the probes, by the name of their module in this package, in the order of the report."""


class Probe(Protocol):
    """Interface of a probe's module."""

    def measure(self, loaded: "LoadedModel", settings: ProbeSettings) -> ProbeResult:
        """Probes one model. What the model does not have is in the result's `unavailable`, with the reason.

        Raises:
            NotAvailableError: if nothing at all can be measured in such a model.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord:
    """Result of one probe on one model, or the reason why there is none."""

    settings: Mapping[str, Any]
    weights: str
    """The hash of the weights that were probed."""
    result: ProbeResult | None
    reason: str = ""
    """Reason why there is no result."""
    device: str = "cpu"
    """Type of the device that the model was probed on, which may change the last digits."""


def load_probe(name: str) -> Probe:
    """Returns a probe's module.

    Raises:
        UserError: if there is no such probe.
    """
    if name not in PROBES:
        raise UserError(f"unknown probe {name!r}{did_you_mean(name, PROBES)}")
    return cast(Probe, importlib.import_module(f"analysis.probes.{name}"))


def run_probe(loaded: "LoadedModel", name: str, settings: ProbeSettings) -> ProbeRecord:
    """Applies a probe to a model, on the model's device.

    If the probe fails because of the model, the record has no result and states the reason.

    Raises:
        UserError: if there is no such probe, or a setting does not suit it.
        MachineError: if memory ran out or the GPU failed.
    """
    probe = load_probe(name)
    device, weights = loaded.model.device, ""
    result, reason = None, ""
    try:
        weights = loaded.weights_hash
        # A GPU would otherwise round the factors of a product, and lose the smallest components of a state.
        with matmul_precision("highest"):
            result = probe.measure(loaded, settings)
    except NotAvailableError as error:
        reason = describe_error(error)
    except (UserError, MachineError):
        raise
    except (Exception, SystemExit) as error:
        # A custom architecture may fail in any way, and the other probes still count.
        reason = failure_reason(error, device)
        if reason == OUT_OF_MEMORY:
            raise MachineError(reason) from error
    return ProbeRecord(settings=asdict(settings), weights=weights, result=result, reason=reason, device=device.type)


def read_records(folder: Path) -> dict[str, ProbeRecord]:
    """Returns the records of the model in a folder, by probe; an empty dict if it has not been probed.

    Raises:
        UserError: if the `analysis.json` there cannot be read, or was written by something else.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    try:
        plain = read_json(path)
    except UserError as error:
        raise UserError(f"{error}; move it away and analyze again") from None
    if plain.get("schema") != SCHEMA_VERSION or not isinstance(plain.get("probes"), dict):
        raise UserError(f"{path} was not written by this version of the bench; move it away and analyze again")
    try:
        return {name: _record_from_dict(value) for name, value in plain["probes"].items() if name in PROBES}
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} was not written by this bench ({describe_error(error)}); move it away") from None


def write_records(folder: Path, records: Mapping[str, ProbeRecord]) -> None:
    """Writes records to a folder's `analysis.json`, atomically; those of other probes stay."""
    merged = {**read_records(folder), **records}
    probes = {name: _record_to_dict(merged[name]) for name in PROBES if name in merged}
    write_json(folder / FILE_NAME, {"schema": SCHEMA_VERSION, "probes": probes})


def _record_to_dict(record: ProbeRecord) -> dict[str, Any]:
    return {
        "status": "done" if record.result is not None else "not available",
        "reason": record.reason,
        "settings": dict(record.settings),
        "weights": record.weights,
        "device": record.device,
        **(record.result or ProbeResult()).to_dict(),
    }


def _record_from_dict(plain: Mapping[str, Any]) -> ProbeRecord:
    return ProbeRecord(
        settings=dict(plain["settings"]),
        weights=str(plain["weights"]),
        result=ProbeResult.from_dict(plain) if plain["status"] == "done" else None,
        reason=str(plain["reason"]),
        # Files from before there was a choice of the device do not name it.
        device=str(plain.get("device") or "cpu"),
    )
