"""What an archive of results holds: the files that belong in it, and its manifest."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from workbench.checkpoints import LAST
from workbench.errors import UserError
from workbench.validation import check_int, from_mapping

MANIFEST = "manifest.json"
"""The archive's first member."""
FORMAT = 1
"""Version of the archive's layout."""
MAX_MANIFEST_BYTES = 64 * 2**20

Kind = Literal["run", "checkpoint", "untrained", "study", "comparison", "report"]

_NAME = r"(?!\.)[^/\\\x00-\x1f\x7f]+"
_SEED = rf"{_NAME}/{_NAME}/[0-9a-f]{{12}}/seed-(?:0|[1-9][0-9]*)"
PATTERNS: dict[Kind, re.Pattern[str]] = {
    kind: re.compile(text)  # type: ignore[misc]
    for kind, text in {
        "run": rf"runs/{_SEED}/(?:config\.yaml|metrics\.csv|timing\.json|analysis\.json|result\.json)",
        "checkpoint": rf"runs/{_SEED}/{re.escape(LAST)}(?:\.parts\.json|\.part-[0-9]+)?",
        "untrained": rf"untrained/{_SEED}/(?:config\.yaml|analysis\.json)",
        "study": rf"sweep\.(?:yaml|db)|sweep/(?:{_NAME}/)*{_NAME}\.json",
        "comparison": r"comparison(?:-[0-9]+)?\.yaml",
        "report": rf"report\.html|(?:comparison|curves|analysis|tuning)\.csv|figures/{_NAME}\.(?:svg|png)|"
        rf"tables/{_NAME}\.tex|"
        rf"(?:figures|tables)/\.made-by-report|results/{_NAME}\.(?:md|json)|results/figures/{_NAME}\.(?:svg|png)",
    }.items()
}
"""The files that belong in an archive, by kind, as patterns of their paths below the folder of results."""
TOP_FOLDERS = ("runs", "untrained", "sweep", "figures", "tables", "results")
"""Folders that files of an archive are in."""


def find_kind(path: str) -> Kind | None:
    """Returns the kind of a file, from its path below the folder of results; `None` if it does not belong there."""
    return next((kind for kind, pattern in PATTERNS.items() if pattern.fullmatch(path)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file in an archive."""

    path: str
    """Below the folder of results, with slashes."""
    bytes: int
    sha256: str

    @property
    def kind(self) -> Kind:
        """The kind of the file."""
        kind = find_kind(self.path)
        assert kind is not None
        return kind

    @property
    def folder(self) -> str:
        """The folder that the file is in."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The list of an archive's files, with which every one of them is checked."""

    workbench: str
    """Version of the bench that made it."""
    files: tuple[ArchiveFile, ...]
    format: int = FORMAT

    @property
    def run_folders(self) -> list[str]:
        """The folders of runs, in their order."""
        return list(dict.fromkeys(file.folder for file in self.files if file.kind == "run"))

    def to_json(self) -> str:
        """Returns the text of the manifest."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Returns the manifest that `to_json` wrote.

        Raises:
            UserError: if it is anything else, or lists a file twice, or one that does not belong in an archive.
        """
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError("its manifest is not JSON") from None
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise UserError(f"it has format {values.get('format')!r}, and this version reads {FORMAT}")
        manifest = from_mapping(cls, values, "its manifest")
        if not isinstance(manifest.workbench, str) or not isinstance(manifest.files, list):
            raise UserError("its manifest is not one of workbench export")
        files = tuple(parse_file(item) for item in manifest.files)
        paths = [file.path for file in files]
        if len(set(paths)) < len(paths):
            raise UserError("its manifest lists a file twice")
        return cls(workbench=manifest.workbench, files=files)


def parse_file(values: Any) -> ArchiveFile:
    """Returns an entry of a manifest.

    Raises:
        UserError: if it is invalid, or its path is not that of a file that belongs in an archive.
    """
    file = from_mapping(ArchiveFile, values, "a file of its manifest")
    if not isinstance(file.path, str) or find_kind(file.path) is None or ".." in file.path.split("/"):
        raise UserError(f"it lists {file.path!r}, which is no file of results")
    check_int(f"the size of {file.path}", file.bytes, least=0)
    if not isinstance(file.sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        raise UserError(f"the hash of {file.path} is not one")
    return file


def iter_files(out: Path, *, checkpoints: bool = False) -> Iterator[Path]:
    """Yields the files of a folder of results that belong in an archive, in a stable order.

    Of the runs, those that are finished; nothing that a link leads to.

    Args:
        out: the folder of results.
        checkpoints: whether the trained weights belong to it.
    """
    candidates = [path for path in out.iterdir() if path.is_file()]
    for name in TOP_FOLDERS:
        if not (out / name).is_symlink():
            # It does not follow links either.
            candidates += (out / name).rglob("*")
    for path in sorted(candidates):
        kind = find_kind(path.relative_to(out).as_posix())
        if kind is None or path.is_symlink() or not path.is_file():
            continue
        if kind in ("run", "checkpoint") and not (path.parent / "result.json").is_file():
            continue
        if kind != "checkpoint" or checkpoints:
            yield path
