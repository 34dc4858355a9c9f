"""Files of a folder of results: which are served, and how they are listed."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from analysis.dashboards.server.wsgi import DOCUMENT_POLICY, HTML, REPORT_POLICY, TEXT, Response
from analysis.variant_names import natural_sort_key

CONTENT_TYPES = {
    **dict.fromkeys((".csv", ".json", ".log", ".tex", ".yaml"), TEXT),
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""Content types of the suffixes that are served; nothing else is: no checkpoint, no database, no lock."""
REPORT_FILE = "report.html"
"""The only HTML file that is served."""
PRIVATE_FOLDER = "wandb"
# O_NONBLOCK: a pipe must not block. O_NOFOLLOW: the file may have become a link since. Windows has neither.
READ_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    READ_FLAGS |= getattr(os, _name, 0)
RUN_FILES = ("config.yaml", "metrics.csv", "result.json", "timing.json", "analysis.json", "error.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A file's text and URL."""

    text: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGroup:
    """Links to files that belong together, after the name that they share."""

    text: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSection:
    """Groups of files under a heading."""

    title: str
    groups: tuple[FileGroup, ...]


def open_file(root: Path, name: str) -> Response | None:
    """Opens a file to be served; returns `None` if it does not exist or is not served.

    Args:
        root: the folder of results, resolved.
        name: of the file, relative to the folder.
    """
    kind = HTML if name == REPORT_FILE else CONTENT_TYPES.get(Path(name).suffix)
    parts = name.split("/")
    if kind is None or "\0" in name or parts[0] == PRIVATE_FOLDER or any(not part or part[0] == "." for part in parts):
        return None
    try:
        path = root.joinpath(*parts).resolve(strict=True)
        # A link may lead to another file of the folder, but not to one that would not be served by its own name.
        if not path.is_relative_to(root) or path.suffix != Path(name).suffix or is_hidden(path.relative_to(root)):
            return None
        file = os.fdopen(os.open(path, READ_FLAGS), "rb")
    except (OSError, ValueError, RuntimeError):
        return None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        return None
    policy = REPORT_POLICY if name == REPORT_FILE else DOCUMENT_POLICY
    return Response(body=file, size=status.st_size, kind=kind, policy=policy)


def is_hidden(name: Path) -> bool:
    """Returns whether a file, named relative to the folder of results, is never served."""
    return name.parts[0] == PRIVATE_FOLDER or any(part.startswith(".") for part in name.parts)


def file_sections(root: Path) -> tuple[FileSection, ...]:
    """Returns the list of all served files, in sections by kind."""
    settings = [
        path for name in ("comparison*.yaml", "sweep.yaml") for path in sorted(root.glob(name)) if path.is_file()
    ]
    report = [root / REPORT_FILE] if (root / REPORT_FILE).is_file() else []
    tables = [*sorted(root.glob("*.csv")), *sorted((root / "tables").glob("*.tex"))]
    studies = sorted((root / "sweep").rglob("*.json"))
    figures: dict[str, list[Path]] = {}
    for path in sorted((root / "figures").glob("*")):
        if path.suffix in (".svg", ".png"):
            figures.setdefault(path.stem, []).append(path)
    sections = (
        FileSection(title="Report and configuration", groups=tuple(single_file_groups(root, [*report, *settings]))),
        FileSection(title="Tables", groups=tuple(single_file_groups(root, tables))),
        FileSection(title="Figures", groups=tuple(file_group(root, stem, paths) for stem, paths in figures.items())),
        FileSection(title="Runs", groups=tuple(run_groups(root, "runs"))),
        FileSection(title="Probed without training", groups=tuple(run_groups(root, "untrained"))),
        FileSection(title="Studies", groups=tuple(single_file_groups(root, studies))),
    )
    return tuple(
        FileSection(title=section.title, groups=groups)
        for section in sections
        if (groups := tuple(group for group in section.groups if group.links))
    )


def run_groups(root: Path, below: str) -> Iterator[FileGroup]:
    """Yields the files of each run below a folder."""
    folders = {path.parent for path in (root / below).rglob("config.yaml")}
    folders |= {path.parent for path in (root / below).rglob("analysis.json")}
    for folder in sorted(folders, key=lambda folder: natural_sort_key(str(folder))):
        name = str(folder.relative_to(root / below))
        yield file_group(root, name, [folder / file for file in RUN_FILES], full_names=True)


def single_file_groups(root: Path, paths: list[Path]) -> Iterator[FileGroup]:
    """Yields a group for each file."""
    for path in paths:
        name = str(path.relative_to(root))
        yield FileGroup(text="", links=(Link(text=name, address=file_url(name)),) if is_listed(root, path) else ())


def file_group(root: Path, text: str, paths: list[Path], *, full_names: bool = False) -> FileGroup:
    """Returns a group of files, whose links show their names or, in short, their suffixes."""
    return FileGroup(
        text=text,
        links=tuple(
            Link(text=path.name if full_names else path.suffix[1:], address=file_url(str(path.relative_to(root))))
            for path in paths
            if is_listed(root, path)
        ),
    )


def is_listed(root: Path, path: Path) -> bool:
    """Returns whether a file would be served, so that it can be listed."""
    name = path.relative_to(root)
    if is_hidden(name) or re.search("[\ud800-\udfff]", str(name)):
        return False
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return resolved.is_relative_to(root) and resolved.is_file() and not is_hidden(resolved.relative_to(root))


def file_url(name: str) -> str:
    """Returns the URL path of a file."""
    return f"/{name}" if name == REPORT_FILE else f"/files/{quote(name)}"
