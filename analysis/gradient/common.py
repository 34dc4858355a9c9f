"""What the measures of a model's gradient share."""

import math

import numpy as np
import torch
from torch import Tensor

from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.measures.decay_fits import Fits, Law, fit
from analysis.measures.lengths import resized
from analysis.memory.receptive import full_length
from analysis.settings import Settings
from analysis.statistics import half_width
from analysis.subjects import Subject
from workbench.model import Model
from workbench.seeding import seed_of
from workbench.tasks import Batch

NO_FALL, NEITHER = "no fall", "neither"
"""What is said where no law is named."""
EXPLAINED = 0.8
"""Share of the variance of log g that a law has to explain to be named."""


def batch_of(subject: Subject, settings: Settings) -> Batch:
    """The test sequences that are probed, none much shorter than the others, on the model's device."""
    batch = full_length(resized(subject.task, settings.length), settings.sequences)
    return batch.to(subject.model.device)


def read(model: Model, batch: Batch) -> Tensor:
    """What the encoder reads, (batch, time, features)."""
    with torch.no_grad():
        return model.features(batch.x)


def directions(settings: Settings) -> int:
    """Probe vectors for each sequence: as each sequence has its own, a few make many."""
    return max(2, settings.directions // 8)


def described(
    norms: np.ndarray, lags: np.ndarray, shown: np.ndarray, name: str, settings: Settings, *, against: str, what: str
) -> Findings:
    """The mean norm against the lag, both laws fitted to it, and which describes it better.

    Args:
        norms: (samples, sequences, lags); NaN where a sequence has none.
        lags: (lags,) what the laws are fitted against.
        shown: the lags that the curve has, by their places.
        name: of the curve; the numbers have it in front.
        against: what a lag is counted in.
        what: half a sentence on what falls.
    """
    curves = {name: interval_curve(norms.mean(0)[:, shown], lags[shown], against=against, what=what)}
    fits = fit(norms, lags, np.random.default_rng(seed_of(name, settings.seed)))
    if fits is None:
        reason = "the gradient is zero, or lost to single precision, at all but a few lags"
        return Findings(curves=curves, missing={f"{name}_law": reason})
    numbers = {
        f"{name}_half_life": half_life(fits.exponential, f"steps in which {what} halves, by the exponential fit"),
        f"{name}_exponent": exponent(fits.power, f"exponent of the power law fitted to {what}"),
        f"{name}_r2": Number(
            value=fits.best.r2, unit="share", what="of the variance of its logarithm, what the better law explains"
        ),
        f"{name}_aic_margin": Number(
            value=fits.margin, unit="1", what="by how much the better law's AIC is smaller; below 2, they are even"
        ),
        f"{name}_fitted_to": Number(
            value=fits.farthest, unit="steps", what="the largest lag that the laws are fitted to"
        ),
    }
    return Findings(numbers=numbers, curves=curves, words={f"{name}_law": law_of(fits)})


def law_of(fits: Fits) -> str:
    """`exponential`, `power law`, `no fall`, or `neither` where even the better law says little."""
    if not fits.falls:
        return NO_FALL
    return fits.better if fits.best.r2 >= EXPLAINED else NEITHER


def half_life(law: Law, what: str) -> Number:
    """log 2 / rate; none where nothing falls, and no upper end where the interval reaches a rate of 0."""
    if not law.rate > 0:
        return Number(value=None, unit="steps", what=what)
    low, high = (math.log(2) / rate if rate > 0 else None for rate in (law.high, law.low))
    return Number(value=math.log(2) / law.rate, low=low, high=high, unit="steps", what=what, at_least=law.low <= 0)


def exponent(law: Law, what: str) -> Number:
    """The exponent, negative where g falls."""
    known = np.isfinite(law.low)
    low, high = (-law.high, -law.low) if known else (None, None)
    return Number(value=-law.rate, low=low, high=high, unit="1", what=what)


def interval_curve(sequences: np.ndarray, lags: np.ndarray, *, against: str, what: str) -> Curve:
    """The logarithm of the mean over sequences, with Student's interval; the mean over seeds is then a geometric one,
    which no seed of a far larger gradient rules alone. Zeros are missing.

    Args:
        sequences: (sequences, lags).
    """
    count = np.isfinite(sequences).sum(0)
    mean = np.divide(np.nansum(sequences.astype(float), axis=0), count, out=np.zeros(len(lags)), where=count > 0)
    log = np.log10(mean, out=np.full(len(lags), np.nan), where=mean > 0)
    half = None
    if len(sequences) > 1:
        # The interval of the mean, relative to it: to first order that of its logarithm.
        relative = np.divide(sequences, mean, out=np.full(sequences.shape, np.nan), where=mean > 0)
        half = half_width(relative) / np.log(10)
    return Curve.of(
        lags,
        log,
        low=None if half is None else log - half,
        high=None if half is None else log + half,
        x_unit=against,
        y_unit="log10 of the norm",
        what=what,
    )


def refuse_acausal(subject: Subject, why: str) -> None:
    """Raises NotAvailableError for a model that reads what comes later."""
    if not subject.model.encoder.causal:
        raise NotAvailableError(why)
