"""Stores that somebody else names: nothing is changed by looking, and no password is given away."""

import shutil
import sqlite3
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url

from sweeps.driver_options import engine_options
from sweeps.storage import QueueStorage, connect
from sweeps.storage_retry import remedy
from sweeps.storage_url import default_url, server_name
from workbench.errors import UserError


def refusal(url: str, *, read_only: bool) -> str:
    """Returns the one-line error with which a store is refused, at the first attempt."""
    lines: list[str] = []
    with pytest.raises(UserError) as caught:
        connect(url, heartbeat=60, grace=120, log=lines.append, read_only=read_only)
    assert lines == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def open_store():
    """Opens stores that are closed afterwards."""
    storages = []

    def connect_to(url: str, *, read_only: bool = False) -> QueueStorage:
        storages.append(connect(url, heartbeat=60, grace=120, log=print, read_only=read_only))
        return storages[-1]

    yield connect_to
    for storage in storages:
        storage.close()


def make_database(path: Path, *statements: str) -> bytes:
    """Makes an SQLite file, and returns its bytes."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path.read_bytes()


FOREIGN = (
    ("CREATE TABLE songs (id INTEGER PRIMARY KEY)",),
    # Names alone do not tell.
    ("CREATE TABLE studies (id INTEGER PRIMARY KEY)", "CREATE TABLE alembic_version (version_num TEXT)"),
    # SQLite itself makes files beside such a database, even for those who only read.
    ("PRAGMA journal_mode = WAL", "CREATE TABLE songs (id INTEGER PRIMARY KEY)"),
)


@pytest.mark.parametrize("statements", FOREIGN)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_another_program_is_refused_and_nothing_is_written(tmp_path, statements, read_only):
    before = make_database(tmp_path / "mine.db", *statements)
    line = refusal(f"sqlite:///{tmp_path}/mine.db", read_only=read_only)
    assert "mine.db is a database of another program" in line
    assert (tmp_path / "mine.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.db"], "not even a lock"


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_of_another_program_on_a_server_is_refused_and_left_alone(postgresql, read_only):
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE songs (id INTEGER PRIMARY KEY)"))
    line = refusal(postgresql, read_only=read_only)
    assert "is a database of another program" in line
    assert inspect(engine).get_table_names() == ["songs"]
    engine.dispose()


def test_to_look_at_an_empty_database_makes_no_tables(store):
    file = make_url(store).database if store.startswith("sqlite") else None
    if file is not None:
        Path(file).touch()
    assert "holds no trials yet; workbench sweep run begins a sweep" in refusal(store, read_only=True)
    engine = create_engine(store)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_store_that_is_looked_at_cannot_be_changed(store, open_store):
    study = optuna.create_study(storage=open_store(store), study_name="study")
    study.enqueue_trial({"x": 1})
    seen = open_store(store, read_only=True)
    (trial,) = optuna.load_study(storage=seen, study_name="study").get_trials()
    assert trial.system_attrs["fixed_params"] == {"x": 1}
    with pytest.raises(optuna.exceptions.StorageInternalError) as caught:
        seen.create_new_study([optuna.study.StudyDirection.MINIMIZE], "another")
    assert "read" in str(caught.value.__cause__)
    assert len(open_store(store).get_all_studies()) == 1


def test_to_look_leaves_no_file_beside_the_store(tmp_path, open_store):
    url = default_url(tmp_path)
    open_store(url).close()
    (tmp_path / ".sweep.db.lock").unlink(missing_ok=True)
    before = (tmp_path / "sweep.db").read_bytes()
    open_store(url, read_only=True).get_all_studies()
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.db"]
    assert (tmp_path / "sweep.db").read_bytes() == before


def test_a_change_that_was_cut_short_is_told_as_such(tmp_path, open_store):
    url = default_url(tmp_path)
    open_store(url).close()
    writer = sqlite3.connect(tmp_path / "sweep.db", isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN IMMEDIATE")
    for number in range(500):
        writer.execute("INSERT INTO studies (study_name) VALUES (?)", (f"{number:0500}",))
    # What a kill leaves behind: pages that are written already, and the journal to take them back.
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("sweep.db", "sweep.db-journal"):
        shutil.copy(tmp_path / name, killed)
    writer.close()
    line = refusal(default_url(killed), read_only=True)
    assert line.endswith("its last change was cut short: the command of the sweep, given again, puts it right")
    assert open_store(default_url(killed)).get_all_studies() == []
    assert open_store(default_url(killed), read_only=True).get_all_studies() == []


def test_a_pipe_in_place_of_a_file_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "sweep.db")
    assert "is not a plain file" in refusal(default_url(tmp_path), read_only=True)


# Passwords


def test_a_server_that_asks_for_the_password_in_clear_text_does_not_get_it(monkeypatch):
    pytest.importorskip("psycopg")
    from tests.sweeps.fake_postgres import listening

    monkeypatch.delenv("PGREQUIREAUTH", raising=False)
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    with listening() as server:
        line = refusal(f"postgresql+psycopg://me@127.0.0.1:{server.port}/db", read_only=True)
    assert line.endswith("cleartext password; it is not sent (require_auth=password in the URL allows it)")
    assert server.connections == 1, "it is not asked again"
    assert b"s3cret" not in server.received
    assert server.received == b""


def test_whoever_wants_a_clear_text_password_may_say_so(monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.delenv("PGREQUIREAUTH", raising=False)

    def parameters(query: str = "") -> dict[str, object]:
        address = make_url(f"postgresql+psycopg://me@host/db{query}")
        return dict(engine_options(address, 5.0)["connect_args"])

    assert parameters()["require_auth"] == "!password"
    assert "require_auth" not in parameters("?require_auth=password"), "the URL has it"
    monkeypatch.setenv("PGREQUIREAUTH", "password")
    assert "require_auth" not in parameters(), "the environment has it"


def test_an_older_libpq_is_not_asked_what_it_does_not_know(monkeypatch):
    monkeypatch.delenv("PGREQUIREAUTH", raising=False)
    monkeypatch.setattr("sweeps.driver_options.libpq_version", lambda driver: 150_004)
    assert "require_auth" not in engine_options(make_url("postgresql+psycopg2://me@host/db"), 5.0)["connect_args"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql+psycopg://me:pw@db.example.org:5433/x", "db.example.org:5433"),
        ("postgresql+psycopg://me:pw@db.example.org/x?host=evil.example.org", "db.example.org, host=evil.example.org"),
        ("postgresql+psycopg:///x?service=theirs", "service=theirs"),
        ("postgresql+psycopg:///x", "this machine"),
        ("postgresql+psycopg://me@a\x1b[31mb/x", "a?[31mb"),
    ],
)
def test_a_host_is_named_without_secrets_and_control_characters(url, name):
    assert server_name(url) == name


def test_a_long_host_is_shortened():
    assert server_name(f"postgresql+psycopg://me@{'h' * 5000}/x") == "h" * 97 + "..."


def test_other_errors_have_no_such_remedy():
    assert remedy(ValueError("read-only")) == ""
