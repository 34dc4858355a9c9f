"""Results of a probe on one model: metrics, curves, heat maps and labels by name, to and from JSON."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeVar

import numpy as np

from analysis.statistics import Interval
from workbench.errors import UserError

T = TypeVar("T")
SIGNIFICANT_DIGITS = 6
"""Significant digits of the values of curves and heat maps: more than any figure shows."""

FLOOR_CURVE = "extrapolation_floor_"
"""What the names of curves begin with that are losses of cheap strategies on longer sequences."""
SHOWN_WITHIN = 1 / 8
"""How far below the accuracy of a task's criterion the lower end of an interval may lie where a length is shown to be
solved. To show the criterion itself, often above 0.99, takes hundreds of sequences, and to show that no answer is ever
wrong more than there are. This much is shown by 27 sequences without a mistake."""


class NotAvailableError(Exception):
    """The model does not have what a probe measures; the message is the reason, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number with its unit and its interval."""

    value: float | None
    """`None` if there is nothing to measure, or the result is not finite."""
    unit: str
    """In words: `steps`, `share`, `nats`, `1 / step`; `1` for a pure number."""
    what: str
    """Description in half a sentence."""
    low: float | None = None
    """Lower end of the 95 % interval; `None` if there is no interval."""
    high: float | None = None
    """Upper end of the 95 % interval; `None` if there is no interval."""
    censored: bool = False
    """True if the true value may be larger, as the measurement ended there."""

    @classmethod
    def from_interval(cls, interval: Interval, unit: str, what: str, censored: bool = False) -> Self:
        """Returns a metric with the value and the ends of an interval."""
        return cls(value=interval.value, low=interval.low, high=interval.high, unit=unit, what=what, censored=censored)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values: `censored` is called `at_least`, and numbers that are not finite are `None`."""
        numbers = {key: getattr(self, key) for key in ("value", "low", "high")}
        finite = {key: float(n) if n is not None and math.isfinite(n) else None for key, n in numbers.items()}
        return {
            "value": finite["value"],
            "unit": self.unit,
            "what": self.what,
            "low": finite["low"],
            "high": finite["high"],
            "at_least": bool(self.censored),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Returns the metric from the plain values that `to_dict` returned."""
        if "at_least" not in plain:
            raise KeyError("at_least")
        return _from_plain(cls, {"censored" if key == "at_least" else key: value for key, value in plain.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values against a lag, a step or another number; `None` for a value that is missing or not finite."""

    x: tuple[float, ...]
    y: tuple[float | None, ...]
    x_unit: str
    y_unit: str
    what: str
    """Description in half a sentence."""
    low: tuple[float | None, ...] | None = None
    """Lower ends of the 95 % intervals; `None` if there are no intervals."""
    high: tuple[float | None, ...] | None = None
    """Upper ends of the 95 % intervals; `None` if there are no intervals."""

    def __post_init__(self) -> None:
        lengths = {len(values) for values in (self.x, self.y, self.low, self.high) if values is not None}
        if len(lengths) != 1 or not all(math.isfinite(value) for value in self.x):
            raise ValueError(f"a curve needs a value for each x, and every x finite: {self.what}")

    @classmethod
    def from_arrays(
        cls, x: Any, y: Any, *, x_unit: str, y_unit: str, what: str, low: Any = None, high: Any = None
    ) -> Self:
        """Returns a curve of anything that NumPy converts to a row of numbers, including tensors on the CPU."""
        return cls(
            x=tuple(float(value) for value in np.asarray(x)),
            y=_round(y),
            x_unit=x_unit,
            y_unit=y_unit,
            what=what,
            low=None if low is None else _round(low),
            high=None if high is None else _round(high),
        )

    def to_array(self, name: str = "y") -> np.ndarray:
        """Returns `x`, `y`, `low` or `high` as an array, with NaN for missing values."""
        values = getattr(self, name)
        filled = [math.nan] * len(self.x) if values is None else [math.nan if v is None else v for v in values]
        return np.array(filled, dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heatmap:
    """A heat map: a row for each unit, or lag, or level; a column for each step."""

    values: tuple[tuple[float | None, ...], ...]
    rows: tuple[float, ...]
    """Coordinates of the rows, in what `row_name` says."""
    columns: tuple[float, ...]
    """Coordinates of the columns, in what `column_name` says."""
    row_name: str
    column_name: str
    unit: str
    """Unit of the values."""
    what: str
    """Description in half a sentence."""

    def __post_init__(self) -> None:
        fits = len(self.values) == len(self.rows) and {len(row) for row in self.values} <= {len(self.columns)}
        if not fits or not all(math.isfinite(value) for value in (*self.rows, *self.columns)):
            raise ValueError(
                f"a heat map needs a value for each row and column, and every one of these finite: {self.what}"
            )

    @classmethod
    def from_arrays(
        cls, values: Any, *, rows: Any, columns: Any, row_name: str, column_name: str, unit: str, what: str
    ) -> Self:
        """Returns a heat map of anything that NumPy converts to a matrix."""
        return cls(
            values=tuple(_round(row) for row in np.asarray(values)),
            rows=tuple(float(value) for value in np.asarray(rows)),
            columns=tuple(float(value) for value in np.asarray(columns)),
            row_name=row_name,
            column_name=column_name,
            unit=unit,
            what=what,
        )

    def to_array(self) -> np.ndarray:
        """Returns the values, (rows, columns), with NaN for missing ones."""
        return np.array([[math.nan if v is None else v for v in row] for row in self.values], dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """Everything that one probe has measured in one model. Names are lower-case words joined by underscores."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Results that are not numbers: the better of two fits, a diagnosis."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Reason why something is not available, by its name or by the name of a group of results."""

    @classmethod
    def merge(cls, results: Iterable["ProbeResult"]) -> Self:
        """Returns the results of several measures as one."""
        parts = list(results)
        return cls(
            metrics={name: metric for part in parts for name, metric in part.metrics.items()},
            curves={name: curve for part in parts for name, curve in part.curves.items()},
            heatmaps={name: heatmap for part in parts for name, heatmap in part.heatmaps.items()},
            labels={name: label for part in parts for name, label in part.labels.items()},
            unavailable={name: reason for part in parts for name, reason in part.unavailable.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON, under the keys of `analysis.json`."""
        return {
            "numbers": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "curves": {name: asdict(curve) for name, curve in self.curves.items()},
            "grids": {name: asdict(heatmap) for name, heatmap in self.heatmaps.items()},
            "words": dict(self.labels),
            "missing": dict(self.unavailable),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Returns the result from the plain values that `to_dict` returned.

        Raises:
            UserError: if they are anything else.
        """
        try:
            return cls(
                metrics={name: Metric.from_dict(value) for name, value in plain["numbers"].items()},
                curves={name: _from_plain(Curve, value) for name, value in plain["curves"].items()},
                heatmaps={name: _from_plain(Heatmap, value) for name, value in plain["grids"].items()},
                labels={name: _check_text(value) for name, value in plain["words"].items()},
                unavailable={name: _check_text(value) for name, value in plain["missing"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not the results of a probe: {type(error).__name__}: {error}") from None


def _round(values: Any) -> tuple[float | None, ...]:
    return tuple(
        float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
        for value in np.asarray(values, dtype=float).reshape(-1).tolist()
    )


def _from_plain(kind: type[T], plain: Mapping[str, Any]) -> T:
    types = {item.name: item.type for item in fields(kind)}  # type: ignore[arg-type]
    if plain.keys() != types.keys():
        raise KeyError(", ".join(sorted(plain.keys() ^ types.keys())))
    return kind(**{key: _check_text(value) if types[key] is str else _to_tuples(value) for key, value in plain.items()})


def _to_tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_to_tuples(item) for item in value)
    if value is not None and not isinstance(value, bool | int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
