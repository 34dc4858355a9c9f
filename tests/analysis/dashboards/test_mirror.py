"""W&B mirror: it disturbs no training, writes no record twice, and keeps up with the files."""

import json
import shutil
from importlib.util import find_spec

import pytest

from analysis.dashboards.mirror import mirror, offline_run, sources
from analysis.dashboards.mirror.mirror import Mirror, is_current, iter_items, run_item, write_record
from analysis.dashboards.mirror.record import TrialInfo
from analysis.dashboards.mirror.record_paths import make_paths_relative, read_entries, write_entries
from analysis.dashboards.mirror.state import Destination, iter_states, mirrored_destination, read_state
from analysis.probes import records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Metric, ProbeResult
from tests.analysis.dashboards.quiet_mirror import quiet_mirror
from tests.analysis.dashboards.wandb_reader import LoggedRecord
from tests.workbench.experiments import finish, small
from workbench.files import read_json
from workbench.results import read_pruned_run
from workbench.run import run
from workbench.run_folder import run_folder
from workbench.study_files import Trial

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")

DESTINATION = Destination(project="p")


def record_folders(out):
    return sorted(path.name for path in out.glob("wandb/offline-run-*"))


def load_state(path):
    """Returns the sync state in a file, which must exist."""
    state = read_state(path)
    assert state is not None
    return state


def probe_records(value):
    result = ProbeResult(metrics={"horizon": Metric(value=value, unit="steps", what="steps back")})
    return {"memory_length": ProbeRecord(settings={}, weights="w", result=result)}


@needs_wandb
def test_a_run_is_mirrored_once_and_each_into_a_record_of_its_own(tmp_path):
    runs = [finish(small(seed=seed, steps=4), tmp_path) for seed in (0, 1)]
    folders = []
    for _ in range(2):
        with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
            for finished in runs:
                offline_mirror.add(finished)
        folders.append(record_folders(tmp_path))
    assert folders[0] == folders[1]
    assert len(folders[0]) == 2
    assert {state.id for _, state in iter_states(tmp_path)} == {
        f"{finished.experiment.identity}-{finished.experiment.seed}" for finished in runs
    }


def test_a_run_that_two_processes_see_finish_has_one_record(tmp_path, monkeypatch):
    finished = finish(small(steps=4), tmp_path)
    written: list[str] = []

    def write_offline_run(record, out, destination):
        folder = out / "wandb" / f"offline-run-{len(written)}"
        folder.mkdir()
        (folder / "run-1.wandb").touch()
        written.append(record.id)
        return folder.relative_to(out)

    monkeypatch.setattr(offline_run, "write_offline_run", write_offline_run)
    # Both have found that there is none yet.
    states = [write_record(tmp_path, run_item(finished), DESTINATION) for _ in range(2)]
    assert len(written) == 1
    assert states[0] == states[1]


@needs_wandb
def test_a_record_is_replaced_under_the_same_id_once_probes_have_found_something(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
        offline_mirror.add(finished)
    (before,) = record_folders(tmp_path)
    id_before = load_state(finished.folder / "wandb.json").id
    records.write_records(finished.folder, probe_records(7.0))
    with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
        offline_mirror.add(finished)
    (after,) = record_folders(tmp_path)
    assert after != before
    state = load_state(finished.folder / "wandb.json")
    assert state.id == id_before
    logged = LoggedRecord(tmp_path / state.folder)
    assert logged.summary["probe/memory_length/horizon"] == 7.0
    assert logged.rows, "the new record says all that the old one said"
    assert logged.run["run_id"] == id_before


@needs_wandb
@pytest.mark.parametrize("change", ["another project", "moved", "record gone", "state gone", "state damaged"])
def test_an_outdated_record_is_written_again(tmp_path, change):
    out = tmp_path / "out"
    finished = finish(small(steps=4), out)
    write_record(out, run_item(finished), DESTINATION)
    (item,) = iter_items(out)
    assert is_current(out, item, DESTINATION)
    destination = DESTINATION
    if change == "another project":
        destination = Destination(project="q")
    elif change == "moved":
        shutil.move(out, tmp_path / "elsewhere")
        out = tmp_path / "elsewhere"
    elif change == "record gone":
        shutil.rmtree(out / load_state(item.state_path).folder)
    elif change == "state gone":
        item.state_path.unlink()
    else:
        item.state_path.write_text('{"id": 3}')
    (item,) = iter_items(out)
    assert not is_current(out, item, destination)
    write_record(out, item, destination)
    assert is_current(out, item, destination)
    assert mirrored_destination(out) == destination


@needs_wandb
def test_nothing_goes_into_the_home_of_the_user(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    out = tmp_path / "out"
    finished = finish(small(steps=4), out)
    records.write_records(finished.folder, probe_records(7.0))
    write_record(out, run_item(finished, checkpoint=True), DESTINATION)
    assert not (home / "data").exists()


@needs_wandb
def test_the_trained_weights_go_along_only_on_request_and_then_stay(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    write_record(tmp_path, run_item(finished), DESTINATION)
    logged = LoggedRecord(tmp_path / load_state(finished.folder / "wandb.json").folder)
    assert not [artifact for artifact in logged.records_of("artifact") if artifact["type"] == "checkpoint"]
    write_record(tmp_path, run_item(finished, checkpoint=True), DESTINATION)
    for _ in range(2):
        state = load_state(finished.folder / "wandb.json")
        assert state.checkpoint
        artifacts = LoggedRecord(tmp_path / state.folder).records_of("artifact")
        (checkpoint,) = [artifact for artifact in artifacts if artifact["type"] == "checkpoint"]
        (content,) = checkpoint["manifest"]["contents"]
        assert content["path"] == "last.ckpt"
        assert int(content["size"]) == (finished.folder / "last.ckpt").stat().st_size
        # What comes later, such as probes, does not take them away again.
        records.write_records(finished.folder, probe_records(3.0))
        write_record(tmp_path, run_item(finished), DESTINATION)


def test_without_wandb_it_says_so_once_and_training_is_not_disturbed(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "find_spec", lambda name: None)
    log: list[str] = []
    with Mirror(tmp_path, "offline", DESTINATION, log.append) as silent:
        for _ in range(2):
            silent.add(finish(small(steps=2), tmp_path))
    assert len(log) == 1
    assert "W&B is not installed" in log[0]


def test_a_mirror_that_breaks_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError("disk\nfull")

    finished = finish(small(steps=2), tmp_path)
    monkeypatch.setattr(offline_run, "write_offline_run", broken)
    log: list[str] = []
    with Mirror(tmp_path, "offline", DESTINATION, log.append) as offline_mirror:
        offline_mirror.add(finished)
    assert log == [f"W&B could not mirror {finished.folder}: disk full; the results are complete without it"]
    assert not (finished.folder / "wandb.json").exists()


@needs_wandb
def test_a_record_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    finished = finish(small(steps=2), tmp_path)
    write_record(tmp_path, run_item(finished), DESTINATION)
    before, state = record_folders(tmp_path), read_json(finished.folder / "wandb.json")

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr(offline_run, "write_offline_run", broken)
    records.write_records(finished.folder, probe_records(7.0))
    with pytest.raises(OSError, match="disk full"):
        write_record(tmp_path, run_item(finished), DESTINATION)
    assert (record_folders(tmp_path), read_json(finished.folder / "wandb.json")) == (before, state)


@needs_wandb
def test_a_pruned_trial_that_went_on_is_mirrored_again(tmp_path):
    experiment = small(steps=12)
    rows: list[dict[str, float]] = []
    assert run(experiment, tmp_path, stop=lambda: bool(rows), on_row=rows.append) is None
    pruned_run = read_pruned_run(run_folder(tmp_path, experiment))
    trial_info = TrialInfo(
        study="addition/gru", objectives=("loss",), trial=Trial(number=4, place=2, state="pruned", params={})
    )
    with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
        offline_mirror.add(pruned_run, trial_info)
    state = load_state(pruned_run.folder / "wandb.json")
    logged = LoggedRecord(tmp_path / state.folder)
    assert (logged.run["run_group"], logged.run["tags"]) == ("addition/gru", ["addition", "gru", "pruned", "trial"])
    assert (logged.summary["trial/number"], logged.summary["trial/place"]) == (4, 2)
    with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
        offline_mirror.add(pruned_run, trial_info)
    assert load_state(pruned_run.folder / "wandb.json") == state, "it was mirrored twice"
    complete = TrialInfo(
        study="addition/gru",
        objectives=("loss",),
        trial=Trial(number=5, place=2, state="complete", params={}, values=(0.5,)),
    )
    with quiet_mirror(tmp_path, DESTINATION) as offline_mirror:
        offline_mirror.add(finish(experiment, tmp_path), complete)
    logged = LoggedRecord(tmp_path / load_state(pruned_run.folder / "wandb.json").folder)
    assert (logged.summary["trial/loss"], logged.summary["trial/state"]) == (0.5, "complete")


@pytest.mark.slow
def test_records_written_during_training_are_current_afterwards(mirrored):
    states = dict(iter_states(mirrored))
    everything = list(iter_items(mirrored))
    assert {item.state_path for item in everything} == {*states}
    assert [
        item.record.name
        for item in everything
        if not is_current(mirrored, item, Destination(project="sequence-workbench"))
    ] == []


def test_trials_of_another_machine_and_damaged_ones_are_left_out(mirrored, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(mirrored, out, symlinks=True)
    first, second, _ = [run.folder for run, trial_info in sources.load_runs(out) if trial_info is not None]
    shutil.rmtree(first)
    (second / "config.yaml").write_text("[")
    assert len([trial_info for _, trial_info in sources.load_runs(out) if trial_info is not None]) == 1


def test_a_sync_state_cannot_cause_anything_but_its_record_to_be_removed(tmp_path):
    keep = tmp_path / "out" / "runs"
    keep.mkdir(parents=True)
    (tmp_path / "out/wandb").mkdir()
    for folder in ("runs", "../out/runs", "wandb/../runs", ".", "wandb", str(keep)):
        state = {"id": "i", "place": {"project": "p", "entity": None}, "folder": folder, "content": "c", "at": "a"}
        path = tmp_path / "mark.json"
        path.write_text(json.dumps(state))
        mirror.remove_record(tmp_path / "out", load_state(path))
        assert keep.is_dir(), folder
        assert (tmp_path / "out/wandb").is_dir(), folder


@needs_wandb
def test_copies_of_what_goes_along_go_with_the_record_that_is_replaced(tmp_path):
    finished = finish(small(steps=4), tmp_path)
    sizes = []
    for value in range(3):
        records.write_records(finished.folder, probe_records(float(value)))
        write_record(tmp_path, run_item(finished, checkpoint=True), DESTINATION)
        (copies,) = (tmp_path / "wandb/staged").iterdir()
        assert copies.name == record_folders(tmp_path)[0]
        sizes.append(sum(path.stat().st_size for path in copies.rglob("*") if path.is_file()))
    assert sizes[0] >= (finished.folder / "last.ckpt").stat().st_size
    assert sizes == [sizes[0]] * 3


@needs_wandb
def test_a_record_does_not_say_whose_machine_it_was_written_on(tmp_path, monkeypatch):
    import wandb

    finished = finish(small(steps=4), tmp_path)
    secrets = {
        "USERNAME": "secret-user",
        "USER_EMAIL": "secret-email@example.org",
        "GIT_REMOTE_URL": "https://secret-remote/x.git",
        "GIT_COMMIT": "secret-commit",
        "DOCKER": "secret-image",
        "EXECUTABLE": "/secret-folder/python",
        "PROGRAM": "/secret-folder/program.py",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setattr("socket.gethostname", lambda: "secret-name")
    written: list[bytes] = []

    def keep_what_wandb_wrote(file, folder):
        written.append(file.read_bytes())
        make_paths_relative(file, folder)

    monkeypatch.setattr(offline_run, "make_paths_relative", keep_what_wandb_wrote)
    wandb.teardown()
    try:
        state = write_record(tmp_path, run_item(finished), DESTINATION)
    finally:
        wandb.teardown()
    (original,) = written
    assert write_entries(read_entries(original)) == original, "we write the format as W&B does"
    texts = {path.name: path.read_bytes() for path in (tmp_path / state.folder).rglob("*") if path.is_file()}
    assert f"run-{state.id}.wandb" in texts
    assert not [name for name, text in texts.items() if b"secret" in text]
    assert not [name for name, text in texts.items() if bytes(tmp_path) in text], "nor where"
    assert not list((tmp_path / "wandb").glob("debug*.log"))


@needs_wandb
def test_settings_of_another_run_in_the_environment_are_not_in_the_record(tmp_path, monkeypatch):
    import wandb

    finished = finish(small(steps=4), tmp_path)
    variables = {"SWEEP_ID": "s", "RESUME": "must", "NOTES": "private", "USE_DOT_WANDB": "true", "RUN_ID": "other"}
    # As a sweep's agent and a launcher set them.
    foreign = "wandb_version: 1\nlearning_rate: {value: 9.5}\noptimization: {value: theirs}\n"
    (tmp_path / "parameters.yaml").write_text(foreign)
    variables["SWEEP_PARAM_PATH"] = str(tmp_path / "parameters.yaml")
    (tmp_path / "launch.json").write_text('{"overrides": {"run_config": {"seed": 77}}}')
    variables |= {"LAUNCH": "true", "LAUNCH_CONFIG_PATH": str(tmp_path / "launch.json")}
    for name, value in variables.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()
    try:
        state = write_record(tmp_path, run_item(finished), DESTINATION)
        record = LoggedRecord(tmp_path / state.folder)
        logged_run = record.run
    finally:
        wandb.teardown()
    assert "9.5" not in str(record.config)
    assert "theirs" not in str(record.config)
    assert record.config["seed"] == finished.experiment.seed
    assert (logged_run["run_id"], logged_run["project"]) == (state.id, "p")
    assert not {"sweep_id", "notes", "resume"} & logged_run.keys()
    assert state.folder.startswith("wandb/offline-run-")
