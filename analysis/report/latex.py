r"""Tables as LaTeX files, for papers: load `booktabs`, and include each with `\input`.

No table has more than `MAX_COLUMNS` columns. Of a wider one the file holds the columns that a paper needs, and a second
file, `NAME-full.tex`, the whole table in parts. Which columns a paper needs is known for results; any other wide table
is in parts in its one file.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, groupby, pairwise
from pathlib import Path

from analysis.formatting import SUPERSCRIPTS
from analysis.report.blocks import Cell, Chapter, Column, Table
from workbench.files import write_text

MAX_COLUMNS = 8
"""Columns that fit beside each other on a page."""
SMALL_FROM = 6
"""Columns from which a table is set in smaller type."""
PAPER_COLUMNS = (
    ("model", "parameters"),
    ("training", "seeds"),
    ("test", "loss"),
    ("test", "accuracy"),
    ("solved", "seeds"),
    ("solved", "first step"),
    ("", "published"),
)
"""Group and heading of the columns of results that a paper needs, beside that of the row's heading."""
MIN_PAPER_COLUMNS = 3
"""A table that has fewer of them is not one of results."""

WHOLE = "-full"
"""End of the name of the file that holds a whole table."""
NAME_LENGTH = 24
"""Characters of a file's name that come from a caption."""
WEAK_ENDS = ("a", "and", "from", "in", "of", "that", "the", "what", "with")
"""Words that no name ends with."""

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


def write_tables(chapters: Sequence[Chapter], folder: Path) -> list[Path]:
    """Writes every table of a report to a file of its own, and a wide table of results whole to a second one.

    Returns:
        The file of each table, in the order of the report; of a wide table of results, the one for papers.
    """
    tables = [block for chapter in chapters for block in chapter.blocks if isinstance(block, Table)]
    if tables:
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table, name in zip(tables, table_names(chapters, tables), strict=True):
        excerpt = paper_columns(table)
        paths.append(folder / f"{name}.tex")
        write_text(paths[-1], table_to_latex(excerpt or table, name))
        if excerpt is not None:
            write_text(folder / f"{name}{WHOLE}.tex", table_to_latex(table, f"{name}{WHOLE}"))
    return paths


def table_names(chapters: Sequence[Chapter], tables: Iterable[Table]) -> list[str]:
    """Returns a short name for each table, no two alike: that of its task, and the beginning of its caption.

    Example: `addition-results` for a table with the caption "Results on addition, length=100"

    Args:
        chapters: all chapters; that of a task has the task's title, and its name as anchor.
        tables: the tables.
    """
    # The title of one task may be the beginning of another's.
    tasks = sorted(((chapter.title, chapter.anchor) for chapter in chapters), key=lambda task: -len(task[0]))
    names: list[str] = []
    for table in tables:
        what, anchor = next(
            (
                (table.caption.partition(f" on {title}")[0], anchor)
                for title, anchor in tasks
                if f" on {title}" in table.caption
            ),
            (table.caption.partition(":")[0], ""),
        )
        name = "-".join(part for part in (anchor, shorten_caption(what)) if part) or "table"
        # Nor may a name be that of another's whole table.
        taken = {*names, *(other + WHOLE for other in names)}
        candidates = (number_name(name, number) for number in count(1))
        names.append(next(text for text in candidates if not {text, text + WHOLE} & taken))
    return names


def number_name(name: str, number: int) -> str:
    """Returns a name with its number, unless that is 1."""
    return name if number == 1 else f"{name}-{number}"


def shorten_caption(text: str) -> str:
    """Returns the first words of a caption as part of a file's name, in lower case and with hyphens."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    while len(words) > 1 and (len("-".join(words)) > NAME_LENGTH or words[-1] in WEAK_ENDS):
        words.pop()
    return "-".join(words)[: 2 * NAME_LENGTH]


def paper_columns(table: Table) -> Table | None:
    """Returns a wide table of results with the columns that a paper needs; `None` for any other table."""
    if len(table.columns) <= MAX_COLUMNS:
        return None
    keys = [(column.group, " ".join(column.heading.split())) for column in table.columns]
    wanted = [keys.index(key) for key in PAPER_COLUMNS if key in keys]
    if len(wanted) < MIN_PAPER_COLUMNS:
        return None
    # A task without accuracy may have another metric.
    others = (index for index, key in enumerate(keys) if key[0] == "test" and index not in wanted)
    wanted += [index for index, _ in zip(others, range(MAX_COLUMNS - 1 - len(wanted)), strict=False)]
    return select_columns(table, [0, *sorted(wanted)])


def select_columns(table: Table, indices: Sequence[int]) -> Table:
    """Returns a table with some of its columns, and without the rows below that have nothing in them."""

    def select(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
        return tuple(tuple(row[index] for index in indices) for row in rows)

    columns: tuple[Column, ...] = tuple(table.columns[index] for index in indices)
    footer = tuple(row for row in select(table.footer) if any(cell.text for cell in row[1:]))
    return replace(table, columns=columns, rows=select(table.rows), footer=footer)


def split_columns(table: Table) -> list[Table]:
    """Returns a table in parts of at most `MAX_COLUMNS` columns, as equally wide as possible.

    Each part begins with the rows' headings.
    """
    others = len(table.columns) - 1
    num_parts = max(1, -(-others // (MAX_COLUMNS - 1)))
    edges = [1 + others * part // num_parts for part in range(num_parts + 1)]
    return [select_columns(table, [0, *range(*ends)]) for ends in pairwise(edges)]


def table_to_latex(table: Table, label: str) -> str:
    """Returns a table as a floating `table` environment, or as several if it is wide.

    Args:
        table: the table.
        label: the environment has the label `tab:<label>`, further ones `tab:<label>-2` and so on.
    """
    parts = split_columns(table)
    texts = []
    for number, part in enumerate(parts, start=1):
        caption = table.caption if len(parts) == 1 else f"{table.caption} (part {number} of {len(parts)})"
        texts.append(environment(replace(part, caption=caption), number_name(label, number)))
    return "\n".join(texts)


def environment(table: Table, label: str) -> str:
    """Returns a table as one `table` environment, with its caption and the label `tab:<label>`."""
    columns = "".join(COLUMN_TYPES[column.kind] for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{tab:{label}}}",
        *([r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"] if len(table.columns) >= SMALL_FROM else []),
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
