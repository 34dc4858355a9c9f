"""Division that knows where there is nothing to divide by."""

import numpy as np


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, element by element; NaN where what is below is not positive."""
    found = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=found, where=np.asarray(below) > 0)
    return found
