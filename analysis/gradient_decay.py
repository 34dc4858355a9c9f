"""How a model's gradient decays with the lag: of its last output, of its loss, of its first step, and of its state.

The formulas and their sources are in `analysis/measures`: gradients, decay_fits, lyapunov.
"""

import sys

from analysis import alone
from analysis.findings import Findings
from analysis.gradient.chapter import chapter
from analysis.gradient.lags import decay, decay_at_start, decay_of_first_step, loss_decay
from analysis.gradient.state import path, state
from analysis.parts import Part, gathered
from analysis.settings import Settings
from analysis.subjects import Subject

PARTS: dict[str, Part] = {
    "gradient": decay,
    "start_gradient": decay_at_start,
    "loss_gradient": loss_decay,
    "first_step": decay_of_first_step,
    "state": state,
    "path_length": path,
}


def measure(subject: Subject, settings: Settings) -> Findings:
    """All of these, as far as the model lets itself be measured.

    Raises:
        NotAvailableError: if none of them can be had.
    """
    return gathered(PARTS, subject, settings)


__all__ = ["chapter", "measure"]

if __name__ == "__main__":
    sys.exit(alone.main("gradient_decay"))
