"""The presets that there are, resolved once."""

from functools import cache

from analysis.papers import preset
from analysis.papers.preset import Scale
from workbench.config import Experiment, Part

TABLES = [name for name in preset.names() if not preset.load(name).of]
HERE = [name for name in TABLES if name != "rda-table-7"]
"""Those whose data is here at both scales."""


@cache
def experiments(name: str, scale: Scale) -> tuple[Experiment, ...]:
    """All runs."""
    return tuple(preset.load(name).experiments(scale))


def variants(name: str, scale: Scale) -> list[Part]:
    """The tasks of a preset, each once, in order."""
    return list({repr(run.task): run.task for run in experiments(name, scale)}.values())
