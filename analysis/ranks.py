"""The ranking of architectures by their test losses, as a table."""

from collections.abc import Iterable

import pandas as pd

from analysis.comparison.floors import format_reached_floor
from analysis.comparison.losses import compare_losses
from analysis.grouping import Section
from analysis.statistics import mean_interval

COLUMNS = ("variant", "architecture", "rank", "seeds", "diverged", "solved", "loss", "low", "high", "trivial_loss")
"""The columns before those of other metrics, `seconds_per_step` and `parameters`."""


def rank_table(sections: Iterable[Section]) -> pd.DataFrame:
    """Returns a row for each variant of a task and each row of its report, the lowest mean test loss first.

    `loss` is the report's: the geometric mean over the seeds where losses are compared on a log scale, with its 95 %
    interval, `low` to `high`; `floor` is the cheap strategy that its runs are no better than, where the task has
    such. Metrics such as `accuracy` are means over the seeds that did not diverge. Rows of which
    every run diverged come last, without a rank.
    """
    rows = []
    for section in sections:
        comparison = compare_losses(section)
        standings = {} if comparison is None else {each.row.label: each for each in comparison.standings}
        order = [*standings, *(row.label for row in section.rows if row.label not in standings)]
        for row in sorted(section.rows, key=lambda row: order.index(row.label)):
            standing = standings.get(row.label)
            rows.append(
                {
                    "variant": section.title,
                    "architecture": row.label,
                    "rank": None if standing is None else standing.rank,
                    "seeds": len(row.runs),
                    "diverged": row.num_diverged,
                    "solved": sum(step is not None for step in row.result_values("solved_at")),
                    "loss": None if standing is None else standing.center,
                    "low": None if standing is None else standing.low,
                    "high": None if standing is None else standing.high,
                    "trivial_loss": section.trivial_loss,
                    **({"floor": format_reached_floor(row, section) or None} if section.floors else {}),
                    **{name: row.test_mean(name).mean for name in section.metrics},
                    "seconds_per_step": mean_interval(
                        time for run in row.runs if (time := run.timing.get("seconds_per_step")) is not None
                    ).mean,
                    "parameters": row.runs[0].result["parameters"],
                }
            )
    return pd.DataFrame(
        rows, columns=list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)]))
    ).convert_dtypes()
