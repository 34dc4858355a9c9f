"""List of the probes."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from analysis.probes.result import ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.suggest import did_you_mean
from workbench.errors import UserError

if TYPE_CHECKING:
    from analysis.probes.models import LoadedModel


PROBES: Mapping[str, str] = {
    "memory_length": "how far back a model remembers",
    "gradient_decay": "how its gradient decays with the lag",
    "discount_dynamics": "how it discounts its past",
    "alignment": "where it looks in a source, and what it stores",
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


def load_probe(name: str) -> Probe:
    """Returns a probe's module.

    Raises:
        UserError: if there is no such probe.
    """
    if name not in PROBES:
        raise UserError(f"unknown probe {name!r}{did_you_mean(name, PROBES)}")
    return cast(Probe, importlib.import_module(f"analysis.probes.{name}"))


def select_probes(text: str | None) -> list[str]:
    """Returns the probes that are named, with commas between them, in the order of the list; all if it is `None`.

    Raises:
        UserError: if one of them is unknown, or none is named.
    """
    if text is None:
        return list(PROBES)
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PROBES:
            raise UserError(f"unknown probe {name!r}{did_you_mean(name, PROBES)}")
    if not names:
        raise UserError(f"name at least one probe: --probes {','.join(PROBES)}")
    return [name for name in PROBES if name in names]


def probe_revision(name: str) -> int:
    """Returns the revision of a probe, `REVISION` of its module, or 1.

    It is kept with the results, and raised whenever the same settings come to give other or further numbers: results of
    an earlier revision are still read by the report, and measured again by the next `workbench analyze`.

    Raises:
        UserError: if there is no such probe.
    """
    return int(getattr(load_probe(name), "REVISION", 1))
