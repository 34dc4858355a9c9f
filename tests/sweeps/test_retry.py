"""What may pass is waited for, and nothing else is."""

import sqlite3

import optuna
import pytest
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import create_engine, exc, text

from sweeps.retry import MAX_MESSAGE_LENGTH, RETRY_DELAYS, is_transient, with_retries
from sweeps.storage import connect
from workbench.errors import UserError


class RefusedError(Exception):
    """As drivers say it: with a code, or in words alone."""

    def __init__(self, words="", **codes):
        super().__init__(words)
        for name, value in codes.items():
            setattr(self, name, value)


def refused(words="", kind=exc.OperationalError, **codes):
    return kind("SELECT secret", {"value": "secret"}, RefusedError(words, **codes))


def wrapped(error):
    """As Optuna does."""
    try:
        raise StorageInternalError("An exception is raised during the commit.") from error
    except StorageInternalError as made:
        return made


class Fails:
    """A call that raises each of the errors in turn, and then returns 7."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


def trial(call, **given):
    """What came of it, what was said, and how long was slept."""
    said: list[str] = []
    slept: list[float] = []
    try:
        return with_retries(call, said.append, sleep=slept.append, **given), said, slept
    except UserError as error:
        return error, said, slept


PASSING = [
    refused("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY),
    refused("database is locked", sqlite_errorcode=sqlite3.SQLITE_BUSY_SNAPSHOT),
    refused("database table is locked", sqlite_errorcode=sqlite3.SQLITE_LOCKED),
    refused("the connection is lost", sqlstate="08006"),
    refused("could not serialize access", sqlstate="40001"),
    refused("deadlock detected", sqlstate="40P01"),
    refused("terminating connection due to administrator command", sqlstate="57P01"),
    refused("the database system is starting up", sqlstate="57P03"),
    refused("sorry, too many clients already", sqlstate="53300"),
    refused("connection failed: FATAL: the database system is starting up"),
    refused("connection failed: Connection refused"),
    refused("failed to resolve host 'far': Name or service not known"),
    refused("connection already closed", kind=exc.InterfaceError),
    exc.TimeoutError("QueuePool limit reached"),
    TimeoutError("The file lock could not be acquired."),
]
LASTING = [
    refused("database or disk is full", sqlite_errorcode=sqlite3.SQLITE_FULL),
    refused("disk I/O error", sqlite_errorcode=sqlite3.SQLITE_IOERR_WRITE),
    refused("unable to open database file", sqlite_errorcode=sqlite3.SQLITE_CANTOPEN),
    refused("attempt to write a readonly database", sqlite_errorcode=sqlite3.SQLITE_READONLY),
    refused("file is not a database", kind=exc.DatabaseError, sqlite_errorcode=sqlite3.SQLITE_NOTADB),
    refused("no such column: studies.x", sqlite_errorcode=sqlite3.SQLITE_ERROR),
    refused("could not extend file: No space left on device", sqlstate="53100"),
    refused("permission denied for table studies", kind=exc.ProgrammingError, sqlstate="42501"),
    refused("database was dropped", sqlstate="57P04"),
    refused('connection failed: FATAL: password authentication failed for user "me"'),
    refused("connection failed: fe_sendauth: no password supplied"),
    refused('connection failed: FATAL: database "none" does not exist'),
    refused('connection failed: FATAL: role "none" does not exist'),
    refused('connection failed: FATAL: no pg_hba.conf entry for host "10.0.0.1"'),
    refused('connection failed: FATAL: role "me" is not permitted to log in'),
    refused('invalid connection option "colour"', kind=exc.ProgrammingError),
    refused("value too long", kind=exc.DataError),
    exc.InvalidRequestError("Can't reconnect until invalid transaction is rolled back."),
]


def name(error):
    return str(getattr(error, "orig", error))


@pytest.mark.parametrize("wrap", [wrapped, lambda error: error], ids=["by optuna", "plain"])
@pytest.mark.parametrize("error", PASSING, ids=name)
def test_what_may_pass_is_waited_for(error, wrap):
    call = Fails(wrap(error), wrap(error))
    result, said, slept = trial(call, pauses=(0.25, 3.0, 9.0), what="the store at home")
    assert (result, call.calls, slept) == (7, 3, [0.25, 3.0])
    assert len(said) == 2
    assert said[0].startswith("the store at home is out of reach (")
    assert [line.rsplit("; ", 1)[1] for line in said] == ["trying again in 0.25 s", "trying again in 3 s"]
    assert all(name(error) in line and "\n" not in line for line in said)


@pytest.mark.parametrize("error", LASTING, ids=name)
def test_what_cannot_pass_is_given_up_at_once(error):
    call = Fails(wrapped(error))
    result, said, slept = trial(call, what="the store at home")
    assert isinstance(result, UserError)
    assert (call.calls, said, slept) == (1, [], [])
    assert str(result).startswith(f"the store at home: {name(error)}")
    assert "secret" not in str(result)


def test_in_the_end_there_is_one_clear_line():
    call = Fails(*[wrapped(refused("database\n is  locked", sqlite_errorcode=sqlite3.SQLITE_BUSY))] * 9)
    result, said, slept = trial(call, what="sqlite:////a/b.db")
    assert slept == list(RETRY_DELAYS) == sorted(RETRY_DELAYS)
    assert call.calls == len(RETRY_DELAYS) + 1 == len(said) + 1
    assert "sqlite:////a/b.db was out of reach 7 times, over 30.5 s and more (database is locked)" in str(result)
    assert "\n" not in str(result)


def test_without_pauses_there_is_one_attempt():
    call = Fails(PASSING[0])
    assert isinstance(trial(call, pauses=())[0], UserError)
    assert call.calls == 1


@pytest.mark.parametrize(
    ("error", "better"),
    [
        (LASTING[0], "make room, and give the same command again: what was stored is safe"),
        (LASTING[1], "see whether the disk is full"),
        (LASTING[4], "name another file"),
        (LASTING[9], "PGPASSWORD"),
    ],
)
def test_the_line_says_what_would_be_right(error, better):
    assert better in str(trial(Fails(error))[0])


@pytest.mark.parametrize(
    "error",
    [
        UpdateFinishedTrialError("finished"),
        DuplicatedStudyError("there"),
        refused("duplicate key", kind=exc.IntegrityError, sqlstate="23505"),
        KeyError("no such study"),
        UserError("a line"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_what_is_not_the_stores_trouble_goes_through(error):
    call = Fails(error)
    said: list[str | float] = []
    with pytest.raises(type(error)) as caught:
        with_retries(call, said.append, sleep=said.append)
    assert caught.value is error
    assert (call.calls, said) == (1, [])


def test_what_a_driver_says_is_cut():
    result, _, _ = trial(Fails(refused("no " * 1000, sqlite_errorcode=sqlite3.SQLITE_ERROR)))
    assert len(str(result)) == len("the store: ") + MAX_MESSAGE_LENGTH


def test_a_wrapped_error_without_a_cause_is_given_up():
    assert not is_transient(StorageInternalError("why"))
    assert str(trial(Fails(StorageInternalError("why")))[0]) == "the store: why"


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
    storage = connect(postgresql, heartbeat=60, grace=120, say=print)
    study = optuna.create_study(storage=storage, study_name="study")
    study.enqueue_trial({})
    (before,) = study.trials
    server.stop()
    said: list[str] = []

    def take():
        return storage.set_trial_state_values(before._trial_id, TrialState.RUNNING)

    try:
        assert with_retries(take, said.append, sleep=lambda seconds: server.start() if len(said) == 2 else None)
    finally:
        server.start()
    assert len(said) == 2
    assert "refused" in said[0]
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    storage.close()
