"""A toy probe, which counts the parameters of a model, and its chapter, for tests of what surrounds the probes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from analysis.probes import registry
from analysis.probes.aggregate import SectionResults
from analysis.probes.base import Measure
from analysis.probes.models import LoadedModel
from analysis.probes.result import Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.report.blocks import Cell, Chapter, Column, Table, Text


def count_parameters(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Counts the model's parameters."""
    count = sum(parameter.numel() for parameter in loaded.model.parameters())
    return ProbeResult(metrics={"parameters": Metric(value=count, unit="1", what="numbers that training may change")})


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter:
    """Returns a table of the counts, and the reasons of the rows that have none."""
    rows = tuple(
        (Cell(text=results.row.label), Cell(text=f"{metric.value:g}"))
        for section in sections
        for results in section.rows
        for metric in results.results[0].metrics.values()
    )
    absent = tuple(f"{label}: {reason}." for section in sections for label, reason in section.absent)
    columns = (Column(heading="architecture", kind="text"), Column(heading="number"))
    table = Table(caption="Toys", columns=columns, rows=rows)
    return Chapter(anchor="toy", title="A toy", blocks=(Text(sentences=absent, role="summary"), table))


def install_probes(monkeypatch: pytest.MonkeyPatch, **measures: Measure) -> None:
    """Replaces all probes by these functions, in their order."""
    monkeypatch.setattr(registry, "PROBES", dict.fromkeys(measures, "a toy"))
    for name, measure in measures.items():
        probe, report = ModuleType(f"analysis.probes.{name}"), ModuleType(f"analysis.report.{name}")
        probe.measure, report.chapter = measure, chapter  # type: ignore[attr-defined]
        for module in (probe, report):
            monkeypatch.setitem(sys.modules, module.__name__, module)
