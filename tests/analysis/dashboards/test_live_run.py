"""Runs that are live in W&B: once, whatever they were interrupted by, and in place of the record from their files."""

import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from analysis.dashboards.mirror import live, live_run
from analysis.dashboards.mirror.live import LiveRuns, choose_live_runs
from analysis.dashboards.mirror.mirror import is_current, iter_items
from analysis.dashboards.mirror.record import run_record
from analysis.dashboards.mirror.state import STATE_FILE, Destination, read_state
from tests.analysis.dashboards.quiet_mirror import quiet_mirror
from tests.analysis.dashboards.wandb_reader import LoggedRecord
from tests.analysis.dashboards.wandb_server import clean_environment, run_server
from tests.forked_command import forked_command
from tests.workbench.experiments import finish, small
from tests.workbench.training.test_loggers import run_with_a_kill
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.results import read_run
from workbench.run_folder import run_folder

pytestmark = [
    pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning"),
]
DESTINATION = Destination(project="memory")
EXPERIMENT = small("gru", steps=20, log_every=3)
EAGER = {"WORKBENCH_BACKEND": "eager"}
"""In the home of a test the kernels would have to be compiled first."""
STEPS = [3, 6, 9, 12, 15, 18, 20]


def test_offline_it_is_the_record_of_the_run_from_its_first_start_on(tmp_path, monkeypatch):
    # Those of a sweep's agent, which are meant for another run.
    for name, value in {"WANDB_RUN_ID": "other", "WANDB_NAME": "other", "WANDB_SWEEP_ID": "abc"}.items():
        monkeypatch.setenv(name, value)
    began = time.time()
    killed = run_with_a_kill(EXPERIMENT, tmp_path, [LiveRuns(mode="offline", destination=DESTINATION)])
    (folder,) = tmp_path.glob("wandb/*run-2*")
    logged = LoggedRecord(folder)
    record = run_record(killed)
    assert logged.rows == [dict(row) for row in record.history]
    assert [row["step"] for row in logged.rows] == STEPS
    assert logged.config == record.config
    assert logged.run["display_name"] == "addition/gru/seed-0"
    assert {key: value for key, value in logged.summary.items() if key in record.summary} == record.summary
    assert logged.metrics["val/loss"]["summary"] == {"min": True}
    assert began <= time.mktime(time.strptime(folder.name[12:27], "%Y%m%d_%H%M%S")) + 1
    # Those of the log, beside what the record from files has: nothing is written a second time, nor sent twice.
    state = read_state(killed.folder / STATE_FILE)
    assert state is not None
    assert (state.folder, state.sent) == (folder.relative_to(tmp_path).as_posix(), False)
    assert all(is_current(tmp_path, item, DESTINATION) for item in iter_items(tmp_path))
    with quiet_mirror(tmp_path, DESTINATION) as mirror:
        mirror.add(killed)
    assert [*tmp_path.glob("wandb/*run-2*")] == [folder]
    assert not (folder / "logs").exists()


def train_online(out: Path) -> None:
    """Trains with a kill in between, and again another run, whose server is gone by its end."""
    spec = choose_live_runs(out, DESTINATION, log=pytest.fail)
    assert spec.mode == "online"
    run_with_a_kill(EXPERIMENT, out, [spec], log=print)


@pytest.mark.slow
def test_online_every_row_arrives_once_and_the_run_counts_as_sent(tmp_path):
    out = tmp_path / "results"
    with run_server() as backend:
        environment = clean_environment(tmp_path / "home", backend, **EAGER)
        with forked_command(train_online, out, folder=tmp_path, environment=environment) as process:
            assert process.wait() == 0, process.errors
        run = read_run(run_folder(out, EXPERIMENT))
        record = run_record(run)
        (received,) = backend.runs.values()
        assert received.path == f"someone/memory/{record.id}"
        assert received.history == [dict(row) for row in record.history]
        assert received.summary["test/loss"] == run.result["test"]["loss"]
        assert received.variables["tags"] == list(record.tags)
        assert received.variables["groupName"] == record.group
        assert not {"host", "repo", "commit"} & received.variables.keys()
        assert received.variables.get("program") in (None, "workbench")
        assert received.complete
        assert backend.unknown == []
    assert process.errors == ""
    state = read_state(run.folder / STATE_FILE)
    assert state is not None
    assert state.sent
    assert all(is_current(out, item, DESTINATION) for item in iter_items(out))


def train_in_vain(out: Path) -> None:
    """Trains a run whose rows the server refuses, and one that it does not even begin."""
    live_run.FINISH_SECONDS = 2.0
    spec = LiveRuns(mode="online", destination=DESTINATION)
    for experiment in (EXPERIMENT, small("gru", steps=20, log_every=3, seed=1)):
        finish(experiment, out, loggers=[spec], log=print)


def test_a_server_that_refuses_costs_a_line_and_the_record_is_made_from_files(tmp_path):
    out = tmp_path / "results"
    with run_server() as backend:

        def refuse(what: str, run: str) -> int | None:
            return 400 if what == "stream" or (what == "UpsertBucket" and run.endswith("-1")) else None

        backend.refuse = refuse
        environment = clean_environment(tmp_path / "home", backend, **EAGER)
        with forked_command(train_in_vain, out, folder=tmp_path, environment=environment) as process:
            assert process.wait() == 0, process.errors
    lines = process.output.splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["the logger wandb failed and is left out"] * 2, lines
    runs = [item.record.id for item in iter_items(out)]
    assert len(runs) == 2
    assert not any(is_current(out, item, DESTINATION) for item in iter_items(out))


def test_commands_give_their_loggers_to_every_run_and_trial(mirrored):
    folders = [path.parent for path in mirrored.glob("runs/*/*/*/*/metrics.csv")]
    assert any(folder.name == f"seed-{TUNING_SEED}" for folder in folders)
    for folder in folders:
        steps = pd.read_csv(folder / "metrics.csv")["step"].tolist()
        tested = (folder / "result.json").exists() and "test/loss" in pd.read_csv(folder / "csv" / "metrics.csv")
        assert pd.read_csv(folder / "csv" / "metrics.csv")["step"].tolist() == steps + steps[-1:] * tested


def test_without_an_account_it_is_offline_after_a_line(tmp_path, monkeypatch):
    def refuse() -> None:
        raise UserError("no W&B account is signed in on this machine")

    monkeypatch.setattr(live, "fetch_account", refuse)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    lines: list[str] = []
    assert choose_live_runs(tmp_path, DESTINATION, lines.append).mode == "offline"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose_live_runs(tmp_path, DESTINATION, lines.append).mode == "offline"
    assert [line.partition(";")[0] for line in lines] == [
        "no W&B account is signed in on this machine",
        "WANDB_MODE is offline",
    ]
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(UserError, match="WANDB_MODE"):
        choose_live_runs(tmp_path, DESTINATION, lines.append)
