"""The chapter of a report on how architectures were tuned on one variant of a task."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure as Drawn

from analysis import style
from analysis.formatting import format_interval, format_number, join_names, pluralize
from analysis.report import output_files
from analysis.report.blocks import Block, Chapter, Figure, Heading, Table, Text
from analysis.report.summary import winner
from analysis.report.tuning import (
    optimization_history,
    parallel_coordinate,
    param_importances,
    pareto_front,
    slice_plot,
    tables,
    tuned_vs_default,
)
from analysis.report.tuning.tuned import (
    RankChange,
    TunedArchitecture,
    TunedTask,
    counted,
    is_certain,
    rank_changes,
    swapped_ranks,
)

SLICES = (
    "Each point is a finished trial, at the value that it had of the parameter. Thin crosses were pruned, at the last "
    "loss they reported; thick crosses at the upper edge diverged; the winner is the large point with a dark rim."
)
PARALLEL = (
    "Each line is a complete trial; the darker, the lower its loss; the thick one is the winner. A line that passes an "
    "axis at the dash did not have the parameter."
)


def chapter(subject: TunedTask, folder: Path) -> Chapter:
    """What the search came to.

    Args:
        subject: the studies, with what was trained from them.
        folder: where figures are written to, as SVG and PNG.
    """
    sentences = summary(subject)

    def figure(kind: str, drawn: Drawn | None, caption: str, described: Callable[[], str]) -> list[Block]:
        if drawn is None:
            return []
        name = f"{subject.anchor}-{kind}"
        text = style.save(drawn, folder, name)
        return [Figure(svg=output_files.inline(text, name, described()), caption=caption)]

    blocks: list[Block] = [
        Text(sentences=sentences, role="summary"),
        *figure(
            "compared",
            tuned_vs_default.draw(subject),
            tuned_vs_default.caption(subject),
            lambda: tuned_vs_default.described(subject),
        ),
        tables.against_default(subject),
        *figure(
            "history",
            optimization_history.draw(subject),
            optimization_history.CAPTION,
            lambda: optimization_history.described(subject),
        ),
    ]
    fronts: list[Table | None] = [tables.front(subject.of, subject)]
    blocks += figure(
        "pareto", pareto_front.draw(subject), pareto_front.CAPTION, lambda: pareto_front.described(subject)
    )
    blocks += [table for table in fronts if table is not None]
    blocks += figure(
        "importance",
        param_importances.draw(subject),
        param_importances.caption(subject),
        lambda: param_importances.described(subject),
    )
    for each in subject.of:
        found = tables.best(each, subject)
        blocks.append(Heading(text=f"{each.name}: what was tried"))
        blocks += [] if found is None else [found]
        blocks += figure(f"slices-{each.slug}", slice_plot.draw(each), SLICES, lambda each=each: slice_words(each))  # type: ignore[misc]
        lines = parallel_coordinate.draw(each)
        blocks += figure(f"parallel-{each.slug}", lines, PARALLEL, lambda each=each: parallel_words(each))  # type: ignore[misc]
        if isinstance(blocks[-1], Heading):
            blocks.append(Text(sentences=("No trial has a loss, and nothing was searched.",)))
    return Chapter(anchor=subject.anchor, title=f"Tuning: {subject.title}", blocks=tuple(blocks), outline=sentences[0])


def slice_words(each: TunedArchitecture) -> str:
    """The slices for those who cannot see them."""
    return slice_plot.described(each.study, each.name)


def parallel_words(each: TunedArchitecture) -> str:
    """The parallel coordinates for those who cannot see them."""
    return f"Parallel coordinates of the complete trials of {each.name}."


MOST = 3
"""Pairs that are named one by one."""


def summary(subject: TunedTask) -> tuple[str, ...]:
    """Whether tuning changes the order, what the intervals tell of that, who gains, who wins, how the trials ended."""
    found = rank_changes(subject.of)
    said = (
        order(subject, found),
        certainty(found),
        gains(found),
        best_tuned(subject),
        left_out(subject.of, found),
        counted(each.study for each in subject.of),
        unfinished(subject.of),
    )
    return tuple(sentence for sentence in said if sentence)


def order(subject: TunedTask, found: tuple[RankChange, ...]) -> str:
    """Whether tuning changes the order, and who moves how far."""
    if not found:
        return by_validation(subject.of)
    if len(found) == 1:
        return f"Only {found[0].of.name} has test losses both before and after, so there is no order to change."
    moved = sorted((each for each in found if each.moved), key=lambda each: (-each.moved, each.after, each.of.name))
    if not moved:
        after = sorted(found, key=lambda each: (each.after, each.of.name))
        return (
            f"Tuning does not change the order of the {len(found)} architectures by mean test loss: "
            f"{', '.join(each.of.name for each in after)}."
        )
    moves = [
        f"{each.of.name} {'gains' if each.moved > 0 else 'loses'} {pluralize(abs(each.moved), 'place')} "
        f"({each.before} to {each.after})"
        for each in moved
    ]
    return f"Tuning changes the order of the architectures by mean test loss: {join_names(moves)}."


def by_validation(of: tuple[TunedArchitecture, ...]) -> str:
    """What can be said before anything was trained on fresh seeds."""
    known = sorted((best, each.name) for each in of if (best := each.best) is not None)
    if not known:
        return "No study has a complete trial, so there is no winner to be trained."
    best, name = known[0]
    return (
        "No winner has been trained on fresh seeds beside its default yet, so that the two cannot be compared. The "
        f"lowest validation loss of all trials is {name}'s, {format_number(best)}; chosen as the lowest of many, "
        "it flatters."
    )


def certainty(found: tuple[RankChange, ...]) -> str:
    """Of the pairs that change their order, those in which the intervals tell the two apart before and after."""
    pairs = swapped_ranks(found)
    if not pairs:
        return ""
    sure = [pair for pair in pairs if is_certain(pair)]
    of = f"the {len(pairs)} pairs that" if len(pairs) > 1 else "the one pair that"
    swap = "swap places" if len(pairs) > 1 else "swaps places"
    if not sure:
        return f"The intervals do not bear this out: of {of} {swap}, they tell none apart both before and after."
    named = [f"{other.of.name} passes {one.of.name}" for one, other in sure]
    if len(named) <= MOST:
        return f"The intervals bear out {len(sure)} of {of} {swap}: {join_names(named)}."
    return f"The intervals bear out {len(sure)} of {of} {swap}."


def gains(found: tuple[RankChange, ...]) -> str:
    """Who gains most by being tuned, as the ratio of its losses."""
    known = [(factor, each) for each in found if (factor := each.factor) is not None]
    if not known:
        return ""
    factor, most = max(known, key=lambda pair: (pair[0], pair[1].of.name))
    if factor <= 1:
        return "No architecture gains: on fresh seeds, no winner has a lower mean test loss than its default."
    lower = sum(factor > 1 for factor, _ in known)
    who = "" if len(known) == 1 else f"; {lower} of {len(known)} have a lower mean loss than untuned"
    if most.default.half is None or most.tuned.half is None:
        sure = ", by one seed"
    else:
        sure = ", and the intervals lie apart" if most.told else ", but the two intervals overlap"
    verb = "gains" if len(known) == 1 else "gains most"
    return (
        f"{most.of.name} {verb}: its loss falls by a factor of {format_number(factor)}, "
        f"from {format_interval(most.default)} to {format_interval(most.tuned)}{sure}{who}."
    )


def best_tuned(subject: TunedTask) -> str:
    """Who wins among the tuned, by the rule of every section."""
    rows = tuple(each.tuned for each in subject.of if each.tuned is not None)
    if subject.section is None or not rows:
        return ""
    return f"Among the tuned: {winner(replace(subject.section, rows=rows))}"


def left_out(of: tuple[TunedArchitecture, ...], found: tuple[RankChange, ...]) -> str:
    """Who is in neither ranking, where there is one."""
    ranked = {each.of.slug for each in found}
    absent = [each.name for each in of if each.slug not in ranked]
    if not found or not absent:
        return ""
    return f"Not ranked, for want of a test loss tuned or default: {join_names(absent)}."


def unfinished(of: tuple[TunedArchitecture, ...]) -> str:
    """Whose study is not done."""
    short = [
        f"{each.name} {len(each.study.finished)} of {each.study.asked}"
        for each in of
        if len(each.study.finished) < each.study.asked
    ]
    return f"Not all trials are done: {', '.join(short)}." if short else ""
