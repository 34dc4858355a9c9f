"""Chapters folded to what a reader needs first: their sentences and one figure, with the rest on demand."""

from collections import Counter
from dataclasses import dataclass

from analysis.formatting import join_names, pluralize
from analysis.report.blocks import Block, Chapter, Figure, Heading, Table, Text

MAX_OPEN_ROWS = 14
"""Rows of a table that may stand at the head of a chapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedChapter:
    """A chapter in two parts."""

    chapter: Chapter
    head: tuple[Block, ...]
    """Always shown."""
    rest: tuple[Block, ...]
    """Folded away."""

    @property
    def contents(self) -> str:
        """What is folded away, in a few words: `3 figures and 2 tables`."""
        counts = Counter(block.kind for block in self.rest)
        parts = [
            pluralize(counts[kind], name, f"{name}s")
            for kind, name in (("figure", "figure"), ("table", "table"), ("listing", "configuration"))
            if counts[kind]
        ]
        return join_names(parts) or "the whole text"


def fold_chapter(chapter: Chapter) -> FoldedChapter:
    """Folds a chapter to its opening sentences and the first figure, or the first table where there is no figure.

    What stands at the head keeps the heading that it stands under; nothing is left out, and nothing is there twice.
    """
    blocks = chapter.blocks
    opening = next((index for index, block in enumerate(blocks) if not is_opening(block)), len(blocks))
    shown = set(range(opening))
    headline = next((index for index, block in enumerate(blocks) if isinstance(block, Figure)), None)
    if headline is None and shown:
        headline = next(
            (
                index
                for index, block in enumerate(blocks)
                if isinstance(block, Table) and len(block.rows) <= MAX_OPEN_ROWS
            ),
            None,
        )
    if headline is not None:
        shown.add(headline)
        before = [index for index in range(headline) if isinstance(blocks[index], Heading)]
        shown |= set(before[-1:])
    head = tuple(block for index, block in enumerate(blocks) if index in shown)
    rest = tuple(block for index, block in enumerate(blocks) if index not in shown)
    return FoldedChapter(chapter=chapter, head=head, rest=rest)


def is_opening(block: Block) -> bool:
    """Returns whether a block at the beginning of a chapter says what the chapter comes to, or warns of it."""
    return isinstance(block, Text) and bool(block.sentences) and block.role in ("summary", "unfair")
