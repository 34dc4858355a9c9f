"""Waiting for a store that is locked, restarting or out of reach, as long as there is hope."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import exc

from workbench.errors import UserError
from workbench.files import one_line

T = TypeVar("T")

RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between attempts."""
STORAGE_ERRORS = (StorageInternalError, exc.DBAPIError, exc.TimeoutError, TimeoutError)
MAX_MESSAGE_LENGTH = 300
"""Characters of what a driver says."""

TRANSIENT_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
TRANSIENT_SQLSTATES = ("08", "40", "53300", "55P03", "57P01", "57P02", "57P03")
"""How the SQLSTATE of what may pass begins: no connection, a conflict between transactions, too many connections, a
lock, a server that stops or starts (PostgreSQL's documentation, appendix A)."""
PERMANENT = (
    *("authentication failed", "no password supplied", "access denied", "permission denied", "not permitted"),
    *("pg_hba.conf", "does not exist", "unknown database", "invalid ", "certificate", "is full"),
)
"""Said by servers that refuse a connection, which has no SQLSTATE yet, for a reason that will be the same next time."""
ADVICE = {
    "authentication failed": "see to the user and the password, in the URL or in PGPASSWORD",
    "no password supplied": "give it in the URL or in PGPASSWORD",
    "is full": "make room, and give the same command again: what was stored is safe",
    "disk i/o error": "see whether the disk is full or gone, and give the same command again",
    "not a database": "name another file, or move this one away",
    "readonly": "name a place that can be written to",
    "does not exist": "make it, or name another",
}


def with_retries(
    call: Callable[[], T],
    say: Callable[[str], None],
    *,
    what: str = "the store",
    pauses: Sequence[float] = RETRY_DELAYS,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What the call returns, called again after each pause while the store has troubles that may pass.

    Args:
        call: uses the store. What it changes may happen twice where a connection is lost just after.
        say: is given a line before each pause.
        what: the store's name, in messages.
        pauses: seconds between attempts.
        sleep: waits for so many seconds.

    Raises:
        UserError: in one line, once the pauses are used up, or at once where waiting is of no use. All that is not the
            store's trouble (a trial that is finished already, a duplicate) goes through untouched.
    """
    for pause in (*pauses, None):
        try:
            return call()
        except STORAGE_ERRORS as error:
            cause = cause_of(error)
            if isinstance(cause, exc.IntegrityError):
                raise
            if not is_transient(cause):
                raise UserError(f"{what}: {reason(cause)}{advice(cause)}") from None
            if pause is None:
                tries, spent = len(pauses) + 1, sum(pauses)
                raise UserError(
                    f"{what} was out of reach {tries} times, over {spent:g} s and more ({reason(cause)}); "
                    "see whether it is running and who holds it, and give the same command again"
                ) from None
            say(f"{what} is out of reach ({reason(cause)}); trying again in {pause:g} s")
        sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def cause_of(error: BaseException) -> BaseException:
    """What SQLAlchemy raised; Optuna wraps it into an error that says nothing."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later, without anybody's doing."""
    if not isinstance(error, exc.DBAPIError):
        return isinstance(error, (exc.TimeoutError, TimeoutError))
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in TRANSIENT_SQLITE  # The rest of an extended code tells the circumstances.
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(TRANSIENT_SQLSTATES)
    lost = error.connection_invalidated or isinstance(error, (exc.OperationalError, exc.InterfaceError))
    return lost and not any(words in reason(error).lower() for words in PERMANENT)


def reason(error: BaseException) -> str:
    """What the driver said, in a line: without the statement, and without the values in it."""
    text = one_line((error.orig or error) if isinstance(error, exc.DBAPIError) else error)
    return text if len(text) <= MAX_MESSAGE_LENGTH else f"{text[: MAX_MESSAGE_LENGTH - 3]}..."


def advice(error: BaseException) -> str:
    """A clause on what would be right, where that is known."""
    text = reason(error).lower()
    return next((f"; {better}" for words, better in ADVICE.items() if words in text), "")
