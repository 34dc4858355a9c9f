"""The W&B mirror: never in the way, never twice, and never behind the files."""

import json
import shutil
from importlib.util import find_spec

import pytest

from analysis.dashboards.mirror import mirror, offline_run, sources
from analysis.dashboards.mirror.mirror import Mirror, is_current, items, run_item, write
from analysis.dashboards.mirror.record import TrialInfo
from analysis.dashboards.mirror.state import Destination, below, is_mirrored, read_state
from analysis.probes import registry
from analysis.probes.registry import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from tests.analysis.dashboards.wandb_reader import Logged
from tests.workbench.experiments import finish, small
from workbench.files import read_json
from workbench.results import pruned
from workbench.run import run
from workbench.run_folder import run_folder
from workbench.study_files import Trial

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")

P = Destination(project="p")


def refuse(line):
    pytest.fail(line)


def records(out):
    return sorted(path.name for path in out.glob("wandb/offline-run-*"))


def marked(path):
    """The mark in a file, which is there."""
    mark = read_state(path)
    assert mark is not None
    return mark


def number(value):
    findings = ProbeResult(metrics={"horizon": Metric(value=value, unit="steps", what="steps back")})
    return {"memory_length": ProbeRecord(settings={}, weights="w", result=findings)}


@needs_wandb
def test_a_run_is_mirrored_once_and_each_into_a_record_of_its_own(tmp_path):
    runs = [finish(small(seed=seed, steps=4), tmp_path) for seed in (0, 1)]
    seen = []
    for _ in range(2):
        with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
            for finished in runs:
                offline_mirror.add(finished)
        seen.append(records(tmp_path))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2
    assert {mark.id for _, mark in below(tmp_path)} == {
        f"{finished.experiment.identity}-{finished.experiment.seed}" for finished in runs
    }


@needs_wandb
def test_a_record_is_replaced_under_the_same_id_once_probes_have_found_something(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
        offline_mirror.add(finished)
    (before,) = records(tmp_path)
    id_before = marked(finished.folder / "wandb.json").id
    registry.write_records(finished.folder, number(7.0))
    with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
        offline_mirror.add(finished)
    (after,) = records(tmp_path)
    assert after != before
    mark = marked(finished.folder / "wandb.json")
    assert mark.id == id_before
    logged = Logged(tmp_path / mark.folder)
    assert logged.summary["probe/memory_length/horizon"] == 7.0
    assert logged.rows, "the new record says all that the old one said"
    assert logged.run["run_id"] == id_before


@needs_wandb
@pytest.mark.parametrize("change", ["another project", "moved", "record gone", "mark gone", "mark damaged"])
def test_a_record_that_no_longer_serves_is_written_anew(tmp_path, change):
    out = tmp_path / "out"
    finished = finish(small(steps=4), out)
    write(out, run_item(finished), P)
    (item,) = items(out)
    assert is_current(out, item, P)
    place = P
    if change == "another project":
        place = Destination(project="q")
    elif change == "moved":
        shutil.move(out, tmp_path / "elsewhere")
        out = tmp_path / "elsewhere"
    elif change == "record gone":
        shutil.rmtree(out / marked(item.mark).folder)
    elif change == "mark gone":
        item.mark.unlink()
    else:
        item.mark.write_text('{"id": 3}')
    (item,) = items(out)
    assert not is_current(out, item, place)
    write(out, item, place)
    assert is_current(out, item, place)
    assert is_mirrored(out) == place


@needs_wandb
def test_nothing_goes_into_the_home_of_the_user(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    out = tmp_path / "out"
    finished = finish(small(steps=4), out)
    registry.write_records(finished.folder, number(7.0))
    write(out, run_item(finished, checkpoint=True), P)
    assert not (home / "data").exists()


@needs_wandb
def test_the_trained_weights_go_along_only_on_request_and_then_stay(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    write(tmp_path, run_item(finished), P)
    logged = Logged(tmp_path / marked(finished.folder / "wandb.json").folder)
    assert not [each for each in logged.of("artifact") if each["type"] == "checkpoint"]
    write(tmp_path, run_item(finished, checkpoint=True), P)
    for _ in range(2):
        mark = marked(finished.folder / "wandb.json")
        assert mark.checkpoint
        artifacts = Logged(tmp_path / mark.folder).of("artifact")
        (checkpoint,) = [each for each in artifacts if each["type"] == "checkpoint"]
        (content,) = checkpoint["manifest"]["contents"]
        assert content["path"] == "last.ckpt"
        assert int(content["size"]) == (finished.folder / "last.ckpt").stat().st_size
        # What comes later, such as probes, does not take them away again.
        registry.write_records(finished.folder, number(3.0))
        write(tmp_path, run_item(finished), P)


def test_without_wandb_it_says_so_once_and_training_is_not_disturbed(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "find_spec", lambda name: None)
    said: list[str] = []
    with Mirror(tmp_path, "offline", P, said.append) as silent:
        for _ in range(2):
            silent.add(finish(small(steps=2), tmp_path))
    assert len(said) == 1
    assert "W&B is not installed" in said[0]


def test_a_mirror_that_breaks_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError("disk\nfull")

    finished = finish(small(steps=2), tmp_path)
    monkeypatch.setattr(offline_run, "write_offline", broken)
    said: list[str] = []
    with Mirror(tmp_path, "offline", P, said.append) as offline_mirror:
        offline_mirror.add(finished)
    assert said == [f"W&B could not mirror {finished.folder}: disk full; the results are complete without it"]
    assert not (finished.folder / "wandb.json").exists()


@needs_wandb
def test_a_record_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    finished = finish(small(steps=2), tmp_path)
    write(tmp_path, run_item(finished), P)
    before, mark = records(tmp_path), read_json(finished.folder / "wandb.json")

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr(offline_run, "write_offline", broken)
    registry.write_records(finished.folder, number(7.0))
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path, run_item(finished), P)
    assert (records(tmp_path), read_json(finished.folder / "wandb.json")) == (before, mark)


@needs_wandb
def test_a_pruned_trial_that_went_on_is_mirrored_again(tmp_path):
    experiment = small(steps=12)
    seen: list[dict[str, float]] = []
    assert run(experiment, tmp_path, stop=lambda: bool(seen), watch=seen.append) is None
    given_up = pruned(run_folder(tmp_path, experiment))
    tried = TrialInfo(
        study="addition/gru", objectives=("loss",), trial=Trial(number=4, place=2, state="pruned", params={})
    )
    with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
        offline_mirror.add(given_up, tried)
    mark = marked(given_up.folder / "wandb.json")
    logged = Logged(tmp_path / mark.folder)
    assert (logged.run["run_group"], logged.run["tags"]) == ("addition/gru", ["addition", "gru", "pruned", "trial"])
    assert (logged.summary["trial/number"], logged.summary["trial/place"]) == (4, 2)
    with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
        offline_mirror.add(given_up, tried)
    assert marked(given_up.folder / "wandb.json") == mark, "it was mirrored twice"
    done = TrialInfo(
        study="addition/gru",
        objectives=("loss",),
        trial=Trial(number=5, place=2, state="complete", params={}, values=(0.5,)),
    )
    with Mirror(tmp_path, "offline", P, refuse) as offline_mirror:
        offline_mirror.add(finish(experiment, tmp_path), done)
    logged = Logged(tmp_path / marked(given_up.folder / "wandb.json").folder)
    assert (logged.summary["trial/loss"], logged.summary["trial/state"]) == (0.5, "complete")


def test_what_was_mirrored_while_it_was_run_stands_when_everything_is_looked_at(mirrored):
    marks = dict(below(mirrored))
    everything = list(items(mirrored))
    assert {item.mark for item in everything} == {*marks}
    assert [
        item.record.name
        for item in everything
        if not is_current(mirrored, item, Destination(project="sequence-workbench"))
    ] == []


def test_trials_of_another_machine_and_damaged_ones_are_left_out(mirrored, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(mirrored, out, symlinks=True)
    tried = [(run.folder, each) for run, each in sources.runs(out) if each is not None]
    assert len(tried) == 3
    (first, _), (second, _), _ = tried
    shutil.rmtree(first)
    (second / "config.yaml").write_text("[")
    assert len([each for _, each in sources.runs(out) if each is not None]) == 1


def test_a_mark_cannot_have_anything_else_removed(tmp_path):
    keep = tmp_path / "out" / "runs"
    keep.mkdir(parents=True)
    (tmp_path / "out/wandb").mkdir()
    for folder in ("runs", "../out/runs", "wandb/../runs", ".", "wandb", str(keep)):
        mark = {"id": "i", "place": {"project": "p", "entity": None}, "folder": folder, "content": "c", "at": "a"}
        path = tmp_path / "mark.json"
        path.write_text(json.dumps(mark))
        mirror.forget(tmp_path / "out", marked(path))
        assert keep.is_dir(), folder
        assert (tmp_path / "out/wandb").is_dir(), folder


@needs_wandb
def test_copies_of_what_goes_along_go_with_the_record_that_is_replaced(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    sizes = []
    for value in range(3):
        registry.write_records(finished.folder, number(float(value)))
        write(tmp_path, run_item(finished, checkpoint=True), P)
        (copies,) = (tmp_path / "wandb/staged").iterdir()
        assert copies.name == records(tmp_path)[0]
        sizes.append(sum(path.stat().st_size for path in copies.rglob("*") if path.is_file()))
    assert sizes[0] >= (finished.folder / "last.ckpt").stat().st_size
    assert sizes == [sizes[0]] * 3


@needs_wandb
def test_what_the_environment_says_of_another_run_is_not_in_the_record(tmp_path, monkeypatch):
    import wandb

    finished = finish(small(steps=4), tmp_path)
    said = {"SWEEP_ID": "s", "RESUME": "must", "NOTES": "private", "USE_DOT_WANDB": "true", "RUN_ID": "other"}
    for name, value in said.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()
    try:
        mark = write(tmp_path, run_item(finished), P)
        shown = Logged(tmp_path / mark.folder).run
    finally:
        wandb.teardown()
    assert (shown["run_id"], shown["project"]) == (mark.id, "p")
    assert not {"sweep_id", "notes", "resume"} & shown.keys()
    assert mark.folder.startswith("wandb/offline-run-")
