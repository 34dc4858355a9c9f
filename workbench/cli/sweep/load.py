"""The studies of a sweep, as its folder or its store has them."""

from dataclasses import dataclass
from pathlib import Path

from sweeps.export import export_study
from sweeps.retry import with_retries
from sweeps.storage import connect
from sweeps.studies import LoadedStudy, load_studies, refresh
from sweeps.worker import silence_optuna
from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.storage_options import StorageOptions, check_exists, sweep_file
from workbench.errors import UserError
from workbench.study_files import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLocation:
    """Where to look.

    Args:
        storage: URL of the store; by default that of the sweep in DIR.
    """

    storage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSweep:
    """A sweep, and its studies in the store."""

    studies: list[LoadedStudy]
    seeds: int
    out: Path | None
    url: str

    def snapshots(self) -> list[Study]:
        """The studies as they are now."""
        return [export_study(refresh(opened), self.seeds) for opened in self.studies]


def find_sweep(folder: str | None, storage: str | None) -> FoundSweep:
    """Opens the studies of the sweep in a folder, or all those of a store.

    Raises:
        UserError: if there is no such folder, sweep or store.
    """
    if folder is None and storage is None:
        raise UserError("name a sweep's folder, or its store: --storage URL")
    silence_optuna()
    out: Path | None = None
    names: tuple[str, ...] = ()
    seeds = 0
    store = StorageOptions(storage=storage)
    if folder is not None:
        out = Path(folder)
        sweep, kept = sweep_file(out)
        store = StorageOptions(storage=storage or kept)
        names, seeds = tuple(spec.name for spec in sweep.specs()), sweep.seeds
    url = store.url(out)
    check_exists(url)
    opened = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=warn)
    return FoundSweep(studies=with_retries(lambda: load_studies(opened, names), warn), seeds=seeds, out=out, url=url)


def with_folder(made: Parser) -> Parser:
    """A parser that takes a sweep's folder, or its store."""
    made.add_argument("dir", type=str, nargs="?", help="the folder that was named as --out", metavar="DIR")
    made.add_fields(SweepLocation, "where")
    return made
