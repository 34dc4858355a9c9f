"""What gated units keep and write, as findings."""

import math

import numpy as np

from analysis.discount.gathered import PICTURE, Gathered
from analysis.findings import Curve, Findings, Grid, Number
from analysis.measures import freeze, half_life, two_way
from analysis.measures.bins import centres, spaced
from analysis.measures.two_way import Interval, Statistic

STEP = "step"
LAG = "lag in steps"
LAGS = 120
"""Points of a curve over the lag."""
FEW = 20
"""Steps that a slope over the last decade needs."""


def findings(found: Gathered) -> Findings:
    """All numbers, curves and grids that a model with gates has."""
    missing = {}
    numbers = {
        "retention_mean": _number(found, "retention", two_way.mean, "share", "mean retention of a step"),
        "write_mean": _number(found, "write", two_way.mean, "1", "mean weight of what is new at a step"),
        "time_constant_median": _lasting(
            found,
            "log_retention",
            half_life.median_time_constant,
            "median unit's time constant, -1 / mean log retention",
        ),
        "time_constant_longest": _lasting(
            found,
            "log_retention",
            half_life.longest_time_constant,
            "largest time constant of any unit",
            # Of units drawn again, the largest is never larger.
            over_units=False,
        ),
        "discount_half_life": _lasting(
            found, "log_retention", half_life.median_half_life, "median unit's half-life of what it really keeps"
        ),
        "write_slope": _number(found, "write_slope", two_way.mean, "1", "slope of log write on log t, last decade"),
        "frozen_units": _number(
            found, "write_slope", freeze.frozen_share, "share", "units whose own slope is below -2/3"
        ),
        "entropy_last": _number(found, "entropy", two_way.mean, "nats", "entropy of the last step's influence row"),
        "window_last": _number(found, "entropy", effective, "steps", "effective window exp(entropy) at the last step"),
        "window_share": _number(found, "share", two_way.mean, "share", "effective window / t at the last step"),
        "lag_last": _number(found, "lag", two_way.mean, "steps", "mean lag of the last step's influence row"),
    }
    words = {}
    slope = numbers["write_slope"]
    if found.steps < FEW or slope.value is None or slope.low is None or slope.high is None:
        numbers.pop("write_slope")
        numbers.pop("frozen_units")
        missing["write_slope"] = f"too few steps with a write in {found.steps:,} for a slope over their last decade"
    else:
        words["freeze"] = freeze.diagnosis(slope.low, slope.high)
    if "attention_range" in found.per_unit:
        numbers["attention_range"] = _number(
            found, "attention_range", two_way.mean, "nats", "largest less smallest log a of a unit in a sequence"
        )
        numbers["attention_growth"] = _number(
            found, "attention_growth", two_way.mean, "nats / step", "slope of log a, mean over units"
        )
    if found.discounted:
        numbers["gamma_half_life"] = _lasting(
            found, "log_discount", half_life.median_half_life, "median unit's half-life of gamma alone"
        )
    else:
        missing["gamma_half_life"] = "it has no discount beside its retention"
    return Findings(numbers=numbers, curves=curves(found), grids=grids(found), words=words, missing=missing)


def curves(found: Gathered) -> dict[str, Curve]:
    """Curves over time, over the lag and over the units."""
    made = {}
    steps = centres(found.times)
    for name, unit, what in (
        ("retention", "share", "retention"),
        ("write", "weight", "write"),
        ("discount", "share", "gamma"),
        ("log_attention", "nats", "log a"),
    ):
        if name not in found.sums:
            continue
        table = found.time(name)
        made[name] = Curve.of(steps, _mean(table), x_unit=STEP, y_unit=unit, what=f"{what}, mean over units")
        for share in (10, 90):
            made[f"{name}_p{share}"] = Curve.of(
                steps, _quantile(table, share), x_unit=STEP, y_unit=unit, what=f"{what}, {share} % of units are below"
            )
    made["write_log"] = Curve.of(
        centres(found.log_times),
        _mean(found.time("write_log")),
        x_unit=STEP,
        y_unit="weight",
        what="write, mean over units",
    )
    entropy = _mean(found.time("entropy"))
    for name, values, unit, what in (
        ("entropy", entropy, "nats", "entropy of the influence row"),
        ("effective_window", np.exp(entropy), "steps", "effective window, exp of the mean entropy"),
        ("simpson_window", 1 / _mean(found.time("simpson")), "steps", "effective window, 1 / mean sum of squares"),
        ("mean_lag", _mean(found.time("lag")), "steps", "mean lag of the influence row"),
    ):
        made[name] = Curve.of(steps, values, x_unit=STEP, y_unit=unit, what=what)
    tau = np.sort(half_life.time_constants(_columns(found.unit("log_retention"))))
    rank = (np.arange(len(tau)) + 0.5) / len(tau)
    made["time_constants"] = Curve.of(
        rank, tau, x_unit="share of units", y_unit="steps", what="time constants of the units, ascending"
    )
    for name, at in found.looks.items():
        if f"influence_{name}" in found.sums:
            mass = _mean(found.time(f"influence_{name}"))
            made |= influence_curves(name, mass, at + 1)
    return made


def influence_curves(name: str, mass: np.ndarray, steps: int) -> dict[str, Curve]:
    """Influence by lag at one step, (lags,) shares that sum to 1: its mean in bins of lags, and its sum up to a lag."""
    parts = spaced(len(mass), LAGS, log=True)
    ends = [part.stop - 1 for part in parts]
    at = f"after {steps:,} steps"
    return {
        f"influence_{name}": Curve.of(
            centres(parts, first=0.0),
            [mass[part].mean() for part in parts],
            x_unit=LAG,
            y_unit="share a step",
            what=f"share of the influence that a step has {at}",
        ),
        f"influence_within_{name}": Curve.of(
            ends, np.cumsum(mass)[ends], x_unit=LAG, y_unit="share", what=f"share of the influence within a lag {at}"
        ),
    }


def grids(found: Gathered) -> dict[str, Grid]:
    """Heat maps of the first test sequence."""
    units, steps = len(found.sums["retention"][0]), found.steps
    return {
        name: Grid.of(
            np.round(values, 4) if name == "retention" else _significant(values),
            rows=centres(spaced(units, PICTURE[0])),
            columns=centres(spaced(steps, PICTURE[1])),
            row_name="unit, by mean retention",
            column_name=STEP,
            unit="share" if name == "retention" else "weight",
            what=f"{name} in the first test sequence",
        )
        for name, values in found.pictures.items()
    }


def effective(values: np.ndarray) -> np.ndarray:
    """(samples, units, 1) entropies -> exp of their mean: an effective window."""
    return np.asarray(np.exp(two_way.mean(values)))


def as_number(interval: Interval, unit: str, what: str, at_least: bool = False) -> Number:
    """An interval as a number."""
    return Number(value=interval.value, low=interval.low, high=interval.high, unit=unit, what=what, at_least=at_least)


def _number(found: Gathered, name: str, statistic: Statistic, unit: str, what: str) -> Number:
    return as_number(two_way.two_way(found.unit(name), statistic), unit, what)


def _lasting(found: Gathered, name: str, statistic: Statistic, what: str, over_units: bool = True) -> Number:
    interval = two_way.two_way(found.unit(name), statistic, over_units)
    slowest = math.log(2) / half_life.SLOWEST
    return as_number(interval, "steps", what, at_least=interval.value is not None and interval.value >= slowest)


def _columns(table: np.ndarray) -> np.ndarray:
    """Means over sequences, NaN left out; units that have none are left out too."""
    kept = table[:, np.isfinite(table).any(0)]
    return np.asarray(np.nanmean(kept, axis=0))


def _mean(table: np.ndarray) -> np.ndarray:
    """(bins, units) -> (bins,)."""
    return two_way.mean(table[..., None])


def _quantile(table: np.ndarray, share: float) -> np.ndarray:
    known = np.isfinite(table).any(1)
    found = np.full(len(table), np.nan)
    found[known] = np.nanquantile(table[known], share / 100, axis=1)
    return found


def _significant(values: np.ndarray) -> np.ndarray:
    """Three significant digits."""
    return np.array([[float(f"{value:.3g}") for value in row] for row in values])
