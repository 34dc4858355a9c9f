"""`workbench.sweep`: architectures tuned with as many trials each."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from workbench.api.calls import api, say, warn
from workbench.api.parts import ArchitectureLike, Options, TaskLike, name_part, name_parts, option_pairs
from workbench.api.places import Device, choose_place
from workbench.api.results import Results
from workbench.api.settings import Settings
from workbench.changed_data import describe_changes
from workbench.config import Mode
from workbench.data_lines import describe_data
from workbench.errors import UserError
from workbench.resolve import find_all_warnings
from workbench.results import finished_runs
from workbench.run_folder import sweep_lock

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

ALL = "all"
"""The key of a space that holds for all architectures."""


@api
def sweep(
    tasks: TaskLike | Sequence[TaskLike],
    architectures: ArchitectureLike | Sequence[ArchitectureLike],
    *,
    out: str | Path,
    trials: int = 40,
    seeds: int = 3,
    space: Mapping[Any, Mapping[str, Any]] | None = None,
    metric: str | None = None,
    direction: str | None = None,
    sampler: "str | BaseSampler | None" = None,
    sampler_options: Mapping[str, Any] | None = None,
    pruner: "str | BasePruner | None" = None,
    pruner_options: Mapping[str, Any] | None = None,
    hidden_size: int = 64,
    match: str = "none",
    parameters: int | None = None,
    state_size: int | None = None,
    task_options: Mapping[Any, Options] | None = None,
    architecture_options: Mapping[Any, Options] | None = None,
    storage: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    wandb: Mode = "off",
    loggers: str | Sequence[str] = (),
    **settings: Unpack[Settings],
) -> Results:
    """Tunes every architecture on every task, and trains the winners and the defaults on fresh seeds.

    The same as `workbench sweep run`: the same call resumes an interrupted sweep, and with more `trials` asks for more.

    Args:
        tasks: one or several, as in `compare`.
        architectures: one or several, as in `compare`.
        out: folder of the results and of the trials.
        trials: finished trials of each architecture on each task.
        seeds: fresh runs of each winner, and of each default configuration.
        space: changes of the search space by architecture, or `"all"`: a range such as `{"low": 16, "high": 64}`, a
            list of choices, one fixed value, or None to leave a parameter alone.
        metric: what a trial is judged by on the validation set, such as val/accuracy; by default the loss.
        direction: minimize or maximize; by default known from the task's metric.
        sampler: what proposes parameters: tpe, random, the dotted path of an Optuna sampler, or a sampler.
        sampler_options: options of a sampler that is named by its path.
        pruner: what gives trials up early: median, hyperband, none, a dotted path, or a pruner.
        pruner_options: options of a pruner that is named by its path.
        hidden_size: units where they are not searched, and of the default configuration.
        match: none: widths are searched; width, parameters or state, as in `compare`.
        parameters: the number to match.
        state_size: likewise, of the state.
        task_options: options by task.
        architecture_options: options by architecture.
        storage: URL of the trials' store; by default the file sweep.db in the folder.
        device: auto takes a GPU if there is one.
        workers: trials at the same time, each in its own process.
        threads: threads of each.
        wandb: as in `compare`.
        loggers: as in `compare`; trials are logged, too.
        settings: how runs are trained, as in `compare`, where that is not searched.

    Returns:
        The runs of the winners and the defaults; `trials` of the result has a row for each trial.

    Raises:
        UserError: if something is unknown or invalid, or Optuna is not installed.
        KeyboardInterrupt: after Ctrl-C, or the kernel's interrupt, once what was under way is saved.
    """
    if find_spec("optuna") is None:
        raise UserError("sweeps need Optuna: pip install 'sequence-workbench[sweeps]'")
    from sweeps.sweep import Sweep
    from workbench.cli.execution import INTERRUPTED
    from workbench.cli.options import RunOptions
    from workbench.cli.sweep.storage_options import StorageOptions
    from workbench.cli.sweep.tune import check_surroundings, tune

    task_parts = name_parts("task", tasks, option_pairs("task", task_options))
    parts = name_parts("architecture", architectures, option_pairs("architecture", architecture_options))
    values = {
        "tasks": task_parts.names,
        "architectures": parts.names,
        "task": task_parts.options,
        "architecture": parts.options,
        "trials": trials,
        "seeds": seeds,
        "space": None if space is None else name_space(space),
        "metric": metric,
        "direction": direction,
        "sampler": sampler,
        "sampler_options": sampler_options,
        "pruner": pruner,
        "pruner_options": pruner_options,
        "hidden_size": hidden_size,
        "match": match,
        "parameters": parameters,
        "state_size": state_size,
        **settings,
    }
    chosen = Sweep.from_dict({key: value for key, value in values.items() if value is not None})
    specs = chosen.specs()
    for spec in specs:
        spec.check()
    for line in find_all_warnings(spec.experiment({}, 0) for spec in specs):
        warn(f"warning: {line}")
    place = choose_place(out, device=device, workers=workers, threads=threads, wandb=wandb, loggers=loggers)
    experiments = [spec.experiment({}, 0) for spec in specs]
    for line in describe_data(experiments):
        say(line)
    for line in describe_changes(experiments, place.folder):
        warn(line)
    options = RunOptions(
        out=str(place.folder),
        device=cast(Device, place.device),
        workers=place.workers,
        threads=threads,
        wandb=place.wandb,
        logger=place.loggers,
    )
    storage_options = StorageOptions(storage=storage)
    check_surroundings(options, storage_options)
    with sweep_lock(place.folder):
        status = tune(chosen, specs, options, storage_options)
    if status == INTERRUPTED:
        raise KeyboardInterrupt("interrupted: nothing is lost; the same call resumes the sweep")
    return Results(place.folder, list(finished_runs(place.folder)))


def name_space(space: Mapping[Any, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Returns changes of search spaces by the names of architectures that may be given as objects."""
    return {key if key == ALL else name_part("architecture", key)[0]: changes for key, changes in space.items()}
