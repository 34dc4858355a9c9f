"""The chapter of a report on how architectures were tuned on one variant of a task."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure as Drawn

from analysis import style, svg
from analysis.blocks import Block, Chapter, Figure, Heading, Table, Text
from analysis.tuning import compared, history, importance, parallel, pareto, slices, tables
from analysis.tuning.sentences import summary
from analysis.tuning.subject import Subject, Tuned

SLICES = (
    "Each point is a finished trial, at the value that it had of the parameter. Thin crosses were pruned, at the last "
    "loss they reported; thick crosses at the upper edge diverged; the winner is the large point with a dark rim."
)
PARALLEL = (
    "Each line is a complete trial; the darker, the lower its loss; the thick one is the winner. A line that passes an "
    "axis at the dash did not have the parameter."
)


def chapter(subject: Subject, folder: Path) -> Chapter:
    """What the search came to.

    Args:
        subject: the studies, with what was trained from them.
        folder: where figures are written to, as SVG and PNG.
    """
    sentences = summary(subject)

    def figure(kind: str, drawn: Drawn | None, caption: str, described: Callable[[], str]) -> list[Block]:
        if drawn is None:
            return []
        name = f"{subject.anchor}-{kind}"
        text = style.save(drawn, folder, name)
        return [Figure(svg=svg.inline(text, name, described()), caption=caption)]

    blocks: list[Block] = [
        Text(sentences=sentences, role="summary"),
        *figure("compared", compared.draw(subject), compared.caption(subject), lambda: compared.described(subject)),
        tables.against_default(subject),
        *figure("history", history.draw(subject), history.CAPTION, lambda: history.described(subject)),
    ]
    fronts: list[Table | None] = [tables.front(subject.of, subject)]
    blocks += figure("pareto", pareto.draw(subject), pareto.CAPTION, lambda: pareto.described(subject))
    blocks += [table for table in fronts if table is not None]
    blocks += figure(
        "importance", importance.draw(subject), importance.caption(subject), lambda: importance.described(subject)
    )
    for each in subject.of:
        found = tables.best(each, subject)
        blocks.append(Heading(text=f"{each.name}: what was tried"))
        blocks += [] if found is None else [found]
        blocks += figure(f"slices-{each.slug}", slices.draw(each), SLICES, lambda each=each: slice_words(each))  # type: ignore[misc]
        lines = parallel.draw(each)
        blocks += figure(f"parallel-{each.slug}", lines, PARALLEL, lambda each=each: parallel_words(each))  # type: ignore[misc]
        if isinstance(blocks[-1], Heading):
            blocks.append(Text(sentences=("No trial has a loss, and nothing was searched.",)))
    return Chapter(anchor=subject.anchor, title=f"Tuning: {subject.title}", blocks=tuple(blocks), outline=sentences[0])


def slice_words(each: Tuned) -> str:
    """The slices for those who cannot see them."""
    return slices.described(each.study, each.name)


def parallel_words(each: Tuned) -> str:
    """The parallel coordinates for those who cannot see them."""
    return f"Parallel coordinates of the complete trials of {each.name}."
