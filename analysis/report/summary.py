"""Answer of a task's chapter in words: which architecture, by how much, how surely, and what would settle it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparison.floors import count_reached, unbeaten_floor
from analysis.comparison.losses import MIN_SEEDS, Effect, LossComparison, Standing, compare_losses
from analysis.comparison.power import MAX_SEEDS, POWER, seeds_to_settle
from analysis.comparison.solve_times import SolveTime, solve_time
from analysis.formatting import (
    format_count,
    format_number,
    format_percent,
    join_names,
    pluralize,
)
from analysis.grouping import Row, Section

MAX_NAMED = 4
"""Largest number of rows that a sentence names one by one."""
LARGEST_FACTOR = 1e6
"""Larger factors are not told in numbers."""
SENSIBLE_SEEDS = 5
"""Seeds that are proposed where there are too few for a test."""


def summary(section: Section) -> tuple[str, ...]:
    """Returns the sentences on the answer, trivial loss, floors, the first to solve it, divergence, what settles."""
    settlement = settle(section)
    sentences = (
        headline(section),
        describe_trivial(section),
        describe_floors(section),
        describe_first_solved(section),
        describe_diverged(section),
        "" if settlement is None else settlement.sentence,
    )
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))


def headline(section: Section) -> str:
    """Returns the answer on one task with its magnitude, in one or two sentences of plain text."""
    comparison = compare_losses(section)
    if comparison is None:
        return "No row has a test loss: every run diverged."
    if not comparison.learned:
        first = comparison.standings[0]
        return (
            f"Nothing learned yet: no row's test loss is clearly below {format_number(comparison.trivial_loss)}, that "
            f"of the best answer without memory; the lowest is {first.row.label}'s, {format_number(first.center)}."
        )
    if (text := describe_unbeaten(section, comparison)) is not None:
        return text
    until_goal = all(run.experiment.budget.until for run in section.runs)
    if until_goal and len(comparison.standings) > 1 and (text := describe_first_solved(section)):
        # Runs that end at their goal have no losses to compare: those of the fastest were measured first.
        fewest = min(standing.n for standing in comparison.standings)
        return f"Indicative only ({pluralize(fewest, 'seed')}): {text}" if comparison.indicative else text
    if len(comparison.standings) == 1:
        return _describe_single(comparison)
    if len(comparison.tied) > 1:
        return _describe_tie(comparison)
    if comparison.best is not None:
        return _describe_best(comparison)
    return _describe_indication(comparison) if comparison.indicative else _describe_undecided(comparison)


def describe_unbeaten(section: Section, comparison: LossComparison) -> str | None:
    """Returns that no run is better than a cheap strategy, and which one; `None` if one is, or there is no strategy."""
    names = {unbeaten_floor(run, section.floors) for row in section.rows for run in row.runs if not run.diverged}
    if not names or None in names:
        return None
    # Of those that somebody does not beat, the best.
    name = min(names, key=lambda name: section.floors[str(name)].loss)
    floor, first = section.floors[str(name)], comparison.standings[0]
    share = "" if floor.accuracy is None else f", accuracy {format_number(floor.accuracy)}"
    return (
        f"No row is better than a cheap strategy: {name} has a loss of {format_number(floor.loss)}{share}; "
        f"the lowest is {possessive(first.row.label)}, {format_number(first.center)}."
    )


def _describe_single(comparison: LossComparison) -> str:
    """Returns the loss of the only row."""
    (only,) = comparison.standings[:1]
    return f"{only.row.label} is the only row, with a test loss of {format_standing(only)}{_below(comparison)}."


def _describe_tie(comparison: LossComparison) -> str:
    """Returns that several rows have the lowest loss, exactly."""
    names = join_names([standing.row.label for standing in comparison.tied])
    return f"{names} tie: each has a test loss of {format_number(comparison.tied[0].center)}{_below(comparison)}."


def _describe_best(comparison: LossComparison) -> str:
    """Returns the best row, how far the next is behind, and the largest p-value of the tests that make it the best."""
    first, second = comparison.standings[:2]
    p = comparison.largest_p()
    scope = "" if len(comparison.standings) == 2 else " against each of the others"
    certainty = "" if p is None else f"; {format_p(p)}{scope}"
    return (
        f"{first.row.label} learns it best: test loss {format_standing(first)}{_below(comparison)}. The next, "
        f"{possessive(second.row.label)}, is {format_effect(comparison.effect(0, 1))}{certainty}."
    )


def _describe_undecided(comparison: LossComparison) -> str:
    """Returns the first row, those that are not told from it with the nearest one's distance, and those behind."""
    first, others = comparison.standings[0], comparison.standings[1:]
    near = [place for place in range(1, len(others) + 1) if not comparison.apart[0, place]]
    start = f"{first.row.label} has the lowest test loss, {format_standing(first)}{_below(comparison)}"
    nearest = comparison.effect(0, near[0]) if near else comparison.effect(0, 1)
    names = [comparison.standings[place].row.label for place in near]
    named = join_names(names) if len(names) <= MAX_NAMED else f"{len(names)} others"
    test = "" if nearest.p is None else f", {format_p(nearest.p)}"
    whose = "" if len(names) == 1 else f"{comparison.standings[near[0]].row.label}'s, "
    text = f"{start}, but is not told apart from {named}: the nearest, {whose}is {format_effect(nearest)}{test}."
    if len(names) == 1:
        text = f"{start}, but is not told apart from {named}, whose loss is {format_effect(nearest)}{test}."
    behind = len(others) - len(near)
    return f"{text} {pluralize(behind, 'row')} {'is' if behind == 1 else 'are'} clearly behind." if behind else text


def _describe_indication(comparison: LossComparison) -> str:
    """Returns the first row and how it compares seed by seed, where seeds are too few for a test."""
    first, second, others = comparison.standings[0], comparison.standings[1], comparison.standings[1:]
    beaten = sum(max(first.values) < min(other.values) for other in others)
    fewest = min(standing.n for standing in comparison.standings)
    text = (
        f"Indicative only ({pluralize(fewest, 'seed')}): {first.row.label} has the lowest test loss, "
        f"{format_number(first.center)}{_below(comparison)}; the next, {possessive(second.row.label)}, is "
        f"{format_size(comparison.effect(0, 1))}"
    )
    if fewest == 1:
        return f"{text}."
    if not beaten:
        return f"{text}, and the seeds of both overlap." if len(others) == 1 else f"{text}, and their seeds overlap."
    scope = f"{beaten} of the other {len(others)}" if beaten < len(others) else f"the other {beaten}"
    if len(others) == 1:
        scope = second.row.label
    return f"{text}, and every seed of {first.row.label} beats every seed of {scope}."


def _below(comparison: LossComparison) -> str:
    """Returns by how much the lowest loss is below that of the best answer without memory; nothing if unknown."""
    first, trivial = comparison.standings[0], comparison.trivial_loss
    if trivial is None or comparison.scale == "linear" or first.center <= 0:
        return ""
    if first.center >= trivial:
        return f", above the {format_number(trivial)} of the best answer without memory"
    return f", {format_factor(trivial / first.center)} times below the best answer without memory"


def format_standing(standing: Standing) -> str:
    """Formats a row's mean loss with its interval; below four seeds without."""
    if standing.n < MIN_SEEDS or standing.low is None or standing.high is None or standing.low == standing.high:
        return format_number(standing.center)
    return f"{format_number(standing.center)} [{format_number(standing.low)}, {format_number(standing.high)}]"


def format_size(effect: Effect) -> str:
    """Formats how far the worse of two rows is behind: `25 times higher`, or `0.3 higher`."""
    if effect.scale == "linear":
        return f"{format_number(effect.size)} higher"
    factor = format_factor(effect.size)
    if factor == "1.00":
        return "higher by less than 1 %"
    return f"{format_percent(100 * (effect.size - 1))} higher" if effect.size < 2 else f"{factor} times as high"


def format_effect(effect: Effect) -> str:
    """Formats how far the worse of two rows is behind, with the interval: `25 times as high [18, 34]`."""
    is_huge = effect.scale == "log" and effect.size >= LARGEST_FACTOR
    if is_huge or effect.low is None or effect.high is None or effect.low == effect.high:
        return format_size(effect)
    if effect.scale == "log" and effect.size < 2:
        ends = [f"{100 * (end - 1):.0f} %" for end in (effect.low, effect.high)]
        return f"{format_size(effect)} [{', '.join(ends)}]"
    return f"{format_size(effect)} [{format_number(effect.low)}, {format_number(effect.high)}]"


def format_factor(factor: float) -> str:
    """Formats a factor with two significant digits, as its interval has no more.

    Beyond a million it says no more: a loss of 0 counts as the least that single precision tells from it.
    """
    if factor >= LARGEST_FACTOR:
        return f"more than {format_count(LARGEST_FACTOR)}"
    if factor >= 99.5:
        return format_count(float(f"{factor:.2g}"))
    return f"{factor:.2g}" if factor >= 10 else f"{factor:.2f}" if factor < 1.1 else f"{factor:.1f}"


def format_p(p: float) -> str:
    """Formats a p-value: `p = 0.024`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def describe_trivial(section: Section) -> str:
    """Says which rows have not learned: their loss is not clearly below that of the best answer without memory."""
    comparison = compare_losses(section)
    if comparison is None or not comparison.learned or comparison.trivial_loss is None:
        return ""
    trivial = comparison.trivial_loss
    rows = comparison.standings
    above = no_better_than_trivial(comparison)
    baseline = f"the {format_number(trivial)} of the best answer without memory"
    if not above:
        return f"All {pluralize(len(rows), 'row')} are below {baseline}." if len(rows) > 1 else ""
    named = join_names(above) if len(above) <= MAX_NAMED else f"{len(above)} of {pluralize(len(rows), 'row')}"
    return f"Not clearly below {baseline}: {named}."


def no_better_than_trivial(comparison: LossComparison) -> list[str]:
    """Returns the labels of the rows whose loss is not clearly below that of the best answer without memory.

    That is the upper end of the interval of its mean. With fewer than four seeds it is too wide to say anything, and
    the worst seed decides.
    """
    trivial = comparison.trivial_loss
    if trivial is None:
        return []
    return [
        standing.row.label
        for standing in comparison.standings
        if (max(standing.values) if standing.n < MIN_SEEDS or standing.high is None else standing.high) >= trivial
    ]


def describe_floors(section: Section) -> str:
    """Says which rows have learned no more than a cheap strategy knows: their runs are at its floor."""
    floors, reached = section.floors, dict[str, list[str]]()
    for row in section.rows:
        for name, count in count_reached(row, floors).items():
            runs = "" if count == len(row.runs) else f" ({count} of {pluralize(len(row.runs), 'seed')})"
            reached.setdefault(name, []).append(f"{row.label}{runs}")
    sentences = []
    for name, floor in floors.items():
        if name in reached:
            rows = reached[name]
            named = join_names(rows) if len(rows) <= MAX_NAMED else pluralize(len(rows), "row")
            share = "" if floor.accuracy is None else f", accuracy {format_number(floor.accuracy)}"
            sentences.append(f"At the floor of {name} (loss {format_number(floor.loss)}{share}): {named}.")
    return " ".join(sentences)


def describe_first_solved(section: Section) -> str:
    """Names the rows that solved the task first, by the mean over 50 batches and the median over all seeds."""
    criterion = section.common_result("criterion")
    if criterion is None:
        return ""
    times = {row.label: time for row in section.rows if (time := solve_time(row)) is not None}
    reached = {label: time for label, time in times.items() if time.median is not None}
    if not reached:
        some = [f"{label} ({format_solved(time)})" for label, time in times.items() if time.solved]
        if some:
            return f"No row solved it ({criterion}) with more than half of its seeds; {join_names(some)} did with some."
        return f"No row solved it ({criterion}, mean of 50 batches)."
    first = min(time.median for time in reached.values() if time.median is not None)
    names = join_names([f"{label} ({format_solved(time)})" for label, time in reached.items() if time.median == first])
    basis = "median over all seeds" if any(time.seeds > 1 for time in times.values()) else "one seed"
    never = [label for label, time in times.items() if not time.solved]
    text = f"First to solve it ({criterion}, mean of 50 batches): {names}, at step {format_count(first)}, {basis}."
    if not never:
        return text
    named = join_names(never) if len(never) <= MAX_NAMED else pluralize(len(never), "row")
    return f"{text} No seed of {named} solved it."


def format_solved(time: SolveTime) -> str:
    """Formats the number of seeds that solved the task, such as `2 of 3 seeds`."""
    return f"{time.solved} of {pluralize(time.seeds, 'seed')}"


def describe_diverged(section: Section) -> str:
    """Names the rows that have diverged seeds, and says at which loss these are counted."""
    rows = [f"{row.label} {row.num_diverged} of {len(row.runs)}" for row in section.rows if row.num_diverged]
    if not rows:
        return ""
    comparison = compare_losses(section)
    counted = None if comparison is None else comparison.diverged_as
    how = "" if counted is None else f", and counted at a loss of {format_number(counted)}"
    return f"Diverged{how}: {', '.join(rows)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What would tell the first row from the next."""

    seeds: int | None
    """The number of seeds of each row, in all; `None` if no sensible number would."""
    minutes: float | None
    """Training time of the seeds that are missing, of all rows, in minutes of one process; `None` if unknown."""
    command: str
    """The command that trains them, in the folder of results; empty if none would."""
    sentence: str


def settle(section: Section) -> Settlement | None:
    """Returns how many seeds would tell the first row from the next with 80 % power, the command, and its time.

    Returns:
        `None` if the best row is told apart already, or if there is nothing to tell apart.
    """
    comparison = compare_losses(section)
    if comparison is None or not comparison.learned or len(comparison.standings) < 2 or comparison.best is not None:
        return None
    if all(run.experiment.budget.until for run in section.runs):
        return None
    near = [place for place in range(1, len(comparison.standings)) if not comparison.apart[0, place]] or [1]
    # The row that is hardest to tell from the first is what keeps it from being the best.
    place = 1 if comparison.indicative else max(near, key=lambda row: comparison.groups.difference(0, row).p or 0.0)
    first, second = comparison.standings[0], comparison.standings[place]
    most = max(standing.n for standing in comparison.standings)
    needed = seeds_to_settle(comparison.groups, 0, place)
    names = f"{first.row.label} from {second.row.label}"
    if needed is None and min(first.n, second.n) >= MIN_SEEDS:
        sentence = (
            f"More than {format_count(MAX_SEEDS)} seeds would be needed to tell {names}: they are as good as equal."
        )
        if first.center == second.center:
            sentence = f"{first.row.label} and {second.row.label} are equal: a harder or longer task would tell."
        return Settlement(seeds=None, minutes=None, command="", sentence=sentence)
    seeds = max(needed or 0, SENSIBLE_SEEDS, most + 1)
    minutes = missing_minutes(section.rows, seeds)
    command = f"workbench compare --config comparison.yaml --seeds {seeds} --out ."
    cost = "" if minutes is None else f", about {format_minutes(minutes)} of training"
    chance = f"would tell {names} with {format_percent(100 * POWER)} power, if they differ as they seem to"
    if needed is None:
        chance = f"would show whether {first.row.label} and {second.row.label} differ"
    sentence = f"{seeds} seeds {chance}{cost}: {command}"
    return Settlement(seeds=seeds, minutes=minutes, command=command, sentence=sentence)


def missing_minutes(rows: Sequence[Row], seeds: int) -> float | None:
    """Returns the training time of the seeds that rows lack, in minutes of one process; `None` without any timing."""
    total = 0.0
    for row in rows:
        times = [float(run.timing["seconds"]) for run in row.runs if "seconds" in run.timing]
        if not times:
            return None
        total += max(0, seeds - len(row.runs)) * sum(times) / len(times)
    return total / 60 if math.isfinite(total) else None


def format_minutes(minutes: float) -> str:
    """Formats a time: `40 s`, `11 minutes` or `3.2 hours`."""
    if minutes < 1:
        return f"{max(1, round(60 * minutes))} s"
    return pluralize(round(minutes), "minute") if minutes < 90 else f"{minutes / 60:.1f} hours"


def possessive(label: str) -> str:
    """Returns what belongs to a row: lstm's, or, of a row with a longer name, that of tcn, tuned."""
    return f"{label}'s" if label.isidentifier() or label.replace("-", "").isalnum() else f"that of {label}"


def best_rows(section: Section) -> list[Row]:
    """Returns the row with the lowest mean test loss, and those that are not told apart from it."""
    comparison = compare_losses(section)
    return [] if comparison is None else [standing.row for standing in comparison.leaders]
