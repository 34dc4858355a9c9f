"""The sentences that open the chapter on discount dynamics, computed from the numbers."""

from collections.abc import Sequence
from dataclasses import replace

from analysis import ranking
from analysis.discount.states import state
from analysis.estimates import shown
from analysis.formats import listed
from analysis.probed import Estimate, Probed, with_number
from analysis.questions import Question

RANKED = (
    (
        "dropped_after_use",
        "drops the largest share of what it has put out before it is asked again",
        "share dropped after use",
    ),
    (
        "forgets_on_purpose",
        "forgets on purpose by the widest margin, the share kept while needed less that kept after",
        "share kept while needed, less that kept after,",
    ),
    (
        "held_over",
        "still holds the largest share of earlier episodes at an episode's last step",
        "share held of earlier episodes",
    ),
    ("time_constant_longest", "has the unit that keeps longest, by its time constant", "longest time constant"),
)
"""Numbers that rows are ranked by, what is said of the first, and what the number is."""
WINDOW = "attention_window_"
SAID = {
    "frozen": "frozen, as the weight of what is new falls about as fast as 1 / t, or faster",
    "live": "live to the end, as the weight of what is new falls far more slowly than 1 / t, or not at all",
    "between": "between the two, or too uncertain to tell",
}


def summary(rows: Sequence[Probed]) -> list[str]:
    """What the numbers say of a section's rows."""
    sentences = []
    for name, best, short in RANKED:
        answer = [(row.row, plain(estimate)) for row, estimate in with_number(rows, name)]
        question = Question(asked="", best=best, short=short, signed=name == "forgets_on_purpose")
        if answer:
            said = ranking.sentence(question, answer)
            # That sentence is an answer to the question, which is not asked here.
            nobody = question.signed and ranking.nothing(question, answer)
            sentences.append(f"who forgets on purpose: {said}" if nobody else said)
    sentences += freezing(rows)
    sentences += half_lives(rows)
    sentences += growing(rows)
    sentences += attention(rows)
    return sentences


def opened(said: str, rows: Sequence[Probed]) -> str:
    """A sentence with a capital letter, unless it begins with a row's label."""
    return said if said.startswith(tuple(row.row.label for row in rows)) else said[:1].upper() + said[1:]


def freezing(rows: Sequence[Probed]) -> list[str]:
    """Who is frozen, who is live."""
    found: dict[str, list[str]] = {}
    for row in rows:
        slope, said = row.number("write_slope"), state(row)
        if slope is not None and said is not None:
            found.setdefault(said, []).append(f"{row.row.label} (slope {shown(slope)})")
    return [f"{SAID[name]}: {listed(found[name])}." for name in SAID if name in found]


def half_lives(rows: Sequence[Probed]) -> list[str]:
    """How long gamma alone would keep, and what is really kept."""
    sentences = []
    for row, gamma in with_number(rows, "gamma_half_life"):
        kept = row.number("discount_half_life")
        if kept is not None:
            sentences.append(
                f"the median unit of {row.row.label} has a half-life of {shown(kept)}; by gamma alone it would "
                f"be {shown(gamma)}."
            )
    return sentences


def growing(rows: Sequence[Probed]) -> list[str]:
    """Whose attention grows with time: without a discount, only louder news drowns what was before."""
    found = [(row, estimate) for row, estimate in with_number(rows, "attention_growth") if estimate.sure]
    up = [f"{row.row.label} by {shown(estimate)}" for row, estimate in found if estimate.low > 0]
    level = [row.row.label for row, estimate in found if estimate.low <= 0 <= estimate.high]
    sentences = []
    if up:
        sentences.append(f"log a grows with time, so that what is new weighs more than what is old: {listed(up)}.")
    if level:
        sentences.append(f"no growth of log a can be told from 0: {listed(level)}.")
    return sentences


def attention(rows: Sequence[Probed]) -> list[str]:
    """How widely each level of a hierarchy looks."""
    sentences = []
    for row in rows:
        parts = []
        for name in sorted({name for each in row.findings for name in each.numbers if name.startswith(WINDOW)}):
            estimate, curve = row.number(name), row.curve(f"attention_{name.removeprefix(WINDOW)}")
            if estimate is not None and curve is not None:
                level = name.removeprefix(WINDOW).replace("_", " ")
                parts.append(f"{level} to {shown(plain(estimate))} of {len(curve.x)}")
        if parts:
            sentences.append(f"of the outputs below, {row.row.label} attends, by the entropy, at {listed(parts)}.")
    return sentences


def plain(estimate: Estimate) -> Estimate:
    """Without its unit where the sentence says it."""
    return replace(estimate, unit="") if estimate.unit in ("share", "outputs") else estimate
