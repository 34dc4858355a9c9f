"""Records of runs whose files look as they did are passed over unread; any change is seen."""

import dataclasses
import functools
import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from analysis.dashboards.mirror import mirror, offline_run, stamp
from analysis.dashboards.mirror.mirror import run_item
from analysis.dashboards.mirror.record import TrialInfo, run_record
from analysis.dashboards.mirror.state import Destination, read_state, write_state
from analysis.dashboards.mirror.sync import mark_sent, pending_records
from analysis.probes import records
from analysis.probes.records import ProbeRecord
from tests.analysis.dashboards.quiet_mirror import quiet_mirror
from tests.workbench.experiments import finish, small
from workbench.files import read_json
from workbench.results import Run, read_pruned_run, read_run
from workbench.study_files import Trial

pytestmark = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")

DESTINATION = Destination(project="p")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run."""
    return finish(small(steps=4), tmp_path_factory.mktemp("template"))


@pytest.fixture
def run(template: Run, tmp_path: Path) -> Run:
    """A copy of the run in a folder of its own."""
    out = template.folder.parents[4]
    shutil.copytree(out, tmp_path / "out")
    return dataclasses.replace(template, folder=tmp_path / "out" / template.folder.relative_to(out))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of the runs whose files have been read for a record, as that happens; records are empty files."""
    folders: list[Path] = []

    def note(run: Run, trial_info: TrialInfo | None = None, *, checkpoint: bool = False) -> mirror.MirrorItem:
        folders.append(run.folder)
        return run_item(run, trial_info, checkpoint=checkpoint)

    def write_offline_run(record, out, destination):
        folder = out / "wandb" / f"offline-run-{len(folders)}"
        folder.mkdir()
        (folder / "run-1.wandb").touch()
        return folder.relative_to(out)

    monkeypatch.setattr(mirror, "run_item", note)
    monkeypatch.setattr(offline_run, "write_offline_run", write_offline_run)
    return folders


def mirror_run(
    run: Run, trial_info: TrialInfo | None = None, *, destination: Destination = DESTINATION, checkpoints: bool = False
) -> None:
    """Mirrors a run of its folder."""
    with quiet_mirror(run.folder.parents[4], destination, checkpoints=checkpoints) as offline_mirror:
        offline_mirror.add(run, trial_info)


def trial_info(value: float) -> TrialInfo:
    """Returns a trial that reached a value."""
    trial = Trial(number=0, place=0, params={}, identity="i", state="complete", values=(value,))
    return TrialInfo(study="s", objectives=("val/loss",), trial=trial)


def test_a_run_whose_files_look_as_they_did_is_not_read_again(run: Run, read: list[Path]) -> None:
    for _ in range(3):
        mirror_run(run)
    assert read == [run.folder]
    for _ in range(2):
        mirror_run(run, checkpoints=True)
    assert len(read) == 2
    mirror_run(run)
    assert len(read) == 2, "weights that were included before are included again"


def replace_file(name: str) -> Callable[[Run], None]:
    """Returns a change that writes a file again, with the same bytes."""

    def change(run: Run) -> None:
        path = run.folder / name
        aside = path.with_name("aside")
        aside.write_bytes(path.read_bytes())
        os.utime(aside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        aside.replace(path)

    return change


def touch(run: Run) -> None:
    """Changes the time of a file alone."""
    os.utime(run.folder / "metrics.csv")


def probe(run: Run) -> None:
    """Adds results of a probe."""
    records.write_records(
        run.folder, {"memory_length": ProbeRecord(settings={}, weights="w", result=None, reason="none")}
    )


def remove_record(run: Run) -> None:
    """Removes W&B's folder of the run."""
    state = read_state(run.folder / "wandb.json")
    assert state is not None
    shutil.rmtree(run.folder.parents[4] / state.folder)


def forget_stamp(run: Run) -> None:
    """Leaves a state as a version without stamps wrote it."""
    state = read_state(run.folder / "wandb.json")
    assert state is not None
    assert state.stamp
    write_state(run.folder / "wandb.json", dataclasses.replace(state, stamp=""))


CHANGES = {
    **{name: replace_file(name) for name in ("config.yaml", "result.json", "timing.json", "metrics.csv")},
    "time": touch,
    "probes": probe,
    "record gone": remove_record,
    "older state": forget_stamp,
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_run_whose_files_look_different_is_read_once(run: Run, read: list[Path], case: str) -> None:
    mirror_run(run)
    CHANGES[case](run)
    for _ in range(3):
        mirror_run(run)
    assert len(read) == 2


def test_a_run_is_read_again_for_another_trial_project_folder_or_code(
    run: Run, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (1.0, 1.0, 2.0):
        mirror_run(run, trial_info(value))
    assert len(read) == 2
    for _ in range(2):
        mirror_run(run, trial_info(2.0), destination=Destination(project="q"))
    assert len(read) == 3
    out = run.folder.parents[4]
    shutil.copytree(out, out.with_name("copy"))
    copy = dataclasses.replace(run, folder=out.with_name("copy") / run.folder.relative_to(out))
    for _ in range(2):
        mirror_run(copy, trial_info(2.0), destination=Destination(project="q"))
    assert len(read) == 4
    monkeypatch.setattr(stamp, "code_hash", lambda: "other code")
    for _ in range(2):
        mirror_run(copy, trial_info(2.0), destination=Destination(project="q"))
    assert len(read) == 5


def test_a_file_that_changes_while_a_record_is_written_is_seen(
    run: Run, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run_record

    def make(*arguments, **options):
        record = made(*arguments, **options)
        if len(read) == 1:
            probe(run)
        return record

    monkeypatch.setattr(mirror, "run_record", make)
    for _ in range(3):
        mirror_run(run)
    assert len(read) == 2


@pytest.mark.parametrize("name", ["result.json", "timing.json", "config.yaml"])
def test_a_file_that_changes_between_reading_and_mirroring_is_seen(run: Run, read: list[Path], name: str) -> None:
    """A command reads all runs first, and mirrors each of them when its turn comes."""
    if name == "config.yaml":
        text = (run.folder / name).read_text().replace("\nseed: 0", "\nseed: 1")
    else:
        text = json.dumps({**read_json(run.folder / name), "seconds": 123.0, "trivial_loss": 0.5})
    (run.folder / name).write_text(text)
    mirror_run(run)
    state = read_state(run.folder / "wandb.json")
    assert state is not None
    assert state.stamp == ""
    if name == "config.yaml":
        # No longer the run of this folder.
        return
    for _ in range(2):
        mirror_run(read_run(run.folder))
    assert len(read) == 2


def test_a_pruned_run_is_passed_over_too(run: Run, read: list[Path]) -> None:
    (run.folder / "result.json").unlink()
    for _ in range(2):
        mirror_run(read_pruned_run(run.folder))
    assert len(read) == 1


def test_a_record_that_is_sent_while_its_stamp_is_noted_is_marked(run: Run, read: list[Path]) -> None:
    mirror_run(run)
    forget_stamp(run)
    out = run.folder.parents[4]
    (pending,) = pending_records(out, [run.folder / "wandb.json"])
    mirror_run(run)
    pending.synced_marker.touch()
    assert mark_sent(out, [pending]) == [pending]
    state = read_state(run.folder / "wandb.json")
    assert state is not None
    assert state.sent
    assert state.stamp


def test_the_code_is_hashed_before_the_first_run(run: Run, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is replaced while a comparison trains does not make its records."""
    codes = iter(("code at the start", "code that came later"))
    hashed = functools.cache(lambda: next(codes))
    monkeypatch.setattr(mirror, "code_hash", hashed)
    monkeypatch.setattr(stamp, "code_hash", hashed)
    with quiet_mirror(run.folder.parents[4], DESTINATION):
        assert hashed.cache_info().currsize == 1
