"""Paths of attached files in W&B's file of a record: relative ones, as W&B sends them along with the files.

W&B notes where it keeps its copy of each attached file (of each table, too), and what it sends of an artifact has that
note in it. An absolute path tells the world the name of the user and how the machine is organised.

The file is a log in LevelDB's format (https://github.com/google/leveldb/blob/main/doc/log_format.md) after a header of
seven bytes, with zlib's CRC-32 in place of Castagnoli's; each entry of the log is a protocol buffer.
"""

import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

FILE_HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
"""What W&B's files begin with: a name, a number, and the version of the format."""
BLOCK = 32_768
"""Bytes of a block of the log; no fragment of an entry crosses its end."""
HEADER = struct.Struct("<IHB")
"""Header of a fragment: its checksum, the number of its bytes, and its kind."""
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


WAIT_SECONDS, POLL_SECONDS = 10.0, 0.02
"""Seconds to wait until a file is complete, and between two looks."""


class UnknownFormatError(ValueError):
    """A file is not in the format that is known here."""


class IncompleteError(UnknownFormatError):
    """A file ends before an entry does."""


def make_paths_relative(file: Path, folder: Path) -> None:
    """Replaces the absolute paths of attached files.

    Args:
        file: W&B's file of a record, which another process may still be at work on.
        folder: that the paths are to be relative to: the current folder of whoever sends the record.

    Raises:
        UnknownFormatError: if the file is in another format, such as that of a later version; it is left as it is.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    entries = []
    changed = False
    for data in complete_entries(file):
        record = Record.FromString(data)
        for entry in record.artifact.manifest.contents:
            if os.path.isabs(entry.local_path):
                entry.local_path = os.path.relpath(entry.local_path, folder)
                changed = True
        entries.append(record.SerializeToString())
    if changed:
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_bytes(write_entries(entries))
        temporary.replace(file)


def complete_entries(file: Path) -> list[bytes]:
    """Returns the entries of a file once the last one is there, in which the run ends.

    W&B writes the file in a process of its own, and on a busy machine not all of it is there when a run is finished.

    Raises:
        UnknownFormatError: if the file is in another format.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        late = time.monotonic() > deadline
        try:
            entries = list(read_entries(file.read_bytes()))
            if late or (entries and Record.FromString(entries[-1]).HasField("exit")):
                return entries
        except IncompleteError:
            if late:
                raise
        time.sleep(POLL_SECONDS)


def read_entries(data: bytes) -> Iterator[bytes]:
    """Yields the entries of a log.

    Raises:
        IncompleteError: if it ends in the middle of an entry.
        UnknownFormatError: if it is not a log in the known format.
    """
    if FILE_HEADER.startswith(data) and len(data) < len(FILE_HEADER):
        raise IncompleteError("the file ends in its header")
    if not data.startswith(FILE_HEADER):
        raise UnknownFormatError("the file does not begin as W&B's files do")
    position, fragments = len(FILE_HEADER), b""
    while position < len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:
            position += left
            continue
        if position + HEADER.size > len(data):
            raise IncompleteError("the file ends in the middle of a header")
        checksum, length, kind = HEADER.unpack_from(data, position)
        position += HEADER.size
        fragment = data[position : position + length]
        if len(fragment) < length:
            raise IncompleteError("the file ends in the middle of a fragment")
        if kind not in (FULL, FIRST, MIDDLE, LAST) or checksum != zlib.crc32(bytes([kind]) + fragment):
            raise UnknownFormatError("a fragment does not have its checksum")
        position += length
        fragments += fragment
        if kind in (FULL, LAST):
            yield fragments
            fragments = b""
    if fragments:
        raise IncompleteError("the last entry is not complete")


def write_entries(entries: Iterable[bytes]) -> bytes:
    """Returns the log of entries."""
    log = bytearray(FILE_HEADER)
    for entry in entries:
        rest, is_first = entry, True
        while is_first or rest:
            left = BLOCK - len(log) % BLOCK
            if left < HEADER.size:
                log += bytes(left)
                left = BLOCK
            fragment, rest = rest[: left - HEADER.size], rest[left - HEADER.size :]
            kind = (FULL if is_first else LAST) if not rest else (FIRST if is_first else MIDDLE)
            log += HEADER.pack(zlib.crc32(bytes([kind]) + fragment), len(fragment), kind) + fragment
            is_first = False
    return bytes(log)
