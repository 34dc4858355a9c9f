"""The bench's own code as a hash: what was made by other code is made again."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from workbench.archive_writer import bench_version

PACKAGES = ("analysis", "architectures", "workbench")
"""Packages whose code makes reports and records: what is solved, and what a run is, is said by the bench."""


@cache
def code_hash() -> str:
    """Returns a hash of the bench's version and of the code of its packages, as it was at the first call."""
    total = hashlib.sha256()
    add_parts(total, [bench_version().encode()])
    for package in PACKAGES:
        for name, source in iter_source(files(package)):
            add_parts(total, [f"{package}/{name}".encode(), source])
    return total.hexdigest()


def add_parts(total: "hashlib._Hash", parts: Sequence[bytes]) -> None:
    """Adds some bytes to a hash, so that no other parts come to the same."""
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)


def iter_source(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yields the name and the content of each file of a package, in a stable order."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from iter_source(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()
