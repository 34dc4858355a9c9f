"""Files of data sets: the user's own copies, or downloads that are kept in a cache."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import UserError
from workbench.files import describe_error, expand_home

DATA_VARIABLE = "WORKBENCH_DATA"
"""Environment variable that names the user's folder of data files; processes that are started inherit it."""
RETRIES = 2
"""Further attempts after a download that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A published file that can be downloaded."""

    name: str
    urls: tuple[str, ...]
    """Addresses that it is published at, tried in this order."""
    md5: str
    raw_md5: str | None = None
    """Checksum of its content, if the file is compressed."""
    member: str | None = None
    """Name of the file in the ZIP archive that is downloaded, if it is in one."""
    folder: str = ""
    """Folder below the user's folder of data files in which it is also looked for."""


def data_folder() -> Path | None:
    """Returns the folder of data files that the user has named; `None` if none is named.

    Raises:
        UserError: if there is no such folder.
    """
    path = os.environ.get(DATA_VARIABLE)
    if not path:
        return None
    folder = expand_home(path)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; --data-dir (or {DATA_VARIABLE}) names the folder of data files")
    return folder


def cache_folder() -> Path:
    """Returns the folder in which downloads are kept.

    Raises:
        UserError: if this user has no home, as in a container that runs as a number.
    """
    import pooch

    with suppress(RuntimeError):
        folder = Path(pooch.os_cache("sequence-workbench"))
        # Earlier versions of platformdirs return a folder of that name, later ones raise.
        if folder.parts[:1] != ("~",):
            return folder
    raise UserError(
        f"this user has no home to keep downloads in; --data-dir (or {DATA_VARIABLE}) names a folder of data"
    )


def locate(file: RemoteFile) -> Path:
    """Returns the path of a published file: the user's own copy, plain or compressed, else a download from the cache.

    Raises:
        UserError: if there is no copy and it cannot be downloaded; the message says which file to put where.
    """
    user_folder = data_folder()
    names = [file.name, *([file.name.removesuffix(".gz")] if file.name.endswith(".gz") else [])]
    for folder in () if user_folder is None else (user_folder / file.folder, user_folder):
        for name in names:
            if (folder / name).is_file():
                return folder / name
    cached = cache_folder() / file.name
    if cached.is_file() and md5(cached) == file.md5:
        return cached
    return download(file, cached.parent, user_folder)


def download(file: RemoteFile, folder: Path, user_folder: Path | None) -> Path:
    """Downloads a file with a progress bar, and keeps it only if it is the published one.

    Args:
        file: the file.
        folder: where to keep it.
        user_folder: the user's folder of data files, for the message.

    Raises:
        UserError: if it cannot be downloaded.
    """
    reasons = []
    for url in file.urls:
        try:
            return fetch(file, url, folder)
        except Exception as error:
            # Whatever went wrong with the network, the next address or a copy of the user may work.
            reasons.append(f"{urlsplit(url).netloc} {describe_download_error(error)}")
    target = (user_folder or Path("DIR")) / file.folder
    raise UserError(
        f"{file.name} is not there and cannot be downloaded ({'; '.join(reasons)}); put it into {target} and name "
        f"that folder: --data-dir {user_folder or 'DIR'}"
    )


def fetch(file: RemoteFile, url: str, folder: Path) -> Path:
    """Downloads a file from one address.

    Raises:
        ValueError: if it is not the published one.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    if file.member is None:
        downloader = pooch.create(
            path=folder,
            base_url="",
            registry={file.name: f"md5:{file.md5}"},
            urls={file.name: url},
            retry_if_failed=RETRIES,
        )
        return Path(downloader.fetch(file.name, progressbar=True))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        # The checksum is that of the file, not of the archive.
        archive = pooch.create(
            path=temporary, base_url="", registry={"archive": None}, urls={"archive": url}, retry_if_failed=RETRIES
        ).fetch("archive", progressbar=True)
        with zipfile.ZipFile(archive) as opened:
            unpacked = Path(opened.extract(file.member, temporary))
        if md5(unpacked) != file.md5:
            raise ValueError(f"{file.member} of {url} is another file")
        return unpacked.replace(folder / file.name)


def describe_download_error(error: Exception) -> str:
    """Returns why a download failed, in a few words."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers with status {error.response.status_code}"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "cannot be reached"
    # pooch raises ValueError if the checksum is wrong.
    if isinstance(error, ValueError | zipfile.BadZipFile | KeyError):
        return "has another file"
    return f"fails: {describe_error(error)[:100]}"


def find_differing(paths: Sequence[Path], files: Sequence[RemoteFile]) -> list[str]:
    """Returns the names of the files that are not as published, byte for byte."""
    return [file.name for path, file in zip(paths, files, strict=True) if not is_published(path, file)]


def is_published(path: Path, file: RemoteFile) -> bool:
    """Returns whether a file is the published one, or an unpacked copy of it."""
    return md5(path) == (file.md5 if path.name == file.name else file.raw_md5)


def md5(path: Path) -> str:
    """Returns the checksum that data sets are published with, which protects against accidents, not against forgery."""
    return _md5(path, path.stat().st_mtime_ns)


@cache
def _md5(path: Path, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
