"""The index of a folder of pages: for every preset how far it is, at each scale, and on what machine."""

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, get_args

from analysis.papers import preset
from analysis.papers.markdown import plain, table
from analysis.papers.preset import Scale
from workbench.config import Draw, Numerics, Precision
from workbench.errors import UserError
from workbench.files import read_json, write_text

FILE = "README.md"
COMPUTED = tuple(product(get_args(Precision), get_args(Draw)))
"""All that a page may be computed in."""

MARK = "<!-- Made by `workbench reproduce"
"""How every file begins that is made here, and may be made again."""
HEADING = """<!-- Made by `workbench reproduce`; not to be edited. -->
# The papers' tables, measured

Each table of the papers is a preset of `workbench reproduce`: *full* is the paper's own setting, *small* a version that
is shorter and narrower, for two cores, whose numbers are not the paper's. Letters name the machines. Where a cell
says nothing else, all is in float32, with data drawn on the CPU.
"""


def check(pages: Path, page: str) -> None:
    """Refuses a folder in which something else would be overwritten.

    Args:
        pages: the folder.
        page: the name of the page that is to be made.

    Raises:
        UserError: if the index, the page, or what the index is made of, was written by something else.
    """
    for path in (pages / FILE, pages / f"{page}.md"):
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            raise UserError(f"{path} was not written by workbench reproduce; name another folder as --pages")
    for name in preset.names():
        for scale in get_args(Scale):
            read_pages(pages, name, scale)


def more_complete(pages: Path, page: str, finished: int) -> int | None:
    """How many runs a page is made of already, where that is more than so many; else `None`.

    Raises:
        UserError: if its JSON file was written by something else.
    """
    path = pages / f"{page}.json"
    told = int(read_page(path)["runs"]["finished"]) if path.exists() else 0
    return told if told > finished else None


def write(pages: Path) -> Path:
    """Writes `pages/README.md` from what is known of each page there.

    Raises:
        UserError: if a page's JSON file was written by something else.
    """
    known = {(name, scale): read_pages(pages, name, scale) for name in preset.names() for scale in get_args(Scale)}
    machines = sorted({machine for each in known.values() for page in each.values() for machine in page["machines"]})
    letters = {machine: chr(ord("A") + index) for index, machine in enumerate(machines)}
    lines = [
        [
            f"`{name}`",
            plain(preset.load(name).title),
            *(status(known[name, scale], letters) for scale in get_args(Scale)),
        ]
        for name in preset.names()
    ]
    legend = "\n".join(f"- {letter}: {plain(machine)}" for machine, letter in letters.items())
    parts = [HEADING, table(("preset", "table", "full", "small"), lines, left=4), legend]
    write_text(pages / FILE, "\n\n".join(part.strip() for part in parts if part) + "\n")
    return pages / FILE


def read_pages(pages: Path, name: str, scale: Scale) -> dict[str, dict[str, Any]]:
    """What the JSON files of a preset's pages say, by the page's name; the usual one first.

    Raises:
        UserError: if one was written by something else.
    """
    made = [preset.load(name, Numerics(precision=precision, draw=draw)).page(scale) for precision, draw in COMPUTED]
    return {page: read_page(pages / f"{page}.json") for page in made if (pages / f"{page}.json").exists()}


def read_page(path: Path) -> dict[str, Any]:
    """What the JSON file of a page says.

    Raises:
        UserError: if it was written by something else.
    """
    known = read_json(path)
    runs = known.get("runs")
    kinds = {"share": int | float, "verdict": str, "machines": list}
    whole = all(isinstance(known.get(key), kind) for key, kind in kinds.items())
    if not whole or not isinstance(runs, dict) or not {"finished", "asked"} <= runs.keys():
        raise UserError(f"{path} was not written by workbench reproduce; move it away")
    return known


def status(known: Mapping[str, dict[str, Any]], letters: Mapping[str, str]) -> str:
    """A cell of the index: the pages of a preset at a scale."""
    return "<br>".join(describe_page(page, each, letters) for page, each in known.items()) or "not run"


def describe_page(page: str, known: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    """How far a page is, what it says, and on what machines it was made."""
    runs, share = known["runs"], known["share"]
    whole = runs["finished"] == runs["asked"]
    how_far = "done" if whole else f"partial, {runs['finished']} of {runs['asked']} runs ({100 * share:.0f} %)"
    where = ", ".join(letters[machine] for machine in known["machines"])
    (computed,) = re.findall(r"-(?:small|full)(?:-(.*))?$", page)
    how_far += f", {computed.replace('-', ' ')}" * bool(computed)
    return f"[{how_far}]({page}.md): {plain(known['verdict'])}" + f" ({where})" * bool(where)
