"""Where a sweep's trials are kept, as its commands are told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.options import RunOptions
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.validation import check_int

if TYPE_CHECKING:
    from sweeps.sweep import Sweep
    from sweeps.worker import WorkerConfig

SWEEP_FILE = "sweep.yaml"
"""In the folder of results: what the sweep was asked for, and its store unless it is in the folder too."""
VARIABLE = "WORKBENCH_STORAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """Where trials are kept, and when one is taken for dead.

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
        check_int("heartbeat", self.heartbeat, least=1)
        check_int("grace", self.grace, least=1)
        check_int("retries", self.retries, least=0)
        if self.grace < 2 * self.heartbeat:
            raise UserError(f"grace must be at least twice the heartbeat, {2 * self.heartbeat}, not {self.grace}")

    def url(self, out: Path | None) -> str:
        """The store's URL.

        Raises:
            UserError: if none is given and there is no folder.
        """
        from sweeps.storage_url import absolute_url, default_url, without_password

        known = os.environ.get(VARIABLE)
        if known and self.storage and without_password(absolute_url(known)) == self.storage:
            # The same, as a sweep's file has it; a password is only there.
            return known
        if given := self.storage or known:
            return absolute_url(given)
        if out is None:
            raise UserError("name the store: --storage URL, or the folder of a sweep")
        return default_url(out)

    def order(self, url: str, names: Sequence[str], settings: RunOptions, device: str) -> "WorkerConfig":
        """What each worker is told."""
        from sweeps.worker import WorkerConfig

        return WorkerConfig(
            url=url,
            names=tuple(names),
            out=settings.folder.absolute(),
            device=device,
            threads=settings.threads,
            heartbeat=self.heartbeat,
            grace=self.grace,
            retries=self.retries,
        )


def recorded_storage(out: Path) -> dict[str, Any]:
    """What the sweep in a folder was asked for, as it was written down.

    Raises:
        UserError: if there is none.
    """
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    if not (out / SWEEP_FILE).exists():
        raise UserError(f"{out} holds no sweep, which would have a {SWEEP_FILE}; workbench sweep run begins one")
    return read_yaml(out / SWEEP_FILE)


def sweep_file(out: Path) -> tuple["Sweep", str | None]:
    """The sweep in a folder, and the URL of its store unless that is in the folder too.

    Raises:
        UserError: if there is none, or its file cannot be what a sweep wrote.
    """
    from sweeps.sweep import Sweep

    values = recorded_storage(out)
    storage = values.pop("storage", None)
    try:
        if not isinstance(storage, str | None):
            raise UserError(f"storage must be a URL, not {storage!r}")
        return Sweep.from_dict(values), storage
    except UserError as error:
        raise UserError(f"{out / SWEEP_FILE}: {error}") from None


def check_exists(url: str) -> None:
    """Refuses a store whose file is not there, which to open would make.

    Raises:
        UserError: if it is not there.
    """
    from sweeps.storage_url import read_url

    address = read_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        raise UserError(
            f"there is no store {address.database}; put it back, or give the command of the sweep again: it makes a "
            "new one, and reads the runs that are there"
        )
