"""The sentences that open a chapter on tuning, computed from its studies and the runs on fresh seeds."""

from dataclasses import replace

from analysis.formats import interval, listed, number, plural
from analysis.summary import winner
from analysis.tuning.outcomes import counted
from analysis.tuning.ranks import Place, certain, places, swapped
from analysis.tuning.subject import Subject, Tuned

MOST = 3
"""Pairs that are named one by one."""


def summary(subject: Subject) -> tuple[str, ...]:
    """Whether tuning changes the order, what the intervals tell of that, who gains, who wins, how the trials ended."""
    found = places(subject.of)
    said = (
        order(subject, found),
        certainty(found),
        gains(found),
        best_tuned(subject),
        left_out(subject.of, found),
        counted(each.study for each in subject.of),
        unfinished(subject.of),
    )
    return tuple(sentence for sentence in said if sentence)


def order(subject: Subject, found: tuple[Place, ...]) -> str:
    """Whether tuning changes the order, and who moves how far."""
    if not found:
        return by_validation(subject.of)
    if len(found) == 1:
        return f"Only {found[0].of.name} has test losses both before and after, so there is no order to change."
    moved = sorted((each for each in found if each.moved), key=lambda each: (-each.moved, each.after, each.of.name))
    if not moved:
        after = sorted(found, key=lambda each: (each.after, each.of.name))
        return (
            f"Tuning does not change the order of the {len(found)} architectures by mean test loss: "
            f"{', '.join(each.of.name for each in after)}."
        )
    moves = [
        f"{each.of.name} {'gains' if each.moved > 0 else 'loses'} {plural(abs(each.moved), 'place')} "
        f"({each.before} to {each.after})"
        for each in moved
    ]
    return f"Tuning changes the order of the architectures by mean test loss: {listed(moves)}."


def by_validation(of: tuple[Tuned, ...]) -> str:
    """What can be said before anything was trained on fresh seeds."""
    known = sorted((best, each.name) for each in of if (best := each.best) is not None)
    if not known:
        return "No study has a complete trial, so there is no winner to be trained."
    best, name = known[0]
    return (
        "No winner has been trained on fresh seeds beside its default yet, so that the two cannot be compared. The "
        f"lowest validation loss of all trials is {name}'s, {number(best)}; chosen as the lowest of many, it flatters."
    )


def certainty(found: tuple[Place, ...]) -> str:
    """Of the pairs that change their order, those in which the intervals tell the two apart before and after."""
    pairs = swapped(found)
    if not pairs:
        return ""
    sure = [pair for pair in pairs if certain(pair)]
    of = f"the {len(pairs)} pairs that" if len(pairs) > 1 else "the one pair that"
    swap = "swap places" if len(pairs) > 1 else "swaps places"
    if not sure:
        return f"The intervals do not bear this out: of {of} {swap}, they tell none apart both before and after."
    named = [f"{other.of.name} passes {one.of.name}" for one, other in sure]
    if len(named) <= MOST:
        return f"The intervals bear out {len(sure)} of {of} {swap}: {listed(named)}."
    return f"The intervals bear out {len(sure)} of {of} {swap}."


def gains(found: tuple[Place, ...]) -> str:
    """Who gains most by being tuned, as the ratio of its losses."""
    known = [(factor, each) for each in found if (factor := each.factor) is not None]
    if not known:
        return ""
    factor, most = max(known, key=lambda pair: (pair[0], pair[1].of.name))
    if factor <= 1:
        return "No architecture gains: on fresh seeds, no winner has a lower mean test loss than its default."
    lower = sum(factor > 1 for factor, _ in known)
    who = "" if len(known) == 1 else f"; {lower} of {len(known)} have a lower mean loss than untuned"
    if most.default.half is None or most.tuned.half is None:
        sure = ", by one seed"
    else:
        sure = ", and the intervals lie apart" if most.told else ", but the two intervals overlap"
    verb = "gains" if len(known) == 1 else "gains most"
    return (
        f"{most.of.name} {verb}: its loss falls by a factor of {number(factor)}, from {interval(most.default)} to "
        f"{interval(most.tuned)}{sure}{who}."
    )


def best_tuned(subject: Subject) -> str:
    """Who wins among the tuned, by the rule of every section."""
    rows = tuple(each.tuned for each in subject.of if each.tuned is not None)
    if subject.section is None or not rows:
        return ""
    return f"Among the tuned: {winner(replace(subject.section, rows=rows))}"


def left_out(of: tuple[Tuned, ...], found: tuple[Place, ...]) -> str:
    """Who is in neither ranking, where there is one."""
    ranked = {each.of.slug for each in found}
    absent = [each.name for each in of if each.slug not in ranked]
    if not found or not absent:
        return ""
    return f"Not ranked, for want of a test loss tuned or default: {listed(absent)}."


def unfinished(of: tuple[Tuned, ...]) -> str:
    """Whose study is not done."""
    short = [
        f"{each.name} {len(each.study.finished)} of {each.study.asked}"
        for each in of
        if len(each.study.finished) < each.study.asked
    ]
    return f"Not all trials are done: {', '.join(short)}." if short else ""
