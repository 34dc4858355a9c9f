"""The store that a sweep's workers share: an Optuna storage in which they cannot get in each other's way."""

import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine

from sweeps.retry import with_retries
from sweeps.storage_url import default_url, read_url, redact, without_password
from workbench.errors import UserError
from workbench.files import one_line, writable

__all__ = ["QueueEmptyError", "QueueStorage", "connect", "default_url", "redact", "without_password"]

BUSY_SECONDS = 60
"""For which a transaction waits for those of other processes, on SQLite."""
CONNECTING_SECONDS = 5
"""The same while the store is being opened, where every attempt is announced."""
CREATE_ATTEMPTS = 20
"""Attempts at making tables that others are making at the same time."""
KEEP_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""So that a server whose machine is gone is noticed within about a minute, and not after hours. In seconds, the last in
milliseconds (libpq's connection parameters)."""


class QueueEmptyError(Exception):
    """A study has no waiting trial left."""


class QueueStorage(RDBStorage):
    """A store whose trials are all put there on purpose: `study.optimize` and `study.ask` take a waiting one, and never
    make one of their own.

    Args:
        url: SQLAlchemy's.
        heartbeat: seconds between two signs of life of a running trial.
        grace: seconds without one after which it is taken for dead.
    """

    def __init__(self, url: str, *, heartbeat: int, grace: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # Heartbeats are called so.
            super().__init__(
                url.replace("{", "{{").replace("}", "}}"),  # Optuna takes the URL for a template.
                engine_kwargs=engine_options(read_url(url)),
                heartbeat_interval=heartbeat,
                grace_period=grace,
            )
        serialize_transactions(self.engine)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        serialize_transactions(self.engine)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        # Not `create_new_trial`, which calls this: Optuna's cache, which wraps every RDBStorage, goes past it.
        if template_trial is None:
            raise QueueEmptyError("no trial is waiting")
        return super()._create_new_trial(study_id, template_trial)

    def record_heartbeat(self, trial_id: int) -> None:
        """Records a sign of life. One that is missed is made up for by the next; an error would end their thread, and
        with it a healthy trial."""
        try:
            super().record_heartbeat(trial_id)
        except (StorageInternalError, exc.SQLAlchemyError):
            return

    def close(self) -> None:
        """Ends the connections of this thread, and those that no thread uses. New ones are made when needed."""
        self.remove_session()
        self.engine.dispose()


def connect(url: str, *, heartbeat: int, grace: int, say: Callable[[str], None]) -> QueueStorage:
    """Opens a store, made if it is new, and waits for one that is locked or out of reach for a while.

    Args:
        url: Optuna's, which is SQLAlchemy's.
        heartbeat: seconds between two signs of life of a running trial.
        grace: seconds without one after which it is taken for dead.
        say: is given a line before each pause.

    Raises:
        UserError: if it cannot be opened; never with the password.
    """
    address, name = read_url(url), redact(url)
    file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
    if file is not None:
        if file.is_dir():
            raise UserError(f"{file} is a folder; name a file for the store, such as {file / 'sweep.db'}")
        writable(file.absolute().parent)

    def make() -> QueueStorage:
        with create_under_lock(file):
            return create_schema(lambda: QueueStorage(url, heartbeat=heartbeat, grace=grace))

    try:
        return with_retries(make, say, what=name)
    except ImportError:
        raise UserError(f"the driver for {name} is not installed; {remedy(address)}") from None
    except RuntimeError as error:  # So does Optuna call another version's tables, and names the versions.
        told = one_line(error).split(" Please")[0].rstrip(".")
        raise UserError(f"{name}: {told}; use that version, or another store") from None


def remedy(address: URL) -> str:
    """How to install a driver."""
    if address.get_backend_name() == "postgresql" and address.get_driver_name() == "psycopg":
        return "pip install 'sequence-workbench[postgresql]'"
    return f"install {address.get_driver_name()}"


def engine_options(address: URL) -> dict[str, Any]:
    """What SQLAlchemy's `create_engine` is given."""
    backend = address.get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": CONNECTING_SECONDS}}
    # A connection that a restarted server no longer knows is replaced before it is used.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if backend == "postgresql" and address.get_driver_name() in ("psycopg", "psycopg2"):
        options["connect_args"] = {key: value for key, value in KEEP_ALIVE.items() if key not in address.query}
    return options


def serialize_transactions(engine: Engine) -> None:
    """Makes SQLite's transactions wait for each other from their beginning.

    Python's driver begins one only where something is written, so that what was read before may be out of date: two
    processes would take the same waiting trial (SQLAlchemy's documentation, "Transactions with SQLite and the sqlite3
    driver"). Other databases lock the rows that Optuna reads in order to change them.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # Those made until now have been made without.


@contextmanager
def create_under_lock(file: Path | None) -> Iterator[None]:
    """Keeps other processes of this bench from making the tables of an SQLite file meanwhile."""
    if file is None:
        yield
        return
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=CONNECTING_SECONDS):
        yield


def create_schema(make: Callable[[], QueueStorage]) -> QueueStorage:
    """The store, where others may be making its tables at the same moment: of two, one fails, and finds them then."""
    for _ in range(CREATE_ATTEMPTS):
        try:
            return make()
        except exc.DBAPIError as error:
            if not any(words in str(error.orig).lower() for words in ("already exists", "duplicate")):
                raise
        time.sleep(random.uniform(0.05, 0.3))
    return make()
