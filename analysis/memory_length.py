"""How far back a model remembers: recall, memory capacity, effective receptive field, extrapolation.

The formulas and their sources are in `analysis/measures`: recall, proportions, capacity, noise, receptive, gradients.
"""

import sys

from analysis import alone
from analysis.findings import Findings
from analysis.memory.capacity import memory_capacity
from analysis.memory.chapter import chapter
from analysis.memory.extrapolation import extrapolation
from analysis.memory.recall import recall
from analysis.memory.receptive import receptive_field
from analysis.parts import Part, gathered
from analysis.settings import Settings
from analysis.subjects import Subject

PARTS: dict[str, Part] = {
    "recall": recall,
    "memory_capacity": memory_capacity,
    "receptive_field": receptive_field,
    "extrapolation": extrapolation,
}


def measure(subject: Subject, settings: Settings) -> Findings:
    """All four measures, as far as the model and its task let themselves be measured.

    Raises:
        NotAvailableError: if not one of them does.
    """
    return gathered(PARTS, subject, settings)


__all__ = ["chapter", "measure"]

if __name__ == "__main__":
    sys.exit(alone.main("memory_length"))
