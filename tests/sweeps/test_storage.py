"""A store for many processes: made once, each trial taken once, and trouble told in a line."""

import os
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.engine import make_url

from sweeps import storage as stores
from sweeps.retry import with_retries
from sweeps.storage import QueueEmptyError, QueueStorage, connect
from sweeps.storage_url import default_url, redact, without_password
from tests.sweeps.concurrent import open_and_add, take_all, together
from workbench.errors import UserError

ODD = "a b%20?c#d{e}'é\"&=@:"
"""A folder's name."""


@pytest.fixture
def opened():
    """Opens a store that is closed afterwards."""
    made = []

    def opener(url, say=print):
        made.append(connect(url, heartbeat=60, grace=120, say=say))
        return made[-1]

    yield opener
    for storage in made:
        storage.close()


@pytest.fixture
def soon(monkeypatch):
    """Pauses that are over at once, and hardly any waiting for locks."""
    monkeypatch.setattr(stores, "CONNECTING_SECONDS", 0.02)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setitem(with_retries.__kwdefaults__, "sleep", lambda seconds: None)


def file_of(url):
    """The SQLite file."""
    return make_url(url).database


def refusal(url, say=print):
    """The one line with which a store is refused."""
    with pytest.raises(UserError) as caught:
        connect(url, heartbeat=60, grace=120, say=say)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def queue(storage, trials):
    study = optuna.create_study(storage=storage, study_name="study")
    for number in range(trials):
        study.enqueue_trial({"x": number})
    return study


def test_optimize_takes_what_is_waiting_and_makes_nothing(store, opened):
    study = queue(opened(store), 2)
    seen = []

    def objective(trial):
        seen.append(trial.suggest_int("x", 0, 9))
        return seen[-1]

    study.optimize(objective, n_trials=2)
    assert seen == [0, 1]
    with pytest.raises(QueueEmptyError):
        study.optimize(objective, n_trials=1)
    with pytest.raises(QueueEmptyError):
        opened(store).create_new_trial(study._study_id)
    study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 5}}))
    study.optimize(objective, n_trials=1)
    assert seen == [0, 1, 5]
    assert [trial.value for trial in study.trials] == [0, 1, 5]


def test_each_waiting_trial_is_taken_by_one_process(store, opened):
    study = queue(opened(store), 40)
    taken = together(4, take_all, store)
    assert Counter(number for numbers in taken for number in numbers) == Counter(range(40))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_an_empty_store_is_opened_by_four_processes_at_once(store, opened):
    assert together(4, open_and_add, store) == [None] * 4
    study = optuna.load_study(storage=opened(store), study_name="study")
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]


def test_transactions_wait_for_each_other_also_after_pickling(sqlite, opened):
    for storage in (opened(sqlite), pickle.loads(pickle.dumps(opened(sqlite)))):
        said: list[str] = []
        event.listen(storage.engine, "before_cursor_execute", lambda *args, said=said: said.append(args[2]))
        storage.get_all_studies()
        assert said[0] == "BEGIN IMMEDIATE"
        with storage.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
            assert connection.connection.dbapi_connection.isolation_level is None
        storage.close()


def test_a_file_locked_for_three_seconds_is_waited_for(sqlite, opened):
    storage = opened(sqlite)
    other = sqlite3.connect(file_of(sqlite), check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(3, other.rollback)
    release.start()
    queue(storage, 1)
    said: list[str] = []
    opened(sqlite, said.append)
    release.join()
    other.close()
    assert said == []


def test_a_locked_file_is_tried_again_and_then_given_up(sqlite, opened, soon):
    opened(sqlite)
    other = sqlite3.connect(file_of(sqlite))
    other.execute("BEGIN EXCLUSIVE")
    said: list[str] = []
    line = refusal(sqlite, said.append)
    other.close()
    assert "out of reach 7 times" in line
    assert "database is locked" in line
    assert [text.split("trying again in ")[1] for text in said] == ["0.5 s", "1 s", "2 s", "4 s", "8 s", "15 s"]


def test_one_that_another_process_is_making_is_waited_for(sqlite, soon):
    file = Path(file_of(sqlite))
    said: list[str] = []
    with stores.create_under_lock(file):
        line = refusal(sqlite, said.append)
    assert "lock" in line
    assert len(said) == 6
    assert not file.exists()


def test_a_missed_heartbeat_is_no_error(sqlite, opened, monkeypatch):
    monkeypatch.setattr(stores, "BUSY_SECONDS", 0.02)
    storage = opened(sqlite)
    (trial,) = queue(storage, 1).trials
    other = sqlite3.connect(file_of(sqlite))
    other.execute("BEGIN EXCLUSIVE")
    storage.record_heartbeat(trial._trial_id)
    other.rollback()
    assert other.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (0,)
    storage.record_heartbeat(trial._trial_id)
    assert other.execute("SELECT count(*) FROM trial_heartbeats").fetchone() == (1,)
    other.close()


def test_heartbeats_and_grace_are_those_given(sqlite, opened):
    storage = opened(sqlite)
    assert (storage.get_heartbeat_interval(), storage.grace_period) == (60, 120)
    assert storage.get_heartbeat_stale_trial_callback() is None
    assert isinstance(storage, QueueStorage)


def test_the_default_is_a_file_in_the_folder_of_results_whatever_its_name(tmp_path, opened, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = default_url(Path(ODD))
    queue(opened(url), 3)
    file = tmp_path / ODD / "sweep.db"
    assert make_url(url).database == str(file)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM trials").fetchone() == (3,)
    connection.close()
    assert len(pickle.loads(pickle.dumps(opened(url))).get_all_studies()) == 1


def test_braces_in_a_url_are_no_template(tmp_path, opened):
    opened(f"sqlite:///{tmp_path}/{{SCHEMA_VERSION}}.db")
    assert (tmp_path / "{SCHEMA_VERSION}.db").exists()


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import optuna
from pathlib import Path
from sweeps.retry import patiently
from sweeps.storage import connect
from workbench.errors import UserError
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = connect(sys.argv[2], heartbeat=60, grace=120, say=print)
study = optuna.load_study(storage=storage, study_name="study")
room = Path(storage.engine.url.database).stat().st_size + 20_000
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
stored = 0
try:
    while True:
        patiently(lambda: study.set_user_attr(f"{stored}", "x" * 1000), print, what="the store")
        stored += 1
except UserError as error:
    print(stored, error, sep="|")
storage.close()
"""


def test_what_was_stored_before_the_disk_was_full_is_there(sqlite, opened):
    study = queue(opened(sqlite), 1)
    command = [sys.executable, "-c", FULL, str(Path(__file__).parents[2]), sqlite]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    stored, line = done.stdout.rstrip("\n").split("|")
    assert int(stored) > 3
    assert line == ("the store: disk I/O error; see whether the disk is full or gone, and give the same command again")
    assert set(study.user_attrs) == {str(number) for number in range(int(stored))}
    study.set_user_attr("after", 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_waits_for_room(tmp_path, opened):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        storage = opened(default_url(disk))
        study = queue(storage, 1)
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
    line = refusal(url)
    assert re.search(message, line), line
    assert "pw" not in line
    assert "w@" not in line


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    assert f"{tmp_path} is a folder; name a file" in refusal(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("no database\n" * 1000)
    assert "file is not a database; name another file, or move this one away" in refusal(f"sqlite:///{file}")
    assert file.read_text() == "no database\n" * 1000


@pytest.mark.skipif(not os.access("/proc", os.X_OK), reason="there is no place that nobody can write to")
def test_a_place_that_cannot_be_written_to_is_refused():
    assert "cannot write to /proc" in refusal("sqlite:////proc/sweep.db")


def test_a_store_of_another_version_is_refused(sqlite, opened):
    opened(sqlite).close()
    connection = sqlite3.connect(file_of(sqlite))
    connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0'")
    connection.execute("UPDATE version_info SET library_version = '99.0.0'")
    connection.commit()
    connection.close()
    line = refusal(sqlite)
    assert line.startswith(sqlite)
    assert "set up by optuna 99.0.0" in line
    assert line.endswith("; use that version, or another store")


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
    line = refusal(url)
    assert line.endswith(remedy)
    assert "is not installed" in line
    assert "pw" not in line


def test_a_server_that_nobody_runs_is_tried_again_and_then_given_up(soon):
    pytest.importorskip("psycopg")
    from tests.sweeps.postgres import free_port

    said: list[str] = []
    line = refusal(f"postgresql+psycopg://me:s3cret@127.0.0.1:{free_port()}/db", said.append)
    assert "out of reach 7 times" in line
    assert "refused" in line
    assert len(said) == 6
    assert "s3cret" not in line + "".join(said)


def test_what_a_server_refuses_is_given_up_at_once(server):
    said: list[str] = []
    line = refusal(server.url("postgres", "wr0ng"), said.append)
    assert "password authentication failed" in line
    assert "PGPASSWORD" in line
    assert "wr0ng" not in line
    assert 'database "nowhere" does not exist' in refusal(server.url("nowhere"), said.append)
    assert "no password supplied" in refusal(without_password(server.url("postgres")), said.append)
    assert said == []


def test_the_password_may_come_from_the_environment(postgresql, opened, monkeypatch):
    from tests.sweeps.postgres import PASSWORD

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert opened(without_password(postgresql)).get_all_studies() == []


def test_a_server_that_was_started_anew_is_connected_to_again(server, postgresql, opened):
    storage = opened(postgresql)
    queue(storage, 1)
    server.stop()
    server.start()
    assert len(storage.get_all_studies()) == 1


# Showing


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
def test_of_what_may_hold_a_password_nothing_is_shown(url):
    assert not re.search("s3|cr|et", redact(url).removeprefix("postgresql+psycopg").replace("secret", ""))


def test_a_path_is_shown_as_it_was_made(tmp_path):
    url = default_url(tmp_path / ODD)
    assert redact(url) == without_password(url) == url


def test_waiting_takes_no_longer_than_the_lock(sqlite, opened):
    storage = opened(sqlite)
    other = sqlite3.connect(file_of(sqlite), check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    held = time.monotonic()
    release = threading.Timer(0.3, other.rollback)
    release.start()
    storage.get_all_studies()
    assert time.monotonic() - held >= 0.3
    release.join()
    other.close()
