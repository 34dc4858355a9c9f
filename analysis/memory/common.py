"""What the measures of memory share."""

import numpy as np
import torch

from analysis.findings import NotAvailableError
from analysis.subjects import Subject

CPU = torch.device("cpu")
"""Where data is drawn."""


def refuse_untrained(subject: Subject) -> None:
    """Raises NotAvailableError for a model that was never taught its task."""
    if not subject.trained:
        raise NotAvailableError("the model is untrained, so its answers say nothing")


def thinned(lags: int) -> np.ndarray:
    """Of the lags 0 .. lags - 1, all of the small ones and fewer and fewer of the large: enough for a figure."""
    wanted = np.concatenate([np.arange(min(lags, 64)), np.geomspace(1, max(lags - 1, 1), 200).round()])
    return np.unique(wanted[wanted < lags]).astype(int)
