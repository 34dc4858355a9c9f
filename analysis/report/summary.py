"""Opening sentences of a task's chapter, computed from its runs."""

from analysis.formatting import format_count, format_interval, format_number, join_names, pluralize
from analysis.grouping import Row, Section
from analysis.statistics import Mean, median_steps_to_goal


def summary(section: Section) -> tuple[str, ...]:
    """Returns the sentences on the lowest loss, the trivial baseline, the first to solve the task, and divergence."""
    sentences = (
        describe_winner(section),
        describe_trivial(section),
        describe_first_solved(section),
        describe_diverged(section),
    )
    return tuple(sentence for sentence in sentences if sentence)


def describe_winner(section: Section) -> str:
    """Names the row with the lowest mean test loss, and says whether the intervals tell it from the others."""
    order = rank_by_loss(section)
    if not order:
        return "No row has a test loss: every run diverged."
    (best, loss), others = order[0], order[1:]
    value = format_interval(loss)
    if all(mean.n == 1 for _, mean in order):
        what = "test loss" if others else "is the only row with a test loss"
        have = f"{best.label} has the lowest {what}, {value}" if others else f"{best.label} {what}, {value}"
        return f"{have}; with one seed no interval can be given{', so no winner' if others else ''}."
    if not others:
        return f"{best.label} is the only row with a test loss, {value}."
    lowest = f"{best.label} has the lowest mean test loss, {value}"
    if loss.half_width is None:
        return f"{lowest}, but by one seed, for which no interval can be given, so no winner."
    near = [row.label for row in best_rows(section)[1:]]
    if len(near) == 1:
        return f"{lowest}, but no winner: the intervals of {best.label} and {near[0]} overlap."
    if near:
        return f"{lowest}, but no winner: the intervals of {join_names(near)} overlap that of {best.label}."
    single = [row.label for row, mean in others if mean.half_width is None]
    if single:
        return f"{lowest}, but no winner: no interval can be given for {join_names(single)}, with one seed each."
    second, second_loss = others[0]
    return (
        f"{lowest}; its interval lies below all others, the next of which is {second.label}'s, "
        f"{format_interval(second_loss)}."
    )


def describe_trivial(section: Section) -> str:
    """Says how many rows beat the trivial baseline, the best answer without memory."""
    trivial = section.trivial_loss
    losses = [loss for _, loss in rank_by_loss(section)]
    if trivial is None or not losses:
        return ""
    certain = sum(loss.half_width is not None and loss.high < trivial for loss in losses)
    single = sum(loss.half_width is None and loss.mean < trivial for loss in losses)
    rows = pluralize(len(section.rows), "row")
    baseline = f"the trivial baseline of {format_number(trivial)}"
    if all(loss.half_width is None for loss in losses):
        return f"{single} of {rows} {'lies' if single == 1 else 'lie'} below {baseline}, by one seed each."
    verb = "beats" if certain == 1 else "beat"
    beat = f"{certain} of {rows} {verb} {baseline}, mean and upper end of the interval below it"
    return f"{beat}; {single} more {'lies' if single == 1 else 'lie'} below it by one seed." if single else f"{beat}."


def describe_first_solved(section: Section) -> str:
    """Names the first rows to meet the task's criterion, by the median step over all seeds."""
    criterion = section.common_result("criterion")
    if criterion is None:
        return ""
    medians = [
        (median, row)
        for row in section.rows
        if (median := median_steps_to_goal(row.result_values("solved_at"))) is not None
    ]
    if medians:
        first = min(median for median, _ in medians)
        rows = [row for median, row in medians if median == first]
        names = join_names([f"{row.label} ({format_solved(row)})" for row in rows])
        basis = "median over all seeds" if any(len(row.runs) > 1 for row in rows) else "one seed"
        return f"First to solve it ({criterion}): {names}, at step {format_count(first)}, {basis}."
    some = [row for row in section.rows if any(step is not None for step in row.result_values("solved_at"))]
    if some:
        names = join_names([f"{row.label} ({format_solved(row)})" for row in some])
        return f"No row solved it ({criterion}) with more than half of its seeds; {names} did with some."
    return f"No row solved it ({criterion})."


def describe_diverged(section: Section) -> str:
    """Names the rows whose means are not over all of their seeds."""
    rows = [f"{row.label} {row.num_diverged} of {len(row.runs)}" for row in section.rows if row.num_diverged]
    return f"Diverged, and so left out of the means: {', '.join(rows)}." if rows else ""


def format_solved(row: Row) -> str:
    """Returns the number of seeds that met the criterion, such as `2 of 3 seeds`."""
    return f"{sum(step is not None for step in row.result_values('solved_at'))} of {pluralize(len(row.runs), 'seed')}"


def rank_by_loss(section: Section) -> list[tuple[Row, Mean]]:
    """Returns the rows that have a test loss with its mean, lowest first."""
    losses = [(row, row.test_mean("loss")) for row in section.rows]
    return sorted(((row, loss) for row, loss in losses if loss.n), key=lambda pair: (pair[1].mean, pair[0].label))


def best_rows(section: Section) -> list[Row]:
    """Returns the row with the lowest mean test loss, and those whose intervals overlap its interval.

    Returns:
        The rows, lowest mean first; empty if the first has no interval.
    """
    order = rank_by_loss(section)
    if not order or order[0][1].half_width is None:
        return []
    best = order[0][1]
    return [row for row, loss in order if loss.half_width is not None and loss.overlaps(best)]
