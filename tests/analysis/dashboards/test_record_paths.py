"""W&B's file of a record: its format, read and written, and the paths in it."""

import struct
import threading
import zlib

import pytest

from analysis.dashboards.mirror import record_paths
from analysis.dashboards.mirror.record_paths import (
    BLOCK,
    FILE_HEADER,
    UnknownFormatError,
    make_paths_relative,
    read_entries,
    write_entries,
)

ROOM = BLOCK - 7 - 7
"""Bytes of an entry that fills the first block, after the headers of the file and of the fragment."""


def test_a_short_entry_is_as_the_format_says():
    data = write_entries([b"abc"])
    assert data == b":W&B" + b"\xe1\xbe\x00" + struct.pack("<I", zlib.crc32(b"\x01abc")) + b"\x03\x00\x01abc"


@pytest.mark.parametrize("size", [0, 1, ROOM - 8, ROOM - 7, ROOM - 6, ROOM - 1, ROOM, ROOM + 1, 2 * BLOCK, 100_000])
def test_entries_are_read_as_they_were_written_wherever_blocks_end(size):
    entries = [b"x" * size, b"next", b"", b"y" * BLOCK, b"last"]
    data = write_entries(entries)
    assert list(read_entries(data)) == entries
    for position in range(len(FILE_HEADER), len(data), BLOCK):
        # A block begins with a fragment's header, whose kind is one of four.
        start = position - position % BLOCK or len(FILE_HEADER)
        assert 1 <= data[start + 6] <= 4


@pytest.mark.parametrize("damage", ["header", "checksum", "end", "entry"])
def test_a_file_in_another_format_is_refused_and_left_alone(tmp_path, monkeypatch, damage):
    pytest.importorskip("wandb")
    monkeypatch.setattr(record_paths, "WAIT_SECONDS", 0.1)
    data = bytearray(write_entries([b"x" * 2 * BLOCK]))
    if damage == "header":
        data[5] += 1
    if damage == "checksum":
        data[7] ^= 1
    file = tmp_path / "run-a.wandb"
    file.write_bytes(bytes(data)[: {"end": BLOCK + 3, "entry": BLOCK}.get(damage)])
    before = file.read_bytes()
    with pytest.raises(UnknownFormatError):
        make_paths_relative(file, tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize("missing", [0, 1, 9, 11, 30])
def test_paths_of_attached_files_become_relative_and_nothing_else_changes(tmp_path, missing):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import ArtifactRecord, Record, RunExitRecord

    file, folder = tmp_path / "run-a.wandb", tmp_path / "wandb" / ".sync"
    artifact = ArtifactRecord(name="a", digest="d")
    artifact.manifest.contents.add(path="x.json", digest="e", local_path=str(tmp_path / "wandb" / "staged" / "x"))
    artifact.manifest.contents.add(path="y.json", ref="https://host/y")
    end = Record(exit=RunExitRecord(exit_code=0))
    records = [Record(num=1), Record(artifact=artifact), end]
    whole = write_entries([record.SerializeToString() for record in records])
    writer = None
    if missing:
        # Another process is about to write the rest.
        file.write_bytes(whole[:-missing])
        writer = threading.Timer(0.2, lambda: file.write_bytes(whole))
        writer.start()
    else:
        file.write_bytes(whole)
    make_paths_relative(file, folder)
    if writer is not None:
        writer.join()
    artifact.manifest.contents[0].local_path = "../staged/x"
    first, second, third = (Record.FromString(data) for data in read_entries(file.read_bytes()))
    assert (first, second, third) == (Record(num=1), Record(artifact=artifact), end)
    assert [path.name for path in tmp_path.iterdir()] == ["run-a.wandb"]
