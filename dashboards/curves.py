"""The curves of a probe as tables: one for each unit of the x axis, a column for each curve."""

from collections.abc import Mapping
from typing import TypedDict

from analysis.findings import Curve
from dashboards.naming import slug
from dashboards.table import Table


class Whose(TypedDict):
    """Columns that say which run a table is of."""

    run: str
    architecture: str
    task: str
    seed: int


def tables(curves: Mapping[str, Curve], whose: Whose) -> dict[str, Table]:
    """The curves of one probe of one run.

    Curves over the same unit stand side by side, with `<curve>_low` and `<curve>_high` where they have intervals, so
    that a run needs few tables; an x that a curve does not have leaves its cell empty.

    Args:
        curves: by name.
        whose: they are, the same in every row.

    Returns:
        By `by-<unit of x>`, tables with the column `x` first.
    """
    units: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        units.setdefault(curve.x_unit, {})[name] = curve
    return {f"by-{slug(unit)}": _table(found, whose) for unit, found in units.items()}


def _table(curves: Mapping[str, Curve], whose: Whose) -> Table:
    columns: dict[str, dict[float, float | None]] = {}
    for name, curve in curves.items():
        columns[name] = dict(zip(curve.x, curve.y, strict=True))
        for end, values in (("low", curve.low), ("high", curve.high)):
            if values is not None:
                columns[f"{name}_{end}"] = dict(zip(curve.x, values, strict=True))
    places = sorted({x for curve in curves.values() for x in curve.x})
    return Table(
        columns=("x", *columns, *whose),
        rows=tuple((x, *(column.get(x) for column in columns.values()), *whose.values()) for x in places),
    )
