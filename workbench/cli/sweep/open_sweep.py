"""Loading the studies of a sweep for the commands that only look at them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.output import warn
from workbench.cli.sweep.storage_options import StorageOptions, find_storage_url, load_sweep_file
from workbench.study_files import Study

if TYPE_CHECKING:
    from sweeps.studies import LoadedStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSweep:
    """The studies of a sweep in its store."""

    studies: "list[LoadedStudy]"
    seeds: int
    """Fresh runs of each winner; 0 if the folder of the sweep is not known."""

    def snapshots(self) -> list[Study]:
        """Returns the studies as they are now."""
        from sweeps.export import export_study
        from sweeps.studies import refresh

        return [export_study(refresh(study), self.seeds) for study in self.studies]


def load_sweep(folder: str | None, storage: str | None) -> LoadedSweep:
    """Loads the studies of the sweep in a folder, or all those of a store, without changing or importing anything.

    Raises:
        UserError: if there is no such folder, sweep or store, or the store is on a server that only the folder names.
    """
    from sweeps.storage import connect
    from sweeps.storage_retry import with_retries
    from sweeps.studies import load_studies
    from sweeps.worker import silence_optuna

    silence_optuna()
    url = find_storage_url(folder, storage)
    names: tuple[str, ...] = ()
    seeds = 0
    if folder is not None:
        sweep, _ = load_sweep_file(Path(folder))
        names, seeds = sweep.study_names, sweep.seeds
    options = StorageOptions()
    store = connect(url, heartbeat=options.heartbeat, grace=options.grace, log=warn, read_only=True)
    return LoadedSweep(studies=with_retries(lambda: load_studies(store, names), warn), seeds=seeds)
