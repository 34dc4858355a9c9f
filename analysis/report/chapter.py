"""Chapter builder that the chapters of all probes share, with the figures and sentences that they have in common."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from analysis.figures.panels import Panel, draw_panels
from analysis.formatting import ABSENT, format_estimate, join_names
from analysis.probes.aggregate import RowResults, SectionResults
from analysis.report.blocks import Block, Cell, Chapter, Figure, Heading, Points, Text
from analysis.report.output_files import save_and_inline

PanelGroup = tuple[str, Sequence[Panel | None]]
"""Caption of a figure, and its panels from top to bottom; `None` for a panel without data."""
MetricColumn = tuple[str, str, str]
"""Name of a metric, heading of its column, and heading of the column's group."""

MANY_ROWS = 12
"""Rows of a task up to which a sentence has the numbers of each; those of more are in the table alone."""
FIRST_ROWS = 5
"""Rows that a ranking of more than that names."""


def build_chapter(
    sections: Sequence[SectionResults],
    *,
    anchor: str,
    title: str,
    sentences: Callable[[SectionResults], Sequence[str]],
    evidence: Callable[[SectionResults], Iterable[Block]],
    unavailable: Callable[[SectionResults], Sequence[str]] = lambda section: (),
) -> Chapter | None:
    """Builds the chapter of a probe.

    It opens with the first sentence on every task. Then follow, task by task, the other sentences, the figures and
    tables, and what is not available.

    Args:
        sections: results on the tasks; those without a row are left out.
        anchor: name of the chapter in links.
        title: heading of the chapter.
        sentences: returns the conclusions on a task, the most important first.
        evidence: returns the figures and tables on a task.
        unavailable: returns sentences on measures that some rows of a task lack.

    Returns:
        The chapter; `None` if no task has a row.
    """
    sections = [section for section in sections if section.rows]
    if not sections:
        return None
    several = len(sections) > 1
    opening: list[str] = []
    blocks: list[Block] = []
    for section in sections:
        name = section.section.title
        first, *others = [*sentences(section)] or [""]
        if first:
            opening.append(f"On {name}: {first}" if several else first)
        if several:
            blocks.append(Heading(text=name))
        if others:
            blocks.append(Points(sentences=tuple(others)))
        blocks += evidence(section)
        if missing := [*unavailable(section), *describe_absent_rows(section)]:
            blocks.append(Text(sentences=tuple(missing), lead="Not available."))
    return Chapter(anchor=anchor, title=title, blocks=(Text(sentences=tuple(opening), role="summary"), *blocks))


def panel_figures(
    section: SectionResults, folder: Path, *, anchor: str, groups: Mapping[str, PanelGroup]
) -> list[Figure]:
    """Draws one figure for each group of panels, without the panels that have no data.

    Args:
        section: results on a task.
        folder: folder of the figure files.
        anchor: name of the chapter in links; file names begin with it.
        groups: the figures, by the last part of their file names.

    Returns:
        The figures that have at least one panel.
    """
    figures = []
    for kind, (caption, panels) in groups.items():
        if drawn := [panel for panel in panels if panel is not None]:
            name = f"{anchor}-{section.section.anchor}-{kind}"
            text = alt_text(section, drawn)
            figures.append(save_and_inline(draw_panels(drawn), folder, name, caption=caption, alt_text=text))
    return figures


def alt_text(section: SectionResults, panels: Sequence[Panel]) -> str:
    """Describes a figure of panels for screen readers: axes and curves of each panel."""
    contents = "; ".join(
        f"{panel.y_label} against {panel.x_label} for {join_names([line.label for line in panel.lines])}"
        for panel in panels
    )
    return f"{section.section.title}: {contents}"


def present_columns(rows: Sequence[RowResults], columns: Sequence[MetricColumn]) -> list[MetricColumn]:
    """Returns the columns whose metric at least one row has."""
    return [column for column in columns if any(row.metric(column[0]) is not None for row in rows)]


def row_heading(row: RowResults) -> Cell:
    """Returns the first cell of a row in a table: its label and the style of its curves."""
    return Cell(text=row.row.label, line_style=row.row.line_style)


def format_metric(row: RowResults, name: str) -> str:
    """Returns a metric of a row with its interval and without its unit, as a table cell."""
    estimate = row.metric(name)
    return ABSENT if estimate is None else format_estimate(estimate, show_unit=False)


def first_of_many(parts: Sequence[str]) -> list[str]:
    """Returns what a sentence says of each row; of many rows, of the first few, and how many follow."""
    if len(parts) <= MANY_ROWS:
        return [*parts]
    return [*parts[:FIRST_ROWS], f"{len(parts) - FIRST_ROWS} rows more, in the table"]


def describe_intervals(rows: Sequence[RowResults]) -> str:
    """Says which intervals are over the test sequences of a single seed; empty if all are over seeds."""
    single = [row.row.label for row in rows if len(row.results) == 1]
    if not single:
        return ""
    owners = "" if len(single) == len(rows) else f" of {join_names(single)}"
    return f"The intervals{owners} are over test sequences, of one seed, and say nothing about other seeds."


def labels_by_unavailable(
    rows: Sequence[RowResults], names: Collection[str] | None = None
) -> dict[tuple[str, str], list[str]]:
    """Groups the labels of rows that lack a measure by measure and reason, in the order of the rows.

    Args:
        rows: rows of a task.
        names: measures to look for; by default all.
    """
    labels: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name in dict.fromkeys(name for result in row.results for name in result.unavailable):
            if names is None or name in names:
                labels.setdefault((name, row.unavailable(name) or ""), []).append(row.row.label)
    return labels


def describe_absent_rows(section: SectionResults) -> list[str]:
    """Returns a sentence for each reason for which rows have no result of a probe at all."""
    by_reason: dict[str, list[str]] = {}
    for label, reason in section.absent:
        by_reason.setdefault(reason, []).append(label)
    return [f"{join_names(labels)}: {reason}." for reason, labels in by_reason.items()]


def capitalize_first(sentence: str, rows: Sequence[RowResults]) -> str:
    """Capitalizes the first letter of a sentence, unless it begins with a row's label."""
    return (
        sentence if sentence.startswith(tuple(row.row.label for row in rows)) else sentence[:1].upper() + sentence[1:]
    )
