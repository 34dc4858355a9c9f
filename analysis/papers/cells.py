"""Our results as cells of tables and in sentences."""

import math

from analysis.comparison.intervals import loss_interval, share_interval
from analysis.comparison.losses import MIN_SEEDS
from analysis.comparison.solve_times import median_time
from analysis.formatting import ABSENT, format_count, format_number
from analysis.papers.tables import ComparisonTable, OurResult


def format_ours(ours: OurResult, table: ComparisonTable) -> str:
    """Formats our result: every seed below four of them; else the median of steps, or the mean, with its interval."""
    steps = ours.censored_steps
    if not ours.seeds or ours.num_diverged == ours.seeds:
        return ABSENT
    if table.metric.counts_steps:
        time = median_time(steps)
        if time.median is None:
            return f"> {format_count(ours.budget)}"
        if ours.seeds < MIN_SEEDS:
            return ", ".join("never" if step is None else format_count(step) for step in steps)
        low, high = format_count(time.low), format_count(time.high) if time.high is not None else f"> {ours.budget:,}"
        return f"{format_count(time.median)} [{low}, {high}]" if time.low is not None else format_count(time.median)
    if ours.seeds < MIN_SEEDS or len(ours.values) < 2:
        return ", ".join(format_number(value) for value in ours.values)
    interval = loss_interval(ours.values) if table.metric.less_is_better else share_interval(ours.values, ours.answers)
    return f"{format_number(interval.mean)} [{format_number(interval.low)}, {format_number(interval.high)}]"


def trivial_value(table: ComparisonTable) -> float | None:
    """Returns the value of the best answer without memory; `None` unless the metric is a loss or follows from one."""
    if table.trivial_loss is None:
        return None
    bits = table.trivial_loss / math.log(2)
    return {"test/loss": table.trivial_loss, "test/bits_per_character": bits}.get(table.metric.text)
