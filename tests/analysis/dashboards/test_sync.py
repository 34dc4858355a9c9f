"""Records sent to an account: all of them, once, and what was lost on the way is not called sent."""

import json
import os
import time
from dataclasses import replace
from importlib.util import find_spec

import pytest
from filelock import FileLock

from analysis.dashboards.mirror import mirror, sync
from analysis.dashboards.mirror.account import Account
from analysis.dashboards.mirror.state import Destination, SyncState, read_state, write_state
from analysis.dashboards.mirror.sync import sync_lock, upload
from analysis.dashboards.mirror.sync_process import environment, redact_line
from analysis.probes import registry
from analysis.probes.registry import ProbeRecord
from analysis.probes.result import Curve, Metric, ProbeResult
from tests.analysis.dashboards.wandb_server import HISTORY, at_work, clean_environment, serving
from tests.analysis.report_runs import experiment, write_run
from workbench.errors import UserError
from workbench.results import finished

pytestmark = [
    pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning"),
]
PLACE = Destination(project="memory")
ACCOUNT = Account(entity="someone", username=None, base_url="http://127.0.0.1", app_url="http://127.0.0.1")
X, Y = (1.0, 2.0, 3.0), (0.5, 0.25, 0.125)


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A server, and this process signed in to it."""
    with serving() as serves:
        for name in set(os.environ):
            monkeypatch.delenv(name)
        for name, value in clean_environment(tmp_path / "home", serves).items():
            monkeypatch.setenv(name, value)
        yield serves


def made(out, count):
    """Finished and probed runs with weights, and their records; the paths of the marks."""
    curve = Curve(x=X, y=Y, x_unit="steps", y_unit="1", what="")
    found = ProbeResult(metrics={"reach": Metric(value=7.0, unit="steps", what="")}, curves={"recall": curve})
    for seed in range(count):
        folder = write_run(out, experiment("lstm", seed=seed, steps=20), losses=(0.4, 0.3, 0.2 - seed / 100))
        registry.write_records(folder, {"memory_length": ProbeRecord(settings={}, weights="", result=found)})
        (folder / "last.ckpt").write_bytes(bytes([seed]) * 1000)
    (out / "report.html").write_text("<!doctype html><title>report</title>")
    (out / "comparison.csv").write_text("task,loss\naddition,0.5\n")
    paths = []
    for item in mirror.items(out, checkpoints=True):
        mirror.write(out, item, PLACE)
        paths.append(item.mark)
    return paths


def known(path):
    mark = read_state(path)
    assert mark is not None
    return mark


def ids(paths):
    return [known(path).id for path in paths]


def sent(paths):
    return [known(path).sent for path in paths]


def pieces(received):
    """Places in the history that were written, in order, each as often as it was."""
    return [
        place for name, start, lines in received.streamed if name == HISTORY for place in range(start, start + lines)
    ]


def test_everything_arrives_once_and_again_nothing_is_sent(tmp_path, backend):
    paths = made(tmp_path, 2)
    heard: list[int] = []
    assert upload(tmp_path, paths, PLACE, ACCOUNT, heard.append) == 3
    assert heard == [1, 2, 3]
    assert sent(paths) == [True] * 3
    assert backend.unknown == []
    for path, run in zip(paths[:2], finished(tmp_path), strict=True):
        received = backend.runs[f"memory/{known(path).id}"]
        assert received.path.startswith("someone/memory/")
        rows = run.metrics().to_dict("records")
        assert [{key: row[key] for key in ("step", "val/loss")} for row in received.history] == [
            {"step": row["step"], "val/loss": row["val/loss"]} for row in rows
        ]
        assert pieces(received) == [0, 1, 2]
        assert received.summary["probe/memory_length/reach"] == 7.0
        assert received.config["seed"] == run.experiment.seed
        assert received.asked["groupName"] == run.experiment.identity
        assert received.complete
        (table,) = [json.loads(body) for name, body in received.files.items() if name.endswith(".table.json")]
        columns = table["columns"]
        assert [[row[columns.index(name)] for name in ("x", "recall")] for row in table["data"]] == [
            [x, y] for x, y in zip(X, Y, strict=True)
        ]
    whole = backend.runs[f"memory/{known(paths[2]).id}"]
    assert [body for name, body in whole.files.items() if name.endswith(".html")] == [
        (tmp_path / "report.html").read_bytes()
    ]
    weights = [made["files"]["last.ckpt"] for made in backend.artifacts.values() if made["type"] == "checkpoint"]
    assert sorted(weights) == [bytes([seed]) * 1000 for seed in range(2)]
    assert {(made["project"], made["state"]) for made in backend.artifacts.values()} == {("memory", "COMMITTED")}
    before = backend.operations.copy()
    assert upload(tmp_path, paths, PLACE, ACCOUNT) == 0
    assert backend.operations == before


def test_what_a_server_refuses_is_told_in_one_line_and_the_rest_is_marked(tmp_path, backend):
    paths = made(tmp_path, 3)
    first, second, third, whole = ids(paths)
    backend.refuse = lambda what, run: 403 if what == "UpsertBucket" and run == third else None
    with pytest.raises(UserError) as refused:
        upload(tmp_path, paths, PLACE, ACCOUNT, batch=1)
    assert "\n" not in str(refused.value)
    assert "2 of 4 records were not sent: " in str(refused.value)
    assert "told to refuse UpsertBucket" in str(refused.value)
    assert sent(paths) == [True, True, False, False]
    assert f"memory/{whole}" not in backend.runs, "it went on"
    assert (tmp_path / known(paths[2]).folder).is_dir()
    backend.refuse = lambda what, run: None
    before = {run: backend.operations["UpsertBucket", run] for run in (first, second)}
    assert upload(tmp_path, paths, PLACE, ACCOUNT, batch=1) == 2
    assert sent(paths) == [True] * 4
    assert {run: backend.operations["UpsertBucket", run] for run in (first, second)} == before


def test_a_record_that_wandb_calls_synced_but_has_lost_part_of_is_not_called_sent(tmp_path, backend):
    paths = made(tmp_path, 3)
    first, second, third, _ = ids(paths)
    refused = {("stream", first), ("PUT", second), ("CreateArtifact", third)}
    backend.refuse = lambda what, run: 403 if (what, run) in refused else None
    with pytest.raises(UserError, match=r"3 of 4 records were not sent: .*told to refuse"):
        upload(tmp_path, paths, PLACE, ACCOUNT)
    assert sent(paths) == [False, False, False, True]
    assert len(list(tmp_path.glob("wandb/offline-*/*.synced"))) == 1
    backend.refuse = lambda what, run: None
    assert upload(tmp_path, paths, PLACE, ACCOUNT) == 3
    assert sent(paths) == [True] * 4


@pytest.mark.parametrize(("counts", "places"), [(False, [0, 1, 2, 0, 1, 2]), (True, [0, 1, 2, 3, 4, 5])])
def test_a_record_sent_again_replaces_the_first_unless_the_server_has_wandb_append_it(
    tmp_path, backend, counts, places
):
    """What wandb-core does is the server's choice: who replaces records has to know."""
    backend.counts = counts
    paths = made(tmp_path, 1)
    upload(tmp_path, paths, PLACE, ACCOUNT)
    (item, _) = mirror.items(tmp_path, checkpoints=True)
    mirror.write(tmp_path, item, PLACE)
    assert upload(tmp_path, paths, PLACE, ACCOUNT) == 1
    received = backend.runs[f"memory/{item.record.id}"]
    assert pieces(received) == places
    assert len(received.history) == len(set(places))


def test_a_server_that_falls_silent_is_given_up_and_no_process_is_left(tmp_path, backend):
    paths = made(tmp_path, 1)
    (first, _) = ids(paths)
    backend.hold = lambda what, run: time.sleep(60 if run == first else 0)
    begun = time.monotonic()
    with pytest.raises(UserError, match="nothing has moved for 3 seconds"):
        upload(tmp_path, paths, PLACE, ACCOUNT, patience=3.0)
    assert time.monotonic() - begun < 15
    assert sent(paths) == [False, True]
    # W&B's service looks after its parent by itself, a moment later.
    until = time.monotonic() + 10
    while at_work(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert at_work(tmp_path) == []


def test_a_record_that_is_replaced_while_it_is_sent_has_still_to_be_sent(tmp_path, backend):
    paths = made(tmp_path, 1)
    changed = replace(known(paths[0]), content="more is known")
    backend.hold = lambda what, run: write_state(paths[0], changed) if what == "stream" else None
    upload(tmp_path, paths, PLACE, ACCOUNT)
    assert sent(paths) == [False, True]
    assert known(paths[0]) == changed


@pytest.mark.parametrize("where", ["../elsewhere", "wandb", "wandb/../../elsewhere", "/etc", "wandb/linked"])
def test_only_records_of_the_folder_itself_are_sent(tmp_path, where):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "run-x.wandb").touch()
    (out / "wandb").mkdir(parents=True)
    (out / "wandb" / "linked").symlink_to(elsewhere)
    path = out / "wandb.json"
    write_state(path, SyncState(id="x", place=PLACE, folder=where, content="", at=str(out)))
    with pytest.raises(UserError, match="is not in"):
        upload(out, [path], PLACE, ACCOUNT)


def test_two_at_once_are_refused_in_one_line(tmp_path):
    (tmp_path / "wandb").mkdir()
    with FileLock(tmp_path / "wandb" / sync.LOCK), pytest.raises(UserError, match="another sync"):
        upload(tmp_path, [], PLACE, ACCOUNT)
    with sync_lock(tmp_path):
        assert upload(tmp_path, [], PLACE, ACCOUNT) == 0


def test_the_environment_of_a_run_does_not_change_what_is_sent(tmp_path, monkeypatch):
    for name in ("WANDB_RESUME", "WANDB_RUN_ID", "WANDB_MODE", "WANDB_SERVICE", "WANDB_ENTITY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MODE", "kept")
    monkeypatch.setenv("WANDB__GRAPHQL_RETRY_MAX", "77")
    told = environment(tmp_path)
    assert not {"WANDB_RESUME", "WANDB_RUN_ID", "WANDB_MODE", "WANDB_SERVICE", "WANDB_ENTITY"} & told.keys()
    assert (told["MODE"], told["WANDB__GRAPHQL_RETRY_MAX"]) == ("kept", "77")
    assert int(told["WANDB__FILE_STREAM_RETRY_MAX"]) < 10


def test_no_secret_is_in_what_is_said():
    key = "0123456789abcdef" * 3
    said = redact_line(f"wandb: ERROR \x1b[31mPUT https://me:open-sesame@host/x?sig=abc%3D failed\x1b[0m\n with {key}")
    assert said == "PUT https://***host/x?*** failed with ***"
    assert redact_line("a title \x1b]0;of a terminal\x07 is\r\nnot set") == "a title ]0;of a terminal is not set"
