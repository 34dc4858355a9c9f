"""A probe that finds a number in every model, for tests of what is around probes."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from analysis.probes import registry
from analysis.probes.aggregate import SectionResults
from analysis.probes.models import LoadedModel
from analysis.probes.result import Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report.blocks import Cell, Chapter, Column, Table, Text

Measure = Callable[[LoadedModel, ProbeSettings], ProbeResult]


def parameters(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """The number of the model's parameters."""
    amount = sum(each.numel() for each in subject.model.parameters())
    return ProbeResult(metrics={"parameters": Metric(value=amount, unit="1", what="numbers that training may change")})


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter:
    """A table of the number, and who has none."""
    lines = tuple(
        (Cell(text=probed.row.label), Cell(text=f"{number.value:g}"))
        for section in sections
        for probed in section.rows
        for number in probed.results[0].metrics.values()
    )
    absent = tuple(f"{label}: {reason}." for section in sections for label, reason in section.absent)
    columns = (Column(heading="architecture", kind="text"), Column(heading="number"))
    table = Table(caption="Toys", columns=columns, lines=lines)
    return Chapter(anchor="toy", title="A toy", blocks=(Text(sentences=absent, role="summary"), table))


def install(monkeypatch: pytest.MonkeyPatch, **measures: Measure) -> None:
    """Makes probes of these functions the only ones there are, in their order."""
    monkeypatch.setattr(registry, "PROBES", dict.fromkeys(measures, "a toy"))
    for name, measure in measures.items():
        probe, report = ModuleType(f"analysis.probes.{name}"), ModuleType(f"analysis.report.{name}")
        probe.measure, report.chapter = measure, chapter  # type: ignore[attr-defined]
        for module in (probe, report):
            monkeypatch.setitem(sys.modules, module.__name__, module)
