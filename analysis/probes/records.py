"""Records of what probes measured in a model, kept beside its run in `analysis.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.probes import registry
from analysis.probes.result import ProbeResult
from workbench.errors import UserError
from workbench.files import describe_error, read_json, write_json

SCHEMA_VERSION = 1
"""Version of `analysis.json`, increased whenever a result changes its meaning without changing its name."""
FILE_NAME = "analysis.json"


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
    revision: int = 1
    """The probe's revision, see `analysis.probes.registry.probe_revision`."""


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
        return {name: _record_from_dict(value) for name, value in plain["probes"].items() if name in registry.PROBES}
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} was not written by this bench ({describe_error(error)}); move it away") from None


def write_records(folder: Path, records: Mapping[str, ProbeRecord]) -> None:
    """Writes records to a folder's `analysis.json`, atomically; those of other probes stay."""
    merged = {**read_records(folder), **records}
    probes = {name: _record_to_dict(merged[name]) for name in registry.PROBES if name in merged}
    write_json(folder / FILE_NAME, {"schema": SCHEMA_VERSION, "probes": probes})


def _record_to_dict(record: ProbeRecord) -> dict[str, Any]:
    return {
        "status": "done" if record.result is not None else "not available",
        "reason": record.reason,
        "settings": dict(record.settings),
        "weights": record.weights,
        "device": record.device,
        "revision": record.revision,
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
        # Nor, from before there were revisions, the revision.
        revision=int(plain.get("revision", 1)),
    )
