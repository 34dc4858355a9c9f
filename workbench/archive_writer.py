"""Export of results: one compressed file, with a manifest, that another machine can check and merge."""

import gzip
import hashlib
import io
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workbench.archive_contents import MANIFEST, ArchiveFile, Manifest, iter_files
from workbench.errors import UserError
from workbench.files import atomic_path
from workbench.results import read_run
from workbench.store_contents import STORE_FILE, copy_store

COMPRESSION = 6
"""Level of gzip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written to an archive."""

    runs: int
    files: int
    bytes: int
    """Size of the archive."""
    unfinished: int
    """Runs that were left out."""


def write_archive(out: Path, target: Path, *, checkpoints: bool = False) -> Export:
    """Writes an archive of a folder of results, atomically. The same results give the same bytes.

    Args:
        out: the folder of results.
        target: the archive, which must not exist.
        checkpoints: whether the trained weights go along.

    Raises:
        UserError: if there is nothing to export, a run cannot be read, or a file changes meanwhile.
    """
    paths = {path.relative_to(out).as_posix(): path for path in iter_files(out, checkpoints=checkpoints)}
    started = [config.parent for config in out.glob("runs/*/*/*/seed-*/config.yaml")]
    with tempfile.TemporaryDirectory() as name:
        if STORE_FILE in paths:
            paths[STORE_FILE] = copy_store(paths[STORE_FILE], Path(name, STORE_FILE))
        manifest = Manifest(
            workbench=bench_version(), files=tuple(describe_file(path, source) for path, source in paths.items())
        )
        if not any(file.kind in ("run", "study", "untrained") for file in manifest.files):
            raise UserError(f"there are no finished runs in {out}, and nothing else that could be exported")
        for folder in manifest.run_folders:
            read_run(out / folder)
        with atomic_path(target) as temporary:
            _write_members(manifest, paths, temporary)
    return Export(
        runs=len(manifest.run_folders),
        files=len(manifest.files),
        bytes=target.stat().st_size,
        unfinished=sum(not (folder / "result.json").exists() for folder in started),
    )


def _write_members(manifest: Manifest, sources: dict[str, Path], target: Path) -> None:
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        text = manifest.to_json().encode()
        tar.addfile(describe_member(MANIFEST, len(text)), io.BytesIO(text))
        for file in manifest.files:
            with sources[file.path].open("rb") as source:
                reader = HashReader(source)
                try:
                    tar.addfile(describe_member(file.path, file.bytes), reader)
                except OSError as error:
                    # The file has become shorter.
                    if error.errno is not None:
                        raise
                if reader.digest.hexdigest() != file.sha256:
                    raise UserError(f"{sources[file.path]} was changed while it was read; run the same command again")


class HashReader:
    """A reader of a binary file that hashes what is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Returns the next bytes, at most `size`."""
        block = self.file.read(size)
        self.digest.update(block)
        return block


def describe_file(path: str, source: Path) -> ArchiveFile:
    """Returns the manifest's entry of a file.

    Args:
        path: the file's path in the archive.
        source: where it is.
    """
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ArchiveFile(path=path, bytes=file.tell(), sha256=digest)


def describe_member(path: str, size: int) -> tarfile.TarInfo:
    """Returns the header of a member: nothing in it depends on when and by whom it was written."""
    member = tarfile.TarInfo(path)
    member.size, member.mode = size, 0o644
    return member


def bench_version() -> str:
    """Returns the version of the installed bench; `unknown` if it is not installed."""
    try:
        return version("sequence-workbench")
    except PackageNotFoundError:
        return "unknown"
