"""Where numbers can lie at all, by their units."""

import math

import numpy as np

from analysis.formats import TIMES

RANGES = {
    "share": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "R²": (0.0, 1.0),
    "log10 of the share left": (-math.inf, 0.0),
    "s": (0.0, math.inf),
    "outputs": (0.0, math.inf),
    "steps": (0.0, math.inf),
    f"{TIMES} the training length": (0.0, math.inf),
}


def within(unit: str, ends: np.ndarray) -> np.ndarray:
    """The ends of intervals, cut to where what is given in the unit can lie, whatever the model.

    Student's interval, of few seeds, goes on beyond. The true mean does not, so that this costs no confidence.

    Example:
        >>> within("share", np.array([-0.2, 0.9])).tolist()
        [0.0, 0.9]
    """
    return np.asarray(np.clip(ends, *RANGES.get(unit, (-math.inf, math.inf))))
