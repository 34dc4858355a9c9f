r"""Tables as LaTeX files, for papers: load `booktabs`, and include each with `\input`."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from analysis.formatting import SUPERSCRIPTS
from analysis.grouping import make_anchors
from analysis.report.blocks import Cell, Chapter, Table
from workbench.files import write_text

COLUMN_TYPES = {"number": "r", "text": "l", "lines": "l", "prose": "p{6cm}"}
ESCAPES = {char: "\\" + char for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "\u00b1": r"\ensuremath{\pm}",
    "\u00d7": r"\ensuremath{\times}",
    "\u2265": r"\ensuremath{\geq}",
    "\u2264": r"\ensuremath{\leq}",
    "\u2013": "--",
    "\u2212": r"\ensuremath{-}",
    "\u03b3": r"\ensuremath{\gamma}",
    "\u03bb": r"\ensuremath{\lambda}",
    "\u03c4": r"\ensuremath{\tau}",
}
PLAIN_DIGITS = {chr(raised): chr(plain) for plain, raised in SUPERSCRIPTS.items()}
"""Plain character of each superscript."""


def write_tables(chapters: Iterable[Chapter], folder: Path) -> list[Path]:
    """Writes every table of a report to a file of its own, named after its caption.

    Returns:
        The files, in the order of the report.
    """
    tables = [block for chapter in chapters for block in chapter.blocks if isinstance(block, Table)]
    names = make_anchors({str(index): table.caption for index, table in enumerate(tables)})
    if tables:
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, table in enumerate(tables):
        paths.append(folder / f"{names[str(index)]}.tex")
        write_text(paths[-1], table_to_latex(table, names[str(index)]))
    return paths


def table_to_latex(table: Table, label: str) -> str:
    """Returns a table as a floating `table` environment, with its caption and the label `tab:<label>`."""
    columns = "".join(COLUMN_TYPES[column.kind] for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *group_header(table),
        latex_row(escape(column.heading) for column in table.columns),
        r"\midrule",
        *body_lines(table.rows),
        *([r"\midrule", *body_lines(table.footer)] if table.footer else []),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def group_header(table: Table) -> list[str]:
    """Returns the row of group headings with a rule below each; empty if all columns are in one group."""
    if len(table.groups) < 2:
        return []
    cells, rules, start = [], [], 1
    for name, width in table.groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [latex_row(cells), "".join(rules)]


def body_lines(rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Returns rows of cells as lines of a `tabular` environment."""
    return [
        latex_row(rf"\textbf{{{escape(cell.text)}}}" if cell.strong else escape(cell.text) for cell in row)
        for row in rows
    ]


def latex_row(cells: Iterable[str]) -> str:
    """Joins cells to a line of a `tabular` environment."""
    text = " & ".join(cells)
    # LaTeX would read a bracket or star at the start of a line as an argument of the line break before it.
    return rf"{'{}' if text.startswith(('[', '*')) else ''}{text} \\"


def escape(text: str) -> str:
    """Escapes text for LaTeX; characters without a known LaTeX command are left as they are."""
    plain = re.sub(r"\s+", " ", text)
    return "".join(
        rf"\ensuremath{{^{{{''.join(PLAIN_DIGITS[char] for char in chars)}}}}}"
        if raised
        else "".join(ESCAPES.get(char, char) for char in chars)
        for raised, chars in groupby(plain, key=PLAIN_DIGITS.__contains__)
    )
