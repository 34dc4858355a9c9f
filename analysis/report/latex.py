"""Tables as LaTeX, for papers: in a document with `booktabs`, each is put in by `\\input`."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from analysis.formatting import SUPERSCRIPTS
from analysis.grouping import distinct
from analysis.report.blocks import Cell, Chapter, Table
from workbench.files import write_text

ALIGNED = {"number": "r", "text": "l", "lines": "l", "prose": "p{6cm}"}
SPECIAL = {char: "\\" + char for char in "&%$#_{}"} | {
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
DIGITS = {chr(raised): chr(plain) for plain, raised in SUPERSCRIPTS.items()}
"""What is raised, by the raised sign."""


def write(chapters: Iterable[Chapter], folder: Path) -> list[Path]:
    """Writes every table of a report to a file of its own, named after its caption.

    Returns:
        The files, in the order of the report.
    """
    tables = [block for chapter in chapters for block in chapter.blocks if isinstance(block, Table)]
    names = distinct({str(index): each.caption for index, each in enumerate(tables)})
    if tables:
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, each in enumerate(tables):
        paths.append(folder / f"{names[str(index)]}.tex")
        write_text(paths[-1], latex(each, names[str(index)]))
    return paths


def latex(table: Table, label: str) -> str:
    """A table as a floating `table`, with its caption and `tab:label`."""
    columns = "".join(ALIGNED[column.kind] for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *grouped(table),
        row(escaped(column.heading) for column in table.columns),
        r"\midrule",
        *body(table.lines),
        *([r"\midrule", *body(table.footer)] if table.footer else []),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def grouped(table: Table) -> list[str]:
    """The line of headings above the columns, with a rule below each; none where there is one group."""
    if len(table.groups) < 2:
        return []
    cells, rules, start = [], [], 1
    for name, width in table.groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [row(cells), "".join(rules)]


def body(lines: Iterable[Sequence[Cell]]) -> list[str]:
    """Lines of cells."""
    return [
        row(rf"\textbf{{{escaped(cell.text)}}}" if cell.strong else escaped(cell.text) for cell in line)
        for line in lines
    ]


def row(cells: Iterable[str]) -> str:
    """One line. Braces at its start keep a cell that begins with a bracket from being an option of the line before."""
    text = " & ".join(cells)
    return rf"{'{}' if text.startswith(('[', '*')) else ''}{text} \\"


def escaped(text: str) -> str:
    """Text as LaTeX prints it. What LaTeX has no sign for is left as it is."""
    plain = re.sub(r"\s+", " ", text)
    return "".join(
        rf"\ensuremath{{^{{{''.join(DIGITS[char] for char in chars)}}}}}"
        if raised
        else "".join(SPECIAL.get(char, char) for char in chars)
        for raised, chars in groupby(plain, key=DIGITS.__contains__)
    )
