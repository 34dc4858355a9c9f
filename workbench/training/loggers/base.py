"""What Lightning's loggers share here that need nothing but the run."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger

from workbench.config import Experiment
from workbench.logger_interface import STEP, Row, RunLogger
from workbench.results import Run


class LightningRunLogger(RunLogger):
    """The log of a run by one of Lightning's loggers, which a subclass makes in `open`."""

    logger: Logger
    last_step = 0

    def log(self, row: Row) -> None:
        """Logs a row of metrics, and writes it before a checkpoint can say that it was."""
        metrics = dict(row)
        self.last_step = int(metrics.pop(STEP))
        self.logger.log_metrics(metrics, self.last_step)
        self.logger.save()

    def state(self) -> dict[str, Any]:
        """Returns the last step that was logged."""
        return {STEP: self.last_step}

    def finish(self, run: Run) -> None:
        """Logs the scores on the test set, if there are any."""
        if scores := test_scores(run):
            self.logger.log_metrics(scores, run.result["steps"])
        self.logger.finalize("success")

    def stop(self) -> None:
        """Writes what is still in memory."""
        self.logger.save()
        self.logger.finalize("interrupted")


def saved_step(state: Mapping[str, Any]) -> int:
    """Returns the last step that a log holds according to a checkpoint; 0 if that does not say."""
    step = state.get(STEP)
    return step if isinstance(step, int) else 0


def test_scores(run: Run) -> dict[str, float]:
    """Returns the scores on the test set, by the names that a user's own Trainer gives them."""
    return {f"test/{name}": score for name, score in (run.result.get("test") or {}).items() if score is not None}


def flat_parameters(experiment: Experiment) -> dict[str, Any]:
    """Returns what a run is, by names like those of the options of `workbench train`.

    Example:
        >>> flat_parameters(experiment)
        {'identity': '0a5dc1f0b9c8', 'task': 'addition', 'architecture': 'lstm', 'seed': 0, 'task.length': 200,
         'architecture.hidden_size': 64, 'learning_rate': 0.001, 'steps': 2000, ...}
    """
    values = experiment.to_dict()
    parameters: dict[str, Any] = {
        "identity": experiment.identity,
        "task": experiment.task.name,
        "architecture": experiment.architecture.name,
        "seed": experiment.seed,
    }
    for part in ("task", "architecture"):
        parameters |= {f"{part}.{name}": value for name, value in values[part]["options"].items()}
    for section in ("optimization", "budget", "numerics"):
        parameters |= values.get(section, {})
    if experiment.embedding_size is not None:
        parameters["embedding_size"] = experiment.embedding_size
    return parameters
