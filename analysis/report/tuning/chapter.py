"""Chapter on how architectures were tuned on one variant of a task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from analysis.comparison.losses import LossComparison
from analysis.formatting import format_number, join_names, pluralize
from analysis.report.blocks import Block, Chapter, Heading, Text
from analysis.report.output_files import save_and_inline
from analysis.report.summary import describe_diverged, format_p, format_standing, headline
from analysis.report.tuning import (
    learning_rates,
    optimization_history,
    parallel_coordinate,
    param_importances,
    pareto_front,
    slice_plot,
    tables,
    tuned_vs_default,
)
from analysis.report.tuning.measure import Measure
from analysis.report.tuning.rank_changes import (
    RankChange,
    Rankings,
    format_gain,
    is_certain_swap,
    rank_changes,
    swapped_ranks,
)
from analysis.report.tuning.tuned_tasks import TunedArchitecture, TunedTask, describe_trials

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
        optimization_history.caption(task),
        partial(optimization_history.alt_text, task),
    )
    add_figure(
        learning_rates.draw_windows(task),
        "learning-rates",
        learning_rates.caption(task),
        partial(learning_rates.alt_text, task),
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
            slice_plot.caption(architecture),
            partial(slice_plot.alt_text, architecture),
        )
        add_figure(
            parallel_coordinate.draw_parallel(architecture),
            f"parallel-{architecture.slug}",
            parallel_coordinate.caption(architecture),
            partial(parallel_coordinate.alt_text, architecture),
        )
        if isinstance(blocks[-1], Heading):
            blocks.append(
                Text(sentences=(f"No trial has a validation {architecture.measure.words}, and nothing was searched.",))
            )
    return Chapter(anchor=task.anchor, title=f"Tuning: {task.title}", blocks=tuple(blocks), outline=sentences[0])


def summary(task: TunedTask) -> tuple[str, ...]:
    """Returns the conclusions: order and its certainty, gains, best, learning rates, trials."""
    rankings = rank_changes(task)
    changes = () if rankings is None else rankings.changes
    sentences = (
        describe_validation(task) if rankings is None else describe_order(rankings),
        "" if rankings is None else describe_certainty(rankings),
        "" if rankings is None else describe_gains(rankings),
        describe_best_tuned(task),
        *describe_counted_losses(task, rankings),
        learning_rates.describe_windows(task),
        describe_unranked(task.architectures, changes),
        describe_trials(architecture.study for architecture in task.architectures),
        describe_enqueued(task.architectures),
        describe_unfinished(task.architectures),
    )
    return tuple(sentence for sentence in sentences if sentence)


def describe_order(rankings: Rankings) -> str:
    """Says whether tuning changes the order of the architectures, and who moves how far."""
    changes = rankings.changes
    measure = changes[0].architecture.measure
    if len(changes) == 1:
        name = changes[0].architecture.name
        return f"Only {name} has a test {measure.words} both before and after, so there is no order to change."
    if not rankings.are_learned:
        return describe_unlearned(rankings)
    moved = sorted(
        (change for change in changes if change.places_gained),
        key=lambda change: (-change.places_gained, change.after, change.architecture.name),
    )
    if not moved:
        return (
            f"Tuning does not change the order of the {len(changes)} architectures by mean test "
            f"{measure.words}: {name_in_order(changes)}."
        )
    moves = [
        f"{change.architecture.name} {'gains' if change.places_gained > 0 else 'loses'} "
        f"{pluralize(abs(change.places_gained), 'place')} ({change.before} to {change.after})"
        for change in moved
    ]
    return f"Tuning changes the order of the architectures by mean test {measure.words}: {join_names(moves)}."


def describe_unlearned(rankings: Rankings) -> str:
    """Says that the defaults, the winners, or both have learned nothing that could be in an order."""
    which = "winner" if rankings.before.learned else "default" if rankings.after.learned else "row"
    text = (
        f"No {which}'s test loss is clearly below the {format_number(rankings.before.trivial_loss)} of the best answer "
        "without memory, so there is no order to change."
    )
    if not rankings.after.learned:
        return text
    return f"{text} Tuned, the order by mean test loss is: {name_in_order(rankings.changes)}."


def name_in_order(changes: Sequence[RankChange]) -> str:
    """Names the architectures in the order after tuning."""
    after = sorted(changes, key=lambda change: (change.after, change.architecture.name))
    return ", ".join(change.architecture.name for change in after)


def describe_validation(task: TunedTask) -> str:
    """Names the lowest validation loss, for tasks on which defaults and winners have no test losses to compare yet."""
    architectures = task.architectures
    if any(architecture.tuned is not None and architecture.default is not None for architecture in architectures):
        return "Every run of the defaults, or every run of the winners, diverged, so that the two cannot be compared."
    measure = task.measure
    costs = sorted(
        (measure.sign * best, architecture.name)
        for architecture in architectures
        if (best := architecture.best) is not None and architecture.measure == measure
    )
    if not costs:
        return "No study has a complete trial, so there is no winner to be trained."
    best, name = measure.sign * costs[0][0], costs[0][1]
    return (
        "No winner has been trained on fresh seeds beside its default yet, so that the two cannot be compared. The "
        f"{measure.best} validation {measure.words} of all trials is {name}'s, {format_number(best)}; chosen as the "
        f"{measure.best} of many, "
        "it flatters."
    )


def describe_certainty(rankings: Rankings) -> str:
    """Counts the swapped pairs that are told apart both before and after tuning; few seeds are only indicative."""
    if len(rankings.changes) < 2 or not rankings.are_learned:
        return ""
    if rankings.is_indicative:
        seeds = {standing.n for comparison in (rankings.before, rankings.after) for standing in comparison.standings}
        scope = "" if len(seeds) == 1 else " of some rows"
        return f"With {pluralize(min(seeds), 'seed')}{scope}, the order is indicative only."
    pairs = swapped_ranks(rankings.changes)
    if not pairs:
        return ""
    certain = [pair for pair in pairs if is_certain_swap(rankings, pair)]
    swaps = f"the {len(pairs)} pairs that swap places" if len(pairs) > 1 else "the one pair that swaps places"
    if not certain:
        return f"Of {swaps}, none is told apart both before and after."
    passes = [f"{second.architecture.name} passes {first.architecture.name}" for first, second in certain]
    names = f": {join_names(passes)}" if len(passes) <= MAX_NAMED_PAIRS else ""
    return f"{len(certain)} of {swaps} {'is' if len(certain) == 1 else 'are'} told apart both before and after{names}."


def describe_gains(rankings: Rankings) -> str:
    """Names the architecture that gains most by tuning, with the ratio of its losses, and counts those that gain."""
    changes = rankings.changes
    measure = changes[0].architecture.measure
    gaining = [change for change in changes if change.is_gain]
    if not rankings.after.learned:
        return ""
    if not gaining:
        return (
            f"No architecture gains: on fresh seeds, no winner has a {measure.better} mean test {measure.words} than "
            "its default."
        )
    most = max(gaining, key=lambda change: (change.gain.size, change.architecture.name))
    verb = "gains" if len(changes) == 1 else "gains most"
    by = "by a factor of " if most.gain.scale == "log" else "by "
    text = (
        f"{most.architecture.name} {verb}: its test {measure.words} {'rises' if measure.maximize else 'falls'} {by}"
        f"{format_gain(most)}, from {format_standing(measure.restore(most.default))} to "
        f"{format_standing(measure.restore(most.tuned))}"
    )
    if most.is_indicative or most.gain.p is None:
        text += f", with {pluralize(most.num_seeds, 'seed')} an indication only"
    elif most.is_certain:
        text += f", {format_p(most.gain.p)}"
    else:
        text += f", but the two are not told apart, {format_p(most.gain.p)}"
    if len(changes) == 1:
        return f"{text}."
    text += f"; {len(gaining)} of {len(changes)} have a {measure.better} mean {measure.words} than untuned"
    if all(change.is_indicative for change in changes):
        return f"{text}."
    certain = sum(change.is_certain for change in gaining)
    return f"{text}, {certain} of them told apart from it."


def describe_best_tuned(task: TunedTask) -> str:
    """Names the best of the tuned architectures, by the same rule as in the task's own chapter."""
    rows = {row.label: row for architecture in task.architectures if (row := architecture.tuned) is not None}
    if task.section is None or not rows:
        return ""
    by = "" if task.measure.is_loss else ", by test loss"
    text = headline(replace(task.section, rows=tuple(rows.values())))
    # Names of architectures begin as they are typed.
    text = f"i{text[1:]}" if text.startswith("Indicative") else text
    return f"Among the tuned{by}: {text}"


def describe_counted_losses(task: TunedTask, rankings: Rankings | None) -> tuple[str, ...]:
    """Names the rows that have diverged seeds, and says at which loss defaults and winners are counted then."""
    if rankings is None or task.section is None:
        return ()
    if not task.measure.is_loss:
        return tuple(describe_counted(comparison, task.measure) for comparison in (rankings.before, rankings.after))
    return tuple(
        describe_diverged(replace(task.section, rows=tuple(standing.row for standing in comparison.standings)))
        for comparison in (rankings.before, rankings.after)
    )


def describe_counted(comparison: LossComparison, measure: Measure) -> str:
    """Names the rows of a comparison by another metric that have diverged seeds, and says how these are counted."""
    rows = [
        f"{standing.row.label} {standing.num_diverged} of {standing.n}"
        for standing in comparison.standings
        if standing.num_diverged
    ]
    if not rows or comparison.diverged_as is None:
        return ""
    counted = format_number(measure.sign * comparison.diverged_as)
    return f"Diverged, and counted at the worst {measure.words}, {counted}: {', '.join(rows)}."


def describe_enqueued(architectures: Sequence[TunedArchitecture]) -> str:
    """Names the trials that the user enqueued, by architecture."""
    parts = []
    for architecture in architectures:
        numbers = [str(trial.number) for trial in architecture.study.trials if trial.enqueued]
        if numbers:
            parts.append(f"{architecture.name} {'trials' if len(numbers) > 1 else 'trial'} {join_names(numbers)}")
    return f"Enqueued by the user, and counted among the trials: {'; '.join(parts)}." if parts else ""


def describe_unranked(architectures: Sequence[TunedArchitecture], changes: Sequence[RankChange]) -> str:
    """Names the architectures that the rankings leave out."""
    ranked = {change.architecture.slug for change in changes}
    unranked = [architecture.name for architecture in architectures if architecture.slug not in ranked]
    if not changes or not unranked:
        return ""
    return f"Not ranked, since runs of the winner or of the default are missing: {join_names(unranked)}."


def describe_unfinished(architectures: Sequence[TunedArchitecture]) -> str:
    """Names the studies that have fewer finished trials than requested."""
    counts = [
        (architecture.name, len(architecture.study.finished_trials), architecture.study.asked)
        for architecture in architectures
    ]
    short = [f"{name} {finished} of {requested}" for name, finished, requested in counts if finished < requested]
    return f"Not all trials are done: {', '.join(short)}." if short else ""
