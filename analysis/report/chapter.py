"""The chapter of any probe, put together task by task."""

from collections.abc import Callable, Iterable, Sequence

from analysis.formatting import join_names
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.report.blocks import Block, Chapter, Heading, Points, Text


def build_chapter(
    sections: Sequence[SectionResults],
    *,
    anchor: str,
    title: str,
    sentences: Callable[[SectionResults], Sequence[str]],
    proof: Callable[[SectionResults], Iterable[Block]],
    lacking: Callable[[SectionResults], Sequence[str]] = lambda section: (),
) -> Chapter | None:
    """A chapter: the first sentence on every task; then, task by task, the others, what they were read from, and what
    is not available.

    Args:
        sections: the tasks; those without a row are left out.
        anchor, title: of the chapter.
        sentences: what was found on a task, the most telling first.
        proof: its figures and tables.
        lacking: sentences on measures that some of its rows lack.

    Returns:
        The chapter; `None` if no task has a row.
    """
    told = [section for section in sections if section.rows]
    if not told:
        return None
    several = len(told) > 1
    opening: list[str] = []
    blocks: list[Block] = []
    for section in told:
        name = section.section.title
        first, *others = [*sentences(section)] or [""]
        if first:
            opening.append(f"On {name}: {first}" if several else first)
        if several:
            blocks.append(Heading(text=name))
        if others:
            blocks.append(Points(sentences=tuple(others)))
        blocks += proof(section)
        if missing := [*lacking(section), *unavailable_paragraph(section)]:
            blocks.append(Text(sentences=tuple(missing), lead="Not available."))
    return Chapter(anchor=anchor, title=title, blocks=(Text(sentences=tuple(opening), role="summary"), *blocks))


def unavailable_paragraph(section: SectionResults) -> list[str]:
    """A sentence for each reason for which rows have nothing of a probe."""
    by_reason: dict[str, list[str]] = {}
    for label, reason in section.absent:
        by_reason.setdefault(reason, []).append(label)
    return [f"{join_names(labels)}: {reason}." for reason, labels in by_reason.items()]


def capitalize_first(said: str, rows: Sequence[RowResults]) -> str:
    """A sentence with a capital letter, unless it begins with a row's label."""
    return said if said.startswith(tuple(row.row.label for row in rows)) else said[:1].upper() + said[1:]
