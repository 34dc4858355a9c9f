"""What the chapter on gradients says first, computed from the findings."""

from collections.abc import Sequence

from analysis.estimates import shown
from analysis.formats import listed, number
from analysis.gradient.common import NEITHER, NO_FALL
from analysis.measures.decay_fits import EXPONENTIAL, POWER_LAW
from analysis.probed import Estimate, Probed, ProbedSection

OTHER = {EXPONENTIAL: "a power law", POWER_LAW: "an exponential"}
EVEN = 2.0
"""By how much the better law's AIC has to be smaller; below, the other one is about as good."""


def sentences(section: ProbedSection) -> list[str]:
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


def half_life(row: Probed, name: str) -> Estimate | None:
    """A row's half-life."""
    return row.number(f"{name}_half_life")


def laws(rows: Sequence[Probed], name: str, what: str) -> str:
    """The rows by the law that describes them."""
    by_law: dict[str, list[str]] = {}
    for row in rows:
        if (law := row.word(f"{name}_law")) is not None:
            beside = "; ".join(notes(row, name, law))
            by_law.setdefault(law, []).append(row.row.label + (f" ({beside})" if beside else ""))
    said = {
        EXPONENTIAL: "falls exponentially in {}",
        POWER_LAW: "falls as a power law in {}",
        NO_FALL: "does not fall in {}",
        NEITHER: "follows neither law closely in {}",
    }
    parts = [text.format(listed(by_law[law])) for law, text in said.items() if law in by_law]
    return f"{what} {'; it '.join(parts)}." if parts else ""


def notes(row: Probed, name: str, law: str) -> list[str]:
    """What a law is measured by, and what stands against naming it: the other law, or other seeds."""
    found = measure(row, name, law)
    said = [] if found is None else [f"{found[0]} {shown(found[1])}"]
    if law == NEITHER and (explained := row.number(f"{name}_r2")) is not None:
        said.append(f"R² of the better one {number(explained.value)}")
    margin = row.number(f"{name}_aic_margin")
    if law in OTHER and margin is not None and margin.value < EVEN:
        said.append(f"by AIC {OTHER[law]} is about as good")
    words = [each.words[f"{name}_law"] for each in row.findings if f"{name}_law" in each.words]
    if (agreed := words.count(law)) < len(words):
        said.append(f"so in {agreed} of {len(words)} seeds")
    return said


def measure(row: Probed, name: str, law: str) -> tuple[str, Estimate] | None:
    """What a law is measured by, and the number."""
    what, found = {
        EXPONENTIAL: ("half-life", half_life(row, name)),
        POWER_LAW: ("exponent", row.number(f"{name}_exponent")),
    }.get(law, ("", None))
    return None if found is None else (what, found)


def slowest(rows: Sequence[Probed]) -> str:
    """Which exponential has the longest half-life, and whether the intervals tell it from the others."""
    known = [
        (life, row.row.label)
        for row in rows
        if row.word("gradient_law") == EXPONENTIAL and (life := half_life(row, "gradient")) is not None
    ]
    if len(known) < 2:
        return ""
    (first, label), *others = sorted(known, key=lambda pair: (-pair[0].value, pair[1]))
    said = f"Of the exponential ones, {label} has the longest half-life"
    unsure = [name for life, name in [(first, label), *others] if not life.sure]
    near = [name for life, name in others if life.sure and first.sure and life.overlaps(first)]
    if near:
        which = "intervals" if len(near) > 1 else "interval"
        verb = "overlap" if len(near) > 1 else "overlaps"
        return f"{said}, but no winner: the {which} of {listed(near)} {verb} its own."
    if unsure:
        return f"{said}, but no winner: there is no interval for {listed(unsure)}."
    return f"{said}, and its interval overlaps no other."


def trained(rows: Sequence[Probed]) -> str:
    """Whose half-life training has changed, beyond what the intervals leave open."""
    longer: list[str] = []
    shorter: list[str] = []
    same: list[str] = []
    for row in rows:
        now, before = half_life(row, "gradient"), half_life(row, "start_gradient")
        if row.word("gradient_law") != EXPONENTIAL or row.word("start_gradient_law") != EXPONENTIAL:
            continue
        if now is None or before is None:
            continue
        if not (now.sure and before.sure) or now.overlaps(before):
            same.append(row.row.label)
        else:
            changed = f"{row.row.label} (from {number(before.value)} to {number(now.value)} steps)"
            (longer if now.value > before.value else shorter).append(changed)
    parts = [
        text.format(listed(names))
        for text, names in (
            ("lengthened the half-life of {}", longer),
            ("shortened that of {}" if longer else "shortened the half-life of {}", shorter),
            ("changed no half-life in {} that the intervals could tell", same),
        )
        if names
    ]
    return f"Training {'; it '.join(parts)}." if parts else ""


def lyapunov(rows: Sequence[Probed]) -> str:
    """In which states a small change grows."""
    by_sign: dict[str, list[str]] = {}
    for row in rows:
        found = row.number("lyapunov")
        if found is None:
            continue
        sign = "open"
        if found.sure and found.low > 0:
            sign = "grows"
        elif found.sure and found.high < 0:
            sign = "fades"
        by_sign.setdefault(sign, []).append(f"{row.row.label} ({shown(found)})")
    said = {
        "grows": "lies above 0, so that a small change grows, in {}",
        "fades": "lies below 0, so that a small change fades, in {}",
        "open": "is not told from 0 in {}",
    }
    parts = [text.format(listed(by_sign[sign])) for sign, text in said.items() if sign in by_sign]
    return f"The largest Lyapunov exponent of the state {'; it '.join(parts)}." if parts else ""


def over(rows: Sequence[Probed]) -> str:
    """What the intervals are over."""
    single = [row.row.label for row in rows if len(row.findings) == 1]
    if not single:
        return ""
    who = "" if len(single) == len(rows) else f" of {listed(single)}"
    return f"The intervals{who} are over test sequences, of one seed, and say nothing of other seeds."
