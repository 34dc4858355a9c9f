"""`workbench.compare` and `workbench.train`: experiments from objects or names to results."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from workbench.api.calls import api, say, warn
from workbench.api.parts import ArchitectureLike, Options, Parts, TaskLike, name_parts, option_pairs
from workbench.api.places import Place, choose_place
from workbench.api.results import Results
from workbench.api.settings import Settings
from workbench.changed_data import describe_changes
from workbench.comparison import Comparison, Match
from workbench.comparison_file import write_comparison
from workbench.config import TUNING_SEED, Experiment, Mode
from workbench.data_lines import describe_data
from workbench.errors import UserError
from workbench.execution import execute_runs
from workbench.resolve import find_all_warnings
from workbench.validation import check_int


@api
def compare(
    tasks: TaskLike | Sequence[TaskLike],
    architectures: ArchitectureLike | Sequence[ArchitectureLike],
    *,
    out: str | Path | None = None,
    seeds: int = 3,
    hidden_size: int = 64,
    match: Match = "width",
    parameters: int | None = None,
    state_size: int | None = None,
    task_options: Mapping[Any, Options] | None = None,
    architecture_options: Mapping[Any, Options] | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    wandb: Mode = "off",
    loggers: str | Sequence[str] = (),
    progress: bool = True,
    **settings: Unpack[Settings],
) -> Results:
    """Trains every architecture on every task under the same rules, and writes a report.

    The same as `workbench compare`: finished runs in the folder are read, not repeated, and an interrupted comparison
    is resumed by the same call.

    Args:
        tasks: one or several: names, or tasks, or their classes.
        architectures: one or several: names, classes of `architectures.Encoder`, or modules of PyTorch as `wrap` takes
            them. A class of a notebook's cell is one, too.
        out: folder of the results; by default `workbench-results` in the current folder.
        seeds: runs of each, with seeds 0, 1, 2, ...
        hidden_size: units of every architecture, unless its own options say otherwise.
        match: equal widths (`"width"`), or widths solved so that the numbers of `"parameters"` are equal, or the sizes
            of the `"state"`, the numbers that are carried from step to step.
        parameters: the number to match; by default that of the first architecture at `hidden_size`.
        state_size: likewise, of the state.
        task_options: options by task, as in `{"addition": {"length": 50}}`.
        architecture_options: options by architecture.
        device: auto takes a GPU if there is one.
        workers: runs at the same time, each in its own process; by default one per core, or one on a GPU.
        threads: threads of each; results are the same for any number of workers, not for any number of threads.
        wandb: a Weights & Biases mirror of every finished run in the folder: off, offline, or sent (online).
        loggers: what each run is logged to while it is trained, one or several of csv, tensorboard, mlflow, and wandb,
            which is live in W&B; with it, wandb is offline unless it is online.
        progress: whether what is done is shown.
        settings: how runs are trained, such as `steps=2000`, `learning_rate=0.001`: those of `workbench compare`.

    Returns:
        The results of these runs.

    Raises:
        UserError: if something is unknown, invalid, or no run could be finished.
        KeyboardInterrupt: after Ctrl-C, or the kernel's interrupt, once what was under way is saved.
    """
    from analysis.plans import describe_plan

    values: dict[str, Any] = {
        "seeds": seeds,
        "hidden_size": hidden_size,
        "match": match,
        "parameters": parameters,
        "state_size": state_size,
        **settings,
    }
    comparison = build_comparison(
        name_parts("task", tasks, option_pairs("task", task_options)),
        name_parts("architecture", architectures, option_pairs("architecture", architecture_options)),
        values,
    )
    experiments = comparison.experiments()
    place = choose_place(
        out, device=device, workers=workers, threads=threads, wandb=wandb, loggers=loggers, progress=progress
    )
    return train_all(
        experiments,
        place,
        on_start=lambda: write_comparison(place.folder, comparison, experiments),
        plan=describe_plan(comparison),
        with_report=True,
        progress=progress,
    )


@api
def train(
    task: TaskLike,
    architecture: ArchitectureLike,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    hidden_size: int = 64,
    task_options: Options | None = None,
    architecture_options: Options | None = None,
    device: str = "auto",
    threads: int = 1,
    wandb: Mode = "off",
    loggers: str | Sequence[str] = (),
    progress: bool = True,
    **settings: Unpack[Settings],
) -> Results:
    """Trains one architecture on one task with one seed: the same run as within a comparison, kept in the same place.

    Args:
        task: a name, a task, or its class.
        architecture: as in `compare`.
        out: folder of the results; by default `workbench-results` in the current folder.
        seed: of the initial weights and of the training data.
        hidden_size: units, unless the architecture's own options say otherwise.
        task_options: options of the task.
        architecture_options: options of the architecture.
        device: auto takes a GPU if there is one.
        threads: threads of the run.
        wandb: as in `compare`.
        loggers: as in `compare`.
        progress: whether what is done is shown.
        settings: as in `compare`.

    Returns:
        The result; `results.runs` has one row.

    Raises:
        UserError: if something is unknown or invalid, or the run failed.
        KeyboardInterrupt: as in `compare`.
    """
    # Seeds from there on belong to sweeps.
    check_int("seed", seed, least=0, most=TUNING_SEED - 1)
    values: dict[str, Any] = {"seeds": 1, "hidden_size": hidden_size, **settings}
    task_part = name_parts("task", [task], [] if task_options is None else [(task, task_options)])
    own = [] if architecture_options is None else [(architecture, architecture_options)]
    comparison = build_comparison(task_part, name_parts("architecture", [architecture], own), values)
    experiment = comparison.experiments()[0].with_seed(seed)
    place = choose_place(
        out, device=device, workers=1, threads=threads, wandb=wandb, loggers=loggers, progress=progress
    )
    return train_all([experiment], place, progress=progress)


def build_comparison(tasks: Parts, architectures: Parts, values: Mapping[str, Any]) -> Comparison:
    """Returns the comparison of tasks and architectures.

    Args:
        tasks: with their options.
        architectures: with their options.
        values: the other fields of `Comparison`, and the settings; `None` stands for a default.

    Raises:
        UserError: if something is unknown or invalid.
    """
    return Comparison.from_dict(
        {
            "tasks": tasks.names,
            "architectures": architectures.names,
            "task": tasks.options,
            "architecture": architectures.options,
            **{key: value for key, value in values.items() if value is not None},
        }
    )


def train_all(
    experiments: Sequence[Experiment],
    place: Place,
    *,
    on_start: Callable[[], None] = lambda: None,
    plan: str | None = None,
    with_report: bool = False,
    progress: bool = True,
) -> Results:
    """Trains experiments, and returns their results.

    Args:
        experiments: what to train.
        place: where.
        on_start: called before anything is trained.
        plan: what the experiments are, in words.
        with_report: whether the report of the folder is written.
        progress: whether what is done is shown.

    Raises:
        UserError: if one is refused, or none could be finished.
        KeyboardInterrupt: once what was under way is saved.
    """
    for line in find_all_warnings(experiments):
        warn(f"warning: {line}")
    if progress:
        for line in describe_data(experiments):
            say(line)
    for line in describe_changes(experiments, place.folder):
        warn(line)
    done = execute_runs(
        experiments,
        out=place.folder,
        device=place.device,
        workers=place.workers,
        threads=place.threads,
        say=say if progress else lambda line: None,
        warn=warn,
        on_start=on_start,
        mirror=place.mirror(),
        loggers=place.run_loggers,
        plan=plan,
        quiet=not progress,
    )
    if done.runs and with_report:
        from analysis.report.build import write_report

        path = write_report(place.folder, shared=True)
        if progress:
            say(f"report: {path}")
    if done.stopped:
        raise KeyboardInterrupt(f"{done.describe_stop()}; the same call resumes them")
    if done.runs:
        place.publish()
    elif done.failures:
        raise UserError(done.failures[0])
    return Results(place.folder, done.runs, failures=done.failures)
