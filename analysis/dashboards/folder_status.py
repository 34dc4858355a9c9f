"""Status of a folder of results at one moment, quickly read however many runs it has.

Of a finished run only the result is read, and nothing is resolved. What a
server shows of the same folder (`analysis.dashboards.server.progress`) takes longer, and says more.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean

from analysis.dashboards.server.plan import matches
from analysis.dashboards.server.run_status import ENDED, FileCache, RunStatus, State, describe_problem, read_status
from analysis.variant_names import natural_sort_key
from workbench import study_files
from workbench.comparison import Comparison
from workbench.comparison_file import COMPARISON_FILE
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.files import read_json, read_yaml
from workbench.leases import LeaseWatch
from workbench.planned_runs import read_planned_runs
from workbench.results import tuning_folders
from workbench.run_folder import run_folder, see_holder
from workbench.tasks.file_names import short_name

Pair = tuple[str, str]
"""Task and architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStatus:
    """The runs of a folder by what has become of them."""

    counts: dict[str, Counter[State]]
    """Of each task, how many runs are in each state: those that have begun, and those that the comparison asks for."""
    unfinished: Sequence[RunStatus]
    """Every run that has begun and not ended."""
    planned: int | None
    """How many runs the comparison asks for; `None` without one."""
    beside: int
    """How many runs that have begun are not among these."""
    seconds_left: float | None
    """Time that one process would need for what is left, from the runs that have finished; `None` if that is unknown,
    and 0 if nothing is left."""
    trials: int
    """How many trials of sweeps have finished."""
    rate_runs: tuple[int, int]
    """How many runs that only choose a learning rate have finished, as a suite's first ones do, and how many have begun
    and not finished."""
    problems: Sequence[str]
    """What could not be read, and why, in a line each."""

    @property
    def total(self) -> Counter[State]:
        """How many runs are in each state."""
        return sum(self.counts.values(), Counter())

    @property
    def ended(self) -> int:
        """How many runs are finished, diverged ones among them."""
        return sum(self.total[state] for state in ENDED)


def read_folder_status(out: Path) -> FolderStatus:
    """Reads the status of a folder of results."""
    out = out.resolve()
    problems: list[str] = []
    runs = list(read_runs(out))
    comparison = read_plan(out, problems)
    planned, of_plan, waiting = None, 0, Counter[Pair]()
    if comparison is not None:
        asked = find_asked(out, comparison, runs)
        runs = [with_names(run, asked) for run in runs]
        begun = Counter((run.task, run.architecture) for run in runs if run.planned and run.seed < comparison.seeds)
        of_plan = begun.total()
        planned = len(comparison.tasks) * len(comparison.architectures) * comparison.seeds
        # Counted, not listed: whoever wrote the file may have asked for any number.
        for pair in product(map(short_name, comparison.tasks), comparison.architectures):
            waiting[pair] = max(0, comparison.seeds - begun[pair])
    counts: dict[str, Counter[State]] = defaultdict(Counter)
    for run in runs:
        counts[run.task][run.state] += 1
    for (task, _), number in waiting.items():
        counts[task]["waiting"] += number
    unfinished = [run for run in runs if run.state not in ENDED]
    trials, rate_runs = count_tuning(out, problems)
    return FolderStatus(
        counts=dict(sorted(counts.items(), key=lambda item: natural_sort_key(item[0]))),
        unfinished=unfinished,
        planned=planned,
        beside=0 if planned is None else len(runs) - of_plan,
        seconds_left=estimate_seconds(runs, waiting),
        trials=trials,
        rate_runs=rate_runs,
        problems=problems,
    )


def read_runs(out: Path) -> Iterator[RunStatus]:
    """Yields the status of every run that has begun, trials of sweeps left out, in a stable order."""
    cache, leases = FileCache(out), LeaseWatch()
    for folder in sorted((out / "runs").glob("*/*/*/seed-*")):
        seed = folder.name.removeprefix("seed-")
        if not folder.is_dir() or not seed.isdecimal() or int(seed) >= TUNING_SEED:
            continue
        finished = read_finished(folder, cache, int(seed))
        if finished is not None:
            yield finished
        elif (status := read_status(folder, cache, partial(see_holder, folder, leases))) is not None:
            yield status


def read_finished(folder: Path, cache: FileCache, seed: int) -> RunStatus | None:
    """Returns the status of a finished run, of which only the result is read; `None` if it is anything else."""
    if cache.stamp(folder / "result.json") is None or cache.stamp(folder / "config.yaml") is None:
        return None
    try:
        result = read_json(folder / "result.json")
        seconds = read_json(folder / "timing.json")["seconds"] if cache.stamp(folder / "timing.json") else None
        steps, status = int(result["steps"]), result["status"]
    except (UserError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        # What is wrong with it is said by whoever reads it whole.
        return None
    task, architecture, identity, _ = folder.parts[-4:]
    return RunStatus(
        task=task,
        architecture=architecture,
        seed=seed,
        state="diverged" if status == "diverged" else "finished",
        identity=identity,
        folder=folder,
        steps=steps,
        total_steps=steps,
        seconds=seconds if isinstance(seconds, int | float) and 0 <= seconds < math.inf else None,
    )


def read_plan(out: Path, problems: list[str]) -> Comparison | None:
    """Returns the comparison of a folder; `None`, with a line, if it cannot be read."""
    if not (out / COMPARISON_FILE).is_file():
        return None
    try:
        return Comparison.from_dict(read_yaml(out / COMPARISON_FILE))
    except UserError as error:
        problems.append(f"{COMPARISON_FILE} cannot be read: {describe_problem(error, out)}")
        return None


def find_asked(out: Path, comparison: Comparison, runs: Sequence[RunStatus]) -> dict[Path, tuple[str, str]]:
    """Returns the configurations that a comparison asks for: task and architecture by the folder of the seeds.

    Args:
        out: the folder of results.
        comparison: the comparison.
        runs: the runs that have begun, by whose settings it is judged where the comparison was not started here.
    """
    if (planned := read_planned_runs(out, out / COMPARISON_FILE, comparison)) is not None:
        return {run_folder(out, run).parent: (run.task.name, run.architecture.name) for run in planned}
    return {folder: names for folder, run in by_configuration(runs).items() if (names := asked_for(comparison, run))}


def by_configuration(runs: Sequence[RunStatus]) -> dict[Path, RunStatus]:
    """Returns one run of each configuration, by the folder of its seeds: one that can be read, if there is any."""
    ordered = sorted(runs, key=lambda run: run.state != "unreadable")
    return {run.folder.parent: run for run in ordered if run.folder is not None}


def with_names(run: RunStatus, asked: Mapping[Path, tuple[str, str]]) -> RunStatus:
    """Returns a run, marked as planned and with the names of its experiment, if the comparison asks for it."""
    if run.folder is None or (names := asked.get(run.folder.parent)) is None:
        return run
    return replace(run, task=names[0], architecture=names[1], planned=True)


def asked_for(comparison: Comparison, run: RunStatus) -> tuple[str, str] | None:
    """Returns the task and the architecture of a run's configuration; `None` if a comparison does not ask for it."""
    assert run.folder is not None
    cache = FileCache(run.folder.parents[4])
    whole = run if run.experiment is not None else read_status(run.folder, cache, lambda: None)
    if whole is None or whole.experiment is None:
        return None
    names = (whole.experiment.task.name, whole.experiment.architecture.name)
    # A file is known by its name wherever it lies.
    if names[0] not in map(short_name, comparison.tasks) or names[1] not in comparison.architectures:
        return None
    return names if matches(comparison, whole, (*names, whole.seed)) else None


def estimate_seconds(runs: Sequence[RunStatus], waiting: Mapping[Pair, int]) -> float | None:
    """Returns the time that what is left would take one process, from the runs of the same task and architecture.

    Args:
        runs: the runs that have begun.
        waiting: how many of each task and architecture have not.
    """
    times: dict[Pair, list[float]] = defaultdict(list)
    for run in runs:
        if run.state in ENDED and run.seconds is not None:
            times[run.task, run.architecture].append(run.seconds)
    left = [((run.task, run.architecture), 1 - run.share) for run in runs if run.state not in ENDED]
    left += [(pair, float(number)) for pair, number in waiting.items() if number]
    if any(pair not in times for pair, _ in left):
        return None
    return sum(share * fmean(times[pair]) for pair, share in left)


def count_tuning(out: Path, problems: list[str]) -> tuple[int, tuple[int, int]]:
    """Returns the finished trials of a folder's sweeps, and the runs that choose rates: how many ended, how many not.

    Where the studies cannot be read, every trial looks like such a run.
    """
    studies: tuple[study_files.Study, ...] = ()
    try:
        studies = study_files.read_studies(out)
    except UserError as error:
        problems.append(f"the studies cannot be read, and their trials not told apart: {describe_problem(error, out)}")
    of_sweeps = {trial.identity for study in studies for trial in study.trials}
    ended = [(folder / "result.json").exists() for folder in tuning_folders(out) if folder.parent.name not in of_sweeps]
    return sum(len(study.finished_trials) for study in studies), (sum(ended), len(ended) - sum(ended))
