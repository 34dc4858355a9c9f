"""Time constants and half-lives of units, from the mean logarithm of what they keep."""

import math

import numpy as np

SLOWEST = 2.0**-24
"""Nats a step: of a slower loss single precision, in which a gate next to 1 rounds to it, knows nothing."""


def rates(mean_log: np.ndarray) -> np.ndarray:
    """Nats lost a step, -mean log f, and no less than `SLOWEST`."""
    return np.asarray(np.maximum(-np.asarray(mean_log, dtype=float), SLOWEST))


def time_constants(mean_log: np.ndarray) -> np.ndarray:
    """tau = -1 / mean log f, in steps: after tau steps 1 / e is left.

    Args:
        mean_log: means over time (and sequences) of log f, f being a forget gate, a retention or a discount.
    """
    return np.asarray(1 / rates(mean_log))


def half_lives(mean_log: np.ndarray) -> np.ndarray:
    """log(1/2) / mean log f, in steps: after so many steps half is left."""
    return np.asarray(math.log(2) * time_constants(mean_log))


def median_time_constant(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the median unit's time constant."""
    return np.asarray(np.nanmedian(time_constants(values[..., 0]), axis=1))


def longest_time_constant(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the largest time constant of any unit."""
    return np.asarray(np.nanmax(time_constants(values[..., 0]), axis=1))


def median_half_life(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) mean logarithms -> the median unit's half-life."""
    return np.asarray(math.log(2) * median_time_constant(values))
