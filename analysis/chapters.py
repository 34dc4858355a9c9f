"""The chapter of a report on one variant of a task."""

from pathlib import Path

from analysis import curves, style, svg, tables
from analysis.blocks import Block, Chapter, Figure, Text
from analysis.fairness import fairness
from analysis.groups import Section
from analysis.summary import summary, winner
from analysis.tuning.fairness import tuning_fairness


def task_chapter(section: Section, folder: Path) -> Chapter:
    """What came of one variant of a task.

    Args:
        section: the variant, with its runs.
        folder: where its figure is written to, as SVG and PNG.
    """
    fair, sentences = tuning_fairness(section) if section.studies else fairness(section)
    blocks: list[Block] = [Text(sentences=summary(section), role="summary")]
    if drawn := curves.panels(section):
        text = style.save(curves.draw(section, drawn), folder, section.anchor)
        image = svg.inline(text, section.anchor, curves.described(section, drawn))
        blocks.append(Figure(svg=image, caption=curves.caption(drawn)))
    blocks.append(tables.results(section))
    blocks.append(Text(sentences=sentences, role="fair" if fair else "unfair", lead="Fairness."))
    published = tables.published(section)
    blocks.append(published or Text(sentences=("none for this variant.",), lead="Published figures:"))
    return Chapter(anchor=section.anchor, title=section.title, blocks=tuple(blocks), outline=winner(section))
