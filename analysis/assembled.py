"""The chapter of any probe, put together task by task."""

from collections.abc import Callable, Iterable, Sequence

from analysis.blocks import Block, Chapter, Heading, Points, Text
from analysis.formats import listed
from analysis.probed import ProbedSection


def assembled(
    sections: Sequence[ProbedSection],
    *,
    anchor: str,
    title: str,
    sentences: Callable[[ProbedSection], Sequence[str]],
    proof: Callable[[ProbedSection], Iterable[Block]],
    lacking: Callable[[ProbedSection], Sequence[str]] = lambda section: (),
) -> Chapter | None:
    """A chapter: the first sentence on every task; then, task by task, the others, what they were read from, and what
    is not available.

    Args:
        sections: the tasks.
        anchor, title: of the chapter.
        sentences: what was found on a task that has rows, the most telling first.
        proof: its figures and tables.
        lacking: sentences on measures that some of its rows lack.

    Returns:
        The chapter; `None` if no task has a row.
    """
    if not any(section.rows for section in sections):
        return None
    several = len(sections) > 1
    opening: list[str] = []
    blocks: list[Block] = []
    for section in sections:
        name = section.section.title
        if several and (section.rows or section.absent):
            blocks.append(Heading(text=name))
        missing = [*lacking(section), *without(section)]
        if section.rows:
            first, *others = [*sentences(section)] or [""]
            if first:
                opening.append(f"On {name}: {first}" if several else first)
            if others:
                blocks.append(Points(sentences=tuple(others)))
            blocks += proof(section)
        if missing:
            blocks.append(Text(sentences=tuple(missing), lead="Not available."))
    return Chapter(anchor=anchor, title=title, blocks=(Text(sentences=tuple(opening), role="summary"), *blocks))


def without(section: ProbedSection) -> list[str]:
    """A sentence for each reason for which rows have nothing of a probe."""
    by_reason: dict[str, list[str]] = {}
    for label, reason in section.absent:
        by_reason.setdefault(reason, []).append(label)
    return [f"{listed(labels)}: {reason}." for reason, labels in by_reason.items()]
