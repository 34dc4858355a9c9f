"""Sending of records: all of them, once, and a record that has lost a part does not count as sent."""

import json
import os
import time
from dataclasses import replace
from importlib.util import find_spec

import pytest
from filelock import FileLock

from analysis.dashboards.mirror import mirror, sync
from analysis.dashboards.mirror.account import Account
from analysis.dashboards.mirror.state import WORK_FOLDER, Destination, SyncState, read_state, write_state
from analysis.dashboards.mirror.sync import sync_lock, upload
from analysis.dashboards.mirror.sync_process import redact_line, sync_environment
from analysis.probes import records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Curve, Metric, ProbeResult
from tests.analysis.dashboards.wandb_server import HISTORY, clean_environment, run_server, sync_processes
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import finished_runs

pytestmark = [
    pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning"),
]
DESTINATION = Destination(project="memory")
ACCOUNT = Account(entity="someone", username=None, base_url="http://127.0.0.1", app_url="http://127.0.0.1")
X, Y = (1.0, 2.0, 3.0), (0.5, 0.25, 0.125)


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A server that this process is signed in to."""
    with run_server() as server:
        for name in set(os.environ):
            monkeypatch.delenv(name)
        for name, value in clean_environment(tmp_path / "home", server).items():
            monkeypatch.setenv(name, value)
        yield server


def write_mirrored_runs(out, count):
    """Writes finished and probed runs with weights, and their records. Returns the paths of their sync states."""
    curve = Curve(x=X, y=Y, x_unit="steps", y_unit="1", what="")
    result = ProbeResult(metrics={"reach": Metric(value=7.0, unit="steps", what="")}, curves={"recall": curve})
    for seed in range(count):
        folder = write_run(out, experiment("lstm", seed=seed, steps=20), losses=(0.4, 0.3, 0.2 - seed / 100))
        records.write_records(folder, {"memory_length": ProbeRecord(settings={}, weights="", result=result)})
        (folder / "last.ckpt").write_bytes(bytes([seed]) * 1000)
    (out / "report.html").write_text("<!doctype html><title>report</title>")
    (out / "comparison.csv").write_text("task,loss\naddition,0.5\n")
    paths = []
    for item in mirror.iter_items(out, checkpoints=True):
        mirror.write_record(out, item, DESTINATION)
        paths.append(item.state_path)
    return paths


def load_state(path):
    state = read_state(path)
    assert state is not None
    return state


def record_ids(paths):
    return [load_state(path).id for path in paths]


def sent_flags(paths):
    return [load_state(path).sent for path in paths]


def streamed_rows(received):
    """Returns the positions in the history that were written, in order, with repetitions."""
    return [
        position
        for name, start, lines in received.streamed
        if name == HISTORY
        for position in range(start, start + lines)
    ]


def test_everything_arrives_once_and_again_nothing_is_sent(tmp_path, backend):
    paths = write_mirrored_runs(tmp_path, 2)
    counts: list[int] = []
    assert upload(tmp_path, paths, DESTINATION, ACCOUNT, counts.append) == 3
    assert counts == [1, 2, 3]
    assert sent_flags(paths) == [True] * 3
    assert backend.unknown == []
    for path, run in zip(paths[:2], finished_runs(tmp_path), strict=True):
        received = backend.runs[f"memory/{load_state(path).id}"]
        assert received.path.startswith("someone/memory/")
        rows = run.metrics().to_dict("records")
        assert [{key: row[key] for key in ("step", "val/loss")} for row in received.history] == [
            {"step": row["step"], "val/loss": row["val/loss"]} for row in rows
        ]
        assert streamed_rows(received) == [0, 1, 2]
        assert received.summary["probe/memory_length/reach"] == 7.0
        assert received.config["seed"] == run.experiment.seed
        assert received.variables["groupName"] == run.experiment.identity
        assert received.complete
        (table,) = [json.loads(body) for name, body in received.files.items() if name.endswith(".table.json")]
        columns = table["columns"]
        assert [[row[columns.index(name)] for name in ("x", "recall")] for row in table["data"]] == [
            [x, y] for x, y in zip(X, Y, strict=True)
        ]
    comparison = backend.runs[f"memory/{load_state(paths[2]).id}"]
    assert [body for name, body in comparison.files.items() if name.endswith(".html")] == [
        (tmp_path / "report.html").read_bytes()
    ]
    weights = [
        artifact["files"]["last.ckpt"] for artifact in backend.artifacts.values() if artifact["type"] == "checkpoint"
    ]
    assert sorted(weights) == [bytes([seed]) * 1000 for seed in range(2)]
    assert {(artifact["project"], artifact["state"]) for artifact in backend.artifacts.values()} == {
        ("memory", "COMMITTED")
    }
    before = backend.operations.copy()
    assert upload(tmp_path, paths, DESTINATION, ACCOUNT) == 0
    assert backend.operations == before


@pytest.mark.slow
def test_what_a_server_refuses_is_told_in_one_line_and_the_rest_is_marked(tmp_path, backend):
    paths = write_mirrored_runs(tmp_path, 3)
    first, second, third, comparison = record_ids(paths)
    backend.refuse = lambda what, run: 403 if what == "UpsertBucket" and run == third else None
    with pytest.raises(UserError) as refused:
        upload(tmp_path, paths, DESTINATION, ACCOUNT, batch_size=1)
    assert "\n" not in str(refused.value)
    assert "2 of 4 records were not sent: " in str(refused.value)
    assert "set to refuse UpsertBucket" in str(refused.value)
    assert sent_flags(paths) == [True, True, False, False]
    assert f"memory/{comparison}" not in backend.runs, "it went on"
    assert (tmp_path / load_state(paths[2]).folder).is_dir()
    backend.refuse = lambda what, run: None
    before = {run: backend.operations["UpsertBucket", run] for run in (first, second)}
    assert upload(tmp_path, paths, DESTINATION, ACCOUNT, batch_size=1) == 2
    assert sent_flags(paths) == [True] * 4
    assert {run: backend.operations["UpsertBucket", run] for run in (first, second)} == before


@pytest.mark.slow
def test_a_record_that_wandb_calls_synced_but_has_lost_part_of_is_not_called_sent(tmp_path, backend):
    paths = write_mirrored_runs(tmp_path, 3)
    first, second, third, _ = record_ids(paths)
    refused = {("stream", first), ("PUT", second), ("CreateArtifact", third)}
    backend.refuse = lambda what, run: 403 if (what, run) in refused else None
    with pytest.raises(UserError, match=r"3 of 4 records were not sent: .*set to refuse"):
        upload(tmp_path, paths, DESTINATION, ACCOUNT)
    assert sent_flags(paths) == [False, False, False, True]
    assert len(list(tmp_path.glob("wandb/offline-*/*.synced"))) == 1
    backend.refuse = lambda what, run: None
    assert upload(tmp_path, paths, DESTINATION, ACCOUNT) == 3
    assert sent_flags(paths) == [True] * 4


@pytest.mark.slow
@pytest.mark.parametrize(("reports_line_count", "positions"), [(False, [0, 1, 2, 0, 1, 2]), (True, [0, 1, 2, 3, 4, 5])])
def test_a_record_sent_again_replaces_the_first_unless_the_server_has_wandb_append_it(
    tmp_path, backend, reports_line_count, positions
):
    """The server decides which of both wandb-core does, which matters for replaced records."""
    backend.reports_line_count = reports_line_count
    paths = write_mirrored_runs(tmp_path, 1)
    upload(tmp_path, paths, DESTINATION, ACCOUNT)
    (item, _) = mirror.iter_items(tmp_path, checkpoints=True)
    write_state(paths[0], replace(load_state(paths[0]), content="less was known"))
    mirror.write_record(tmp_path, item, DESTINATION)
    assert upload(tmp_path, paths, DESTINATION, ACCOUNT) == 1
    received = backend.runs[f"memory/{item.record.id}"]
    assert streamed_rows(received) == positions
    assert len(received.history) == len(set(positions))


@pytest.mark.slow
def test_a_server_that_falls_silent_is_given_up_and_no_process_is_left(tmp_path, backend):
    paths = write_mirrored_runs(tmp_path, 1)
    (first, _) = record_ids(paths)
    backend.hold = lambda what, run: time.sleep(60 if run == first else 0)
    begun = time.monotonic()
    with pytest.raises(UserError, match="nothing has moved for 3 seconds"):
        upload(tmp_path, paths, DESTINATION, ACCOUNT, stall_seconds=3.0)
    assert time.monotonic() - begun < 15
    assert sent_flags(paths) == [False, True]
    # W&B's service notices the end of its parent a moment later.
    until = time.monotonic() + 10
    while sync_processes(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert sync_processes(tmp_path) == []


@pytest.mark.slow
def test_a_record_that_is_replaced_while_it_is_sent_has_still_to_be_sent(tmp_path, backend):
    paths = write_mirrored_runs(tmp_path, 1)
    changed = replace(load_state(paths[0]), content="more is known")
    backend.hold = lambda what, run: write_state(paths[0], changed) if what == "stream" else None
    upload(tmp_path, paths, DESTINATION, ACCOUNT)
    assert sent_flags(paths) == [False, True]
    assert load_state(paths[0]) == changed


@pytest.mark.parametrize("where", ["../elsewhere", "wandb", "wandb/../../elsewhere", "/etc", "wandb/linked"])
def test_only_records_of_the_folder_itself_are_sent(tmp_path, where):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "run-x.wandb").touch()
    (out / "wandb").mkdir(parents=True)
    (out / "wandb" / "linked").symlink_to(elsewhere)
    path = out / "wandb.json"
    write_state(path, SyncState(id="x", place=DESTINATION, folder=where, content="", at=str(out)))
    with pytest.raises(UserError, match="is not in"):
        upload(out, [path], DESTINATION, ACCOUNT)


def test_two_at_once_are_refused_in_one_line(tmp_path):
    (tmp_path / "wandb").mkdir()
    with FileLock(tmp_path / "wandb" / sync.LOCK_FILE), pytest.raises(UserError, match="another sync"):
        upload(tmp_path, [], DESTINATION, ACCOUNT)
    with sync_lock(tmp_path):
        assert upload(tmp_path, [], DESTINATION, ACCOUNT) == 0


def test_settings_in_the_current_folder_do_not_say_where_records_are_sent(tmp_path, backend, monkeypatch):
    paths = write_mirrored_runs(tmp_path, 1)
    with run_server() as theirs:
        # The address in the environment would go before; a user who has signed in has it in the settings.
        settings = tmp_path / "home" / ".config" / "wandb" / "settings"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(f"[default]\nbase_url = {backend.url}\n")
        monkeypatch.delenv("WANDB_BASE_URL")
        (tmp_path / "wandb" / "settings").write_text(f"[default]\nbase_url = {theirs.url}\n")
        monkeypatch.chdir(tmp_path)
        assert upload(tmp_path, paths[:1], DESTINATION, ACCOUNT) == 1
        assert not theirs.operations
    (received,) = backend.runs.values()
    assert not received.variables.get("host"), "the name of this machine"
    said = json.dumps([received.variables, received.config, received.summary])
    assert str(tmp_path) not in said
    assert all(str(tmp_path).encode() not in body for body in received.files.values())
    assert str(tmp_path) not in repr(backend.artifacts)


def test_a_link_in_place_of_the_work_folder_is_removed_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "out" / "wandb").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear")
    link = tmp_path / "out" / "wandb" / WORK_FOLDER
    link.symlink_to(tmp_path / "precious")
    assert sync.make_work_folder(tmp_path / "out") == link
    assert (link.is_symlink(), list(link.iterdir())) == (False, [])
    assert (tmp_path / "precious" / "letter").read_text() == "dear"
    (link / "said.txt").touch()
    assert list(sync.make_work_folder(tmp_path / "out").iterdir()) == []


def test_the_environment_of_a_run_does_not_change_what_is_sent(tmp_path, monkeypatch):
    for name in ("WANDB_RESUME", "WANDB_RUN_ID", "WANDB_MODE", "WANDB_SERVICE", "WANDB_ENTITY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MODE", "kept")
    monkeypatch.setenv("WANDB__GRAPHQL_RETRY_MAX", "77")
    variables = sync_environment(tmp_path)
    assert not {"WANDB_RESUME", "WANDB_RUN_ID", "WANDB_MODE", "WANDB_SERVICE", "WANDB_ENTITY"} & variables.keys()
    assert (variables["MODE"], variables["WANDB__GRAPHQL_RETRY_MAX"]) == ("kept", "77")
    assert int(variables["WANDB__FILE_STREAM_RETRY_MAX"]) < 10


def test_messages_hold_no_secret():
    key = "0123456789abcdef" * 3
    line = redact_line(f"wandb: ERROR \x1b[31mPUT https://me:open-sesame@host/x?sig=abc%3D failed\x1b[0m\n with {key}")
    assert line == "PUT https://***host/x?*** failed with ***"
    assert redact_line("a title \x1b]0;of a terminal\x07 is\r\nnot set") == "a title ]0;of a terminal is not set"
