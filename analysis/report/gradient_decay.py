"""The chapter on gradients: figures and a table for every task, and the sentences that open it."""

from collections.abc import Sequence
from pathlib import Path

from analysis import style
from analysis.figures.panels import Panel, draw, falling, from_logs, lines_of
from analysis.formatting import ABSENT, format_count, format_estimate, format_number, join_names
from analysis.measures.decay_fits import EXPONENTIAL, POWER_LAW
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.probes.gradient_decay import NEITHER, NO_FALL
from analysis.report import output_files
from analysis.report.blocks import Cell, Chapter, Column, Figure, Table
from analysis.report.chapter import build_chapter
from analysis.statistics import Estimate

ANCHOR = "gradient-decay"
LAG = "lag, steps"


def chapter(sections: Sequence[SectionResults], folder: Path) -> Chapter | None:
    """How gradients decay, task by task."""
    return build_chapter(
        sections,
        anchor=ANCHOR,
        title="How the gradient decays",
        sentences=sentences,
        proof=lambda section: (*figures(section, folder), table(section)),
        lacking=lambda section: _lacking(section.rows),
    )


def _lacking(rows: Sequence[RowResults]) -> list[str]:
    """A sentence for each measure and reason for which some rows lack it."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name in dict.fromkeys(name for found in row.results for name in found.unavailable):
            by_reason.setdefault((name, row.unavailable(name) or ""), []).append(row.row.label)
    return [f"{name.replace('_', ' ')} of {join_names(who)}: {why}." for (name, why), who in by_reason.items()]


def figures(section: SectionResults, folder: Path) -> list[Figure]:
    """The gradient after training; before it, and of the loss; of the first step, the state, and the path."""
    rows = section.rows
    trained, before, loss, first, state = (
        from_logs(lines_of(rows, name))
        for name in ("gradient", "start_gradient", "loss_gradient", "first_step", "state_jacobian")
    )
    path = lines_of(rows, "path_length")
    groups = {
        "lag": (
            "The last output's gradient with respect to the input, by the lag of the input, on a linear and on a "
            "logarithmic axis: an exponential is a straight line in the upper panel, a power law in the lower.",
            [falling(trained, LAG, "norm"), falling(trained, LAG, "norm", log_x=True)],
        ),
        "start": (
            "The same before the first step of training (above), and the gradient of the task's own loss after it.",
            [falling(before, LAG, "norm, untrained"), falling(loss, LAG, "norm, of the loss")],
        ),
        "state": (
            "From the top: the last output's gradient with respect to the first step as more is read; how a change of "
            "the full state grows or fades (spectral norm); hops from the input to the output.",
            [
                falling(first, "steps read", "norm, first step", log_x=True),
                falling(state, LAG, "norm, of the state"),
                falling(path, LAG, "hops", log_x=True),
            ],
        ),
    }
    made = []
    for kind, (caption, panels) in groups.items():
        drawn = [panel for panel in panels if panel is not None]
        if drawn:
            name = f"{ANCHOR}-{section.section.anchor}-{kind}"
            text = style.save(draw(drawn), folder, name)
            made.append(
                Figure(svg=output_files.inline(text, name, described(section, drawn)), caption=_whole(caption, panels))
            )
    return made


def described(section: SectionResults, panels: Sequence[Panel]) -> str:
    """What a figure shows, for who cannot see it."""
    what = "; ".join(
        f"{panel.y_label} against {panel.x_label} for {join_names([each.label for each in panel.lines])}"
        for panel in panels
    )
    return f"{section.section.title}: {what}"


def _whole(caption: str, panels: Sequence[Panel | None]) -> str:
    note = (
        "Bands: 95 % intervals, but for two seeds, where they would hide all else. A line ends where it falls below a "
        "trillionth of the largest value."
    )
    lost = "" if all(panels) else " A panel without data is left out."
    return f"{caption} {note}{lost}"


def table(section: SectionResults) -> Table:
    """The laws, and what belongs to them, a line a row."""
    groups = {
        "last output": ("decay", "R²", "untrained"),
        "first step": ("decay",),
        "Lyapunov": ("largest exponent",),
        "path": ("hops",),
    }
    columns = [
        Column(heading=heading, group=group, kind="text" if heading in ("decay", "untrained") else "number")
        for group, headings in groups.items()
        for heading in headings
    ]
    return Table(
        caption=f"Gradients on {section.section.title}: half-lives in steps, Lyapunov exponents in nats a step",
        columns=(Column(heading="architecture", kind="text"), *columns),
        lines=tuple(_line(row) for row in section.rows),
    )


def _line(row: RowResults) -> tuple[Cell, ...]:
    explained, largest, hops = (row.metric(name) for name in ("gradient_r2", "lyapunov", "hops"))
    cells = [
        _decay(row, "gradient"),
        ABSENT if explained is None else format_number(explained.value),
        _decay(row, "start_gradient"),
        _decay(row, "first_step"),
        ABSENT if largest is None else format_estimate(largest, unit=False),
        ABSENT if hops is None else format_count(hops.value),
    ]
    return (Cell(text=row.row.label, look=row.row.look), *(Cell(text=text) for text in cells))


def _decay(row: RowResults, name: str) -> str:
    """`half-life 41.0 [38.0, 45.0]`, `exponent -1.00 [-1.02, -0.98]`, or that no law is named."""
    law = row.label(f"{name}_law")
    if law is None:
        return ABSENT
    found = measure(row, name, law)
    return law if found is None else f"{found[0]} {format_estimate(found[1], unit=False)}"


OTHER = {EXPONENTIAL: "a power law", POWER_LAW: "an exponential"}
EVEN = 2.0
"""By how much the better law's AIC has to be smaller; below, the other one is about as good."""


def sentences(section: SectionResults) -> list[str]:
    """By which law the gradient falls and how fast, what training changed, and what the state does."""
    rows = section.rows
    found = [
        laws(rows, "gradient", "With the lag, the gradient of the last output"),
        slowest(rows),
        trained(rows),
        laws(rows, "first_step", "As more is read, the gradient with respect to the first step"),
        lyapunov(rows),
        over(rows),
    ]
    return [sentence for sentence in found if sentence]


def half_life(row: RowResults, name: str) -> Estimate | None:
    """A row's half-life."""
    return row.metric(f"{name}_half_life")


def laws(rows: Sequence[RowResults], name: str, what: str) -> str:
    """The rows by the law that describes them."""
    by_law: dict[str, list[str]] = {}
    for row in rows:
        if (law := row.label(f"{name}_law")) is not None:
            beside = "; ".join(notes(row, name, law))
            by_law.setdefault(law, []).append(row.row.label + (f" ({beside})" if beside else ""))
    said = {
        EXPONENTIAL: "falls exponentially in {}",
        POWER_LAW: "falls as a power law in {}",
        NO_FALL: "does not fall in {}",
        NEITHER: "follows neither law closely in {}",
    }
    parts = [text.format(join_names(by_law[law])) for law, text in said.items() if law in by_law]
    return f"{what} {'; it '.join(parts)}." if parts else ""


def notes(row: RowResults, name: str, law: str) -> list[str]:
    """What a law is measured by, and what stands against naming it: the other law, or other seeds."""
    found = measure(row, name, law)
    said = [] if found is None else [f"{found[0]} {format_estimate(found[1])}"]
    if law == NEITHER and (explained := row.metric(f"{name}_r2")) is not None:
        said.append(f"R² of the better one {format_number(explained.value)}")
    margin = row.metric(f"{name}_aic_margin")
    if law in OTHER and margin is not None and margin.value < EVEN:
        said.append(f"by AIC {OTHER[law]} is about as good")
    words = [each.labels[f"{name}_law"] for each in row.results if f"{name}_law" in each.labels]
    if (agreed := words.count(law)) < len(words):
        said.append(f"so in {agreed} of {len(words)} seeds")
    return said


def measure(row: RowResults, name: str, law: str) -> tuple[str, Estimate] | None:
    """What a law is measured by, and the number."""
    what, found = {
        EXPONENTIAL: ("half-life", half_life(row, name)),
        POWER_LAW: ("exponent", row.metric(f"{name}_exponent")),
    }.get(law, ("", None))
    return None if found is None else (what, found)


def slowest(rows: Sequence[RowResults]) -> str:
    """Which exponential has the longest half-life, and whether the intervals tell it from the others."""
    known = [
        (life, row.row.label)
        for row in rows
        if row.label("gradient_law") == EXPONENTIAL and (life := half_life(row, "gradient")) is not None
    ]
    if len(known) < 2:
        return ""
    (first, label), *others = sorted(known, key=lambda pair: (-pair[0].value, pair[1]))
    said = f"Of the exponential ones, {label} has the longest half-life"
    unsure = [name for life, name in [(first, label), *others] if not life.has_interval]
    near = [name for life, name in others if life.has_interval and first.has_interval and life.overlaps(first)]
    if near:
        which = "intervals" if len(near) > 1 else "interval"
        verb = "overlap" if len(near) > 1 else "overlaps"
        return f"{said}, but no winner: the {which} of {join_names(near)} {verb} its own."
    if unsure:
        return f"{said}, but no winner: there is no interval for {join_names(unsure)}."
    return f"{said}, and its interval overlaps no other."


def trained(rows: Sequence[RowResults]) -> str:
    """Whose half-life training has changed, beyond what the intervals leave open."""
    longer: list[str] = []
    shorter: list[str] = []
    same: list[str] = []
    for row in rows:
        now, before = half_life(row, "gradient"), half_life(row, "start_gradient")
        if row.label("gradient_law") != EXPONENTIAL or row.label("start_gradient_law") != EXPONENTIAL:
            continue
        if now is None or before is None:
            continue
        if not (now.has_interval and before.has_interval) or now.overlaps(before):
            same.append(row.row.label)
        else:
            changed = f"{row.row.label} (from {format_number(before.value)} to {format_number(now.value)} steps)"
            (longer if now.value > before.value else shorter).append(changed)
    parts = [
        text.format(join_names(names))
        for text, names in (
            ("lengthened the half-life of {}", longer),
            ("shortened that of {}" if longer else "shortened the half-life of {}", shorter),
            ("changed no half-life in {} that the intervals could tell", same),
        )
        if names
    ]
    return f"Training {'; it '.join(parts)}." if parts else ""


def lyapunov(rows: Sequence[RowResults]) -> str:
    """In which states a small change grows."""
    by_sign: dict[str, list[str]] = {}
    for row in rows:
        found = row.metric("lyapunov")
        if found is None:
            continue
        sign = "open"
        if found.has_interval and found.low > 0:
            sign = "grows"
        elif found.has_interval and found.high < 0:
            sign = "fades"
        by_sign.setdefault(sign, []).append(f"{row.row.label} ({format_estimate(found)})")
    said = {
        "grows": "lies above 0, so that a small change grows, in {}",
        "fades": "lies below 0, so that a small change fades, in {}",
        "open": "is not told from 0 in {}",
    }
    parts = [text.format(join_names(by_sign[sign])) for sign, text in said.items() if sign in by_sign]
    return f"The largest Lyapunov exponent of the state {'; it '.join(parts)}." if parts else ""


def over(rows: Sequence[RowResults]) -> str:
    """What the intervals are over."""
    single = [row.row.label for row in rows if len(row.results) == 1]
    if not single:
        return ""
    who = "" if len(single) == len(rows) else f" of {join_names(single)}"
    return f"The intervals{who} are over test sequences, of one seed, and say nothing of other seeds."
