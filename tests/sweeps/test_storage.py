"""A store for many processes: created once, each trial taken once, and errors of one line."""

import os
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from datetime import timedelta
from pathlib import Path

import optuna
import pytest
from optuna.storages._rdb.models import TrialHeartbeatModel
from optuna.trial import TrialState
from sqlalchemy import event, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from sweeps import storage as storage_module
from sweeps.storage import QueueEmptyError, QueueStorage, connect
from sweeps.storage_retry import with_retries
from sweeps.storage_url import default_url, redact, without_password
from tests.sweeps.concurrent import open_and_add, run_together, take_all
from workbench.errors import UserError

ODD = "a b%20?c#d{e}'é\"&=@:"
"""Name of a folder, with characters that URLs escape."""


@pytest.fixture
def open_store():
    """Opens stores that are closed afterwards."""
    storages = []

    def connect_to(url, log=print):
        storages.append(connect(url, heartbeat=60, grace=120, log=log))
        return storages[-1]

    yield connect_to
    for storage in storages:
        storage.close()


@pytest.fixture
def no_delays(monkeypatch):
    """Removes the delays between attempts, and almost all waiting for locks."""
    monkeypatch.setattr(storage_module, "CONNECT_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setitem(with_retries.__kwdefaults__, "sleep", lambda seconds: None)


def file_of(url):
    """Returns the SQLite file of a URL."""
    return make_url(url).database


def refusal(url, log=print):
    """Returns the one-line error with which a store is refused."""
    with pytest.raises(UserError) as caught:
        connect(url, heartbeat=60, grace=120, log=log)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def create_queue(storage, trials):
    study = optuna.create_study(storage=storage, study_name="study")
    for number in range(trials):
        study.enqueue_trial({"x": number})
    return study


def test_optimize_takes_waiting_trials_and_creates_none(store, open_store):
    study = create_queue(open_store(store), 2)
    seen = []

    def objective(trial):
        seen.append(trial.suggest_int("x", 0, 9))
        return seen[-1]

    study.optimize(objective, n_trials=2)
    assert seen == [0, 1]
    with pytest.raises(QueueEmptyError):
        study.optimize(objective, n_trials=1)
    with pytest.raises(QueueEmptyError):
        open_store(store).create_new_trial(study._study_id)
    study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 5}}))
    study.optimize(objective, n_trials=1)
    assert seen == [0, 1, 5]
    assert [trial.value for trial in study.trials] == [0, 1, 5]


@pytest.mark.slow
def test_each_waiting_trial_is_taken_by_one_process(store, open_store):
    study = create_queue(open_store(store), 40)
    numbers_by_process = run_together(4, take_all, store)
    assert Counter(number for numbers in numbers_by_process for number in numbers) == Counter(range(40))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_an_empty_store_is_opened_by_four_processes_at_once(store, open_store):
    assert run_together(4, open_and_add, store) == [None] * 4
    study = optuna.load_study(storage=open_store(store), study_name="study")
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]


def test_transactions_wait_for_each_other_also_after_pickling(sqlite, open_store):
    for storage in (open_store(sqlite), pickle.loads(pickle.dumps(open_store(sqlite)))):
        statements: list[str] = []
        event.listen(storage.engine, "before_cursor_execute", lambda *args, seen=statements: seen.append(args[2]))
        storage.get_all_studies()
        assert statements[0] == "BEGIN IMMEDIATE"
        with storage.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
            assert connection.connection.dbapi_connection.isolation_level is None
        storage.close()


@pytest.mark.slow
def test_a_file_locked_for_three_seconds_is_waited_for(sqlite, open_store):
    storage = open_store(sqlite)
    other = sqlite3.connect(file_of(sqlite), check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(3, other.rollback)
    release.start()
    create_queue(storage, 1)
    lines: list[str] = []
    open_store(sqlite, lines.append)
    release.join()
    other.close()
    assert lines == []


def test_a_locked_file_is_tried_again_and_then_given_up(sqlite, open_store, no_delays):
    open_store(sqlite)
    other = sqlite3.connect(file_of(sqlite))
    other.execute("BEGIN EXCLUSIVE")
    lines: list[str] = []
    error = refusal(sqlite, lines.append)
    other.close()
    assert "out of reach 7 times" in error
    assert "database is locked" in error
    assert [line.split("trying again in ")[1] for line in lines] == ["0.5 s", "1 s", "2 s", "4 s", "8 s", "15 s"]


def test_a_store_that_another_process_is_creating_is_waited_for(sqlite, no_delays):
    file = Path(file_of(sqlite))
    lines: list[str] = []
    with storage_module.schema_lock(file):
        error = refusal(sqlite, lines.append)
    assert "lock" in error
    assert len(lines) == 6
    assert not file.exists()


def test_a_missed_heartbeat_is_no_error(sqlite, open_store, monkeypatch):
    monkeypatch.setattr(storage_module, "BUSY_TIMEOUT_SECONDS", 0.02)
    storage = open_store(sqlite)
    (trial,) = create_queue(storage, 1).trials
    other = sqlite3.connect(file_of(sqlite))
    other.execute("BEGIN EXCLUSIVE")
    storage.record_heartbeat(trial._trial_id)
    other.rollback()
    assert other.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (0,)
    storage.record_heartbeat(trial._trial_id)
    assert other.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (1,)
    other.close()


def test_heartbeats_and_grace_are_those_given(sqlite, open_store):
    storage = open_store(sqlite)
    assert (storage.get_heartbeat_interval(), storage.grace_period) == (60, 120)
    assert storage.get_heartbeat_stale_trial_callback() is None
    assert isinstance(storage, QueueStorage)


def test_the_default_is_a_file_in_the_folder_of_results_whatever_its_name(tmp_path, open_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = default_url(Path(ODD))
    create_queue(open_store(url), 3)
    file = tmp_path / ODD / "sweep.db"
    assert make_url(url).database == str(file)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM trials").fetchone() == (3,)
    connection.close()
    assert len(pickle.loads(pickle.dumps(open_store(url))).get_all_studies()) == 1


def test_braces_in_a_url_are_no_template(tmp_path, open_store):
    open_store(f"sqlite:///{tmp_path}/{{SCHEMA_VERSION}}.db")
    assert (tmp_path / "{SCHEMA_VERSION}.db").exists()


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import optuna
from pathlib import Path
from sweeps.storage_retry import with_retries
from sweeps.storage import connect
from workbench.errors import UserError
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = connect(sys.argv[2], heartbeat=60, grace=120, log=print)
study = optuna.load_study(storage=storage, study_name="study")
room = Path(storage.engine.url.database).stat().st_size + 20_000
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
stored = 0
try:
    while True:
        with_retries(lambda: study.set_user_attr(f"{stored}", "x" * 1000), print, store_name="the store")
        stored += 1
except UserError as error:
    print(stored, error, sep="|")
storage.close()
"""


def test_everything_that_was_stored_before_the_disk_was_full_is_kept(sqlite, open_store):
    study = create_queue(open_store(sqlite), 1)
    command = [sys.executable, "-c", FULL, str(Path(__file__).parents[2]), sqlite]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.returncode == 0, process.stderr
    stored, line = process.stdout.rstrip("\n").split("|")
    assert int(stored) > 3
    assert line == ("the store: disk I/O error; see whether the disk is full or gone, and give the same command again")
    assert set(study.user_attrs) == {str(number) for number in range(int(stored))}
    study.set_user_attr("after", 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_an_error_until_there_is_room(tmp_path, open_store):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        storage = open_store(default_url(disk))
        study = create_queue(storage, 1)
        filler = disk / "filler"
        filler.write_bytes(bytes(os.statvfs(disk).f_bfree * os.statvfs(disk).f_frsize))
        with pytest.raises(UserError, match=r"database or disk is full; make room, .*what was stored is safe"):
            with_retries(lambda: study.set_user_attr("a", "x" * 20_000), print)
        filler.unlink()
        study.set_user_attr("a", "x" * 20_000)
        assert [trial.state for trial in study.trials] == [TrialState.WAITING]
        storage.close()
    finally:
        subprocess.run(["umount", disk], check=True)


# Refusals


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sweep.db", "the storage given is not a URL like sqlite:////"),
        ("postgresql+psycopg://me:pw@host:port/db", "the storage postgresql\\+psycopg://... is not a URL"),
        ("postgresql+psycopg://me:p@w@host/db", "@ is written %40"),
        ("postgresql+psycopg://me:pw", "is not a URL"),
        ("postgres://me:pw@host/db", "no store is called 'postgres'; did you mean 'postgresql"),
        ("sqlit:////a.db", "no store is called 'sqlit'; did you mean 'sqlite'"),
        ("postgresql+psycop://me:pw@host/db", "'postgresql\\+psycop'; did you mean 'postgresql\\+psycopg'"),
        ("sqlite+aiosqlite:////a.db", "asynchronous"),
        ("postgresql+asyncpg://me:pw@host/db", "asynchronous one; did you mean 'postgresql\\+psycopg'"),
        ("sqlite://", "not a plain file"),
        ("sqlite:///:memory:", "not a plain file"),
        ("sqlite:////a.db?mode=ro&uri=true", "not a plain file"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, message):
    error = refusal(url)
    assert re.search(message, error), error
    assert "pw" not in error
    assert "w@" not in error


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    assert f"{tmp_path} is a folder; name a file" in refusal(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("no database\n" * 1000)
    assert "file is not a database; name another file, or move this one away" in refusal(f"sqlite:///{file}")
    assert file.read_text() == "no database\n" * 1000


@pytest.mark.skipif(not os.access("/proc", os.X_OK), reason="there is no folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_refused():
    assert "cannot write to /proc" in refusal("sqlite:////proc/sweep.db")


def test_a_store_of_another_version_is_refused(sqlite, open_store):
    open_store(sqlite).close()
    connection = sqlite3.connect(file_of(sqlite))
    connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0'")
    connection.execute("UPDATE version_info SET library_version = '99.0.0'")
    connection.commit()
    connection.close()
    error = refusal(sqlite)
    assert error.startswith(sqlite)
    assert "set up by optuna 99.0.0" in error
    assert error.endswith("; use that version, or another store")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgresql+psycopg://me:pw@host/db", "pip install 'sequence-workbench[postgresql]'"),
        ("postgresql+pg8000://me:pw@host/db", "install pg8000"),
    ],
)
def test_a_missing_driver_is_named(url, remedy, monkeypatch):
    for module in ("psycopg", "pg8000"):
        monkeypatch.setitem(sys.modules, module, None)
    error = refusal(url)
    assert error.endswith(remedy)
    assert "is not installed" in error
    assert "pw" not in error


def test_a_server_that_does_not_run_is_tried_again_and_then_given_up(no_delays):
    pytest.importorskip("psycopg")
    from tests.sweeps.postgres import free_port

    lines: list[str] = []
    error = refusal(f"postgresql+psycopg://me:s3cret@127.0.0.1:{free_port()}/db", lines.append)
    assert "out of reach 7 times" in error
    assert "refused" in error
    assert len(lines) == 6
    assert "s3cret" not in error + "".join(lines)


def test_connections_that_a_server_refuses_are_given_up_at_once(server):
    lines: list[str] = []
    error = refusal(server.url("postgres", "wr0ng"), lines.append)
    assert "password authentication failed" in error
    assert "PGPASSWORD" in error
    assert "wr0ng" not in error
    assert 'database "nowhere" does not exist' in refusal(server.url("nowhere"), lines.append)
    assert "no password supplied" in refusal(without_password(server.url("postgres")), lines.append)
    assert lines == []


def test_the_password_may_come_from_the_environment(postgresql, open_store, monkeypatch):
    from tests.sweeps.postgres import PASSWORD

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert open_store(without_password(postgresql)).get_all_studies() == []


def test_a_server_that_was_started_anew_is_connected_to_again(server, postgresql, open_store):
    storage = open_store(postgresql)
    create_queue(storage, 1)
    server.stop()
    server.start()
    assert len(storage.get_all_studies()) == 1


# Redaction


@pytest.mark.parametrize(
    "password", ["s3cret", "s3%20cret%40", "s3:cret", "s3/cret", "s3?cret=1", "s3#cret", "s3{cret}"]
)
@pytest.mark.parametrize("start", ["postgresql+psycopg://me:", "mysql+pymysql://me:"])
def test_a_password_is_not_shown(start, password):
    url = f"{start}{password}@host:5432/db?connect_timeout=3"
    assert redact(url) == without_password(url) == f"{start[:-1]}@host:5432/db?connect_timeout=3"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:s3@cret@host/db",
        "postgresql+psycopg://me:s3@cr/et@host/db",
        "postgresql+psycopg://me:s3cret",
        "postgresql+psycopg://me@host:s3cret/db",
        "me:s3cret@host/db",
        "postgresql+psycopg://host/db?user=me&password=s3cret",
        "postgresql+psycopg://host/db?sslpassword=s3cret",
        "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Ds3cret",
    ],
)
def test_nothing_is_shown_that_may_be_a_password(url):
    assert not re.search("s3|cr|et", redact(url).removeprefix("postgresql+psycopg").replace("secret", ""))


def test_a_path_is_shown_as_it_was_made(tmp_path):
    url = default_url(tmp_path / ODD)
    assert redact(url) == without_password(url) == url


def test_waiting_takes_no_longer_than_the_lock(sqlite, open_store):
    storage = open_store(sqlite)
    other = sqlite3.connect(file_of(sqlite), check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    locked_at = time.monotonic()
    release = threading.Timer(0.3, other.rollback)
    release.start()
    storage.get_all_studies()
    assert time.monotonic() - locked_at >= 0.3
    release.join()
    other.close()


def test_a_heartbeat_from_before_the_clock_was_set_back_is_none(store, open_store):
    """Of three running trials, one has a heartbeat of now, one of an hour ago, one of an hour ahead."""
    study = optuna.create_study(storage=open_store(store))
    for _ in range(3):
        study.enqueue_trial({})
    storage = study._storage._backend  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna would rather have heartbeats from `optimize` alone.
        trials = [study.ask() for _ in range(3)]
    for hours, trial in zip((0, -1, 1), trials, strict=True):
        storage.record_heartbeat(trial._trial_id)
        with Session(storage.engine) as session, session.begin():
            row = session.scalars(select(TrialHeartbeatModel).filter_by(trial_id=trial._trial_id)).one()
            row.heartbeat += timedelta(hours=hours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.storages.fail_stale_trials(study)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING, TrialState.FAIL, TrialState.FAIL]
    # What is alive says so again, whatever the clock.
    storage.record_heartbeat(study.trials[0]._trial_id)
    assert storage._get_stale_trial_ids(study._study_id) == []
