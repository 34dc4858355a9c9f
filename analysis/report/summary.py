"""The sentences that open a section, computed from its runs."""

from analysis.formatting import format_count, format_interval, format_number, join_names, pluralize
from analysis.grouping import Row, Section
from analysis.statistics import Mean, median_reached


def summary(section: Section) -> tuple[str, ...]:
    """Who has the lowest loss and whether that is certain, who beats the trivial baseline, who solved it first."""
    found = (winner(section), against_trivial(section), first_solved(section), diverged(section))
    return tuple(sentence for sentence in found if sentence)


def ranked(section: Section) -> list[tuple[Row, Mean]]:
    """The rows that have a test loss, lowest mean first."""
    losses = [(row, row.test("loss")) for row in section.rows]
    return sorted(((row, loss) for row, loss in losses if loss.n), key=lambda pair: (pair[1].mean, pair[0].label))


def rivals(section: Section) -> list[Row]:
    """The row of the lowest mean test loss and those whose intervals overlap its own; none where it has no interval."""
    order = ranked(section)
    if not order or order[0][1].half is None:
        return []
    best = order[0][1]
    return [row for row, loss in order if loss.half is not None and loss.overlaps(best)]


def winner(section: Section) -> str:
    """Who has the lowest mean test loss, and whether the intervals tell it from the others."""
    order = ranked(section)
    if not order:
        return "No row has a test loss: every run diverged."
    (best, loss), others = order[0], order[1:]
    value = format_interval(loss)
    if all(each.n == 1 for _, each in order):
        what = "test loss" if others else "is the only row with a test loss"
        have = f"{best.label} has the lowest {what}, {value}" if others else f"{best.label} {what}, {value}"
        return f"{have}; with one seed no interval can be given{', so no winner' if others else ''}."
    if not others:
        return f"{best.label} is the only row with a test loss, {value}."
    lowest = f"{best.label} has the lowest mean test loss, {value}"
    if loss.half is None:
        return f"{lowest}, but by one seed, for which no interval can be given, so no winner."
    near = [row.label for row in rivals(section)[1:]]
    if len(near) == 1:
        return f"{lowest}, but no winner: the intervals of {best.label} and {near[0]} overlap."
    if near:
        return f"{lowest}, but no winner: the intervals of {join_names(near)} overlap that of {best.label}."
    single = [row.label for row, each in others if each.half is None]
    if single:
        return f"{lowest}, but no winner: no interval can be given for {join_names(single)}, with one seed each."
    second, its = others[0]
    return (
        f"{lowest}; its interval lies below all others, the next of which is {second.label}'s, {format_interval(its)}."
    )


def against_trivial(section: Section) -> str:
    """How many rows beat the best answer without memory."""
    trivial = section.trivial_loss
    losses = [loss for _, loss in ranked(section)]
    if trivial is None or not losses:
        return ""
    sure = sum(loss.half is not None and loss.high < trivial for loss in losses)
    single = sum(loss.half is None and loss.mean < trivial for loss in losses)
    rows = pluralize(len(section.rows), "row")
    baseline = f"the trivial baseline of {format_number(trivial)}"
    if all(loss.half is None for loss in losses):
        return f"{single} of {rows} {'lies' if single == 1 else 'lie'} below {baseline}, by one seed each."
    beat = (
        f"{sure} of {rows} {'beats' if sure == 1 else 'beat'} {baseline}, mean and upper end of the interval below it"
    )
    return f"{beat}; {single} more {'lies' if single == 1 else 'lie'} below it by one seed." if single else f"{beat}."


def first_solved(section: Section) -> str:
    """Who met the criterion first, by the median over all seeds."""
    criterion = section.agreed("criterion")
    if criterion is None:
        return ""
    medians = [
        (median, row) for row in section.rows if (median := median_reached(row.results("solved_at"))) is not None
    ]
    if medians:
        first = min(median for median, _ in medians)
        rows = [row for median, row in medians if median == first]
        who = join_names([f"{row.label} ({solved(row)})" for row in rows])
        how = "median over all seeds" if any(len(row.runs) > 1 for row in rows) else "one seed"
        return f"First to solve it ({criterion}): {who}, at step {format_count(first)}, {how}."
    some = [row for row in section.rows if any(step is not None for step in row.results("solved_at"))]
    if some:
        who = join_names([f"{row.label} ({solved(row)})" for row in some])
        return f"No row solved it ({criterion}) with more than half of its seeds; with some did {who}."
    return f"No row solved it ({criterion})."


def solved(row: Row) -> str:
    """How many seeds met the criterion."""
    return f"{sum(step is not None for step in row.results('solved_at'))} of {pluralize(len(row.runs), 'seed')}"


def diverged(section: Section) -> str:
    """Whose means are not over all seeds."""
    lost = [f"{row.label} {row.diverged} of {len(row.runs)}" for row in section.rows if row.diverged]
    return f"Diverged, and so left out of the means: {', '.join(lost)}." if lost else ""
