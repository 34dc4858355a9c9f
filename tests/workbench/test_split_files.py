"""Large files split into parts: joined, they are the same file or none."""

import random

import pytest

from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same, stop_after
from workbench import checkpoints
from workbench.run import run
from workbench.run_folder import run_folder

CONTENT = random.Random(0).randbytes(1_000)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(CONTENT)
    return path


def file_names(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_a_file_in_parts_holds_the_same_bytes_and_no_part_is_larger(large):
    checkpoints.split_file(large, 300)
    parts = [large.parent / f"last.ckpt.part-{number:03}" for number in range(4)]
    assert file_names(large) == [*(part.name for part in parts), "last.ckpt.parts.json"]
    assert [part.stat().st_size for part in parts] == [300, 300, 300, 100]
    assert b"".join(part.read_bytes() for part in parts) == CONTENT
    assert checkpoints.join_file(large)
    assert large.read_bytes() == CONTENT
    assert file_names(large) == ["last.ckpt"]


@pytest.mark.parametrize("largest", [1_000, 2_000])
def test_what_is_small_enough_stays(large, largest):
    checkpoints.split_file(large, largest)
    assert file_names(large) == ["last.ckpt"]


def test_nothing_at_all_is_nothing_to_join(tmp_path):
    assert checkpoints.join_file(tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["missing", "other", "index"])
def test_parts_that_are_not_whole_are_not_put_together(large, harm):
    checkpoints.split_file(large, 300)
    match harm:
        case "missing":
            (large.parent / "last.ckpt.part-002").unlink()
        case "other":
            (large.parent / "last.ckpt.part-002").write_bytes(b"?" * 300)
        case "index":
            (large.parent / "last.ckpt.parts.json").write_text("{}")
    before = file_names(large)
    assert not checkpoints.join_file(large)
    assert file_names(large) == before


def test_a_newer_file_is_not_replaced_by_the_parts_of_an_older_one(large):
    checkpoints.split_file(large, 300)
    large.write_bytes(b"newer")
    assert checkpoints.join_file(large)
    assert large.read_bytes() == b"newer"
    assert file_names(large) == ["last.ckpt"]


def test_killed_before_the_index_was_written_the_file_is_still_there(large, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.split_file(large, 300)
    assert large.read_bytes() == CONTENT
    checkpoints.split_file(large, 500)
    assert checkpoints.join_file(large)
    assert large.read_bytes() == CONTENT


def test_a_run_resumes_from_a_checkpoint_in_parts_with_the_same_bits(tmp_path):
    experiment = small("lstm")
    whole = finish(experiment, tmp_path / "whole")
    folder = run_folder(tmp_path / "parts", experiment)
    for _ in range(2):
        assert run(experiment, tmp_path / "parts", stop=stop_after(3)) is None
        checkpoints.split_checkpoints(folder, 1_000)
        assert not (folder / "last.ckpt").exists()
        assert max(path.stat().st_size for path in folder.iterdir()) <= 1_000
    steps: list[int] = []
    again = finish(experiment, tmp_path / "parts", on_progress=steps.append)
    assert steps[0] == 6
    assert_same(whole.folder, again.folder)


def test_a_damaged_part_costs_a_line_and_the_checkpoint_before_is_taken(tmp_path):
    experiment = small("lstm")
    folder = run_folder(tmp_path, experiment)
    for _ in range(2):
        assert run(experiment, tmp_path, stop=stop_after(3)) is None
    assert (folder / "previous.ckpt").exists()
    checkpoints.split_checkpoints(folder, 1_000)
    (folder / "last.ckpt.part-001").unlink()
    path, notes = checkpoints.find_newest(folder, experiment.identity)
    assert path == folder / "previous.ckpt"
    assert notes == [f"{folder / 'last.ckpt'} is in parts, of which one is missing or damaged: it is skipped"]
