"""`workbench.analyze`: what trained models remember, how far back, and why they forget."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd

from architectures.limits import quote
from workbench.api.calls import api, warn
from workbench.api.parts import split
from workbench.api.places import ProbeDevice
from workbench.api.results import Results
from workbench.config import MAX_THREADS
from workbench.cores import default_workers
from workbench.custom_code import check_code_allowed
from workbench.custom_parts import PART_KINDS
from workbench.devices import resolve_device
from workbench.errors import UserError
from workbench.files import ensure_writable
from workbench.run_folder import results_folder
from workbench.tasks import Task
from workbench.validation import check_choice, check_int

if TYPE_CHECKING:
    from analysis.probes.runner import ProbeJob


class ProbeKeywords(TypedDict, total=False):
    """How closely models are looked at; `workbench analyze --help` describes each of them."""

    length: int | None
    sequences: int
    directions: int
    longest: int
    seed: int


@api
def analyze(
    results: str | Path | Results,
    *,
    probes: str | Sequence[str] | None = None,
    parts: Any = (),
    again: bool = False,
    device: str = "auto",
    workers: int | None = None,
    threads: int = 1,
    allow_code: bool = False,
    progress: bool = True,
    **settings: Unpack[ProbeKeywords],
) -> pd.DataFrame:
    """Probes trained models, keeps what it measures beside each run, and writes the report of their folder again.

    Args:
        results: what `compare`, `train` or `load` returned; or the folder of a comparison, or of one run.
        probes: names, all by default: memory_length, gradient_decay, discount_dynamics, alignment, alternation,
            signal_survival.
        parts: the classes and modules that the runs were trained with, where they were given as objects in another
            session: nothing is executed from a folder of results.
        again: whether to repeat probes whose results are there already.
        device: auto takes a GPU if there is one.
        workers: models at the same time; by default one per core, or one on a GPU. The results do not depend on it.
        threads: threads of each.
        allow_code: whether code that the results name is imported though it is not installed.
        progress: whether what is done is shown.
        settings: how closely models are looked at, such as `length=500`.

    Returns:
        A row for each run, probe and number, as in `analysis.csv`.

    Raises:
        UserError: if a name is unknown, a value invalid, or nothing could be probed.
    """
    from analysis.probes import registry
    from analysis.probes.aggregate import load_probe_records, metric_table
    from analysis.probes.parallel import run_all
    from analysis.probes.progress import ProbeProgress, describe_problems
    from analysis.probes.runner import ProbeOptions
    from analysis.probes.settings import ProbeSettings

    check_choice("device", device, ProbeDevice)
    check_int("threads", threads, least=1, most=MAX_THREADS)
    if workers is not None:
        check_int("workers", workers, least=1)
    names = registry.select_probes(probes if probes is None or isinstance(probes, str) else ",".join(probes))
    accept_parts(parts)
    jobs, notes = find_jobs(results)
    for line in notes:
        warn(line)
    for job in jobs:
        code = (job.experiment.task.name, job.experiment.architecture.name)
        check_code_allowed(code, results_folder(job.folder) or job.folder, allowed=allow_code)
        ensure_writable(job.folder)
    if not jobs:
        raise UserError("there is no trained model to probe")
    chosen = resolve_device(device)
    options = ProbeOptions(names=names, settings=ProbeSettings(**settings), again=again, threads=threads, device=chosen)
    with ProbeProgress(jobs, names, quiet=not progress) as bar:
        records = run_all(jobs, options, workers=workers or default_workers(chosen, threads), on_event=bar.on_event)
    problems = describe_problems(jobs, records, bar.failed)
    for line in problems:
        warn(line)
    if not any(record.result is not None for by_probe in records for record in by_probe.values()):
        raise UserError(problems[0] if problems else "nothing could be measured")
    for folder in {results_folder(job.folder) for job in jobs} - {None}:
        rewrite_report(folder)
    runs = finished_among(jobs)
    table = metric_table(runs, load_probe_records(runs))
    return table[table["probe"].isin(names)].reset_index(drop=True)


def find_jobs(results: str | Path | Results) -> "tuple[list[ProbeJob], list[str]]":
    """Returns the models to probe, and a line for each run that has none.

    Raises:
        UserError: if it is no results, such as a model itself.
    """
    from analysis.probes import models, runner

    if not isinstance(results, str | os.PathLike | Results):
        raise UserError(
            f"analyze takes results or a folder of them, not {quote(type(results).__name__)}; train the model first, "
            "or probe an architecture untrained: workbench analyze --untrained NAME --task NAME --out DIR"
        )
    if not isinstance(results, Results):
        return runner.find_jobs(Path(results))
    runs = results.finished
    jobs = [runner.ProbeJob(experiment=run.experiment, folder=run.folder) for run in runs if not run.diverged]
    return jobs, [models.describe_diverged(run) for run in runs if run.diverged]


def accept_parts(parts: Any) -> None:
    """Makes classes known that were given as objects.

    Raises:
        UserError: if one is neither a task nor an architecture.
    """
    from workbench.api.parts import name_part

    for part in split(parts):
        is_task = isinstance(part, Task) or (isinstance(part, type) and issubclass(part, Task))
        name_part(PART_KINDS[0] if is_task else PART_KINDS[1], part)


def finished_among(jobs: "Sequence[ProbeJob]") -> list[Any]:
    """Returns the finished runs among the models that were probed."""
    from workbench.results import read_run

    return [read_run(job.folder) for job in jobs if (job.folder / "result.json").exists()]


def rewrite_report(folder: Path | None) -> None:
    """Writes the report of a folder of results again, and brings its W&B mirror up to date, if there is one."""
    from analysis.dashboards.mirror.publishing import update_mirror
    from analysis.report.build import write_report

    if folder is not None:
        write_report(folder)
        update_mirror(folder, warn)
