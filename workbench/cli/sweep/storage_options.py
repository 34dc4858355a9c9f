"""The store of a sweep's trials: its options, its URL, and the sweep.yaml that remembers it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.options import RunOptions, existing_folder
from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.validation import check_int

if TYPE_CHECKING:
    from sweeps.sweep import Sweep
    from sweeps.worker import WorkerConfig
    from workbench.logger_interface import LoggerSpec

SWEEP_FILE = "sweep.yaml"
"""File in the folder of results: the options of the sweep, and the URL of its store unless that is in the folder."""
DAY = 24 * 60 * 60
"""Seconds; a process that is silent for longer is dead."""
MAX_RETRIES = 1000
STORAGE_VARIABLE = "WORKBENCH_STORAGE"
"""Environment variable with the URL of a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """Options of the store of trials.

    Args:
        storage: URL of the trials' store, any that Optuna knows, such as postgresql+psycopg://user@host/database; by
            default WORKBENCH_STORAGE, or else the file OUT/sweep.db.
        heartbeat: seconds between two signs of life of a trial.
        grace: seconds without one after which it is taken for dead and tried again.
        retries: how often a trial whose process died is tried again with the same parameters.
    """

    storage: str | None = None
    heartbeat: int = 10
    grace: int = 30
    retries: int = 5

    def __post_init__(self) -> None:
        check_int("heartbeat", self.heartbeat, least=1, most=DAY)
        check_int("grace", self.grace, least=1, most=7 * DAY)
        check_int("retries", self.retries, least=0, most=MAX_RETRIES)
        if self.grace < 2 * self.heartbeat:
            raise UserError(f"grace must be at least twice the heartbeat, {2 * self.heartbeat}, not {self.grace}")

    def url(self, out: Path | None) -> str:
        """Returns the URL of the store.

        Args:
            out: the folder of the sweep, which has the default store.

        Raises:
            UserError: if no URL is given and there is no folder.
        """
        from sweeps.storage_url import absolute_url, default_url, without_password

        from_environment = os.environ.get(STORAGE_VARIABLE)
        if from_environment and self.storage and without_password(absolute_url(from_environment)) == self.storage:
            # The same store, as sweep.yaml has it: without the password, which only the environment has.
            return from_environment
        if url := self.storage or from_environment:
            return absolute_url(url)
        if out is None:
            raise UserError("name the store: --storage URL, or the folder of a sweep")
        return default_url(out)

    def worker_config(
        self,
        url: str,
        names: Sequence[str],
        options: RunOptions,
        device: str,
        loggers: "Sequence[LoggerSpec]" = (),
    ) -> "WorkerConfig":
        """Returns the configuration of the workers.

        Args:
            url: of the store.
            names: of the studies to work on.
            options: where to train.
            device: `cpu` or `cuda`.
            loggers: of the trials.
        """
        from sweeps.worker import WorkerConfig

        return WorkerConfig(
            url=url,
            study_names=tuple(names),
            out=options.folder.absolute(),
            device=device,
            threads=options.threads,
            heartbeat=self.heartbeat,
            grace=self.grace,
            retries=self.retries,
            loggers=tuple(loggers),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLocation:
    """The store to look at.

    Args:
        storage: URL of the store; by default that of the sweep in DIR.
    """

    storage: str | None = None


def add_location_options(parser: Parser) -> Parser:
    """Adds the options that name a sweep's folder or its store, and returns the parser."""
    parser.add_argument("dir", type=str, nargs="?", help="the folder that was named as --out", metavar="DIR")
    parser.add_fields(SweepLocation, "where")
    return parser


def read_sweep_file(out: Path) -> dict[str, Any]:
    """Returns the values in the sweep.yaml of a folder.

    Raises:
        UserError: if there is no such file, or it cannot be read.
    """
    existing_folder(out)
    if not (out / SWEEP_FILE).exists():
        raise UserError(f"{out} holds no sweep, which would have a {SWEEP_FILE}; workbench sweep run begins one")
    return read_yaml(out / SWEEP_FILE)


def load_sweep_file(out: Path) -> tuple["Sweep", str | None]:
    """Returns the sweep of a folder, and the URL of its store unless that is in the folder too.

    Raises:
        UserError: if there is no sweep, or its file was not written by one.
    """
    from sweeps.sweep import Sweep

    values = read_sweep_file(out)
    storage = values.pop("storage", None)
    try:
        if not isinstance(storage, str | None):
            raise UserError(f"storage must be a URL, not {storage!r}")
        return Sweep.from_dict(values), storage
    except UserError as error:
        raise UserError(f"{out / SWEEP_FILE}: {error}") from None


def find_storage_url(folder: str | None, storage: str | None) -> str:
    """Returns the URL of the store that a command looks at.

    Args:
        folder: the folder of the sweep, if one is named.
        storage: the URL, if one is named; it goes before that of the folder.

    Raises:
        UserError: if there is no such sweep, its store does not exist, or it is on a server that only the folder names.
    """
    if folder is None and storage is None:
        raise UserError("name a sweep's folder, or its store: --storage URL")
    out = None if folder is None else Path(folder)
    recorded = None if out is None else read_sweep_file(out).get("storage")
    return choose_storage_url(out, recorded, storage)


def choose_storage_url(out: Path | None, recorded: Any, storage: str | None) -> str:
    """Returns the URL of the store that a command looks at: the one that is named, or else that of the folder.

    A folder may come from anybody. A server gets a password, and is connected to at all, only if the user names it too:
    as `storage`, or in WORKBENCH_STORAGE.

    Args:
        out: the folder of the sweep, if one is named.
        recorded: the URL in its sweep.yaml, if there is one; without it the store is the file in the folder.
        storage: the URL that the user named, if one is named.

    Raises:
        UserError: if a URL is malformed, the store does not exist, or it is on a server that only the folder names.
    """
    from sweeps.storage_url import default_url, is_server, redact, server_name

    if not isinstance(recorded, str | None):
        raise UserError(f"{SWEEP_FILE}: storage must be a URL, not {recorded!r}")
    if storage is None and recorded is None and out is not None:
        url = default_url(out)
    else:
        url = StorageOptions(storage=storage or recorded).url(out)
        if storage is None and is_server(url) and url != os.environ.get(STORAGE_VARIABLE):
            raise UserError(
                f"the {SWEEP_FILE} of {out} names a store on {server_name(url)}, which is not connected to unless you "
                f"name it too: --storage {redact(url)}, or {STORAGE_VARIABLE}"
            )
    check_storage_exists(url)
    return url


def check_storage_exists(url: str) -> None:
    """Refuses a store whose file does not exist: to open it would create it.

    Raises:
        UserError: if it does not exist.
    """
    from sweeps.storage_url import read_url

    address = read_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        raise UserError(
            f"there is no store {address.database}; put it back, or run the command of the sweep again: it makes a "
            "new one, and reads the finished runs"
        )
