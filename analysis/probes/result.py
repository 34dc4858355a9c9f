"""What a probe has found in one model, by name, and as JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeVar

import numpy as np

from analysis.statistics import Interval
from workbench.errors import UserError

T = TypeVar("T")
DIGITS = 6
"""Significant digits that curves and grids are kept to: more than any figure shows."""


class NotAvailableError(Exception):
    """A model without what a probe looks at. The message says why, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number."""

    value: float | None
    """`None` where there is none: nothing to measure, or no finite result."""
    unit: str
    """In words: `steps`, `share`, `nats`, `1 / step`; `1` for a pure number."""
    what: str
    """What it says, in half a sentence."""
    low: float | None = None
    """The lower end of its 95 % interval; `None` where it has none."""
    high: float | None = None
    censored: bool = False
    """Whether the true value may lie above: the measurement ended there."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, with `at_least` for a censored value and `None` for numbers that are not finite."""
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
        """Returns the metric that `to_dict` made plain."""
        if "at_least" not in plain:
            raise KeyError("at_least")
        return _frozen(cls, {"censored" if key == "at_least" else key: value for key, value in plain.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Numbers against a lag or a step. A value that is no finite number is `None`."""

    x: tuple[float, ...]
    y: tuple[float | None, ...]
    x_unit: str
    y_unit: str
    what: str
    low: tuple[float | None, ...] | None = None
    high: tuple[float | None, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.x, self.y, self.low, self.high) if part is not None}
        if len(lengths) != 1 or not all(math.isfinite(value) for value in self.x):
            raise ValueError(f"a curve needs a value for each x, and every x finite: {self.what}")

    @classmethod
    def of(cls, x: Any, y: Any, *, x_unit: str, y_unit: str, what: str, low: Any = None, high: Any = None) -> Self:
        """A curve of anything that NumPy takes for a row of numbers, tensors on the CPU included."""
        return cls(
            x=tuple(float(value) for value in np.asarray(x)),
            y=_rounded(y),
            x_unit=x_unit,
            y_unit=y_unit,
            what=what,
            low=None if low is None else _rounded(low),
            high=None if high is None else _rounded(high),
        )

    def array(self, name: str = "y") -> np.ndarray:
        """`y`, `low` or `high` with NaN for what is missing; `x` as it is."""
        values = getattr(self, name)
        missing = [math.nan] * len(self.x) if values is None else [math.nan if v is None else v for v in values]
        return np.array(missing, dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heatmap:
    """A heat map: a row for each unit, or lag, or level; a column for each step."""

    values: tuple[tuple[float | None, ...], ...]
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    row_name: str
    column_name: str
    unit: str
    what: str

    def __post_init__(self) -> None:
        whole = len(self.values) == len(self.rows) and {len(row) for row in self.values} <= {len(self.columns)}
        if not whole or not all(math.isfinite(value) for value in (*self.rows, *self.columns)):
            raise ValueError(
                f"a grid needs a value for each row and column, and every one of these finite: {self.what}"
            )

    @classmethod
    def of(cls, values: Any, *, rows: Any, columns: Any, row_name: str, column_name: str, unit: str, what: str) -> Self:
        """A grid of anything that NumPy takes for a matrix."""
        return cls(
            values=tuple(_rounded(row) for row in np.asarray(values)),
            rows=tuple(float(value) for value in np.asarray(rows)),
            columns=tuple(float(value) for value in np.asarray(columns)),
            row_name=row_name,
            column_name=column_name,
            unit=unit,
            what=what,
        )

    def array(self) -> np.ndarray:
        """(rows, columns), NaN for what is missing."""
        return np.array([[math.nan if v is None else v for v in row] for row in self.values], dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """All that one probe has found in one model. Names are lower-case words joined by underscores."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    heatmaps: Mapping[str, Heatmap] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """What is no number: the better of two fits, a diagnosis."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Why something is not available, by the name that it would have had (or that of a group of them)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what JSON can hold."""
        return {
            "numbers": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "curves": {name: asdict(curve) for name, curve in self.curves.items()},
            "grids": {name: asdict(heatmap) for name, heatmap in self.heatmaps.items()},
            "words": dict(self.labels),
            "missing": dict(self.unavailable),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The findings that `to_dict` made plain.

        Raises:
            UserError: if these are none.
        """
        try:
            return cls(
                metrics={name: Metric.from_dict(value) for name, value in plain["numbers"].items()},
                curves={name: _frozen(Curve, value) for name, value in plain["curves"].items()},
                heatmaps={name: _frozen(Heatmap, value) for name, value in plain["grids"].items()},
                labels={name: _text(value) for name, value in plain["words"].items()},
                unavailable={name: _text(value) for name, value in plain["missing"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"no findings of a probe: {type(error).__name__}: {error}") from None


def _rounded(values: Any) -> tuple[float | None, ...]:
    return tuple(
        float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
        for value in np.asarray(values, dtype=float).reshape(-1).tolist()
    )


def _frozen(kind: type[T], plain: Mapping[str, Any]) -> T:
    known = {item.name: item.type for item in fields(kind)}  # type: ignore[arg-type]
    if plain.keys() != known.keys():
        raise KeyError(", ".join(sorted(plain.keys() ^ known.keys())))
    return kind(**{key: _text(value) if known[key] is str else _tuples(value) for key, value in plain.items()})


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(each) for each in value)
    if value is not None and not isinstance(value, bool | int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def metric_of_interval(interval: Interval, unit: str, what: str, at_least: bool = False) -> Metric:
    """An interval as a number."""
    return Metric(value=interval.value, low=interval.low, high=interval.high, unit=unit, what=what, censored=at_least)
