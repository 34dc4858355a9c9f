"""The HTML page of a report: one self-contained file that makes no request, complete without its script."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.report.blocks import Chapter, Figure, Heading, Table
from analysis.report.figure_budget import (
    FEW_TASKS,
    PACKED_BYTES,
    PACKED_BYTES_OF_MANY,
    FigureBudget,
    pack,
    place_figures,
)
from analysis.report.first_screen.axis import format_short
from analysis.report.first_screen.curves import CurvePanel
from analysis.report.first_screen.doubts import doubts_of_all
from analysis.report.first_screen.scatter import draw_scatter
from analysis.report.first_screen.screen import SCRIPT_FIELDS, Screen
from analysis.report.fold import fold_chapter
from analysis.report.square import Square
from analysis.style import LineStyle

TEMPLATES = Path(__file__).parent / "templates"
CURVE_LIBRARY = "uPlot.iife.min.js"
"""Draws the learning curves; MIT licence, in `uPlot.LICENSE.txt` beside it and in the page."""
SCRIPT = "report.js"
STYLES = ("report.css", "first_screen.css", "uPlot.min.css")
UNSAFE_IN_SCRIPT = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
"""Characters that could end the element that JSON stands in, as escapes of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is on the page."""

    title: str
    overview: str
    chapters: Sequence[Chapter]
    made_from: str = ""
    """What the report was made from (`up_to_date.made_from`)."""
    screens: Sequence[Screen] = ()
    """The tasks on the first screen."""
    square: Square | None = None
    """What each architecture can do, if the tasks ask several questions."""
    short_titles: Mapping[str, str] = field(default_factory=dict)
    """Titles of tasks without their options, by the anchor, where they are unambiguous; for the list of contents."""
    curves: Mapping[str, Sequence[CurvePanel]] = field(default_factory=dict)
    """Learning curves by the anchor of the task's chapter."""
    figure_files: Collection[str] = ()
    """Names of the files in `figures/`."""
    table_files: Sequence[str] = ()
    """Name of the file in `tables/` of each table, in the order of the chapters."""


@cache
def template_environment() -> Environment:
    """Returns the templates, which are compiled once in a process."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": format_short, "identity": id, "commands": mark_commands}
    return environment


def render_page(page: Page) -> str:
    """Renders the HTML page.

    Everything is escaped except the figures, which are HTML elements already. The page's policy forbids all requests,
    and all scripts but its own two, which are named by their hashes.
    """
    environment = template_environment()
    folded = [fold_chapter(chapter) for chapter in page.chapters]
    budget = FigureBudget(packed=PACKED_BYTES if len(page.screens) <= FEW_TASKS else PACKED_BYTES_OF_MANY)
    figures = place_figures(
        [block for chapter in folded for block in chapter.head if isinstance(block, Figure)],
        [block for chapter in folded for block in chapter.rest if isinstance(block, Figure)],
        page.figure_files,
        budget,
    )
    tables = [block for chapter in page.chapters for block in chapter.blocks if isinstance(block, Table)]
    table_files = {id(table): f"tables/{name}" for table, name in zip(tables, page.table_files, strict=False)}
    library, script = read_script(CURVE_LIBRARY) if page.curves else "", read_script(SCRIPT)
    drawn = [screen for screen in page.screens if screen.rows]
    data = {
        "fields": [*SCRIPT_FIELDS, "seeds"],
        "screens": [screen.to_dict() for screen in drawn],
        "curves": {anchor: len(panels) for anchor, panels in page.curves.items()},
    }
    curves = {anchor: [asdict(panel) for panel in panels] for anchor, panels in page.curves.items()}
    return (
        environment.get_template("report.html.j2").render(
            page=page,
            chapters=folded,
            figures=figures,
            figure_css=budget.styles.css,
            packed=pack(budget.drawings),
            library=pack([library]) if library else "",
            curves=pack([to_json(curves)]) if curves else "",
            css=Markup(read_styles(STYLES if page.screens else STYLES[:1])),
            table_files=table_files,
            scatters={screen.anchor: draw_scatter(screen) for screen in drawn},
            all_doubts=doubts_of_all({name_briefly(page, screen): screen.doubts for screen in drawn}),
            families=sorted({row.family for screen in drawn for row in screen.rows}),
            labels=list(dict.fromkeys(row.label for screen in drawn for row in screen.rows)),
            swatches=number_swatches(tables),
            short_captions=short_captions(page.chapters),
            data=to_script_json(data),
            script=Markup(script),
            # The library is packed, and run as a script element that the script makes.
            hashes=[hash_script(text) for text in (library, script) if text],
        )
        + "\n"
    )


def name_briefly(page: Page, screen: Screen) -> str:
    """Returns the title of a task, without its options where that is unambiguous."""
    return page.short_titles.get(screen.anchor, screen.title)


def short_captions(chapters: Sequence[Chapter]) -> dict[int, str]:
    """Returns the captions that a chapter has under an earlier heading word for word, as references to it.

    Returns:
        The text that stands in place of the caption, by the identity of the figure.
    """
    short = {}
    for chapter in chapters:
        heading, first = "", dict[str, str]()
        for block in chapter.blocks:
            if isinstance(block, Heading):
                heading = block.text
            elif isinstance(block, Figure):
                known = first.setdefault(block.caption, heading)
                if known != heading and len(block.caption) > len(reference := f"As described under {known}."):
                    short[id(block)] = reference
    return short


def number_swatches(tables: Sequence[Table]) -> dict[LineStyle, str]:
    """Returns an identifier for each line style that a cell of a table has."""
    cells = (cell for table in tables for row in (*table.rows, *table.footer) for cell in row)
    styles = dict.fromkeys(cell.line_style for cell in cells if cell.line_style is not None)
    return {style: f"w{index}" for index, style in enumerate(styles)}


def mark_commands(text: str) -> Markup:
    """Returns a sentence as HTML, escaped, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def read_script(name: str) -> str:
    """Returns a script of the page.

    Raises:
        ValueError: if it holds what would end its element.
    """
    lines = (line.strip() for line in (TEMPLATES / name).read_text(encoding="utf-8").splitlines())
    # Whole-line comments and indentation say nothing to a browser. No string goes over several lines.
    text = "\n".join(line for line in lines if line and not line.startswith("// "))
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(f"{name} cannot stand in a page")
    return text


def read_styles(names: Sequence[str]) -> str:
    """Returns style sheets of the page, one after another, without indentation."""
    text = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    return re.sub(r"\s*([{};,])\s+", r"\1", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)).strip()


def script_hashes() -> list[str]:
    """Returns the source expressions that allow the scripts of a report, and nothing else."""
    return [hash_script(read_script(name)) for name in (CURVE_LIBRARY, SCRIPT)]


def hash_script(text: str) -> str:
    """Returns the source expression that allows a script in a Content Security Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def to_script_json(value: Any) -> Markup:
    """Returns a value as JSON that may stand in a `script` element; numbers that are not finite become `null`."""
    return Markup(to_json(value).translate(UNSAFE_IN_SCRIPT))


def to_json(value: Any) -> str:
    """Returns a value as JSON without blanks; numbers that are not finite become `null`."""
    return json.dumps(replace_infinite(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def replace_infinite(value: Any) -> Any:
    """Returns a nested value with `None` for numbers that are not finite, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: replace_infinite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [replace_infinite(entry) for entry in value]
    return value
