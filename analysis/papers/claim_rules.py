"""Rules by which claims are judged: from the tables of pages, by the tests and intervals of the comparison."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from analysis.comparison.losses import MIN_SEEDS, UNLEARNED
from analysis.comparison.pairs import SIGNIFICANCE
from analysis.formatting import ABSENT, format_number, join_names, pluralize
from analysis.papers.agreement import describe_figures, first_measure
from analysis.papers.cells import format_ours, trivial_value
from analysis.papers.claims import Claim, load_claims
from analysis.papers.equivalence import judge_figure
from analysis.papers.order import pairs_told_apart, rank_correlation
from analysis.papers.page_data import PageData
from analysis.papers.ratio import Ratio, log_ratio, result_ratio
from analysis.papers.tables import ComparisonTable, TableRow
from analysis.presets.preset import Scale

Verdict = Literal[
    "reproduced",
    "not reproduced",
    "left open by a single run",
    "too few seeds to say",
    "not testable at this size",
    "not testable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was measured of a claim, and the verdict."""

    verdict: Verdict
    measured: str = ""
    interval: str = ""
    seeds: str = ""
    why: str = ""
    """Why it is not testable."""
    failed_to_fail: bool = False
    """True if the claim is that an architecture fails, and here more than half of its seeds did not."""


Arguments = Mapping[str, Any]
UNEQUAL = 1.1
"""Ratio of two rows' parameters above which it is said."""


def judge(claim: Claim, pages: Sequence[PageData], scale: Scale) -> Judgement:
    """Returns the judgement on a claim from the data of its presets' pages at one scale.

    Args:
        claim: a claim about presets.
        pages: the data of the pages, in the order of `Claim.presets`.
        scale: their scale: of the small one, only claims that hold at any length are judged, and only at the full one
            single figures.
    """
    judgement = RULES[claim.rule](claim.arguments, *pages)
    if judgement.verdict == "not testable":
        return judgement
    if judgement.measured:
        parts = [judgement.measured, *caveats(claim, pages)]
        judgement = replace(judgement, measured="; ".join(dict.fromkeys(parts)))
    if claim.rule in ("figure", "figures") and scale != "full":
        why = "numbers are the paper's at the full scale alone"
    elif scale == "small" and not claim.any_length:
        why = "sequences are shorter than the paper's"
    else:
        return judgement
    # Over shorter sequences no failure of the paper's has failed to recur.
    return replace(judgement, verdict="not testable at this size", why=why, failed_to_fail=False)


def caveats(claim: Claim, pages: Sequence[PageData]) -> Iterator[str]:
    """Yields how far the rows of a claim differ in size, and whose learning rate may not be the best."""
    arguments = claim.arguments
    for page, variant in zip(pages, ("short_variant", "long_variant"), strict=False):
        tables = [find_table({**arguments, "variant": arguments.get("variant", arguments.get(variant, 1))}, page)]
        if claim.rule == "order":
            tables = first_measure(page.tables)
        for table in tables:
            rows = judged_rows(claim, table)
            sizes = [row.ours.parameters for row in rows if row.ours.parameters is not None]
            if sizes and max(sizes) > UNEQUAL * min(sizes):
                yield f"parameters {min(sizes):,} to {max(sizes):,}"
            if edge := [row.architecture for row in rows if row.architecture in table.edge_rates]:
                yield f"a rate beyond the grid may be better for {join_names(edge)}"


def judged_rows(claim: Claim, table: ComparisonTable) -> list[TableRow]:
    """Returns the rows that a claim is about: those it names; of an order, all with a published figure."""
    if claim.rule == "order":
        return [row for row in table.rows if row.published]
    if claim.rule == "unbeaten":
        # By none of the others.
        return list(table.rows)
    keys = ("better", "worse", "first", "second", "architecture")
    named = [claim.arguments[key] for key in keys if key in claim.arguments]
    names = {name for entry in named for name in ([entry] if isinstance(entry, str) else entry)}
    return [row for row in table.rows if row.architecture in names]


def judge_ratio(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether some rows are better than others by more than a factor: `faster` in steps, `better` otherwise.

    Reproduced if the interval of every ratio, worse to better, lies above the factor `by`, by default 1, and the test
    tells them apart; not reproduced if one lies below.
    """
    table = find_table(arguments, page)
    pairs = row_pairs(arguments, table)
    ratios = [result_ratio(better.ours, worse.ours, table) for better, worse in pairs]
    return judge_ratios([label_pair(*pair) for pair in pairs], ratios, float(arguments.get("by", 1)))


def judge_quicker(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether training steps of some rows take less time than those of others, as `judge_ratio` does."""
    table = find_table(arguments, page)
    pairs = row_pairs(arguments, table)
    logs = {row.architecture: np.log(page.seconds[table.variant, row.architecture]) for pair in pairs for row in pair}
    if not all(len(values) for values in logs.values()):
        return Judgement(verdict="not testable", why="no times are on the page")
    ratios = [log_ratio(logs[better.architecture], logs[worse.architecture]) for better, worse in pairs]
    return judge_ratios(
        [f"{label_pair(*pair)}, seconds a step" for pair in pairs], ratios, float(arguments.get("by", 1))
    )


def judge_ratios(labels: Sequence[str], ratios: Sequence[Ratio], by: float) -> Judgement:
    """Returns the judgement on ratios that all have to lie above a number."""
    outcomes = [judge_one_ratio(ratio, by) for ratio in ratios]
    verdict: Verdict = "too few seeds to say"
    if "not reproduced" in outcomes:
        verdict = "not reproduced"
    elif all(outcome == "reproduced" for outcome in outcomes):
        verdict = "reproduced"
    elif all(ratio.value is None for ratio in ratios):
        return Judgement(verdict="not testable", why="none of them got there, or some diverged")
    return Judgement(
        verdict=verdict,
        measured="; ".join(f"{label}: {ratio}" for label, ratio in zip(labels, ratios, strict=True)),
        interval="; ".join(ratio.interval for ratio in ratios),
        seeds=describe_seeds([count for ratio in ratios for count in ratio.seeds]),
    )


def judge_one_ratio(ratio: Ratio, by: float) -> Verdict:
    """Returns the verdict on a ratio that is to lie above a number."""
    if ratio.p is None or ratio.value is None:
        return "too few seeds to say"
    if ratio.low is not None and ratio.low > by and ratio.p <= SIGNIFICANCE:
        return "reproduced"
    return "not reproduced" if ratio.high is not None and ratio.high < by else "too few seeds to say"


def judge_equal(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether two rows are equal within a factor, by default 1.5: if the interval of their ratio lies within."""
    table = find_table(arguments, page)
    first, second = (find_row(table, arguments[key]) for key in ("first", "second"))
    ratio, factor = result_ratio(first.ours, second.ours, table), float(arguments.get("factor", 1.5))
    verdict: Verdict = "too few seeds to say"
    if ratio.low is not None and ratio.high is not None and 1 / factor <= ratio.low and ratio.high <= factor:
        verdict = "reproduced"
    elif (ratio.low is not None and ratio.low > factor) or (ratio.high is not None and ratio.high < 1 / factor):
        verdict = "not reproduced"
    return Judgement(
        verdict=verdict,
        measured=f"{label_pair(first, second)}: {ratio}",
        interval=ratio.interval,
        seeds=describe_seeds(ratio.seeds),
    )


def judge_unbeaten(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether no other row is better than an architecture's.

    Reproduced if the interval of every row's ratio to it lies above 1 / factor, by default 1.05: a lead within the
    factor is none, however sure it is. Else not reproduced if a row is better by a test that allows for how many there
    are (Bonferroni). A row of which seeds diverged, while none of the architecture's did, beats nobody.
    """
    table = find_table(arguments, page)
    row = find_row(table, arguments["architecture"])
    others = [other for other in table.rows if other is not row]
    ratios = [result_ratio(row.ours, other.ours, table) for other in others]
    least = 1 / float(arguments.get("factor", 1.05))
    beaten = [
        other.architecture
        for other, ratio in zip(others, ratios, strict=True)
        if ratio.high is not None and ratio.high < 1 and ratio.p is not None and ratio.p * len(ratios) <= SIGNIFICANCE
    ]
    diverged = [other.ours.num_diverged > 0 and row.ours.complete for other in others]
    verdict: Verdict = "too few seeds to say"
    if all(lost or (ratio.low is not None and ratio.low > least) for ratio, lost in zip(ratios, diverged, strict=True)):
        verdict = "reproduced"
    elif beaten:
        verdict = "not reproduced"
    return Judgement(
        verdict=verdict,
        measured="; ".join(
            f"{other.architecture}: {other.ours.num_diverged} of {other.ours.seeds} seeds diverged"
            if lost
            else f"{label_pair(row, other)}: {ratio}"
            for other, ratio, lost in zip(others, ratios, diverged, strict=True)
        ),
        interval="; ".join(ratio.interval for ratio in ratios),
        seeds=describe_seeds([count for ratio in ratios for count in ratio.seeds]),
    )


def judge_scaling(arguments: Arguments, short: PageData, long: PageData) -> Judgement:
    """Judges whether one row's lead over another grows with the length: if the intervals of both ratios are disjoint.

    That asks for more than a test of the difference would, but needs no assumption on steps that are censored.
    """
    ratios = []
    for page, variant in ((short, "short_variant"), (long, "long_variant")):
        table = find_table({**arguments, "variant": arguments.get(variant, 1)}, page)
        better, worse = (find_row(table, arguments[key]).ours for key in ("better", "worse"))
        ratios.append(result_ratio(better, worse, table))
    before, after = ratios
    verdict: Verdict = "too few seeds to say"
    if before.high is not None and after.low is not None and after.low > before.high:
        verdict = "reproduced"
    elif before.low is not None and after.high is not None and after.high < before.low:
        verdict = "not reproduced"
    label = f"{arguments['worse']} to {arguments['better']}"
    return Judgement(
        verdict=verdict,
        measured=f"{label}: {before} when short, {after} when long",
        interval=f"{before.interval}; {after.interval}",
        seeds=describe_seeds([*before.seeds, *after.seeds]),
    )


def judge_order(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether rows come in the source's order.

    Reproduced if no pair comes the other way round, and the interval of the rank correlation lies above 0; not
    reproduced if a pair is told apart the other way round, or the interval lies below 0.
    """
    tables = first_measure(page.tables)
    if not any(table.same_task for table in tables):
        return Judgement(verdict="not testable at this size", why="the page has other sequences than the source")
    correlation = rank_correlation(tables)
    if correlation is None:
        return Judgement(verdict="not testable", why="no two of the published figures that were run are told apart")
    opposite = [pair for table in tables for pair in pairs_told_apart(table) if pair.ours < 0]
    turned = [f"{pair.worse} before {pair.better}" for pair in opposite if pair.told_apart]
    verdict: Verdict = "too few seeds to say"
    if correlation.low is not None and correlation.high is not None:
        if turned or correlation.high < 0:
            verdict = "not reproduced"
        elif correlation.low > 0 and not opposite:
            verdict = "reproduced"
    measured = f"rank correlation {correlation.value:.2f} over {pluralize(correlation.pairs, 'pair')}"
    if opposite:
        measured += f", {len(opposite)} of them the other way round"
    ends = (correlation.low, correlation.high)
    return Judgement(
        verdict=verdict,
        measured=f"{measured} (told apart: {join_names(turned)})" if turned else measured,
        interval=ABSENT if None in ends else f"[{correlation.low:.2f}, {correlation.high:.2f}]",
        seeds=describe_seeds([row.ours.seeds for table in tables for row in table.rows if row.published]),
    )


def judge_learning(arguments: Arguments, page: PageData) -> tuple[Verdict, Verdict, Judgement]:
    """Returns the verdicts that an architecture solves, and that it fails, with what was measured.

    A seed has learned if it reached the goal; for other metrics, if it is beyond `bound`, or by default below 95 % of
    the trivial loss. It fails if no seed has learned, and does not if more than half have; it solves if all have.
    """
    table = find_table(arguments, page)
    row = find_row(table, arguments["architecture"])
    ours = row.ours
    bound = arguments.get("bound")
    if bound is None and not table.metric.counts_steps:
        trivial = trivial_value(table)
        bound = math.nan if trivial is None else UNLEARNED * trivial
    less = table.metric.less_is_better
    learned = sum(bound is None or (value < bound if less else value > bound) for value in ours.values)
    what = "reached it" if table.metric.counts_steps else f"{'below' if less else 'above'} {format_number(bound)}"
    if not ours.seeds:
        nothing = Judgement(verdict="not testable", why=f"no run of {row.architecture} is finished")
        return "not testable", "not testable", nothing
    few = ours.seeds < MIN_SEEDS
    solves: Verdict = "too few seeds to say"
    fails: Verdict = "too few seeds to say"
    if not few:
        solves = "reproduced" if learned == ours.seeds else solves if learned > ours.seeds / 2 else "not reproduced"
        fails = "reproduced" if not learned else "not reproduced" if learned > ours.seeds / 2 else fails
    diverged = f", {ours.num_diverged} diverged" if ours.num_diverged else ""
    variant = f" ({table.variant})" if table.variant else ""
    text = (
        f"{row.architecture}{variant}: {learned} of {pluralize(ours.seeds, 'seed')} {what}{diverged}; {table.metric} "
        f"{format_ours(ours, table)}"
    )
    text = text.replace(f"{table.metric} >", f"{table.metric}: >")
    measured = Judgement(verdict=solves, measured=text, seeds=str(ours.seeds), failed_to_fail=learned > ours.seeds / 2)
    return solves, fails, measured


def judge_solves(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether an architecture learns: if every seed does."""
    solves, _, judgement = judge_learning(arguments, page)
    return replace(judgement, verdict=solves, failed_to_fail=False)


def judge_fails(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether an architecture fails to learn: if no seed does."""
    _, fails, judgement = judge_learning(arguments, page)
    return replace(judgement, verdict=fails)


def judge_single_figure(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether our figure agrees with a published one, by the rule of every page."""
    table = find_table(arguments, page)
    row = find_row(table, arguments["architecture"])
    agreement = judge_figure(row, table)
    verdicts: dict[str, Verdict] = {
        "agrees": "reproduced",
        "apart": "not reproduced",
        "left open": "left open by a single run",
    }
    return Judgement(
        verdict=verdicts.get(agreement.outcome, "too few seeds to say"),
        measured=f"{row.architecture}: {format_ours(row.ours, table)}, published {row.published}; {agreement}",
        seeds=str(row.ours.seeds),
    )


def judge_figures(arguments: Arguments, page: PageData) -> Judgement:
    """Judges whether all published figures agree, whatever their metric: not if one is apart."""
    tables = page.tables
    outcomes = [judge_figure(row, table).outcome for table in tables for row in table.rows if row.published]
    verdict: Verdict = "too few seeds to say"
    if "apart" in outcomes:
        verdict = "not reproduced"
    elif outcomes and all(outcome == "agrees" for outcome in outcomes):
        verdict = "reproduced"
    elif outcomes and all(outcome in ("agrees", "left open") for outcome in outcomes):
        verdict = "left open by a single run"
    return Judgement(
        verdict=verdict,
        measured=describe_figures(tables),
        seeds=describe_seeds([row.ours.seeds for table in tables for row in table.rows if row.published]),
    )


def judge_arithmetic(arguments: Arguments) -> Judgement:
    """Judges the share of a signal that is left after so many steps, as it was rounded by the source."""
    value = float(arguments["share"]) ** int(arguments["steps"])
    stated = str(arguments["left"])
    rounding = 0.5 * 10.0 ** -len(stated.partition(".")[2])
    right = abs(value - float(stated)) <= rounding
    return Judgement(
        verdict="reproduced" if right else "not reproduced",
        measured=f"{arguments['share']} to the power of {arguments['steps']:,} is {value:.4g}",
    )


RULES: Mapping[str, Callable[..., Judgement]] = {
    "faster": judge_ratio,
    "better": judge_ratio,
    "quicker": judge_quicker,
    "equal": judge_equal,
    "unbeaten": judge_unbeaten,
    "scales": judge_scaling,
    "order": judge_order,
    "solves": judge_solves,
    "fails": judge_fails,
    "figure": judge_single_figure,
    "figures": judge_figures,
    "arithmetic": judge_arithmetic,
}
"""The function of each rule; its arguments are those of the claim, and the data of its pages."""


def describe_surprises(preset: str, scale: Scale, tables: Sequence[ComparisonTable]) -> Iterator[str]:
    """Yields a sentence on each failure that a source claims of a preset, and that did not recur in its tables."""
    page = PageData(tables=tuple(tables), seconds={})
    for claim in load_claims():
        if claim.rule != "fails" or claim.presets != (preset,):
            continue
        judgement = judge(claim, [page], scale)
        if judgement.failed_to_fail:
            caveat = "" if judgement.verdict == "not reproduced" else f" ({judgement.verdict})"
            yield f"A failure that did not recur{caveat}. {claim.source}: {claim.text} Here: {judgement.measured}."


def find_table(arguments: Arguments, page: PageData) -> ComparisonTable:
    """Returns the table of a claim: of its `measure`, by default the first, and its `variant`, counted from 1."""
    measure = arguments.get("measure", page.tables[0].metric.text)
    tables = [table for table in page.tables if table.metric.text == measure]
    return tables[int(arguments.get("variant", 1)) - 1]


def find_row(table: ComparisonTable, name: str) -> TableRow:
    """Returns the row of an architecture.

    Raises:
        KeyError: if there is none.
    """
    return {row.architecture: row for row in table.rows}[name]


def row_pairs(arguments: Arguments, table: ComparisonTable) -> list[tuple[TableRow, TableRow]]:
    """Returns every pair of a better and a worse row of a claim, each of which is one name or several."""
    better, worse = (
        [names] if isinstance(names := arguments[key], str) else list(names) for key in ("better", "worse")
    )
    return [(find_row(table, first), find_row(table, second)) for first in better for second in worse]


def label_pair(first: TableRow, second: TableRow) -> str:
    """Returns what a ratio is of."""
    return f"{second.architecture} to {first.architecture}"


def describe_seeds(counts: Sequence[int]) -> str:
    """Returns the smallest and the largest number of seeds."""
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
