"""Whether a row is frozen, by all its seeds."""

from analysis.measures.freeze import diagnosis
from analysis.probed import Probed


def state(row: Probed) -> str | None:
    """`frozen`, `live` or `between` by the interval of the slope over the seeds; `None` where there is no slope.

    A single seed's interval is the probe's own. Without any interval nothing can be told: `between`.
    """
    slope = row.number("write_slope")
    if slope is None:
        return None
    return diagnosis(slope.low, slope.high) if slope.sure else "between"
