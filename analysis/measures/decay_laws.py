"""Laws of decay, fitted to the logarithm of a quantity that falls with the lag, and how well each describes it.

    exponential         log g = a - r x
    power law           log g = a - p log x
    exponential, floor  log g = log(exp(a - r x) + exp(b))
    two rates           log g = log(exp(a - r x) + exp(b - s x)),  r > s >= 0

The floor is the limit s = 0 of the two rates. A power law with a floor is not among them: over the two decades of lags
that a sequence usually has, it cannot be told from two rates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import fdtrc, stdtrit

from analysis.statistics import CONFIDENCE

EXPONENTIAL, POWER_LAW, FLOOR, TWO_RATES = "exponential", "power law", "exponential to a floor", "two rates"
LEAST_FREEDOM = 3
"""Points that a law needs beyond its parameters."""
ROUNDING_ERROR = 1e-3
"""In nats: error of log g that single precision leaves over hundreds of steps, even if all sequences agree."""
LARGEST_RATE = 2.0
"""Nats a lag. A part that falls faster is gone after the first lag, so that a single point would decide on it."""
SMALLEST_PART = 1e-3
"""The least share of each of two parts at the first lag."""
LARGEST_LOG, FAR_OFF = 50.0, 1e6
"""What keeps the search for two parts within what numbers can hold: limits of log rate, and of a residual."""
MAX_EVALUATIONS = 40
"""Steps of the search for two parts. What takes longer has no two parts to be found."""
SPLITS = (0.15, 0.35, 0.6)
"""Where the fits of two parts begin: the share of the points that the fast part is read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a law with its 95 % interval; NaN if there is no interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The logarithm of a mean against the lag, with the error that the sequences leave it."""

    x: np.ndarray
    """(points,) lags in steps, ascending."""
    log_x: np.ndarray
    """(points,) their logarithms, averaged over the lags of a point."""
    log_g: np.ndarray
    """(points,) in nats."""
    covariance: np.ndarray
    """(points, points) of the errors of `log_g`; NaN if there is a single sequence."""
    clusters: int
    """The number of independent sequences."""

    @property
    def has_error(self) -> bool:
        """True if the sequences show how uncertain the profile is."""
        return bool(np.isfinite(self.covariance).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayLaw:
    """A law that was fitted to a profile by least squares."""

    name: str
    parameters: dict[str, Parameter]
    """`rate` in nats a lag (or the exponent of a power law), positive if g falls; `slow_rate` of the second part, and
    `slow_share`, its share of g at the first lag."""
    fall: Parameter
    """Nats by which the law falls from the first lag to the last."""
    residual_sum: float
    """Sum of the squared residuals."""
    criterion: float
    """Smaller is better; see `information_criterion`."""
    misfit: float
    """Root mean square of the residuals, in nats."""
    p_value: float
    """Of the lack of fit, see `lack_of_fit`; NaN if there is a single sequence."""
    r2: float
    """Share of the variance of log g that the law explains; NaN if there is no variance."""

    @property
    def rate(self) -> Parameter:
        """The rate in nats a lag, of the fast part if there are two; of a power law the exponent."""
        return self.parameters["rate"]


def fit_laws(profile: Profile) -> list[DecayLaw]:
    """Returns the laws that can be fitted to a profile: at least the exponential and the power law, in this order."""
    laws = [
        _fit_line(profile, EXPONENTIAL, profile.x),
        _fit_line(profile, POWER_LAW, profile.log_x),
    ]
    if min(law.misfit for law in laws) < ROUNDING_ERROR:
        return laws
    for name, size in ((FLOOR, 3), (TWO_RATES, 4)):
        if len(profile.x) >= size + LEAST_FREEDOM and (law := _fit_two_parts(profile, name)) is not None:
            laws.append(law)
    return laws


def information_criterion(residual_sum: float, jacobian: np.ndarray, profile: Profile) -> float:
    """Returns sum of residuals^2 + lambda tr(H C), with the projection H of the law and the error's covariance C.

    With lambda = 2 it estimates the error at new sequences whatever the correlation between lags (covariance penalty:
    Efron 2004, doi 10.1198/016214504000000692); for independent errors it is Mallows' C_p, or AIC with a known
    variance. Here lambda = log n for n sequences, and at least 2, as that of BIC, which does not choose too many
    parameters the more often the more there are (Shao 1997, Statistica Sinica 7, 221). Ordinary AIC, which takes the
    residuals for independent, would name two rates where neighbouring lags merely err together. With a single sequence
    there is nothing else: it is AIC, multiplied by a variance.

    Args:
        residual_sum: of the law.
        jacobian: (points, parameters) of the law at its parameters.
        profile: that the law was fitted to.
    """
    points, size = jacobian.shape
    if not profile.has_error:
        return float(points * np.log(max(residual_sum / points, ROUNDING_ERROR**2)) + 2 * (size + 1))
    factor = max(2.0, math.log(profile.clusters))
    projection = jacobian @ np.linalg.pinv(jacobian)
    error = float((projection * profile.covariance).sum()) + size * ROUNDING_ERROR**2
    return float(residual_sum + factor * error)


def lack_of_fit(residual: np.ndarray, jacobian: np.ndarray, profile: Profile) -> float:
    """Returns the p value of the hypothesis that the law describes the mean of all sequences.

    The sum of squared residuals is compared with what the differences between sequences (the pure error) let expect,
    F = r'r / tr V with V = M C M, the covariance C of the errors and the projection M = 1 - H out of the law. As errors
    at neighbouring lags are correlated, F has f and f (n - 1) degrees of freedom with f = (tr V)^2 / tr V^2 (Box 1954,
    doi 10.1214/aoms/1177728786; Greenhouse and Geisser 1959).

    Args:
        residual: (points,) of the law.
        jacobian: (points, parameters) of the law at its parameters.
        profile: that the law was fitted to.

    Returns:
        The p value; NaN for a single sequence, which has no pure error.
    """
    if not profile.has_error:
        return float("nan")
    points = len(residual)
    M = np.eye(points) - jacobian @ np.linalg.pinv(jacobian)
    V = M @ profile.covariance @ M + ROUNDING_ERROR**2 * M
    trace = float(np.trace(V))
    freedom = trace**2 / float((V * V).sum())
    return float(fdtrc(freedom, freedom * (profile.clusters - 1), float(residual @ residual) / trace))


def _fit_line(profile: Profile, name: str, x: np.ndarray) -> DecayLaw:
    jacobian = np.stack([np.ones(len(x)), -x], axis=1)
    intercept, rate = np.linalg.lstsq(jacobian, profile.log_g, rcond=None)[0]
    return _describe_law(
        profile,
        name,
        fitted=intercept - rate * x,
        jacobian=jacobian,
        gradients={"rate": (float(rate), np.array([0.0, 1.0]))},
    )


def _fit_two_parts(profile: Profile, name: str) -> DecayLaw | None:
    """Fits a fast part and a slow one, or a floor; `None` if the data do not show two parts.

    The parameters are a, b, log(r - s) and, unless there is a floor, log s, so that r > s > 0.
    """
    x, y = profile.x, profile.log_g
    has_floor = name == FLOOR

    def parts(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
        slow = 0.0 if has_floor else float(np.exp(np.minimum(theta[3], LARGEST_LOG)))
        fast = slow + float(np.exp(np.minimum(theta[2], LARGEST_LOG)))
        return theta[0] - fast * x, theta[1] - slow * x, fast, slow

    def residuals(theta: np.ndarray) -> np.ndarray:
        if not np.isfinite(theta).all():
            return np.full(len(y), FAR_OFF)
        first, second, _, _ = parts(theta)
        return np.asarray(np.logaddexp(first, second) - y)

    def jacobian(theta: np.ndarray) -> np.ndarray:
        first, second, fast, slow = parts(theta)
        share = np.exp(first - np.logaddexp(first, second))
        columns = [share, 1 - share, -share * x * (fast - slow)]
        # Both rates hold s.
        return np.stack(columns if has_floor else [*columns, -slow * x], axis=1)

    best = _least_squares(residuals, jacobian, _starts(profile, has_floor))
    if best is None:
        return None
    first, second, fast, slow = parts(best)
    total = np.logaddexp(first, second)
    slow_share = float(np.exp(second[0] - total[0]))
    if fast > LARGEST_RATE or not SMALLEST_PART < slow_share < 1 - SMALLEST_PART or fast < 1.5 * slow:
        return None
    # The delta method: gradients of what is reported with respect to the parameters.
    J = jacobian(best)
    odds = slow_share * (1 - slow_share)
    gap = fast - slow
    gradients: dict[str, tuple[float, np.ndarray]] = {
        "rate": (fast, np.array([0.0, 0.0, gap] if has_floor else [0.0, 0.0, gap, slow])),
        "slow_share": (slow_share, odds * np.array([-1.0, 1.0, gap * x[0], 0.0][: J.shape[1]])),
    }
    if not has_floor:
        gradients["slow_rate"] = (slow, np.array([0.0, 0.0, 0.0, slow]))
    return _describe_law(profile, name, fitted=total, jacobian=J, gradients=gradients)


def _starts(profile: Profile, has_floor: bool) -> list[np.ndarray]:
    """Returns parameters of two parts to begin with: the slow one from the last points, the fast from the first."""
    x, y = profile.x, profile.log_g
    starts = []
    for split in SPLITS:
        cut = int(np.clip(round(split * len(x)), 2, len(x) - 3))
        slow = 0.0 if has_floor else max(-float(np.polyfit(x[cut:], y[cut:], 1)[0]), 1e-4 / x[-1])
        b = float((y[cut:] + slow * x[cut:]).mean())
        rest = np.maximum(np.exp(y[:cut]) - np.exp(b - slow * x[:cut]), 1e-3 * np.exp(y[:cut]))
        fast = max(-float(np.polyfit(x[:cut], np.log(rest), 1)[0]), 2 * slow, 1 / x[-1])
        a = float((np.log(rest) + fast * x[:cut]).mean())
        starts.append(np.array([a, b, np.log(fast - slow)] + ([] if has_floor else [np.log(slow)])))
    return starts


def _least_squares(
    residuals: Callable[[np.ndarray], np.ndarray],
    jacobian: Callable[[np.ndarray], np.ndarray],
    starts: Sequence[np.ndarray],
) -> np.ndarray | None:
    """Returns the parameters with the least sum of squares that any start leads to; `None` if none leads anywhere."""
    best, least = None, np.inf
    for start in starts:
        if not np.isfinite(start).all():
            continue
        fit = least_squares(residuals, start, jac=jacobian, method="lm", ftol=1e-8, xtol=1e-6, max_nfev=MAX_EVALUATIONS)
        if np.isfinite(fit.x).all() and fit.cost < least:
            best, least = np.asarray(fit.x), float(fit.cost)
    return best


def _describe_law(
    profile: Profile,
    name: str,
    *,
    fitted: np.ndarray,
    jacobian: np.ndarray,
    gradients: dict[str, tuple[float, np.ndarray]],
) -> DecayLaw:
    """Returns a fitted law with intervals from the covariance of the errors, whatever their correlation.

    Args:
        profile: that the law was fitted to.
        name: of the law.
        fitted: (points,) values of the law.
        jacobian: (points, parameters) of these with respect to the parameters.
        gradients: value of each reported parameter, and its gradient with respect to the parameters.
    """
    residual = profile.log_g - fitted
    residual_sum = float(residual @ residual)
    total_sum = float(((profile.log_g - profile.log_g.mean()) ** 2).sum())
    inverse = np.linalg.pinv(jacobian)
    covariance = inverse @ profile.covariance @ inverse.T if profile.has_error else None

    def parameter(value: float, gradient: np.ndarray) -> Parameter:
        half_width = float("nan")
        if covariance is not None:
            quantile = float(stdtrit(profile.clusters - 1, 0.5 + CONFIDENCE / 2))
            half_width = quantile * float(np.sqrt(max(gradient @ covariance @ gradient, 0.0)))
        return Parameter(value=value, low=value - half_width, high=value + half_width)

    return DecayLaw(
        name=name,
        parameters={key: parameter(value, gradient) for key, (value, gradient) in gradients.items()},
        fall=parameter(float(fitted[0] - fitted[-1]), jacobian[0] - jacobian[-1]),
        residual_sum=residual_sum,
        criterion=information_criterion(residual_sum, jacobian, profile),
        misfit=float(np.sqrt(residual_sum / len(residual))),
        p_value=lack_of_fit(residual, jacobian, profile),
        r2=1 - residual_sum / total_sum if total_sum > 0 else float("nan"),
    )
