"""Tables as LaTeX: nothing that a compiler would stumble over, no more columns than a page has, and short names."""

import re
from pathlib import Path

import pytest

from analysis.grouping import build_sections
from analysis.report import latex, tables
from analysis.report.blocks import Cell, Chapter, Column, Table
from tests.analysis.report_runs import experiment, write_run
from workbench.results import finished_runs

COMMANDS = {
    "begin", "end", "centering", "footnotesize", "setlength", "tabcolsep", "caption", "label", "toprule", "midrule",
    "bottomrule", "cmidrule", "multicolumn", "textbf", "ensuremath", "pm", "times", "textbackslash", "textasciitilde",
    "textasciicircum",
}  # fmt: skip
"""Commands of LaTeX and booktabs that tables may use."""


def make_table(num_columns: int, *, caption: str = "Ranks on copy", rows: int = 3, footer: bool = True) -> Table:
    """Returns a table whose cells are all different, with letters that mean something to LaTeX."""
    headings = ["architecture", *(f"h_{index}%" for index in range(1, num_columns))]
    body = [[f"{row}&{index}_{{$" for index in range(num_columns)] for row in range(rows)]
    last = ["trivial", *("" for _ in range(num_columns - 2)), "0.5"]
    return Table(
        caption=caption,
        columns=tuple(Column(heading=heading, group="all" if index else "") for index, heading in enumerate(headings)),
        rows=tuple(tuple(Cell(text=text) for text in row) for row in body),
        footer=(tuple(Cell(text=text) for text in last),) if footer else (),
    )


def read_cells(line: str) -> list[str]:
    """Splits a line of a tabular at the ampersands that are not escaped."""
    assert line.endswith(r" \\"), line
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))]


def check_structure(text: str) -> list[dict[str, list[list[str]]]]:
    """Checks that LaTeX could read a file of tables; returns headings and rows of each.

    Environments are nested properly, braces balance on every line, every command is known, and each line of a tabular
    has as many cells as columns are declared.
    """
    found: list[dict[str, list[list[str]]]] = []
    stack: list[str] = []
    width = 0
    for line in text.splitlines():
        plain = re.sub(r"\\[&%$#_{}\\]", "", line)
        assert plain.count("{") == plain.count("}"), line
        assert not re.search(r"(?<!\\)[%$#_^~]", re.sub(r"\\ensuremath\{[^{}]*(\{[^{}]*\})?\}", "", line)), line
        assert set(re.findall(r"\\([a-zA-Z]+)", line)) <= COMMANDS, line
        if match := re.match(r"\\begin\{(\w+)\}(?:\{((?:[lr]|p\{6cm\})+)\})?$", line):
            stack.append(match[1])
            if match[1] == "tabular":
                width = len(re.findall(r"[lr]|p\{6cm\}", match[2]))
                assert width <= latex.MAX_COLUMNS
                found.append({"headings": [], "rows": []})
        elif match := re.match(r"\\end\{(\w+)\}$", line):
            assert stack.pop() == match[1]
        elif line.startswith(r"\multicolumn"):
            assert sum(map(int, re.findall(r"\\multicolumn\{(\d+)\}", line))) == width
        elif line.endswith(r"\\"):
            cells = read_cells(line)
            assert len(cells) == width, line
            found[-1]["rows" if found[-1]["headings"] else "headings"].append(cells)
    assert not stack
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert len(labels) == len(set(labels)) == len(found)
    return found


@pytest.mark.parametrize("num_columns", [2, 8, 9, 15, 16, 30])
def test_wide_tables_are_split_and_lose_nothing(num_columns: int) -> None:
    table = make_table(num_columns)
    parts = check_structure(latex.table_to_latex(table, "t"))
    # 7 columns a part beside the rows' headings.
    assert len(parts) == -(-(num_columns - 1) // 7)
    assert all(part["headings"][0][0] == "architecture" for part in parts)
    headings = [heading for part in parts for heading in part["headings"][0][1:]]
    assert headings == [rf"h\_{index}\%" for index in range(1, num_columns)]
    for row in range(3):
        assert [cell for part in parts for cell in part["rows"][row][1:]] == [
            rf"{row}\&{index}\_\{{\$" for index in range(1, num_columns)
        ]
        assert {part["rows"][row][0] for part in parts} == {rf"{row}\&0\_\{{\$"}
    # A baseline that has nothing to say in a part is not there.
    assert [len(part["rows"]) for part in parts] == [3] * (len(parts) - 1) + [4]
    widths = [len(part["headings"][0]) for part in parts]
    assert max(widths) - min(widths) <= 1


def test_parts_are_counted_in_captions() -> None:
    text = latex.table_to_latex(make_table(16), "t")
    assert re.findall(r"\\caption\{(.*)\}", text) == [f"Ranks on copy (part {number} of 3)" for number in (1, 2, 3)]
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:t", "tab:t-2", "tab:t-3"]


def test_a_paper_gets_the_columns_of_results_that_it_needs(tmp_path: Path) -> None:
    for seed in (0, 1):
        for name in ("lstm", "rwa"):
            run = experiment(name, task_options={"length": 1000}, seed=seed)
            write_run(tmp_path / "out", run, accuracy=0.9, solved_at=100, time=1000)
    (section,) = build_sections(finished_runs(tmp_path / "out"))
    table = tables.results_table(section)
    assert len(table.columns) > latex.MAX_COLUMNS
    chapter = Chapter(anchor="addition", title=section.title, blocks=(table,))
    assert latex.write_tables([chapter], tmp_path) == [tmp_path / "addition-results.tex"]
    (short,) = check_structure((tmp_path / "addition-results.tex").read_text())
    keys = [("", "architecture"), *latex.PAPER_COLUMNS]
    assert short["headings"] == [[heading for _, heading in keys]]
    by_key = {(column.group, " ".join(column.heading.split())): index for index, column in enumerate(table.columns)}
    for cells, row in zip(short["rows"], table.rows, strict=False):
        plain = [cell.removeprefix(r"\textbf{").removesuffix("}") for cell in cells]
        wanted = [latex.escape(row[by_key[key]].text) for key in keys]
        assert [cell for cell in plain if cell] == [text.removesuffix("}") for text in wanted]
    whole = check_structure((tmp_path / "addition-results-full.tex").read_text())
    assert sum(len(part["headings"][0]) - 1 for part in whole) == len(table.columns) - 1


def test_names_are_short_and_no_two_alike() -> None:
    captions = (
        "Results on text, file=a/long/path/to/a/book.txt",
        "Retention and what follows from it on copy, with 95 % intervals; frozen: the slope's interval lies below",
        "Retention and what follows from it on copy, again",
        "Survival of a signal on copy, length=10: median unit, with 95 % intervals",
        "Machines that trained",
        "日本",
        "Ranks on copy",
        "Ranks full on copy",
    )
    chapters = [
        Chapter(anchor="text", title="text, file=a/long/path/to/a/book.txt", blocks=()),
        Chapter(anchor="copy", title="copy", blocks=()),
        Chapter(anchor="copy-length-10", title="copy, length=10", blocks=()),
    ]
    assert latex.table_names(chapters, [make_table(9, caption=caption) for caption in captions]) == [
        "text-results",
        "copy-retention",
        "copy-retention-2",
        "copy-length-10-survival-of-a-signal",
        "machines-that-trained",
        "table",
        "copy-ranks",
        "copy-ranks-full-2",
    ]
