"""What the chapter on the survival of signals says first, computed from the findings."""

import math
import re
from collections.abc import Sequence

from analysis.formats import ABSENT, SUPERSCRIPTS, count, listed, number, plural
from analysis.measures.survival import photocopier
from analysis.probed import Estimate, Probed, ProbedSection, with_number
from analysis.questions import QUESTIONS
from analysis.ranking import sentence
from analysis.survival.hops import ESSAY

LEAST = -300.0
"""The logarithm to base 10 below which a share is given by its power of ten alone."""


def sentences(section: ProbedSection) -> list[str]:
    """Who keeps some for longest, the essay's photocopier, what the gates have left, and who needs few copies."""
    rows = section.rows
    found = [keeps_longest(rows), essay(rows), left(rows), few_copies(rows)]
    return [said for said in found if said]


def asked(rows: Sequence[Probed]) -> int | None:
    """The largest number of steps that all rows with gates were followed for."""
    lengths = [
        {int(match[1]) for name in each.numbers if (match := re.fullmatch(r"log10_left_(\d+)", name))}
        for row in rows
        for each in row.findings
    ]
    known = [found for found in lengths if found]
    shared = set.intersection(*known) if known else set()
    return max(shared, default=None)


def essay(rows: Sequence[Probed]) -> str:
    """The essay's calculation, for as many copies as steps were followed."""
    steps = asked(rows)
    if steps is None:
        return ""
    kept = photocopier(ESSAY, steps)
    return f"A photocopier that keeps {ESSAY} of a signal leaves {number(kept)} of it after {count(steps)} copies."


def left(rows: Sequence[Probed]) -> str:
    """What the median unit of each row still holds, the most first, beside the photocopier's."""
    steps = asked(rows)
    if steps is None:
        return ""
    found = with_number(rows, f"log10_left_{steps}")
    bound = steps * math.log10(ESSAY)
    sides: dict[str, list[str]] = {"more": [], "less": [], "about": []}
    for row, estimate in found:
        # Without an interval neither comparison holds.
        side = "more" if estimate.low > bound else "less" if estimate.high < bound else "about"
        sides[side].append(f"{row.row.label} ({share(estimate)})")
    said = {
        "more": "more than that in {}",
        "about": "what the intervals do not tell from that in {}",
        "less": "less than that in {}",
    }
    parts = [text.format(listed(sides[side])) for side, text in said.items() if sides[side]]
    return f"After {count(steps)} steps, the gates of the median unit have left {'; '.join(parts)}." if parts else ""


def keeps_longest(rows: Sequence[Probed]) -> str:
    """Who keeps a hundredth of a signal for longest, and whether that is certain."""
    question = next(question for question in QUESTIONS if question.probe == "signal_survival")
    answer = [(row.row, estimate) for row, estimate in with_number(rows, question.number)]
    if not answer:
        return ""
    return sentence(question, answer)


def few_copies(rows: Sequence[Probed]) -> str:
    """Whose signal passes a few copies only, within which reach."""
    found = [
        f"{plural(round(copies.value), 'copy', 'copies')} in {row.row.label}, within its {count(reach.value)} steps"
        for row in rows
        if (copies := row.number("copies")) is not None and (reach := row.number("reach")) is not None
    ]
    return f"A signal passes {'; '.join(found)}; beyond these it is lost." if found else ""


def share(estimate: Estimate) -> str:
    """A share given by its logarithm to base 10, with its interval."""
    if not estimate.sure:
        return power(estimate.value)
    return f"{power(estimate.value)} [{power(estimate.low)}, {power(min(estimate.high, 0.0))}]"


def power(log: float) -> str:
    """10 to a power, as a number where there is one.

    Example:
        >>> power(-5.0), power(-13216.9)
        ('1.00 × 10⁻⁵', '10⁻¹³²¹⁷')
    """
    if not math.isfinite(log):
        return ABSENT
    return number(10.0**log) if log > LEAST else f"10{str(round(log)).translate(SUPERSCRIPTS)}"
