"""Which files of a folder of results are shown, and how they are listed."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from analysis.dashboards.server.wsgi import DOCUMENT, HTML, TEXT, Response
from analysis.grouping import natural_sort_key

KINDS = {
    **dict.fromkeys((".csv", ".json", ".log", ".tex", ".yaml"), TEXT),
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""By suffix, what is shown; nothing else is: no checkpoint, no database, no lock."""
REPORT = "report.html"
"""The one page in a folder of results."""
PRIVATE = "wandb"
RUN = ("config.yaml", "metrics.csv", "result.json", "timing.json", "analysis.json", "error.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file with its address."""

    text: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGroup:
    """Files that belong together, under what they have in common."""

    text: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """Lines under a heading."""

    title: str
    lines: tuple[FileGroup, ...]


def open_inside(root: Path, name: str) -> Response | None:
    """A file of a folder, to be sent; `None` where there is none, or none that is shown.

    Args:
        root: the folder, resolved.
        name: of the file, from there.
    """
    kind = HTML if name == REPORT else KINDS.get(Path(name).suffix)
    parts = name.split("/")
    if kind is None or "\0" in name or parts[0] == PRIVATE or any(not part or part[0] == "." for part in parts):
        return None
    try:
        path = root.joinpath(*parts).resolve(strict=True)
        # A link may lead to another file of the folder, but not to one that would not be shown by its own name.
        if not path.is_relative_to(root) or path.suffix != Path(name).suffix or is_hidden(path.relative_to(root)):
            return None
        # A pipe would be waited for; what has become a link since then is left alone.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except (OSError, ValueError, RuntimeError):
        return None
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        file.close()
        return None
    return Response(body=file, size=found.st_size, kind=kind, policy=DOCUMENT)


def is_hidden(name: Path) -> bool:
    """Whether a file is kept to oneself, by its name from the folder of results."""
    return name.parts[0] == PRIVATE or any(part.startswith(".") for part in name.parts)


def file_sections(root: Path) -> tuple[FileSection, ...]:
    """Everything that is shown, by what it is."""
    asked = [path for name in ("comparison*.yaml", "sweep.yaml") for path in sorted(root.glob(name)) if path.is_file()]
    report = [root / REPORT] if (root / REPORT).is_file() else []
    tables = [*sorted(root.glob("*.csv")), *sorted((root / "tables").glob("*.tex"))]
    figures: dict[str, list[Path]] = {}
    for path in sorted((root / "figures").glob("*")):
        if path.suffix in (".svg", ".png"):
            figures.setdefault(path.stem, []).append(path)
    made = (
        FileSection(title="Report and what was asked for", lines=tuple(files_of(root, [*report, *asked]))),
        FileSection(title="Tables", lines=tuple(files_of(root, tables))),
        FileSection(title="Figures", lines=tuple(file_group(root, stem, paths) for stem, paths in figures.items())),
        FileSection(title="Runs", lines=tuple(run_groups(root, "runs"))),
        FileSection(title="Probed without training", lines=tuple(run_groups(root, "untrained"))),
        FileSection(title="Studies", lines=tuple(files_of(root, sorted((root / "sweep").rglob("*.json"))))),
    )
    return tuple(
        FileSection(title=shelf.title, lines=lines)
        for shelf in made
        if (lines := tuple(each for each in shelf.lines if each.links))
    )


def run_groups(root: Path, below: str) -> Iterator[FileGroup]:
    """A line for each run."""
    folders = {path.parent for path in (root / below).rglob("config.yaml")}
    folders |= {path.parent for path in (root / below).rglob("analysis.json")}
    for folder in sorted(folders, key=lambda folder: natural_sort_key(str(folder))):
        yield file_group(root, str(folder.relative_to(root / below)), [folder / name for name in RUN], whole=True)


def files_of(root: Path, paths: list[Path]) -> Iterator[FileGroup]:
    """A line for each file."""
    for path in paths:
        name = str(path.relative_to(root))
        yield FileGroup(text="", links=(Link(text=name, address=address(name)),) if is_listed(root, path) else ())


def file_group(root: Path, text: str, paths: list[Path], *, whole: bool = False) -> FileGroup:
    """A line for files that belong together, called by their names or, for short, by their suffixes."""
    return FileGroup(
        text=text,
        links=tuple(
            Link(text=path.name if whole else path.suffix[1:], address=address(str(path.relative_to(root))))
            for path in paths
            if is_listed(root, path)
        ),
    )


def is_listed(root: Path, path: Path) -> bool:
    """Whether a file that is listed would be sent."""
    name = path.relative_to(root)
    if is_hidden(name) or re.search("[\ud800-\udfff]", str(name)):
        return False
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return resolved.is_relative_to(root) and resolved.is_file() and not is_hidden(resolved.relative_to(root))


def address(name: str) -> str:
    """Where a file is served."""
    return f"/{name}" if name == REPORT else f"/files/{quote(name)}"
