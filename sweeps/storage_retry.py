"""Retries of calls to a store that is locked, restarting or out of reach."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import exc

from workbench.errors import UserError
from workbench.files import describe_error

T = TypeVar("T")

RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between attempts."""
STORAGE_ERRORS = (StorageInternalError, exc.DBAPIError, exc.TimeoutError, TimeoutError)
MAX_MESSAGE_LENGTH = 300
"""Characters of a driver's message that are shown."""

TRANSIENT_SQLITE_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
TRANSIENT_SQLSTATES = ("08", "40", "53300", "55P03", "57P01", "57P02", "57P03")
"""Beginnings of the SQLSTATE of transient errors: no connection, a conflict between transactions, too many connections,
a lock, a server that stops or starts (PostgreSQL's documentation, appendix A)."""
PERMANENT_ERRORS = (
    *("authentication failed", "no password supplied", "access denied", "permission denied", "not permitted"),
    *(
        "authentication method requirement",
        "pg_hba.conf",
        "does not exist",
        "unknown database",
        "invalid ",
        "certificate",
    ),
    "is full",
)
"""Phrases of servers that refuse a connection, which has no SQLSTATE yet, for a reason that will not pass."""
CUT_SHORT_CODES = {sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY}
"""Errors of a file whose last change was cut short by a kill: only who may write to it can put it right."""
CUT_SHORT_REMEDY = "; its last change was cut short: the command of the sweep, given again, puts it right"
REMEDIES = {
    "cleartext password": "it is not sent (require_auth=password in the URL allows it)",
    "authentication failed": "check the user and the password, in the URL or in PGPASSWORD",
    "no password supplied": "give it in the URL or in PGPASSWORD",
    "is full": "make room, and give the same command again: what was stored is safe",
    "disk i/o error": "see whether the disk is full or gone, and give the same command again",
    "not a database": "name another file, or move this one away",
    "readonly": "name a place that can be written to",
    "does not exist": "create it, or name another",
}
"""Remedies by a phrase of the driver's message."""


def with_retries(
    call: Callable[[], T],
    log: Callable[[str], None],
    *,
    store_name: str = "the store",
    delays: Sequence[float] = RETRY_DELAYS,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Returns what the call returns, and calls it again after each delay while the store has a transient error.

    Args:
        call: uses the store. Its changes may be made twice if a connection is lost just after them.
        log: receives a line before each delay.
        store_name: the store's name, for messages.
        delays: seconds between attempts.
        sleep: waits for a number of seconds.

    Raises:
        UserError: after the last attempt, or at once if the error is not transient. All other errors (a trial that has
            finished already, a duplicate) are raised unchanged.
    """
    for delay in (*delays, None):
        try:
            return call()
        except STORAGE_ERRORS as error:
            cause = root_cause(error)
            if isinstance(cause, exc.IntegrityError):
                raise
            if not is_transient(cause):
                raise UserError(f"{store_name}: {driver_message(cause)}{remedy(cause)}") from None
            if delay is None:
                attempts, waited = len(delays) + 1, sum(delays)
                raise UserError(
                    f"{store_name} was out of reach {attempts} times, over {waited:g} s and more "
                    f"({driver_message(cause)}); see whether it is running and who holds it, and give the same command "
                    "again"
                ) from None
            log(f"{store_name} is out of reach ({driver_message(cause)}); trying again in {delay:g} s")
        sleep(delay)
    raise AssertionError("the last attempt returns or raises")


def root_cause(error: BaseException) -> BaseException:
    """Returns SQLAlchemy's error; Optuna wraps it into one that gives no details."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


def is_transient(error: BaseException) -> bool:
    """Returns whether the same call may succeed later without any intervention."""
    if not isinstance(error, exc.DBAPIError):
        return isinstance(error, (exc.TimeoutError, TimeoutError))
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in TRANSIENT_SQLITE_CODES  # The higher bits of an extended code give details.
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(TRANSIENT_SQLSTATES)
    is_lost = error.connection_invalidated or isinstance(error, (exc.OperationalError, exc.InterfaceError))
    return is_lost and not any(phrase in driver_message(error).lower() for phrase in PERMANENT_ERRORS)


def is_cut_short(error: BaseException) -> bool:
    """Returns whether a file cannot be read because a kill has cut its last change short."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "sqlite_errorcode", None) in CUT_SHORT_CODES


def driver_message(error: BaseException) -> str:
    """Returns the driver's message as one line, without the statement and the values in it."""
    text = describe_error((error.orig or error) if isinstance(error, exc.DBAPIError) else error)
    return text if len(text) <= MAX_MESSAGE_LENGTH else f"{text[: MAX_MESSAGE_LENGTH - 3]}..."


def remedy(error: BaseException) -> str:
    """Returns a clause with the remedy of an error; empty if none is known."""
    if is_cut_short(error):
        return CUT_SHORT_REMEDY
    message = driver_message(error).lower()
    return next((f"; {text}" for phrase, text in REMEDIES.items() if phrase in message), "")
