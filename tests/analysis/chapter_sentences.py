"""What a chapter says in words."""

from analysis.report.blocks import Chapter, Points, Text


def opening(chapter: Chapter) -> Text:
    """The sentences that it opens with, the first of every task."""
    first = chapter.blocks[0]
    assert isinstance(first, Text)
    assert first.role == "summary"
    assert first.sentences
    return first


def said(chapter: Chapter) -> str:
    """These, and the points that follow below each task's heading."""
    points = [each for block in chapter.blocks if isinstance(block, Points) for each in block.sentences]
    return " ".join([*opening(chapter).sentences, *points])
