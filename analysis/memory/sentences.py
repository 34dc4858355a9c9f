"""What the chapter on memory says first, computed from the findings."""

from collections.abc import Sequence
from dataclasses import replace

from analysis.estimates import plain
from analysis.formats import listed
from analysis.groups import Row
from analysis.probed import Estimate, Probed, ProbedSection, with_number
from analysis.questions import Question
from analysis.ranking import nothing, sentence

FARTHEST = Question(asked="", best="recalls from farthest back", short="recall horizon")
MOST = Question(asked="", best="recalls most", short="accuracy")
LARGEST = Question(asked="", best="has the largest memory capacity", short="memory capacity")
WIDEST = Question(
    asked="",
    best="has 95 % of its squared gradient within the largest lag",
    short="lag within which 95 % of the squared gradient lie",
)
LONGEST = Question(asked="", best="stays below the trivial loss on the longest sequences", short="extrapolation")


def sentences(section: ProbedSection) -> list[str]:
    """Who recalls from farthest back, who holds most, whose gradient reaches farthest, who copes with more."""
    rows = section.rows
    found = [recalled(rows), held(rows), reaching(rows), coping(rows), over(rows)]
    return [said for said in found if said]


def answers(rows: Sequence[Probed], name: str) -> list[tuple[Row, Estimate]]:
    """The rows that have a number, with it, the largest first."""
    return [(row.row, estimate) for row, estimate in with_number(rows, name)]


def recalled(rows: Sequence[Probed]) -> str:
    """Who recalls from farthest back; where all is recalled at one lag, who recalls most."""
    found = answers(rows, "horizon")
    # Not by row: it is the task that decides on the lags.
    lags = [[estimate.value for _, estimate in answers(rows, name)] for name in ("smallest_lag", "largest_lag")]
    if not found or not all(lags):
        return ""
    smallest, largest = min(lags[0]), max(lags[1])
    if smallest == largest:
        shares = [(row, replace(estimate, unit="1")) for row, estimate in answers(rows, "recall_accuracy")]
        said = sentence(MOST, shares)
        return f"Everything is recalled at one lag, {plain(smallest)} steps: {said}"
    tested = f"The lags run from {plain(smallest)} to {plain(largest)} steps"
    if nothing(FARTHEST, found):
        return f"{tested}, and none of {listed([row.label for row, _ in found])} recalls at the smallest of them."
    until = [row.label for row, estimate in found if estimate.at_least and estimate.value >= largest]
    verb = "recall" if len(until) > 1 else "recalls"
    end = f"; at the largest {listed(until)} still {verb} more than half way from chance to all" if until else ""
    said = sentence(FARTHEST, found)
    return f"{said} {tested}{end}."


def held(rows: Sequence[Probed]) -> str:
    """Who has the largest memory capacity, and of how much."""
    found = answers(rows, "memory_capacity")
    if not found:
        return ""
    best = next(row for row in rows if row.row is found[0][0])
    states = best.number("states")
    most = (
        "" if states is None or nothing(LARGEST, found) else f" It can be at most {plain(states.value)}, its outputs."
    )
    return f"{capital(sentence(LARGEST, found)) if nothing(LARGEST, found) else sentence(LARGEST, found)}{most}"


def reaching(rows: Sequence[Probed]) -> str:
    """Whose gradient reaches farthest back."""
    found = answers(rows, "field_95")
    if not found:
        return ""
    return capital(sentence(WIDEST, found)) if nothing(WIDEST, found) else sentence(WIDEST, found)


def capital(said: str) -> str:
    """With a capital letter: what does not begin with a row's label."""
    return said[:1].upper() + said[1:]


def coping(rows: Sequence[Probed]) -> str:
    """Who stays below the trivial loss on sequences longer than those of training."""
    found = answers(rows, "extrapolation")
    if not found:
        return ""
    if nothing(LONGEST, found):
        rows_of = listed([row.label for row, _ in found])
        return (
            f"Of none of {rows_of} the loss can be told to lie below the trivial one, not even at the training length."
        )
    return sentence(LONGEST, found)


def over(rows: Sequence[Probed]) -> str:
    """What the intervals are over."""
    single = [row.row.label for row in rows if len(row.findings) == 1]
    if not single:
        return ""
    who = "" if len(single) == len(rows) else f" of {listed(single)}"
    return f"The intervals{who} are over test sequences, of one seed, and say nothing of other seeds."
