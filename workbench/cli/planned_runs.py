"""Training of planned runs: first the trials of learning rates, then all runs with the rates that they choose."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.execution import execute
from workbench.cli.options import RunOptions
from workbench.config import Experiment
from workbench.run_folder import BusyError, run_folder, run_lock

if TYPE_CHECKING:
    from analysis.presets.preset import PlannedRun, Preset
    from analysis.presets.rates import PresetProgress
    from workbench.launchers.remote_pool import RemotePool


def train_planned(
    presets: Sequence["Preset"],
    plans: Sequence[Sequence["PlannedRun"]],
    options: RunOptions,
    deadline: float | None,
    remote: "RemotePool | None" = None,
) -> tuple[list["PresetProgress"], int]:
    """Trains what presets lack: first the trials of learning rates, then all runs with the rates that they choose.

    Args:
        presets: the presets.
        plans: the runs of each.
        options: where to train.
        deadline: when to save what is under way and end, by `time.monotonic`.
        remote: has others train the runs.

    Returns:
        How far each preset is then, and the exit status.
    """
    from analysis.presets.rates import load_progress, plan_trials

    def load() -> list["PresetProgress"]:
        return [load_progress(options.folder, preset, plan) for preset, plan in zip(presets, plans, strict=True)]

    status, trials = 0, [trial.experiment for plan in plans for trial in plan_trials(plan)]
    if trials:
        _, status = execute(trials, options, deadline=deadline, remote=remote)
        split_checkpoints(options.folder, trials)
    experiments = [experiment for part in load() for experiment in part.decided]
    # A trial that failed keeps its own row waiting, and no other.
    if status in (0, 1) and experiments:
        _, table_status = execute(experiments, options, deadline=deadline, remote=remote)
        status = max(status, table_status)
    split_checkpoints(options.folder, experiments)
    return load(), status


def split_checkpoints(out: Path, experiments: Sequence[Experiment]) -> None:
    """Splits every checkpoint that is too large to be carried, except those of runs that are being trained now."""
    # It imports torch.
    from workbench import checkpoints

    for experiment in experiments:
        folder = run_folder(out, experiment)
        if folder.exists():
            with suppress(BusyError), run_lock(folder):
                checkpoints.split_checkpoints(folder)
