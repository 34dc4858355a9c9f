"""Where files of data are: in a folder that the user names, or downloaded once into a cache."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import UserError
from workbench.files import one_line

VARIABLE = "WORKBENCH_DATA"
"""The environment variable that names the folder; processes that are started inherit it."""
ATTEMPTS = 2
"""Further attempts at a download."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as it was published."""

    name: str
    urls: tuple[str, ...]
    """Where it can be had, the first one first."""
    md5: str
    raw_md5: str | None = None
    """Of its content, where the file is compressed."""
    member: str | None = None
    """What is downloaded is a ZIP archive with the file under this name in it."""
    folder: str = ""
    """Below the folder of data where it is also looked for."""


def data_folder() -> Path | None:
    """The folder that the user has named; `None` where there is none.

    Raises:
        UserError: if it is no folder.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; --data-dir (or {VARIABLE}) names the folder of data files")
    return folder


def cache_folder() -> Path:
    """Where downloads are kept."""
    import pooch

    return Path(pooch.os_cache("sequence-workbench"))


def locate(file: RemoteFile) -> Path:
    """A published file: the user's own copy, plain or compressed, else the cached one, else a download.

    Raises:
        UserError: if it is nowhere and cannot be had; the message says which file to put where.
    """
    named = data_folder()
    names = [file.name, *([file.name.removesuffix(".gz")] if file.name.endswith(".gz") else [])]
    for folder in () if named is None else (named / file.folder, named):
        for name in names:
            if (folder / name).is_file():
                return folder / name
    kept = cache_folder() / file.name
    if kept.is_file() and md5(kept) == file.md5:
        return kept
    return download(file, kept.parent, named)


def download(file: RemoteFile, folder: Path, named: Path | None) -> Path:
    """Downloads a file with a progress bar, and keeps it only if it is the published one.

    Raises:
        UserError: if it cannot be had.
    """
    reasons = []
    for url in file.urls:
        try:
            return fetch(file, url, folder)
        except Exception as error:
            # Whatever a network can come up with: the next address, or the user's own copy, may do.
            reasons.append(f"{urlsplit(url).netloc} {describe_error(error)}")
    where = (named or Path("DIR")) / file.folder
    raise UserError(
        f"{file.name} is not there and cannot be downloaded ({'; '.join(reasons)}); put it into {where} and name "
        f"that folder: --data-dir {named or 'DIR'}"
    )


def fetch(file: RemoteFile, url: str, folder: Path) -> Path:
    """Downloads a file from one address.

    Raises:
        ValueError: if it is not the published one.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    if file.member is None:
        known = pooch.create(
            path=folder,
            base_url="",
            registry={file.name: f"md5:{file.md5}"},
            urls={file.name: url},
            retry_if_failed=ATTEMPTS,
        )
        return Path(known.fetch(file.name, progressbar=True))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as aside:
        # What is known is the checksum of the file, not of the archive.
        archive = pooch.create(
            path=aside, base_url="", registry={"archive": None}, urls={"archive": url}, retry_if_failed=ATTEMPTS
        ).fetch("archive", progressbar=True)
        with zipfile.ZipFile(archive) as packed:
            unpacked = Path(packed.extract(file.member, aside))
        if md5(unpacked) != file.md5:
            raise ValueError(f"{file.member} of {url} is another file")
        return unpacked.replace(folder / file.name)


def describe_error(error: Exception) -> str:
    """Why a download failed, in a few words."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers with status {error.response.status_code}"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "cannot be reached"
    # The first is how pooch says that the checksum is another one.
    if isinstance(error, ValueError | zipfile.BadZipFile | KeyError):
        return "has another file"
    return f"fails: {one_line(error)[:100]}"


def differing(paths: Sequence[Path], files: Sequence[RemoteFile]) -> list[str]:
    """The names of files that are not as published, byte for byte."""
    return [file.name for path, file in zip(paths, files, strict=True) if not is_as_published(path, file)]


def is_as_published(path: Path, file: RemoteFile) -> bool:
    """Whether a file is the published one, or an unpacked copy of it."""
    return md5(path) == (file.md5 if path.name == file.name else file.raw_md5)


def md5(path: Path) -> str:
    """The checksum that data sets are published with; against accidents, not against forgery."""
    return _md5(path, path.stat().st_mtime_ns)


@cache
def _md5(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
