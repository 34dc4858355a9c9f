"""Whether a folder's report is the one that would be written now: a mark in the page says what it was made from."""

import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from analysis import palettes, style
from analysis.code_hash import add_parts, code_hash
from analysis.report.output_files import MANIFEST, listed_files
from workbench.study_files import STUDIES_FOLDER

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn")
"""Libraries that numbers and figures come from."""
MARK = re.compile(r'<meta name="made-from" content="([0-9a-f]{64})">')
RUNS = "runs/*/*/*/seed-*"
RUN_FILES = ("config.yaml", "result.json", "metrics.csv", "timing.json", "analysis.json")
"""Files of a run that are read."""
HEAD_BYTES = 4096
"""Bytes at the beginning of a page that its mark is among."""
FOLDERS = ("figures", "tables")
"""Folders of the files that a report writes beside its page."""


def made_from(out: Path) -> str:
    """Returns the mark of what a report of a folder would be made from now.

    It is a hash of the results, of the code and the libraries, and of the choices that change the report's looks.

    Args:
        out: the folder of results, whose name the report's commands repeat.
    """
    total = hashlib.sha256()
    words = [code_hash(), *(f"{name} {version(name)}" for name in LIBRARIES)]
    words += [str(out), palettes.current_palette(), ",".join(style.current_formats())]
    for text in words:
        add_parts(total, [text.encode()])
    for path in iter_inputs(out):
        add_parts(total, [path.relative_to(out).as_posix().encode("utf-8", "surrogateescape"), path.read_bytes()])
    return total.hexdigest()


def iter_inputs(out: Path) -> Iterator[Path]:
    """Yields the files that a report is made from, in a stable order, and through links, as they are read."""
    for result in sorted(out.glob(f"{RUNS}/result.json")):
        yield from (file for name in RUN_FILES if (file := result.with_name(name)).is_file())
    yield from (file for file in sorted((out / STUDIES_FOLDER).rglob("*.json")) if file.is_file())


def read_mark(page: Path) -> str | None:
    """Returns the mark in a page; `None` if there is no page, or none in it."""
    try:
        with page.open("rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    match = MARK.search(head)
    return match[1] if match else None


def is_up_to_date(out: Path, mark: str) -> bool:
    """Returns whether a folder has its report, with all its files, made from what a mark stands for."""
    if read_mark(out / "report.html") != mark:
        return False
    # A folder that is gone has taken the list of its files along.
    files = [out / name for name in ("comparison.csv", "curves.csv", *(f"{folder}/{MANIFEST}" for folder in FOLDERS))]
    files += [out / folder / name for folder in FOLDERS for name in listed_files(out / folder)]
    if next(out.glob(f"{RUNS}/analysis.json"), None) is not None:
        files.append(out / "analysis.csv")
    if next((out / STUDIES_FOLDER).rglob("*.json"), None) is not None:
        files.append(out / "tuning.csv")
    return all(file.is_file() for file in files)
