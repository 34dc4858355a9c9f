"""The logger `mlflow`: Lightning's MLFlowLogger, on the server of the environment or in a folder of the results."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger

from workbench.locks import file_lock
from workbench.logger_interface import Row
from workbench.results import Run
from workbench.run_loggers import TRACKING_VARIABLE
from workbench.training.loggers.base import LightningRunLogger, flat_parameters, test_scores

FOLDER = "mlflow"
"""Folder of the results with MLflow's own store, where the environment names no other."""
DATABASE = "mlflow.db"
UNFINISHED = "unfinished-"
"""Beginning of the name of the folder in which MLflow makes its tables."""
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
EXPERIMENT = "sequence-workbench"
"""Experiment of MLflow that runs are in, where the environment names no other."""
RUN_TAG = "workbench.run"
"""Tag by which a run is found again: the hash of its configuration, and its seed."""
INTERRUPTED = ("RUNNING", "KILLED")
"""Statuses of a run that can be continued; one that was killed by a signal may still be called running."""
ENVIRONMENT = {
    # Usage statistics to its makers are not what a user asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that is gone would otherwise be waited for by the quarter of an hour.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""Variables that MLflow reads, unless the user's environment has them."""


class MlflowRunLogger(LightningRunLogger):
    """Logs to a run of MLflow, which is found again by its tag, so that a resumed run continues it.

    MLflow cannot take back what it has: rows that it has beyond the checkpoint are not logged again, as they are the
    same. Neither the user's name nor a path of this machine is among the tags, as they are where MLflow sets them.
    """

    logger: MLFlowLogger

    def open(self, state: Mapping[str, Any]) -> int:
        """Finds the run in MLflow, or begins it."""
        with self.surroundings():
            from mlflow.tracking import MlflowClient

            # MLflow sets it when it is imported.
            logging.getLogger("mlflow").setLevel(logging.ERROR)
            uri = self.tracking_uri()
            if not os.environ.get(TRACKING_VARIABLE):
                self.make_database()
            client, name = MlflowClient(uri), os.environ.get(EXPERIMENT_VARIABLE) or EXPERIMENT
            experiment = client.get_experiment_by_name(name)
            place = None if os.environ.get(TRACKING_VARIABLE) else (self.folder / "artifacts").as_uri()
            experiment_id = experiment.experiment_id if experiment else client.create_experiment(name, place)
            same = client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{self.run.id}'")
            # A server may have the same configuration and seed from another folder, or of another person: done with.
            found = [other for other in same if other.info.status in INTERRUPTED]
            if found:
                run_id = found[0].info.run_id
                history = client.get_metric_history(run_id, "train/loss")
                self.last_step = max((metric.step for metric in history), default=0)
                client.update_run(run_id, status="RUNNING")
            else:
                tags = {RUN_TAG: self.run.id} | ({"workbench.study": self.run.trial[0]} if self.run.trial else {})
                run_id = client.create_run(experiment_id, tags=tags, run_name=self.run.name).info.run_id
            self.logger = MLFlowLogger(name, tracking_uri=uri, run_id=run_id)
            if not found:
                self.logger.log_hyperparams(flat_parameters(self.run.experiment))
        return self.last_step

    def log(self, row: Row) -> None:
        """Logs a row of metrics."""
        with self.surroundings():
            super().log(row)

    def finish(self, run: Run) -> None:
        """Logs the scores on the test set, and that the run is finished or has diverged."""
        with self.surroundings():
            if scores := test_scores(run):
                self.logger.log_metrics(scores, run.result["steps"])
            self.logger.finalize("FAILED" if run.diverged else "FINISHED")

    def stop(self) -> None:
        """Says that the run was interrupted."""
        with self.surroundings():
            self.logger.finalize("KILLED")

    @property
    def folder(self) -> Path:
        """The folder of MLflow's own store."""
        return self.run.out.absolute() / FOLDER

    def tracking_uri(self) -> str:
        """Returns the URI of the store: that of the environment, or that of a database in the results."""
        if uri := os.environ.get(TRACKING_VARIABLE):
            return uri
        return sqlite_uri(self.folder / DATABASE)

    def make_database(self) -> None:
        """Makes the database of the results if there is none, whole or not at all.

        MLflow makes its tables one by one over seconds, and can use no database of which a kill has left a part.
        """
        from mlflow.tracking import MlflowClient

        if (self.folder / DATABASE).exists():
            return
        for killed in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(killed, ignore_errors=True)
        # Another name each time: MLflow keeps its connection to a file that it has opened.
        with TemporaryDirectory(dir=self.folder, prefix=UNFINISHED, ignore_cleanup_errors=True) as aside:
            MlflowClient(sqlite_uri(Path(aside, DATABASE))).search_experiments(max_results=1)
            Path(aside, DATABASE).replace(self.folder / DATABASE)

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """Has MLflow work as it should here, and leaves the environment as it was.

        Its own database is used by one process at a time: those of a command would otherwise make its tables together.
        """
        before = dict(os.environ)
        lock = nullcontext() if os.environ.get(TRACKING_VARIABLE) else self.lock()
        os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
        try:
            with lock:
                yield
        finally:
            # Lightning's logger has MLflow name its store there, for processes that are started later.
            for name in {TRACKING_VARIABLE, *ENVIRONMENT} - before.keys():
                os.environ.pop(name, None)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the database of the results."""
        self.folder.mkdir(exist_ok=True)
        with file_lock(self.folder / ".lock"):
            yield


def sqlite_uri(path: Path) -> str:
    """Returns the URI of a database in a file."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(path)).render_as_string()
