"""Texts of a report's chapter, for tests of the chapters of probes."""

from analysis.report.blocks import Chapter, Points, Text


def opening_text(chapter: Chapter) -> Text:
    """Returns the opening paragraph of a chapter: the first sentence on every task."""
    text = chapter.blocks[0]
    assert isinstance(text, Text)
    assert text.role == "summary"
    assert text.sentences
    return text


def chapter_text(chapter: Chapter) -> str:
    """Returns all sentences of a chapter: the opening paragraph and the points below each task's heading."""
    points = [sentence for block in chapter.blocks if isinstance(block, Points) for sentence in block.sentences]
    return " ".join([*opening_text(chapter).sentences, *points])
