"""Index of a folder of pages: progress, verdict and machines of every preset at each scale."""

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, get_args

from analysis.papers.markdown import escape, markdown_table
from analysis.papers.preset_files import load_preset, preset_names
from analysis.presets.preset import Scale
from workbench.config import Draw, Numerics, Precision
from workbench.errors import UserError
from workbench.files import read_json, write_text

INDEX_FILE = "README.md"
"""Name of the index in the folder of pages."""
NUMERICS = tuple(product(get_args(Precision), get_args(Draw)))
"""Numerics that a page may have, the usual ones first."""

GENERATED_MARK = "<!-- Made by `workbench reproduce"
"""Beginning of every generated file; only files that begin with it are overwritten."""
HEADING = """<!-- Made by `workbench reproduce`; not to be edited. -->
# The papers' tables, measured

Each table of the papers is a preset of `workbench reproduce`: *full* is the paper's own setting; *long* has its task at
its length and counts by its criterion, with what makes training cheaper; *small* has shorter sequences too, for a first
look on two cores. Only at the full scale are numbers the paper's. Letters name the machines. Where a cell says
nothing else, all is in float32, with data drawn on the CPU. What all of it says of the sources' claims, one by one, is
in [claims.md](claims.md).
"""


def check_writable(pages: Path, page: str) -> None:
    """Checks that writing a page and the index overwrites nothing but generated files.

    Args:
        pages: the folder of pages.
        page: name of the page to be written.

    Raises:
        UserError: if the index, the page, or the JSON file of any page was written by something else.
    """
    for path in (pages / INDEX_FILE, pages / f"{page}.md"):
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(GENERATED_MARK):
            raise UserError(f"{path} was not written by workbench reproduce; name another folder as --pages")
    for name in preset_names():
        for scale in get_args(Scale):
            read_pages(pages, name, scale)


def find_more_complete(pages: Path, page: str, finished: int) -> int | None:
    """Returns the number of finished runs in an earlier page, if that is more than a number; else `None`.

    Args:
        pages: the folder of pages.
        page: name of the page.
        finished: the number of runs to compare with.

    Raises:
        UserError: if the page's JSON file was written by something else.
    """
    path = pages / f"{page}.json"
    earlier = int(read_page(path)["runs"]["finished"]) if path.exists() else 0
    return earlier if earlier > finished else None


def write_index(pages: Path) -> Path:
    """Writes `pages/README.md` from the JSON files of the pages, and returns its path.

    Raises:
        UserError: if a page's JSON file was written by something else.
    """
    scales = get_args(Scale)
    contents = {(name, scale): read_pages(pages, name, scale) for name in preset_names() for scale in scales}
    machines = sorted(
        {machine for by_page in contents.values() for page in by_page.values() for machine in page["machines"]}
    )
    letters = {machine: chr(ord("A") + index) for index, machine in enumerate(machines)}
    lines = [
        [
            f"`{name}`",
            escape(load_preset(name).title),
            *(format_cell(contents[name, scale], letters) for scale in scales),
        ]
        for name in preset_names()
    ]
    legend = "\n".join(f"- {letter}: {escape(machine)}" for machine, letter in letters.items())
    parts = [HEADING, markdown_table(("preset", "table", *scales), lines, left=5), legend]
    write_text(pages / INDEX_FILE, "\n\n".join(part.strip() for part in parts if part) + "\n")
    return pages / INDEX_FILE


def read_pages(pages: Path, name: str, scale: Scale) -> dict[str, dict[str, Any]]:
    """Returns the contents of the JSON files of a preset's pages, by the name of the page, the usual one first.

    Raises:
        UserError: if one of them was written by something else.
    """
    presets = [load_preset(name, Numerics(precision=precision, draw=draw)) for precision, draw in NUMERICS]
    paths = {page: pages / f"{page}.json" for page in (preset.page_name(scale) for preset in presets)}
    return {page: read_page(path) for page, path in paths.items() if path.exists()}


def read_page(path: Path) -> dict[str, Any]:
    """Returns the contents of a page's JSON file.

    Raises:
        UserError: if it was written by something else.
    """
    content = read_json(path)
    runs = content.get("runs")
    types = {"share": int | float, "verdict": str, "machines": list}
    is_complete = all(isinstance(content.get(key), kind) for key, kind in types.items())
    if not is_complete or not isinstance(runs, dict) or not {"finished", "asked"} <= runs.keys():
        raise UserError(f"{path} was not written by workbench reproduce; move it away")
    return content


def format_cell(contents: Mapping[str, dict[str, Any]], letters: Mapping[str, str]) -> str:
    """Returns a cell of the index: the pages of a preset at one scale."""
    return "<br>".join(describe_page(page, content, letters) for page, content in contents.items()) or "not run"


def describe_page(page: str, content: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    """Returns the progress of a page as a link, its verdict, and the letters of its machines."""
    runs = content["runs"]
    if runs["finished"] == runs["asked"]:
        progress = "done"
    else:
        progress = f"partial, {runs['finished']} of {runs['asked']} runs ({100 * content['share']:.0f} %)"
    (numerics,) = re.findall(r"-(?:full|long|small)(?:-(.*))?$", page)
    progress += f", {numerics.replace('-', ' ')}" * bool(numerics)
    machines = ", ".join(letters[machine] for machine in content["machines"])
    return f"[{progress}]({page}.md): {escape(content['verdict'])}" + f" ({machines})" * bool(machines)
