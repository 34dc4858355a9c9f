"""Verdict on a preset: how many published figures agree, and whether the order of the architectures is the source's."""

from collections import Counter
from collections.abc import Iterator, Sequence

from analysis.figures.learning_curves import finite_column
from analysis.formatting import format_count, format_number, join_names, pluralize
from analysis.papers.equivalence import judge_figure
from analysis.papers.order import RankCorrelation, pairs_told_apart, rank_correlation
from analysis.papers.tables import ComparisonTable, TableRow
from analysis.presets.preset import Preset, Scale
from workbench.results import Run

RULE = (
    "Published figures are single runs. One agrees if the 95 % interval of our mean divided by theirs lies within the "
    "stated factor on either side of 1, give or take what rounding and the spacing of tests hide; it is apart if not "
    "even one more run of ours would be within it, and left open if the interval lies outside, but one more run may be "
    "within; with fewer than four seeds, or in between, there are too few seeds to say. Ratios are of losses, steps "
    "and errors (1 less the accuracy), on a log scale; steps to a goal that some seeds miss are compared by their "
    "median. The order of the architectures is compared by the pairs that the source tells apart: the rank "
    "correlation is the share of pairs in its order less the share in the other (Somers' d); its 95 % interval leaves "
    "open every pair whose order the seeds do not settle. Two architectures are told apart here by the log-rank test "
    "of their steps or Welch's of their logarithms, with Holm's correction for these pairs. Losses of 95 % of the "
    "trivial one and more are not told apart."
)
"""The rule, as every page prints it."""
LATE_SHARE = 0.2
"""The last part of a run, whose change of the loss is reported."""


def verdict(tables: Sequence[ComparisonTable], full: bool) -> str:
    """Returns the verdict on a preset, in a few words.

    The order is that of the first metric, over all variants; figures are those of every metric, and are compared at the
    paper's own scale alone.

    Args:
        tables: the tables of the preset.
        full: whether they are at the paper's own scale.
    """
    first = first_measure(tables)
    if not any(row.ours.seeds for table in first for row in table.rows):
        return "not run"
    if not any(row.published for table in first for row in table.rows):
        return "nothing published to compare with"
    if not any(table.same_task for table in first):
        return "other sequences than the source's: no order is compared"
    correlation = rank_correlation(first)
    order = "" if correlation is None else describe_correlation(correlation, first)
    if not full:
        return order or "too little to compare"
    return "; ".join(text for text in (describe_figures(tables), order) if text) or "too little to compare"


def first_measure(tables: Sequence[ComparisonTable]) -> list[ComparisonTable]:
    """Returns the tables of the first metric, which decides, over all variants."""
    return [table for table in tables if table.metric == tables[0].metric]


def describe_figures(tables: Sequence[ComparisonTable]) -> str:
    """Returns how many of the published figures agree, are apart, or are left open."""
    outcomes = Counter(
        judge_figure(row, table).outcome for table in tables for row in table.rows if row.published and row.ours.seeds
    )
    total = sum(outcomes.values())
    if not total:
        return ""
    factor = f"{tables[0].factor:g}"
    if outcomes["agrees"] == total:
        return f"{'all ' if total > 1 else ''}{pluralize(total, 'figure')} within a factor of {factor}"
    if outcomes["too few seeds to say"] == total:
        return "too few seeds to say of any figure"
    parts = [f"{outcomes['agrees']} of {pluralize(total, 'figure')} within a factor of {factor}"]
    parts += [
        f"{outcomes[outcome]} {outcome}"
        for outcome in ("apart", "left open", "too few seeds to say", "too few steps to tell")
        if outcomes[outcome]
    ]
    return ", ".join(parts)


def describe_correlation(correlation: RankCorrelation, tables: Sequence[ComparisonTable]) -> str:
    """Returns whether our order is the source's, in a few words."""
    numbers = f"rank correlation {correlation} over {pluralize(correlation.pairs, 'pair')}"
    if correlation.low is None or correlation.high is None:
        return f"too few seeds to say of the order ({numbers})"
    turned = sum(pair.ours < 0 and pair.told_apart for table in tables for pair in pairs_told_apart(table))
    if correlation.high < 0:
        return f"the opposite order ({numbers})"
    if turned:
        return f"another order: {pluralize(turned, 'pair')} the other way round ({numbers})"
    if correlation.low > 0:
        return f"{'the same' if correlation.value == 1 else 'much the same'} order ({numbers})"
    return f"no order to be told ({numbers})"


def disagreement_reasons(preset: Preset, scale: Scale, tables: Sequence[ComparisonTable]) -> Iterator[str]:
    """Yields a sentence on the runs of each row that disagrees; then the findings that the preset has on record."""
    for table in tables:
        reversed_pairs = [pair for pair in pairs_told_apart(table) if pair.ours < 0 and pair.told_apart]
        reversed_names = {name for pair in reversed_pairs for name in (pair.better, pair.worse)}
        for row in table.rows:
            disagrees = scale == "full" and judge_figure(row, table).outcome == "apart"
            if row.runs and (disagrees or row.architecture in reversed_names):
                variant = f" ({table.variant})" if table.variant else ""
                yield f"{row.architecture}, {table.metric}{variant}: {describe_row(row)}"
    yield from preset.found.get(scale, ())


def describe_row(row: TableRow) -> str:
    """Returns the values of all seeds; if some have none, the progress of each run and how its loss ended."""
    if row.ours.complete:
        values = join_names([f"{value:.6g}" for value in row.ours.values])
        return f"{values} here; the source has one run."
    num_diverged = sum(run.diverged for run in row.runs)
    parts = [f"{pluralize(num_diverged, 'seed')} diverged"] if num_diverged else []
    return "; ".join([*parts, *(describe_ending(run) for run in row.runs if not run.diverged)]) + "."


def describe_ending(run: Run) -> str:
    """Returns the lowest validation loss of a run, and how its last part changed the loss."""
    seed = f"seed {run.experiment.seed}"
    losses = finite_column(run, "val/loss")
    if losses is None or len(losses) < 2:
        return f"{seed} has no validation loss to follow"
    lowest = losses.to_numpy().argmin()
    step = format_count(float(losses.index.to_numpy()[lowest]))
    best = f"{seed} had its lowest validation loss, {format_number(losses.iloc[lowest])}, at step {step}"
    late = losses[losses.index >= losses.index[-1] - LATE_SHARE * losses.index[-1]]
    if len(late) < 2 or late.iloc[0] <= 0:
        return best
    ratio = late.iloc[-1] / late.iloc[0]
    return f"{best}, and its last fifth took the loss to {format_number(ratio)} times what it was"
