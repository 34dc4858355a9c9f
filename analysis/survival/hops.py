"""The essay's calculation: how many copies lie between a signal and the output, and what would be left of it."""

import math

import numpy as np

from analysis.findings import Curve, Findings, Number
from analysis.measures.survival import photocopier
from analysis.settings import Settings
from analysis.subjects import Subject

ESSAY = 0.9999
"""The share that every copy keeps, in the essay."""
POINTS = 61
"""Lags, evenly spaced on a logarithmic axis."""


def lags(longest: int) -> np.ndarray:
    """Lags from 1 to the longest, all powers of ten among them."""
    tens = 10 ** np.arange(int(math.log10(longest)) + 1)
    return np.unique(np.concatenate([np.geomspace(1, longest, POINTS).round(), tens])).astype(int)


def hops(subject: Subject, settings: Settings) -> Findings:
    """Copies by lag, and what the essay's photocopier leaves after as many. Beyond a finite reach, nothing is."""
    encoder = subject.model.encoder
    reach = encoder.receptive_field
    seen = [int(lag) for lag in lags(settings.longest) if reach is None or lag < reach]
    if reach is not None and reach - 1 not in seen and 1 < reach <= settings.longest:
        seen.append(reach - 1)
    copies = [encoder.path_length(lag) for lag in seen]
    what = "copies that a signal passes on its way from a lag to the output"
    numbers = {
        "copies": Number(
            value=copies[-1],
            unit="copies",
            what=f"{what}, at {seen[-1]:,} steps, the largest lag that it sees or is asked for",
        ),
        "essay_left": Number(
            value=photocopier(ESSAY, copies[-1]),
            unit="share",
            what=f"what a photocopier that keeps {ESSAY} would leave after as many copies",
        ),
    }
    if reach is not None:
        numbers["reach"] = Number(value=reach, unit="steps", what="steps that an output can depend on at all")
    curve = Curve.of(seen, copies, x_unit="steps", y_unit="copies", what=what)
    return Findings(numbers=numbers, curves={"copies": curve})
