"""Chapter on the decay of gradients: conclusions, figures and a table for every task."""

from collections.abc import Sequence
from pathlib import Path

from analysis.figures.panels import Panel, curve_lines, decay_panel, exponentiate
from analysis.formatting import ABSENT, format_count, format_estimate, format_number, join_names
from analysis.measures.decay_fits import NO_FALL, NONE, UNCLEAR
from analysis.measures.decay_laws import EXPONENTIAL, FLOOR, POWER_LAW, TWO_RATES
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.report.answers import Question, describe_answer, rank
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import (
    MANY_ROWS,
    PanelGroup,
    build_chapter,
    describe_intervals,
    format_metric,
    labels_by_unavailable,
    panel_figures,
    row_heading,
)
from analysis.statistics import Estimate

ANCHOR = "gradient-decay"
LAG = "lag, steps"
NEITHER = "neither"
"""Label of a curve in results from before there were laws of two parts: neither exponential nor power law."""
LAW_NAMES = {EXPONENTIAL: "an exponential", POWER_LAW: "a power law"}
OTHER_LAW = {EXPONENTIAL: POWER_LAW, POWER_LAW: EXPONENTIAL}
HALF_LIFE = Question(text="", best_phrase="has the longest half-life", quantity="half-life")
TEXTS = ("decay", "doubts", "of the mean", "untrained")
"""Columns of the table that hold words."""
SMALLEST_P = 1e-3
"""Smaller p values are not printed."""
CLEAR_AIC_MARGIN = 2.0
"""Least difference in AIC for a law to be clearly better, in results from before there was a test of the fit."""
METHOD = (
    "A law is fitted to the mean over sequences of the log of the gradient, which is what a typical sequence does; the "
    "log of the mean, which a few sequences dominate, would make a power law of exponentials that differ. A law is "
    "named if it fits best, by an information criterion, and the differences between sequences do not rule it out."
)
"""How the laws are chosen, in two sentences."""


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """Returns the chapter, task by task; `None` without results."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How the gradient decays",
        sentences=describe_decay,
        evidence=lambda section: (*draw_figures(section, folder), decay_table(section)),
        unavailable=lambda section: describe_unavailable(section.rows),
    )


def draw_figures(section: SectionResults, folder: Path) -> list[Figure]:
    """Draws the gradient after training, before training and of the loss, and that of the first step and the state."""
    rows = section.rows
    trained, untrained, loss, first, state = (
        exponentiate(curve_lines(rows, name))
        for name in ("gradient", "start_gradient", "loss_gradient", "first_step", "state_jacobian")
    )
    path = curve_lines(rows, "path_length")
    groups: dict[str, PanelGroup] = {
        "lag": (
            "The last output's gradient with respect to the input, by the lag of the input: first on a linear axis, on "
            "which an exponential is a straight line, then on a logarithmic one, on which a power law is. "
            + (METHOD if any(row.label("gradient_mean_law") is not None for row in rows) else ""),
            [
                decay_panel(trained, LAG, "norm"),
                decay_panel(trained, f"{LAG} (logarithmic)", "norm, by log lag", log_x=True),
            ],
        ),
        "start": (
            "The same before the first step of training, and the gradient of the task's own loss after it.",
            [decay_panel(untrained, LAG, "norm, untrained"), decay_panel(loss, LAG, "norm, of the loss")],
        ),
        "state": (
            "First the last output's gradient with respect to the first step as more is read; then how a change of the "
            "full state grows or fades (spectral norm); last the hops from the input to the output.",
            [
                decay_panel(first, "steps read", "norm, first step", log_x=True),
                decay_panel(state, LAG, "norm, of the state"),
                decay_panel(path, LAG, "hops", log_x=True),
            ],
        ),
    }
    groups = {kind: (_full_caption(caption, panels), panels) for kind, (caption, panels) in groups.items()}
    return panel_figures(section, folder, anchor=ANCHOR, groups=groups)


def _full_caption(caption: str, panels: Sequence[Panel | None]) -> str:
    """Adds notes on bands, line ends and missing panels to a caption."""
    note = (
        "Bands: 95 % intervals, except for two seeds, where they would hide everything else. A line ends where it "
        "falls below a trillionth of the largest value."
    )
    missing = "" if all(panels) else " A panel without data is left out."
    return f"{caption} {note}{missing}"


def decay_table(section: SectionResults) -> Table:
    """Returns the laws of decay with their parameters, Lyapunov exponents and path lengths of each row."""
    groups = {
        "last output": ("decay", "doubts", "of the mean", "R²", "misfit", "untrained"),
        "first step": ("decay",),
        "Lyapunov": ("largest exponent",),
        "path": ("hops", "through the average"),
    }
    columns = [
        Column(heading=heading, group=group, kind="text" if heading in TEXTS else "number")
        for group, headings in groups.items()
        for heading in headings
    ]
    return Table(
        caption=f"Gradients on {section.section.title}: decay in a typical sequence (mean of the log) and of the mean, "
        "half-lives in steps, misfit of the law and Lyapunov exponents in nats",
        columns=(Column(heading="architecture", kind="text"), *columns),
        rows=tuple(_table_row(row) for row in section.rows),
    )


def _table_row(row: RowResults) -> tuple[Cell, ...]:
    # Results from before there was a choice of means have the R² of the better of two laws only.
    r2 = row.metric("gradient_law_r2") or row.metric("gradient_r2")
    paths = (row.metric("hops"), row.metric("hops_through_average"))
    misfit = row.metric("gradient_misfit")
    law = row.label("gradient_law")
    texts = [
        _format_decay(row, "gradient"),
        ABSENT if law is None else "; ".join(describe_doubts(row, "gradient", law)) or ABSENT,
        row.label("gradient_mean_law") or ABSENT,
        ABSENT if r2 is None else format_number(r2.value),
        ABSENT if misfit is None else format_number(misfit.value),
        _format_decay(row, "start_gradient"),
        _format_decay(row, "first_step"),
        format_metric(row, "lyapunov"),
        *(ABSENT if hops is None else format_count(hops.value) for hops in paths),
    ]
    return (row_heading(row), *(Cell(text=text) for text in texts))


def _format_decay(row: RowResults, name: str) -> str:
    """Returns `half-life 41.0 [38.0, 45.0]`, `exponent -1.00 [-1.02, -0.98]`, or the label of a law without either."""
    law = row.label(f"{name}_law")
    if law is None:
        return ABSENT
    parameter = law_parameter(row, name, law)
    return law if parameter is None else f"{parameter[0]} {format_estimate(parameter[1], show_unit=False)}"


def describe_decay(section: SectionResults) -> list[str]:
    """Returns the conclusions on a task: laws and speeds of decay, the effect of training, and the state."""
    rows = section.rows
    sentences = [
        describe_laws(rows, "gradient", "With the lag, the gradient of the last output"),
        describe_slowest(rows),
        describe_training(rows),
        describe_laws(rows, "first_step", "As more is read, the gradient with respect to the first step"),
        describe_lyapunov(rows),
        describe_intervals(rows),
    ]
    return [sentence for sentence in sentences if sentence]


def describe_laws(rows: Sequence[RowResults], name: str, subject: str) -> str:
    """Groups the rows by the law of their decay, in a sentence.

    Args:
        rows: rows of a task.
        name: name of the gradient, and prefix of its metrics.
        subject: subject of the sentence.
    """
    by_law: dict[str, list[str]] = {}
    for row in rows:
        if (law := row.label(f"{name}_law")) is not None:
            notes = "" if len(rows) > MANY_ROWS else "; ".join(describe_law(row, name, law))
            by_law.setdefault(law, []).append(row.row.label + (f" ({notes})" if notes else ""))
    predicates = {
        EXPONENTIAL: "falls exponentially in {}",
        POWER_LAW: "falls as a power law in {}",
        FLOOR: "falls exponentially to a floor in {}",
        TWO_RATES: "falls at two rates, a fast and a slow one, in {}",
        NO_FALL: "does not fall in {}",
        UNCLEAR: "falls, but differs too much between sequences to name a law, in {}",
        NONE: "falls as none of the laws says in {}",
        NEITHER: "follows neither law closely in {}",
    }
    parts = [text.format(join_names(by_law[law])) for law, text in predicates.items() if law in by_law]
    return f"{subject} {'; it '.join(parts)}." if parts else ""


def describe_law(row: RowResults, name: str, law: str) -> list[str]:
    """Returns the parameter of a row's law, how far off it is, and reasons for doubt."""
    parameter = law_parameter(row, name, law)
    notes = [] if parameter is None else [f"{parameter[0]} {format_estimate(parameter[1])}"]
    if law == NEITHER and (r2 := row.metric(f"{name}_r2")) is not None:
        notes.append(f"R² of the better one {format_number(r2.value)}")
    if law == NONE:
        r2, misfit = row.metric(f"{name}_law_r2"), row.metric(f"{name}_misfit")
        notes += [] if r2 is None else [f"R² of the best one {format_number(r2.value)}"]
        notes += [] if misfit is None else [f"off by {format_number(misfit.value)} nats"]
    return notes + describe_doubts(row, name, law)


def describe_doubts(row: RowResults, name: str, law: str) -> list[str]:
    """Returns reasons for doubt: a law that fits as well, seeds that differ, and how surely none of the laws fits."""
    notes = describe_lack_of_fit(row, name) if law == NONE else []
    rival, margin = row.label(f"{name}_rival"), row.metric(f"{name}_aic_margin")
    if rival is not None and law != rival:
        notes.append(f"{LAW_NAMES.get(rival, rival)} is not ruled out")
    elif row.label(f"{name}_mean_law") is None and margin is not None and margin.value < CLEAR_AIC_MARGIN:
        notes += [f"by AIC {LAW_NAMES[OTHER_LAW[law]]} is about as good"] if law in OTHER_LAW else []
    laws = [result.labels[f"{name}_law"] for result in row.results if f"{name}_law" in result.labels]
    if (agreeing := laws.count(law)) < len(laws):
        notes.append(f"so in {agreeing} of {len(laws)} seeds")
    return notes


def describe_lack_of_fit(row: RowResults, name: str) -> list[str]:
    """Returns the largest p value of the seeds that rule the best law out."""
    values = [
        value
        for result in row.results
        if result.labels.get(f"{name}_law") == NONE
        and (metric := result.metrics.get(f"{name}_lack_of_fit")) is not None
        and (value := metric.value) is not None
    ]
    return [f"p = {format_number(max(values))}" if max(values) >= SMALLEST_P else "p < 0.001"] if values else []


def law_parameter(row: RowResults, name: str, law: str) -> tuple[str, Estimate] | None:
    """Returns the name and the value of the parameter of a law; `None` if it has none."""
    parameters = {
        EXPONENTIAL: ("half-life", half_life(row, name)),
        POWER_LAW: ("exponent", row.metric(f"{name}_typical_exponent") or row.metric(f"{name}_exponent")),
        FLOOR: ("half-life", row.metric(f"{name}_fast_half_life")),
        TWO_RATES: ("half-life of the slow part", row.metric(f"{name}_slow_half_life")),
    }
    title, estimate = parameters.get(law, ("", None))
    return None if estimate is None else (title, estimate)


def half_life(row: RowResults, name: str) -> Estimate | None:
    """Returns the half-life of a gradient in a typical sequence, in steps; in older results, of the mean."""
    return row.metric(f"{name}_typical_half_life") or row.metric(f"{name}_half_life")


def describe_slowest(rows: Sequence[RowResults]) -> str:
    """Names the exponential with the longest half-life, and says whether the intervals tell it from the others."""
    half_lives = [
        (row.row, estimate)
        for row in rows
        if row.label("gradient_law") == EXPONENTIAL and (estimate := half_life(row, "gradient")) is not None
    ]
    if len(half_lives) < 2:
        return ""
    return f"Of the exponential ones, {describe_answer(HALF_LIFE, rank(half_lives, highest=True))}"


def describe_training(rows: Sequence[RowResults]) -> str:
    """Names the rows whose half-life training has lengthened, shortened, or not changed beyond the intervals."""
    longer: list[str] = []
    shorter: list[str] = []
    unchanged: list[str] = []
    for row in rows:
        after, before = half_life(row, "gradient"), half_life(row, "start_gradient")
        if row.label("gradient_law") != EXPONENTIAL or row.label("start_gradient_law") != EXPONENTIAL:
            continue
        if after is None or before is None:
            continue
        if not (after.has_interval and before.has_interval) or after.overlaps(before):
            unchanged.append(row.row.label)
        else:
            change = f"{row.row.label} (from {format_number(before.value)} to {format_number(after.value)} steps)"
            (longer if after.value > before.value else shorter).append(change)
    parts = [
        text.format(join_names(names))
        for text, names in (
            ("lengthened the half-life of {}", longer),
            ("shortened that of {}" if longer else "shortened the half-life of {}", shorter),
            ("changed no half-life in {} that the intervals could tell", unchanged),
        )
        if names
    ]
    return f"Training {'; it '.join(parts)}." if parts else ""


def describe_lyapunov(rows: Sequence[RowResults]) -> str:
    """Names the rows in whose state a small change grows, fades, or neither with certainty."""
    by_sign: dict[str, list[str]] = {}
    for row in rows:
        exponent = row.metric("lyapunov")
        if exponent is None:
            continue
        sign = "uncertain"
        if exponent.has_interval and exponent.low > 0:
            sign = "grows"
        elif exponent.has_interval and exponent.high < 0:
            sign = "fades"
        number = "" if len(rows) > MANY_ROWS else f" ({format_estimate(exponent)})"
        by_sign.setdefault(sign, []).append(row.row.label + number)
    predicates = {
        "grows": "lies above 0, so that a small change grows, in {}",
        "fades": "lies below 0, so that a small change fades, in {}",
        "uncertain": "cannot be told from 0 in {}",
    }
    parts = [text.format(join_names(by_sign[sign])) for sign, text in predicates.items() if sign in by_sign]
    return f"The largest Lyapunov exponent of the state {'; it '.join(parts)}." if parts else ""


def describe_unavailable(rows: Sequence[RowResults]) -> list[str]:
    """Returns a sentence for each measure that rows lack and each reason."""
    return [
        f"{name.replace('_', ' ')} of {join_names(labels)}: {reason}."
        for (name, reason), labels in labels_by_unavailable(rows).items()
    ]
