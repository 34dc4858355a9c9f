"""What a report made earlier goes with the next one; what somebody else has put there stays."""

from pathlib import Path

import pytest

from analysis.report.output_files import LIST, replaced


def write(folder: Path, **files: str) -> None:
    with replaced(folder) as aside:
        for name, text in files.items():
            (aside / name).write_text(text)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LIST}


def test_only_its_own_files_go(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    write(folder, a="1", b="1")
    assert names(folder) == {"mine", "a", "b"}
    write(folder, b="2", c="2")
    assert names(folder) == {"mine", "b", "c"}
    assert [(folder / name).read_text() for name in ("mine", "b", "c")] == ["mine", "2", "2"]


def test_an_error_changes_nothing(tmp_path):
    folder = tmp_path / "figures"
    write(folder, a="1")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(FileNotFoundError), replaced(folder) as aside:
        (tmp_path / "absent").rename(aside / "b")
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_nothing_written_makes_no_folder(tmp_path):
    write(tmp_path / "tables")
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_no_file_elsewhere(tmp_path):
    folder = tmp_path / "figures"
    write(folder, a="1")
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (folder / LIST).write_text(f"../outside\n{outside}\n..\n\na\n")
    write(folder, b="2")
    assert names(folder) == {"b"}
    assert outside.read_text() == "mine"
