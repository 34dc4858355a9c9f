"""How much of a signal is left after a hundred thousand steps: the photocopier of the RWA essay, and what each
architecture's own gates leave.

The formulas and their source are in `analysis/measures/survival.py`.
"""

import sys

from analysis import alone
from analysis.findings import Findings
from analysis.parts import Part, gathered
from analysis.settings import Settings
from analysis.subjects import Subject
from analysis.survival.chapter import chapter
from analysis.survival.gates import gates
from analysis.survival.hops import hops

PARTS: dict[str, Part] = {"survival": gates, "copies": hops}


def measure(subject: Subject, settings: Settings) -> Findings:
    """The survival in the gates, and the copies that a signal has to pass.

    Raises:
        NotAvailableError: if neither can be had.
    """
    return gathered(PARTS, subject, settings)


__all__ = ["chapter", "measure"]

if __name__ == "__main__":
    sys.exit(alone.main("signal_survival"))
