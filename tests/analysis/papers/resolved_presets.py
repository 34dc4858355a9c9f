"""Experiments and tasks of all presets, resolved once."""

from functools import cache

from analysis.papers import preset_files
from analysis.presets.preset import PlannedRun, Scale
from workbench.config import Experiment, Part

TABLES = [name for name in preset_files.preset_names() if not preset_files.load_preset(name).of]
WITH_DATA = [name for name in TABLES if name not in ("rda-table-7", "greff-variants")]
"""Tables whose data is available at both scales."""
OF_NO_PAPER = (
    "hierarchy-addition", "hierarchy-copy", "chrono-lstm", "greff-variants", "rda-section-6-2", "essay-lengths",
    "essay-ladder", "fixed-vector", "stills-memory",
)  # fmt: skip
"""Presets of the bench's own, for which no source has figures."""


@cache
def plan(name: str, scale: Scale) -> tuple[PlannedRun, ...]:
    """Returns all runs of a preset's tables."""
    return tuple(preset_files.load_preset(name).plan(scale))


def experiments(name: str, scale: Scale) -> tuple[Experiment, ...]:
    """Returns all experiments of a preset."""
    return tuple(run.experiment for run in plan(name, scale))


def variants(name: str, scale: Scale) -> list[Part]:
    """Returns the tasks of a preset, each once, in order."""
    return list({repr(run.task): run.task for run in experiments(name, scale)}.values())
