"""Chapter on how architectures were tuned on one variant of a task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from analysis.formatting import format_interval, format_number, join_names, pluralize
from analysis.report.blocks import Block, Chapter, Heading, Text
from analysis.report.output_files import save_and_inline
from analysis.report.summary import describe_winner
from analysis.report.tuning import (
    optimization_history,
    parallel_coordinate,
    param_importances,
    pareto_front,
    slice_plot,
    tables,
    tuned_vs_default,
)
from analysis.report.tuning.tuned_tasks import (
    RankChange,
    TunedArchitecture,
    TunedTask,
    describe_trials,
    is_certain_swap,
    rank_changes,
    swapped_ranks,
)

MAX_NAMED_PAIRS = 3
"""Largest number of pairs that are named one by one."""


def chapter(task: TunedTask, folder: Path) -> Chapter:
    """Returns the chapter: what the search found, over all architectures and for each of them.

    Args:
        task: the studies of a task, with the runs trained from them.
        folder: folder of the figure files.
    """
    sentences = summary(task)
    blocks: list[Block] = [Text(sentences=sentences, role="summary")]

    def add_figure(drawing: Drawing | None, kind: str, caption: str, alt_text: Callable[[], str]) -> None:
        if drawing is not None:
            name = f"{task.anchor}-{kind}"
            blocks.append(save_and_inline(drawing, folder, name, caption=caption, alt_text=alt_text()))

    add_figure(
        tuned_vs_default.draw_tuned_vs_default(task),
        "compared",
        tuned_vs_default.caption(task),
        partial(tuned_vs_default.alt_text, task),
    )
    blocks.append(tables.tuning_table(task))
    add_figure(
        optimization_history.draw_history(task),
        "history",
        optimization_history.CAPTION,
        partial(optimization_history.alt_text, task),
    )
    add_figure(pareto_front.draw_fronts(task), "pareto", pareto_front.CAPTION, partial(pareto_front.alt_text, task))
    if (front := tables.pareto_table(task)) is not None:
        blocks.append(front)
    add_figure(
        param_importances.draw_importances(task),
        "importance",
        param_importances.caption(task),
        partial(param_importances.alt_text, task),
    )
    for architecture in task.architectures:
        blocks.append(Heading(text=f"{architecture.name}: what was tried"))
        if (best := tables.best_parameters_table(architecture, task)) is not None:
            blocks.append(best)
        add_figure(
            slice_plot.draw_slices(architecture),
            f"slices-{architecture.slug}",
            slice_plot.CAPTION,
            partial(slice_plot.alt_text, architecture),
        )
        add_figure(
            parallel_coordinate.draw_parallel(architecture),
            f"parallel-{architecture.slug}",
            parallel_coordinate.CAPTION,
            partial(parallel_coordinate.alt_text, architecture),
        )
        if isinstance(blocks[-1], Heading):
            blocks.append(Text(sentences=("No trial has a loss, and nothing was searched.",)))
    return Chapter(anchor=task.anchor, title=f"Tuning: {task.title}", blocks=tuple(blocks), outline=sentences[0])


def summary(task: TunedTask) -> tuple[str, ...]:
    """Returns the conclusions: change of order and its certainty, gains, best tuned architecture, and trials."""
    changes = rank_changes(task.architectures)
    sentences = (
        describe_order(task, changes),
        describe_certainty(changes),
        describe_gains(changes),
        describe_best_tuned(task),
        describe_unranked(task.architectures, changes),
        describe_trials(architecture.study for architecture in task.architectures),
        describe_unfinished(task.architectures),
    )
    return tuple(sentence for sentence in sentences if sentence)


def describe_order(task: TunedTask, changes: Sequence[RankChange]) -> str:
    """Says whether tuning changes the order of the architectures, and who moves how far."""
    if not changes:
        return describe_validation(task.architectures)
    if len(changes) == 1:
        name = changes[0].architecture.name
        return f"Only {name} has test losses both before and after, so there is no order to change."
    moved = sorted(
        (change for change in changes if change.places_gained),
        key=lambda change: (-change.places_gained, change.after, change.architecture.name),
    )
    if not moved:
        after = sorted(changes, key=lambda change: (change.after, change.architecture.name))
        return (
            f"Tuning does not change the order of the {len(changes)} architectures by mean test loss: "
            f"{', '.join(change.architecture.name for change in after)}."
        )
    moves = [
        f"{change.architecture.name} {'gains' if change.places_gained > 0 else 'loses'} "
        f"{pluralize(abs(change.places_gained), 'place')} ({change.before} to {change.after})"
        for change in moved
    ]
    return f"Tuning changes the order of the architectures by mean test loss: {join_names(moves)}."


def describe_validation(architectures: Sequence[TunedArchitecture]) -> str:
    """Names the lowest validation loss, for tasks on which nothing was trained on fresh seeds yet."""
    losses = sorted(
        (best, architecture.name) for architecture in architectures if (best := architecture.best) is not None
    )
    if not losses:
        return "No study has a complete trial, so there is no winner to be trained."
    best, name = losses[0]
    return (
        "No winner has been trained on fresh seeds beside its default yet, so that the two cannot be compared. The "
        f"lowest validation loss of all trials is {name}'s, {format_number(best)}; chosen as the lowest of many, "
        "it flatters."
    )


def describe_certainty(changes: Sequence[RankChange]) -> str:
    """Counts the swapped pairs that the intervals tell apart both before and after tuning."""
    pairs = swapped_ranks(changes)
    if not pairs:
        return ""
    certain = [pair for pair in pairs if is_certain_swap(pair)]
    swaps = f"the {len(pairs)} pairs that swap places" if len(pairs) > 1 else "the one pair that swaps places"
    if not certain:
        return f"The intervals do not bear this out: of {swaps}, they tell none apart both before and after."
    passes = [f"{second.architecture.name} passes {first.architecture.name}" for first, second in certain]
    names = f": {join_names(passes)}" if len(passes) <= MAX_NAMED_PAIRS else ""
    return f"The intervals bear out {len(certain)} of {swaps}{names}."


def describe_gains(changes: Sequence[RankChange]) -> str:
    """Names the architecture that gains most by tuning, by the ratio of its losses."""
    factors = [(factor, change) for change in changes if (factor := change.factor) is not None]
    if not factors:
        return ""
    factor, most = max(factors, key=lambda pair: (pair[0], pair[1].architecture.name))
    if factor <= 1:
        return "No architecture gains: on fresh seeds, no winner has a lower mean test loss than its default."
    lower = sum(factor > 1 for factor, _ in factors)
    others = "" if len(factors) == 1 else f"; {lower} of {len(factors)} have a lower mean loss than untuned"
    if most.default.half_width is None or most.tuned.half_width is None:
        certainty = ", by one seed"
    else:
        certainty = ", and the intervals lie apart" if most.is_certain else ", but the two intervals overlap"
    verb = "gains" if len(factors) == 1 else "gains most"
    return (
        f"{most.architecture.name} {verb}: its loss falls by a factor of {format_number(factor)}, "
        f"from {format_interval(most.default)} to {format_interval(most.tuned)}{certainty}{others}."
    )


def describe_best_tuned(task: TunedTask) -> str:
    """Names the best of the tuned architectures, by the same rule as in the task's own chapter."""
    rows = tuple(architecture.tuned for architecture in task.architectures if architecture.tuned is not None)
    if task.section is None or not rows:
        return ""
    return f"Among the tuned: {describe_winner(replace(task.section, rows=rows))}"


def describe_unranked(architectures: Sequence[TunedArchitecture], changes: Sequence[RankChange]) -> str:
    """Names the architectures that the rankings leave out."""
    ranked = {change.architecture.slug for change in changes}
    unranked = [architecture.name for architecture in architectures if architecture.slug not in ranked]
    if not changes or not unranked:
        return ""
    return f"Not ranked, since a test loss, tuned or default, is missing: {join_names(unranked)}."


def describe_unfinished(architectures: Sequence[TunedArchitecture]) -> str:
    """Names the studies that have fewer finished trials than requested."""
    counts = [
        (architecture.name, len(architecture.study.finished_trials), architecture.study.asked)
        for architecture in architectures
    ]
    short = [f"{name} {finished} of {requested}" for name, finished, requested in counts if finished < requested]
    return f"Not all trials are done: {', '.join(short)}." if short else ""
