"""Reading an archive of results: everything in it is checked before anything of it is used, and nothing is executed."""

import hashlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path

from workbench.archive_contents import MANIFEST, MAX_MANIFEST_BYTES, ArchiveFile, Manifest
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.results import read_run
from workbench.run_folder import run_folder
from workbench.study_files import read_studies

BLOCK_BYTES = 2**20


def unpack(archive: Path, staging: Path) -> Manifest:
    """Unpacks an archive into an empty folder, and checks it: names, kinds, sizes and hashes of its members, and runs.

    Args:
        archive: written by `workbench.archive_writer`.
        staging: where the files are written.

    Raises:
        UserError: if it is damaged, or not an archive of results, or there is too little room for it.
    """
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            manifest = read_manifest(tar)
            needed, free = sum(file.bytes for file in manifest.files), shutil.disk_usage(staging).free
            if needed > free:
                raise UserError(f"it needs {needed} bytes, and {staging.parent} has {free} left")
            _unpack_members(tar, manifest, staging)
        check_contents(staging, manifest)
    except UserError as error:
        reason = str(error).replace(f"{staging}{os.sep}", "")
        raise UserError(f"{archive} cannot be imported: {reason}; nothing was changed") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UserError(f"{error.filename or archive} cannot be opened: {error.strerror}") from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(archive, error) from None
    except OSError as error:
        # A full disk has a number; what gzip finds wrong has none.
        if error.errno is not None:
            raise
        raise _damaged(archive, error) from None
    return manifest


def _damaged(archive: Path, error: Exception) -> UserError:
    return UserError(
        f"{archive} is damaged, or was not written by workbench export: {describe_error(error)}; nothing was changed"
    )


def read_manifest(tar: tarfile.TarFile) -> Manifest:
    """Reads an archive's manifest, which is its first member.

    Raises:
        UserError: if there is none, or it is invalid.
    """
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > MAX_MANIFEST_BYTES:
        raise UserError(f"it has no {MANIFEST} at its beginning, so workbench export did not write it")
    file = tar.extractfile(first)
    assert file is not None
    return Manifest.from_json(file.read())


def _unpack_members(tar: tarfile.TarFile, manifest: Manifest, staging: Path) -> None:
    expected = {file.path: file for file in manifest.files}
    while (member := tar.next()) is not None:
        # Whatever else is wrong with it is found below; this is what Python's own unpacking would refuse.
        try:
            tarfile.data_filter(member, str(staging))
        except tarfile.FilterError as error:
            raise UserError(f"a member is unsafe: {describe_error(error)}") from None
        file = expected.pop(member.name, None)
        if file is None:
            raise UserError(f"it holds {member.name!r}, which its manifest does not list, or holds it twice")
        if not member.isreg() or member.issparse():
            raise UserError(f"{file.path} is not a plain file in it")
        if member.size != file.bytes:
            raise UserError(f"{file.path} has {member.size} bytes in it, and {file.bytes} by its manifest")
        _unpack_member(tar, member, file, staging / file.path)
    if expected:
        raise UserError(f"it lacks {next(iter(expected))}, which its manifest lists")
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Reads what follows the last member, padding, so that gzip's checksum of all of it is checked too."""
    left = tarfile.RECORDSIZE
    assert tar.fileobj is not None
    while block := tar.fileobj.read(left + 1):
        left -= len(block)
        if left < 0:
            raise UserError("more follows its end")


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, file: ArchiveFile, target: Path) -> None:
    source, digest = tar.extractfile(member), hashlib.sha256()
    assert source is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as copy:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    if digest.hexdigest() != file.sha256:
        raise UserError(f"{file.path} is damaged: its hash is not that of the manifest")


def check_contents(staging: Path, manifest: Manifest) -> None:
    """Checks that every run that was unpacked is finished and in the folder of its configuration, and every study.

    Raises:
        UserError: if one is not.
    """
    for folder in manifest.run_folders:
        run = read_run(staging / folder)
        if run.folder != run_folder(staging, run.experiment):
            raise UserError(f"{folder} is not the folder of the run in it")
        if not (run.folder / "metrics.csv").is_file():
            raise UserError(f"{folder} has no metrics.csv")
    runs = set(manifest.run_folders)
    for file in manifest.files:
        if file.kind == "checkpoint" and file.folder not in runs:
            raise UserError(f"{file.path} belongs to no run in it")
    read_studies(staging)
