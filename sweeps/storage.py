"""The store that the workers of a sweep share: an Optuna storage that is safe for concurrent processes."""

import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialHeartbeatModel, TrialModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event, exc, func, select
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.orm import Session

from sweeps.driver_options import engine_options
from sweeps.storage_retry import with_retries
from sweeps.storage_url import read_only_url, read_url, redact
from sweeps.store_tables import check_tables
from workbench.errors import UserError
from workbench.files import describe_error, ensure_writable
from workbench.locks import file_lock

BUSY_TIMEOUT_SECONDS = 60
"""Seconds for which an SQLite transaction waits for those of other processes."""
CONNECT_TIMEOUT_SECONDS = 5
"""Seconds of the same while the store is being opened; it is shorter, as every attempt is announced."""
CREATE_ATTEMPTS = 20
"""Attempts at creating tables that other processes are creating at the same time."""


class QueueEmptyError(Exception):
    """A study has no waiting trial left."""


class QueueStorage(RDBStorage):
    """A storage in which `study.optimize` and `study.ask` take waiting trials, and never create new ones.

    Args:
        url: a URL of SQLAlchemy's.
        heartbeat: seconds between two heartbeats of a running trial.
        grace: seconds without a heartbeat after which a trial is taken for dead.
        read_only: whether it is only looked at: nothing is created, and an attempt to change anything fails.
    """

    def __init__(self, url: str, *, heartbeat: int, grace: int, read_only: bool = False) -> None:
        self.read_only = read_only
        address = read_url(url)
        opened = read_only_url(address).render_as_string(hide_password=False) if read_only else url
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna calls heartbeats experimental.
            super().__init__(
                opened.replace("{", "{{").replace("}", "}}"),  # Optuna formats the URL as a template.
                engine_kwargs=engine_options(address, CONNECT_TIMEOUT_SECONDS, read_only=read_only),
                heartbeat_interval=heartbeat,
                grace_period=grace,
                skip_table_creation=read_only,
            )
        serialize_transactions(self.engine, read_only=read_only)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        serialize_transactions(self.engine, read_only=self.read_only)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        # Not `create_new_trial`, which calls this: Optuna's cache, which wraps every RDBStorage, bypasses it.
        if template_trial is None:
            raise QueueEmptyError("no trial is waiting")
        return super()._create_new_trial(study_id, template_trial)

    def record_heartbeat(self, trial_id: int) -> None:
        """Records a heartbeat; errors are ignored.

        The next heartbeat makes up for a missed one, while an error would end the heartbeat thread, and with it a
        healthy trial.
        """
        try:
            super().record_heartbeat(trial_id)
        except (StorageInternalError, exc.SQLAlchemyError):
            return

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Returns the running trials without a heartbeat for the grace period, and those with one from the future.

        The latter are of workers that died before the clock was set back; one that is alive has written another.
        """
        stale = super()._get_stale_trial_ids(study_id)
        with Session(self.engine) as session:
            # SQLite has times without a zone, and PostgreSQL one of them with.
            now = session.scalars(select(func.now())).one().replace(tzinfo=None)
            latest = now + timedelta(seconds=self.grace_period or 2 * (self.heartbeat_interval or 0))
            future = session.scalars(
                select(TrialHeartbeatModel.trial_id)
                .join(TrialModel, TrialModel.trial_id == TrialHeartbeatModel.trial_id)
                .where(TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING)
                .where(TrialHeartbeatModel.heartbeat > latest)
            )
            return [*stale, *future]

    def close(self) -> None:
        """Closes the connections of this thread, and those that no thread uses. New ones are opened when needed."""
        self.remove_session()
        self.engine.dispose()


def connect(
    url: str, *, heartbeat: int, grace: int, log: Callable[[str], None], read_only: bool = False
) -> QueueStorage:
    """Opens a store, or creates a new one; retries for a while if it is locked or out of reach.

    A database of another program is refused before anything is written to it.

    Args:
        url: Optuna's URL, which is SQLAlchemy's.
        heartbeat: seconds between two heartbeats of a running trial.
        grace: seconds without a heartbeat after which a trial is taken for dead.
        log: receives a line before each retry.
        read_only: whether the store is only looked at. Then nothing is created or changed, not even a lock.

    Raises:
        UserError: if it cannot be opened; the message never has the password.
    """
    address, name = read_url(url), redact(url)
    file = Path(address.database or "") if address.get_backend_name() == "sqlite" else None
    if file is not None:
        if file.is_dir():
            raise UserError(f"{file} is a folder; name a file for the store, such as {file / 'sweep.db'}")
        if file.exists() and not file.is_file():
            raise UserError(f"{file} is not a plain file; name another one for the store")
        if not read_only:
            ensure_writable(file.absolute().parent)

    def create() -> QueueStorage:
        if read_only or file is None or file.exists():
            check_tables(address, CONNECT_TIMEOUT_SECONDS, complete=read_only)
        if read_only:
            return QueueStorage(url, heartbeat=heartbeat, grace=grace, read_only=True)
        with schema_lock(file):
            return create_storage(lambda: QueueStorage(url, heartbeat=heartbeat, grace=grace))

    try:
        return with_retries(create, log, store_name=name)
    except ImportError:
        raise UserError(f"the driver for {name} is not installed; {install_hint(address)}") from None
    except RuntimeError as error:  # Optuna's error for tables of another version; its message names the versions.
        message = describe_error(error).split(" Please")[0].rstrip(".")
        raise UserError(f"{name}: {message}; use that version, or another store") from None


def install_hint(address: URL) -> str:
    """Returns how to install the driver of a store."""
    if address.get_backend_name() == "postgresql" and address.get_driver_name() == "psycopg":
        return "pip install 'sequence-workbench[postgresql]'"
    return f"install {address.get_driver_name()}"


def serialize_transactions(engine: Engine, *, read_only: bool = False) -> None:
    """Makes SQLite's transactions wait for each other from their beginning, unless they only read.

    Python's driver begins a transaction only at the first write, so that what was read before may be out of date: two
    processes would take the same waiting trial (SQLAlchemy's documentation, "Transactions with SQLite and the sqlite3
    driver"). Other databases lock the rows that Optuna reads in order to change them.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def disable_implicit_begin(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")

    @event.listens_for(engine, "begin")
    def begin_immediately(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    engine.dispose()  # Existing connections were opened without these listeners.


@contextmanager
def schema_lock(file: Path | None) -> Iterator[None]:
    """Keeps other processes of the workbench from creating the tables of an SQLite file meanwhile."""
    if file is None:
        yield
        return
    with file_lock(file.with_name(f".{file.name}.lock"), timeout=CONNECT_TIMEOUT_SECONDS):
        yield


def create_storage(create: Callable[[], QueueStorage]) -> QueueStorage:
    """Creates a storage whose tables other processes may be creating too.

    Of two processes that create a table at the same time one fails; it finds the table at its next attempt.
    """
    for _ in range(CREATE_ATTEMPTS):
        try:
            return create()
        except exc.DBAPIError as error:
            if not any(phrase in str(error.orig).lower() for phrase in ("already exists", "duplicate")):
                raise
        time.sleep(random.uniform(0.05, 0.3))
    return create()
