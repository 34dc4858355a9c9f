"""What people type from habit, and where it should lead: options of other programs, and files in place of names."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import tasks
from workbench.data.own.options import SUFFIXES
from workbench.errors import UserError
from workbench.tasks.file_names import is_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """Names that other programs have for something, and what it is called here."""

    names: str
    """Separated by blanks, with dashes."""
    options: tuple[str, ...] = ()
    """Options of commands, of which a command has some; those that it has are suggested."""
    kind: str = ""
    """Task or architecture, if it is an option of one: --KIND.NAME.OPTION."""
    option: str = ""
    """That option."""
    why: str = ""
    """A clause that explains it."""


HABITS = (
    Habit(names="lr learning-rate-init base-lr max-lr eta step-size", options=("--learning-rate",)),
    Habit(
        names="epochs epoch num-epochs n-epochs max-epochs train-epochs",
        options=("--steps",),
        why="there are no epochs, as every step draws a new batch; where data is stored, an epoch is its number of "
        "sequences / batch size",
    ),
    Habit(
        names="iterations iters iter num-iterations max-iters max-steps num-steps n-steps updates", options=("--steps",)
    ),
    Habit(
        names="hidden hidden-dim hidden-units hiddens hidden-layer-size n-hidden num-hidden num-units units width "
        "d-model dim embed-dim rnn-size",
        options=("--hidden-size",),
    ),
    Habit(names="batch batchsize bs b mini-batch minibatch train-batch-size", options=("--batch-size",)),
    Habit(names="layers n-layers num-layers n-layer depth", kind="architecture", option="num_layers"),
    Habit(names="dropout drop p-drop", kind="architecture", option="dropout"),
    Habit(names="kernel-size kernel ksize", kind="architecture", option="kernel_size"),
    Habit(
        names="length len seq-len seq-length seqlen sequence-length max-len max-length t time-steps timesteps",
        kind="task",
        option="length",
    ),
    Habit(names="file data-file text", kind="task", option="file"),
    Habit(names="wd l2 decay weight-decay-rate", options=("--weight-decay",)),
    Habit(names="optim opt optimiser", options=("--optimizer",)),
    Habit(
        names="grad-clip clip-grad clip-norm gradient-clip gradient-clip-val max-grad-norm max-norm",
        options=("--clip", "--clip-at"),
    ),
    Habit(names="lr-schedule lr-scheduler scheduler", options=("--schedule",)),
    Habit(names="warmup warm-up", options=("--warmup-steps",)),
    Habit(names="log-interval log-freq eval-every eval-interval val-interval", options=("--log-every",)),
    Habit(names="patience early-stopping early-stop", options=("--until",)),
    Habit(names="time-limit max-time timeout", options=("--time-limit", "--seconds")),
    Habit(names="fp16 bf16 amp mixed-precision dtype", options=("--precision",)),
    Habit(
        names="gpu gpus cuda use-cuda cpu accelerator",
        options=("--device",),
        why="cuda or cpu; by default a GPU if there is one",
    ),
    Habit(names="jobs j n-jobs num-workers processes nproc", options=("--workers",)),
    Habit(names="output output-dir outdir o save-dir log-dir logdir results results-dir dir", options=("--out",)),
    Habit(names="model models net network arch cell rnn-type", options=("--architecture", "--architectures")),
    Habit(names="dataset datasets problem benchmark", options=("--task", "--tasks")),
    Habit(names="seed seeds random-seed random-state manual-seed n-seeds num-seeds", options=("--seed", "--seeds")),
    Habit(
        names="resume restart continue load checkpoint",
        why="an interrupted run is resumed by the same command, without an option",
    ),
    Habit(
        names="overwrite force retrain fresh",
        why="finished runs are read, not repeated; workbench rm removes them first",
    ),
)
"""Habits, in the order in which they are looked for."""

BY_NAME: Mapping[str, Habit] = {name: habit for habit in reversed(HABITS) for name in habit.names.split()}

DATA_FILE = re.compile(r".*\.(csv|tsv|txt|json|jsonl|npy|npz|pt|parquet|feather|xlsx?|h5|hdf5|arff|data|dat)", re.I)


def find_habit(option: str) -> Habit | None:
    """Returns what an unknown option probably means; `None` if nothing is known of it.

    Args:
        option: as it was typed, or a key of a file: --lr, -lr, n_layers, optimizer.lr.
    """
    name = option.lstrip("-").lower().replace("_", "-")
    return BY_NAME.get(name) or BY_NAME.get(name.rpartition(".")[2])


def describe_habit(
    habit: Habit, options: Collection[str], named: Mapping[str, Sequence[str]], *, in_file: bool = False
) -> str:
    """Returns a clause that says what to use; empty if the command has nothing like it.

    Args:
        habit: what was meant.
        options: those of the command.
        named: the names of tasks and architectures that were given, for those kinds whose options it takes.
        in_file: whether it was the key of a file.
    """
    if habit.kind:
        if habit.kind not in named:
            return ""
        names = [name for name in named[habit.kind] if takes(habit.kind, name, habit.option)] or ["NAME"]
        if in_file:
            return f"; use {habit.kind}: {{{names[0]}: {{{habit.option}: VALUE}}}}"
        return f"; use {' and '.join(f'--{habit.kind}.{name}.{habit.option}' for name in names)}"
    known = [option for option in habit.options if option in options]
    if habit.options and not known:
        return ""
    if in_file:
        known = [option.removeprefix("--").replace("-", "_") for option in known]
    use = f"; use {' and '.join(known)}" if known else ""
    return f"{use}: {habit.why}" if use and habit.why else use or f": {habit.why}"


def takes(kind: str, name: str, option: str) -> bool:
    """Returns whether a task or an architecture has an option; of a custom one, which is not imported, it may be so."""
    import architectures

    if ":" in name and not is_file(name):
        return True
    try:
        return option in (tasks.options(name) if kind == "task" else architectures.options(name))
    except ValueError:
        return False


def is_data_file(text: str) -> bool:
    """Returns whether a text that was typed in place of a name seems to be a file of data."""
    return (
        ":" not in text
        and text not in tasks.names()
        and (DATA_FILE.fullmatch(text) is not None or Path(text).is_file())
    )


def describe_data_file(path: str, option: str) -> str:
    """Returns a message that says how the data in a file becomes a task.

    Args:
        path: the file, as it was typed.
        option: --task or --tasks.
    """
    text = f"{option} text --task.text.file {path} predicts its characters one by one"
    if Path(path).suffix.lower() in SUFFIXES:
        return (
            f"{path!r} is a file, and not the name of a task: {option} file:{path} reads sequences from it "
            f"(docs/data.md), {text}"
        )
    return (
        f"{path!r} is a file, and not the name of a task: {text}; sequences are read from {', '.join(SUFFIXES)} "
        f"({option} file:PATH, docs/data.md), and from anything else by a class of yours, {option} package.module:Class"
    )


def check_task_names(names: str | Sequence[str] | None, option: str) -> None:
    """Refuses a file in place of a task's name.

    Args:
        names: as they were given; if one text, with commas between them.
        option: --task or --tasks.

    Raises:
        UserError: that says how its data becomes a task.
    """
    for name in names.split(",") if isinstance(names, str) else names or ():
        if isinstance(name, str) and is_data_file(name.strip()):
            raise UserError(describe_data_file(name.strip(), option))
