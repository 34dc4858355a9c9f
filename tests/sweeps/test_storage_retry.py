"""Retries: transient errors are waited for, and no others."""

import sqlite3

import optuna
import pytest
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import create_engine, exc, text

from sweeps.storage import connect
from sweeps.storage_retry import MAX_MESSAGE_LENGTH, RETRY_DELAYS, is_transient, with_retries
from workbench.errors import UserError


class DriverError(Exception):
    """A driver's error, with a code or only a message."""

    def __init__(self, message="", **codes):
        super().__init__(message)
        for name, value in codes.items():
            setattr(self, name, value)


def database_error(message="", kind=exc.OperationalError, **codes):
    return kind("SELECT secret", {"value": "secret"}, DriverError(message, **codes))


def wrap_as_optuna(error):
    """Returns the error wrapped as Optuna wraps it."""
    try:
        raise StorageInternalError("An exception is raised during the commit.") from error
    except StorageInternalError as wrapper:
        return wrapper


class FailingCall:
    """A call that raises each of the errors in turn, and then returns 7."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


def call_with_retries(call, **options):
    """Returns the result or the error, the logged lines, and the delays."""
    lines: list[str] = []
    delays: list[float] = []
    try:
        return with_retries(call, lines.append, sleep=delays.append, **options), lines, delays
    except UserError as error:
        return error, lines, delays


TRANSIENT = [
    database_error("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY),
    database_error("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY_SNAPSHOT),
    database_error("database table is locked", sqlite_errorcode=sqlite3.SQLITE_LOCKED),
    database_error("the connection is lost", sqlstate="08006"),
    database_error("could not serialize access", sqlstate="40001"),
    database_error("deadlock detected", sqlstate="40P01"),
    database_error("terminating connection due to administrator command", sqlstate="57P01"),
    database_error("the database system is starting up", sqlstate="57P03"),
    database_error("sorry, too many clients already", sqlstate="53300"),
    database_error("connection failed: FATAL: the database system is starting up"),
    database_error("connection failed: Connection refused"),
    database_error("failed to resolve host 'far': Name or service not known"),
    database_error("connection already closed", kind=exc.InterfaceError),
    exc.TimeoutError("QueuePool limit reached"),
    TimeoutError("The file lock could not be acquired."),
]
PERMANENT = [
    database_error("database or disk is full", sqlite_errorcode=sqlite3.SQLITE_FULL),
    database_error("disk I/O error", sqlite_errorcode=sqlite3.SQLITE_IOERR_WRITE),
    database_error("unable to open database file", sqlite_errorcode=sqlite3.SQLITE_CANTOPEN),
    database_error("attempt to write a readonly database", sqlite_errorcode=sqlite3.SQLITE_READONLY),
    database_error("file is not a database", kind=exc.DatabaseError, sqlite_errorcode=sqlite3.SQLITE_NOTADB),
    database_error("no such column: studies.x", sqlite_errorcode=sqlite3.SQLITE_ERROR),
    database_error("could not extend file: No space left on device", sqlstate="53100"),
    database_error("permission denied for table studies", kind=exc.ProgrammingError, sqlstate="42501"),
    database_error("database was dropped", sqlstate="57P04"),
    database_error('connection failed: FATAL: password authentication failed for user "me"'),
    database_error("connection failed: fe_sendauth: no password supplied"),
    database_error('connection failed: FATAL: database "none" does not exist'),
    database_error('connection failed: FATAL: role "none" does not exist'),
    database_error('connection failed: FATAL: no pg_hba.conf entry for host "10.0.0.1"'),
    database_error('connection failed: FATAL: role "me" is not permitted to log in'),
    database_error('invalid connection option "colour"', kind=exc.ProgrammingError),
    database_error("value too long", kind=exc.DataError),
    exc.InvalidRequestError("Can't reconnect until invalid transaction is rolled back."),
]


def driver_text(error):
    return str(getattr(error, "orig", error))


@pytest.mark.parametrize("wrap", [wrap_as_optuna, lambda error: error], ids=["by optuna", "plain"])
@pytest.mark.parametrize("error", TRANSIENT, ids=driver_text)
def test_transient_errors_are_waited_for(error, wrap):
    call = FailingCall(wrap(error), wrap(error))
    result, lines, delays = call_with_retries(call, delays=(0.25, 3.0, 9.0), store_name="the store at home")
    assert (result, call.calls, delays) == (7, 3, [0.25, 3.0])
    assert len(lines) == 2
    assert lines[0].startswith("the store at home is out of reach (")
    assert [line.rsplit("; ", 1)[1] for line in lines] == ["trying again in 0.25 s", "trying again in 3 s"]
    assert all(driver_text(error) in line and "\n" not in line for line in lines)


@pytest.mark.parametrize("error", PERMANENT, ids=driver_text)
def test_permanent_errors_are_raised_at_once(error):
    call = FailingCall(wrap_as_optuna(error))
    result, lines, delays = call_with_retries(call, store_name="the store at home")
    assert isinstance(result, UserError)
    assert (call.calls, lines, delays) == (1, [], [])
    assert str(result).startswith(f"the store at home: {driver_text(error)}")
    assert "secret" not in str(result)


def test_after_the_last_attempt_there_is_one_clear_line():
    call = FailingCall(
        *[wrap_as_optuna(database_error("database\n is  locked", sqlite_errorcode=sqlite3.SQLITE_BUSY))] * 9
    )
    result, lines, delays = call_with_retries(call, store_name="sqlite:////a/b.db")
    assert delays == list(RETRY_DELAYS) == sorted(RETRY_DELAYS)
    assert call.calls == len(RETRY_DELAYS) + 1 == len(lines) + 1
    assert "sqlite:////a/b.db was out of reach 7 times, over 30.5 s and more (database is locked)" in str(result)
    assert "\n" not in str(result)


def test_without_pauses_there_is_one_attempt():
    call = FailingCall(TRANSIENT[0])
    assert isinstance(call_with_retries(call, delays=())[0], UserError)
    assert call.calls == 1


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PERMANENT[0], "make room, and give the same command again: what was stored is safe"),
        (PERMANENT[1], "see whether the disk is full"),
        (PERMANENT[4], "name another file"),
        (PERMANENT[9], "PGPASSWORD"),
    ],
)
def test_the_error_has_a_remedy(error, remedy):
    assert remedy in str(call_with_retries(FailingCall(error))[0])


@pytest.mark.parametrize(
    "error",
    [
        UpdateFinishedTrialError("finished"),
        DuplicatedStudyError("there"),
        database_error("duplicate key", kind=exc.IntegrityError, sqlstate="23505"),
        KeyError("no such study"),
        UserError("a line"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_errors_that_are_not_the_stores_are_raised_unchanged(error):
    call = FailingCall(error)
    logged: list[str | float] = []
    with pytest.raises(type(error)) as caught:
        with_retries(call, logged.append, sleep=logged.append)
    assert caught.value is error
    assert (call.calls, logged) == (1, [])


def test_long_messages_of_a_driver_are_cut():
    result, _, _ = call_with_retries(FailingCall(database_error("no " * 1000, sqlite_errorcode=sqlite3.SQLITE_ERROR)))
    assert len(str(result)) == MAX_MESSAGE_LENGTH
    assert str(result).startswith("the store: no no")


def test_a_wrapped_error_without_a_cause_is_given_up():
    assert not is_transient(StorageInternalError("why"))
    assert str(call_with_retries(FailingCall(StorageInternalError("why")))[0]) == "the store: why"


def test_the_drivers_own_codes_are_understood(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", connect_args={"timeout": 0})
    with sqlite3.connect(tmp_path / "a.db") as other, engine.connect() as connection:
        other.execute("CREATE TABLE a (b)")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(exc.OperationalError) as locked:
            connection.execute(text("SELECT * FROM a"))
        other.rollback()
        with pytest.raises(exc.OperationalError) as wrong:
            connection.execute(text("SELECT * FROM b"))
    other.close()
    engine.dispose()
    assert is_transient(locked.value)
    assert not is_transient(wrong.value)


def test_a_server_that_is_stopped_and_started_again_is_waited_for(server, postgresql):
    storage = connect(postgresql, heartbeat=60, grace=120, log=print)
    study = optuna.create_study(storage=storage, study_name="study")
    study.enqueue_trial({})
    (waiting_trial,) = study.trials
    server.stop()
    lines: list[str] = []

    def take():
        return storage.set_trial_state_values(waiting_trial._trial_id, TrialState.RUNNING)

    try:
        assert with_retries(take, lines.append, sleep=lambda seconds: server.start() if len(lines) == 2 else None)
    finally:
        server.start()
    assert len(lines) == 2
    assert "refused" in lines[0]
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    storage.close()
