"""Loggers of runs: the values of `metrics.csv`, continued after a kill, and no part of a run."""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from lightning.pytorch import Callback

from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same, stop_after
from workbench import run_loggers
from workbench.cli.main import main
from workbench.cli.options import RunOptions
from workbench.cli.parser import join_repeated
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.logger_failures import FailureCount, describe_failure
from workbench.logger_interface import LoggedRun, RunLogger
from workbench.run import run
from workbench.run_loggers import LightningLogger, check_loggers, parse_loggers
from workbench.training.callbacks.run_loggers import RunLoggers
from workbench.training.loggers.tensorboard import leave_the_second_of

BOTH = [LightningLogger(name="csv"), LightningLogger(name="tensorboard")]
SMALL = [
    *("--task", "addition", "--task.addition.length", "8", "--architecture", "gru", "--steps", "4"),
    *("--batch-size", "2", "--log-every", "2", "--evaluation-size", "4", "--hidden-size", "3", "--wandb", "off"),
]


class KilledError(Exception):
    """Ends a run as a kill does: beyond its last checkpoint."""


def run_with_a_kill(experiment: Experiment, out: Path, loggers: Any, **options: Any) -> Any:
    """Stops a run at step 6, kills it after the row of step 12, and finishes it from the checkpoint of step 6."""

    def kill_at_12(row: dict[str, float]) -> None:
        if row["step"] == 12:
            raise KilledError

    assert run(experiment, out, stop=stop_after(6), loggers=loggers, **options) is None
    with pytest.raises(KilledError):
        run(experiment, out, on_row=kill_at_12, loggers=loggers, **options)
    return finish(experiment, out, loggers=loggers, **options)


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the steps and values of each name, as TensorBoard itself reads them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_a_killed_run_has_every_row_once_in_a_csv_file_and_ends_with_the_same_bits(tmp_path):
    experiment = small("gru", steps=20, log_every=3)
    killed = run_with_a_kill(experiment, tmp_path / "killed", BOTH)
    assert_same(finish(experiment, tmp_path / "whole").folder, killed.folder)
    table = pd.read_csv(killed.folder / "csv" / "metrics.csv")
    expected = killed.metrics()
    assert table["step"].tolist() == [3, 6, 9, 12, 15, 18, 20, 20]
    for name in expected:
        assert table[name][:-1].tolist() == expected[name].tolist()
    assert table["test/loss"].dropna().tolist() == [killed.result["test"]["loss"]]
    logged = yaml.safe_load((killed.folder / "csv" / "hparams.yaml").read_text())
    assert logged["identity"] == experiment.identity
    assert (logged["task"], logged["architecture"], logged["seed"]) == ("addition", "gru", 0)
    assert (logged["task.length"], logged["architecture.hidden_size"], logged["learning_rate"]) == (8, 5, 0.001)
    # A finished run is read, and logged no more.
    before = (killed.folder / "csv" / "metrics.csv").stat().st_mtime_ns
    finish(experiment, tmp_path / "killed", loggers=BOTH)
    assert (killed.folder / "csv" / "metrics.csv").stat().st_mtime_ns == before


def test_tensorboard_reads_every_row_once(tmp_path):
    killed = run_with_a_kill(small("gru", steps=20, log_every=3), tmp_path, BOTH)
    scalars = read_scalars(killed.folder / "tensorboard")
    rows = killed.metrics()
    for name in ("train/loss", "val/loss", "learning_rate"):
        expected: list[Any] = [(int(row["step"]), pytest.approx(row[name], rel=1e-6)) for _, row in rows.iterrows()]
        assert scalars[name] == expected
    expected = [(20, pytest.approx(killed.result["test"]["loss"], rel=1e-6))]
    assert scalars["test/loss"] == expected


def test_a_resumed_run_in_tensorboard_has_a_file_that_is_read_last(tmp_path):
    now, before = int(time.time()), 1_700_000_000
    leave_the_second_of([Path(f"events.out.tfevents.{second}.host.1.9") for second in (now, before)])
    assert int(time.time()) > now
    experiment = small("gru", steps=9, log_every=3)
    assert run(experiment, tmp_path, stop=stop_after(3), loggers=BOTH) is None
    folder = finish(experiment, tmp_path, loggers=BOTH).folder / "tensorboard"
    seconds = {file.name.split(".")[3] for file in folder.glob("events.out.tfevents.*")}
    assert len(seconds) == 2


def test_tensorboard_gets_the_rows_that_were_made_without_it(tmp_path):
    experiment = small("gru", steps=9, log_every=3)
    assert run(experiment, tmp_path, stop=stop_after(3), loggers=BOTH) is None
    assert run(experiment, tmp_path, stop=stop_after(3)) is None
    finished = finish(experiment, tmp_path, loggers=BOTH)
    assert [step for step, _ in read_scalars(finished.folder / "tensorboard")["train/loss"]] == [3, 6, 9]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_one_run_with_every_row_once(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv(run_loggers.TRACKING_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "results"
    killed = run_with_a_kill(small("gru", steps=20, log_every=3), out, [LightningLogger(name="mlflow")])
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    (logged,) = client.search_runs([client.get_experiment_by_name("sequence-workbench").experiment_id])
    history = client.get_metric_history(logged.info.run_id, "val/loss")
    assert [(metric.step, metric.value) for metric in history] == list(
        killed.metrics()[["step", "val/loss"]].itertuples(index=False, name=None)
    )
    assert logged.info.status == "FINISHED"
    assert logged.data.params["architecture"] == "gru"
    assert {*logged.data.tags} == {"workbench.run", "mlflow.runName"}
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    # The same configuration and seed in another folder, on the same server, is a run of its own.
    monkeypatch.setenv(run_loggers.TRACKING_VARIABLE, f"sqlite:///{out}/mlflow/mlflow.db")
    run_with_a_kill(small("gru", steps=20, log_every=3), tmp_path / "others", [LightningLogger(name="mlflow")])
    runs = client.search_runs([logged.info.experiment_id])
    assert len(runs) == 2
    for each in runs:
        assert len(client.get_metric_history(each.info.run_id, "test/loss")) == 1
        assert len(client.get_metric_history(each.info.run_id, "val/loss")) == len(history)


def mlflow_logger(out: Path) -> RunLogger:
    from workbench.training.loggers.mlflow import MlflowRunLogger

    out.mkdir(exist_ok=True)
    return MlflowRunLogger(LoggedRun(experiment=small("gru"), out=out, folder=out / "run", criterion=None, trial=None))


KILL_WHILE_TABLES_ARE_MADE = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.workbench.training.test_loggers import mlflow_logger

updates = []

def kill(connection, cursor, text, *others):
    # Further migrations are still to come.
    updates.append(text.startswith("UPDATE alembic_version"))
    if sum(updates) == 10:
        os._exit(9)

event.listen(Engine, "before_cursor_execute", kill)
mlflow_logger(Path(sys.argv[1])).open({})
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_kill_while_mlflow_makes_its_tables_costs_no_later_log(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv(run_loggers.TRACKING_VARIABLE, raising=False)
    out = tmp_path / "results"
    assert subprocess.run([sys.executable, "-c", KILL_WHILE_TABLES_ARE_MADE, str(out)]).returncode == 9
    logger = mlflow_logger(out)
    assert logger.open({}) == 0
    logger.log({"step": 3, "train/loss": 0.5})
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{out}/mlflow/mlflow.db")
    (logged,) = client.search_runs([client.get_experiment_by_name("sequence-workbench").experiment_id])
    assert logged.data.metrics == {"train/loss": 0.5}
    # Nothing of the killed process is left.
    assert sorted(path.name for path in (out / "mlflow").iterdir()) == [".lock", "mlflow.db"]


class FailingLogger(RunLogger):
    """A logger of a server that is gone."""

    stopped = 0

    def open(self, state):
        return 0

    def log(self, row):
        raise ConnectionError("the server is gone")

    def finish(self, run):
        raise AssertionError("it was left out")

    def stop(self):
        FailingLogger.stopped += 1
        raise ConnectionError("it still is")


class Failing:
    """Its specification; one that cannot even be built, if it says so."""

    name = "mlflow"
    arguments = ()

    def __init__(self, *, builds: bool = True) -> None:
        self.builds = builds

    def build(self, run: LoggedRun) -> RunLogger:
        if not self.builds:
            raise ImportError("half a package")
        return FailingLogger(run)


@pytest.mark.parametrize("builds", [True, False])
def test_a_logger_that_fails_costs_a_line_and_nothing_else(tmp_path, builds):
    FailingLogger.stopped = 0
    experiment = small("gru")
    lines: list[str] = []
    loggers: Any = [Failing(builds=builds), LightningLogger(name="csv")]
    finished = finish(experiment, tmp_path / "logged", loggers=loggers, log=lines.append)
    assert_same(finish(experiment, tmp_path / "whole").folder, finished.folder)
    (line,) = lines
    assert "mlflow failed" in line
    assert ("the server is gone" if builds else "half a package") in line
    assert FailingLogger.stopped == builds
    assert len(pd.read_csv(finished.folder / "csv" / "metrics.csv")) == len(finished.metrics()) + 1


def test_the_first_failure_of_a_logger_is_told_and_no_password():
    line = describe_failure("mlflow", ConnectionError("no answer of http://me:hush@server.org/api\nfor long"))
    assert line.startswith("the logger mlflow failed")
    assert "http://***@server.org/api for long" in line
    count = FailureCount()
    told = [count.is_news(text) for text in ("a warning", line, line, "a warning", line)]
    assert told == [True, True, False, True, False]
    assert count.summaries() == ["the logger mlflow failed in 2 more runs"]


def test_a_step_costs_nothing_more_without_a_logger_or_with_one():
    for hook in ("on_train_batch_start", "on_train_batch_end"):
        assert getattr(RunLoggers, hook) is getattr(Callback, hook)


def test_names_are_one_or_several_each_once():
    assert parse_loggers("csv, tensorboard,csv") == ("csv", "tensorboard")
    assert parse_loggers(["wandb"]) == ("wandb",)
    assert join_repeated(["--logger", "csv", "--out", "x", "--logger=mlflow"], "--logger") == [
        *("--out", "x", "--logger=csv,mlflow")
    ]
    assert join_repeated(["--logger", "csv", "--logger"], "--logger") == ["--logger", "csv", "--logger"]
    for names in ("cvs", ["csv", 3], 7, ","):
        with pytest.raises(UserError, match=r"csv"):
            parse_loggers(names)


def test_what_is_not_installed_or_ruled_out_is_said_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    def find_nothing(name: str) -> Any:
        return None if name in ("mlflow", "wandb", "tensorboard", "tensorboardX") else find_spec(name)

    monkeypatch.setattr(run_loggers, "find_spec", find_nothing)
    for name in ("mlflow", "tensorboard"):
        assert main(["train", *SMALL, "--logger", name, "--out", str(tmp_path / "results")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(f"pip install 'sequence-workbench[{name}]'")
    assert main(["train", *SMALL, "--logger", "wandb", "--out", str(tmp_path / "results")]) == 2
    assert "--wandb off" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"sequence-workbench\[wandb\]"):
        check_loggers(("wandb",), "online")
    assert main(["train", *SMALL, "--logger", "foo", "--out", str(tmp_path / "results")]) == 2
    assert "known: csv, tensorboard, mlflow, wandb" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    assert RunOptions(out="x", logger=("csv",)).loggers(print) == (LightningLogger(name="csv"),)
