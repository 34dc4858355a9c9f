"""Files are on the disk before they have their names: every other test leaves out the waiting."""

import os
from pathlib import Path

import pytest

from workbench.files import write_text


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "result.json", []

    def sync(descriptor: int) -> None:
        assert not path.exists()
        (temporary,) = tmp_path.iterdir()
        assert os.path.samestat(os.fstat(descriptor), temporary.stat())
        synced.append(temporary.read_text())

    monkeypatch.setattr(os, "fsync", sync)
    write_text(path, "all of it")
    assert synced == ["all of it"]
    assert path.read_text() == "all of it"
