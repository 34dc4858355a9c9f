"""Results about a norm that decays with the lag: its curve, the laws fitted to it, and their parameters as metrics."""

import math

import numpy as np

from analysis.measures.decay_fits import DecayFits, fit_decay
from analysis.measures.decay_laws import Parameter
from analysis.probes.result import Curve, Metric, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import half_width
from workbench.seeds import derive_seed


def fitted_curve(
    norms: np.ndarray, lags: np.ndarray, shown: np.ndarray, name: str, settings: ProbeSettings, *, what: str
) -> ProbeResult:
    """Returns the mean norm against the lag, the laws fitted to its decay, and the one that describes it.

    The laws are fitted to the mean of log g over sequences, which decides, and to the logarithm of the mean of g
    (`analysis/measures/decay_fits.py` says why).

    Args:
        norms: (samples, sequences, lags); NaN where a sequence has no value.
        lags: (lags,) of the norms, in steps.
        shown: places of the lags that are points of the curve.
        name: of the curve, and first part of the names of the metrics.
        settings: of the probe.
        what: description of the norm.
    """
    curves = {name: log_mean_curve(norms.mean(0)[:, shown], lags[shown], what=what)}
    of_mean, typical = (
        fit_decay(norms, lags, np.random.default_rng(derive_seed(name, settings.seed)), typical=typical)
        for typical in (False, True)
    )
    if of_mean is None or typical is None:
        reason = "the gradient is zero, or lost to single precision, at all but a few lags"
        return ProbeResult(curves=curves, unavailable={f"{name}_law": reason})
    labels = {f"{name}_law": typical.label, f"{name}_mean_law": of_mean.label}
    if typical.rival is not None:
        labels[f"{name}_rival"] = typical.rival
    metrics = {
        **mean_law_metrics(of_mean, name, what),
        **typical_law_metrics(typical, name, f"{what} in a typical sequence (mean of the logarithm)"),
    }
    return ProbeResult(metrics=metrics, curves=curves, labels=labels)


def mean_law_metrics(fits: DecayFits, name: str, what: str) -> dict[str, Metric]:
    """Returns the parameters of the exponential and of the power law that are fitted to the logarithm of the mean."""
    return {
        f"{name}_half_life": half_life_metric(
            fits.exponential.rate, f"steps in which {what} halves, by the exponential fit"
        ),
        f"{name}_exponent": exponent_metric(fits.power.rate, f"exponent of the power law fitted to {what}"),
        f"{name}_r2": Metric(
            value=fits.better_simple.r2,
            unit="share",
            what="of the variance of its logarithm, what the better of exponential and power law explains",
        ),
        f"{name}_aic_margin": Metric(
            value=fits.aic_margin,
            unit="1",
            what="by how much the AIC of the better of exponential and power law is smaller; below 2, they are even",
        ),
        f"{name}_fitted_to": Metric(
            value=fits.largest_lag, unit="steps", what="the largest lag that the laws are fitted to"
        ),
    }


def typical_law_metrics(fits: DecayFits, name: str, what: str) -> dict[str, Metric]:
    """Returns the parameters of the laws that are fitted to the mean of the logarithm, and how well the best one fits.

    The parameters of two parts are there only if their law is the best one.
    """
    best = fits.best
    metrics = {
        f"{name}_typical_half_life": half_life_metric(
            fits.exponential.rate, f"steps in which {what} halves, by the exponential fit"
        ),
        f"{name}_typical_exponent": exponent_metric(fits.power.rate, f"exponent of the power law fitted to {what}"),
        f"{name}_law_r2": Metric(
            value=best.r2, unit="share", what=f"of the variance of the logarithm of {what}, what the best law explains"
        ),
        f"{name}_misfit": Metric(
            value=best.misfit, unit="nats", what=f"root mean square of what the best law leaves of the log of {what}"
        ),
        f"{name}_lack_of_fit": Metric(
            value=best.p_value,
            unit="1",
            what="p value of the best law's lack of fit, against the differences between sequences",
        ),
    }
    if "slow_share" in best.parameters:
        share = best.parameters["slow_share"]
        metrics[f"{name}_fast_half_life"] = half_life_metric(best.rate, f"half-life of the fast part of {what}")
        low, high = (min(max(end, 0.0), 1.0) if np.isfinite(end) else None for end in (share.low, share.high))
        metrics[f"{name}_slow_share"] = Metric(
            value=share.value, low=low, high=high, unit="share", what=f"share of the slow part of {what} at lag 1"
        )
    if "slow_rate" in best.parameters:
        metrics[f"{name}_slow_half_life"] = half_life_metric(
            best.parameters["slow_rate"], f"half-life of the slow part of {what}"
        )
    return metrics


def half_life_metric(rate: Parameter, what: str) -> Metric:
    """Returns log 2 / rate as a metric.

    It has no value if nothing falls, and no upper end if the interval of the rate reaches 0.
    """
    if not rate.value > 0:
        return Metric(value=None, unit="steps", what=what)
    low, high = (math.log(2) / end if end > 0 else None for end in (rate.high, rate.low))
    return Metric(value=math.log(2) / rate.value, low=low, high=high, unit="steps", what=what, censored=rate.low <= 0)


def exponent_metric(rate: Parameter, what: str) -> Metric:
    """Returns the exponent of a power law as a metric, negative if g falls."""
    low, high = (-rate.high, -rate.low) if np.isfinite(rate.low) else (None, None)
    return Metric(value=-rate.value, low=low, high=high, unit="1", what=what)


def log_mean_curve(norms: np.ndarray, lags: np.ndarray, *, what: str) -> Curve:
    """Returns the logarithm of the mean over sequences against the lag, with Student's interval.

    The mean over seeds is then a geometric one, which a single seed with a far larger gradient does not dominate.
    Where the mean is zero, the value is missing.

    Args:
        norms: (sequences, lags).
        lags: (lags,) in steps.
        what: description of the norm.
    """
    count = np.isfinite(norms).sum(0)
    mean = np.divide(np.nansum(norms.astype(float), axis=0), count, out=np.zeros(len(lags)), where=count > 0)
    log_mean = np.log10(mean, out=np.full(len(lags), np.nan), where=mean > 0)
    half = None
    if len(norms) > 1:
        # The interval of the mean relative to the mean is, to first order, that of its logarithm.
        relative = np.divide(norms, mean, out=np.full(norms.shape, np.nan), where=mean > 0)
        half = half_width(relative) / np.log(10)
    return Curve.from_arrays(
        lags,
        log_mean,
        low=None if half is None else log_mean - half,
        high=None if half is None else log_mean + half,
        x_unit="steps",
        y_unit="log10 of the norm",
        what=what,
    )
