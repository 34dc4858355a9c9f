"""Files of an earlier report are replaced; files that no report has written are kept."""

from pathlib import Path

import pytest

from analysis.report.output_files import MANIFEST, replace_files


def write_files(folder: Path, **files: str) -> None:
    with replace_files(folder) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text)


def file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {MANIFEST}


def test_only_its_own_files_go(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    write_files(folder, a="1", b="1")
    assert file_names(folder) == {"mine", "a", "b"}
    write_files(folder, b="2", c="2")
    assert file_names(folder) == {"mine", "b", "c"}
    assert [(folder / name).read_text() for name in ("mine", "b", "c")] == ["mine", "2", "2"]


def test_an_error_changes_nothing(tmp_path):
    folder = tmp_path / "figures"
    write_files(folder, a="1")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(FileNotFoundError), replace_files(folder) as temporary:
        (tmp_path / "absent").rename(temporary / "b")
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_nothing_written_makes_no_folder(tmp_path):
    write_files(tmp_path / "tables")
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_no_file_elsewhere(tmp_path):
    folder = tmp_path / "figures"
    write_files(folder, a="1")
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (folder / MANIFEST).write_text(f"../outside\n{outside}\n..\n\na\n")
    write_files(folder, b="2")
    assert file_names(folder) == {"b"}
    assert outside.read_text() == "mine"
