"""`workbench analyze`: probes of trained and untrained models."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.cli.habits import check_task_names
from workbench.cli.launching import LaunchOptions, launched_jobs, print_batch_file
from workbench.cli.options import ProbeDevice, check_required, default_workers, refuse_inside, take_options
from workbench.cli.output import warn
from workbench.cli.parser import NamedOptions, Parser, parse_arguments
from workbench.cli.wandb_mirror import update_mirror
from workbench.config import MAX_THREADS, MAX_WORKERS, Experiment
from workbench.custom_code import ALLOW_CODE_HELP, check_code_allowed
from workbench.errors import UserError
from workbench.files import ensure_writable
from workbench.interrupts import end_on_signal
from workbench.run_folder import results_folder
from workbench.validation import check_choice, check_int

DESCRIPTION = """Probe what models have learned: how far back they remember, why, and what they forget.

DIR is the folder of a comparison, of which every finished run is probed and the report written again; or the folder of
one run; or a checkpoint in it. The results of each probe are kept beside the run in analysis.json as soon as they are
known; what is there already is read, not repeated. Several commands may do so in one folder at the same time, and share
the models. Untrained architectures are probed with --untrained.

DIR may come from anybody: code that it names is imported if it is installed, or with --allow-code."""

EXAMPLES = """examples:
  workbench analyze results
  workbench analyze results --probes memory_length,gradient_decay --length 500
  workbench analyze results/runs/copy/lstm/0123456789abcdef/seed-0/last.ckpt --again
  workbench analyze results --launcher slurm --job-count 8 --workers 2 --slurm partition=cpu
  workbench analyze --untrained lstm,rda-exp-tanh --task copy --task.copy.length 50 --out untrained
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrainedOptions:
    """Models to probe without training them.

    Args:
        untrained: names of architectures, separated by commas, to be probed before their first step.
        task: the task that they would be trained on.
        hidden_size: units, unless an architecture's own options say otherwise.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
        seeds: models of each, with seeds 0, 1, 2, ...
        out: folder for the results, OUT/untrained/<task>/<architecture>/<hash>/seed-<n>.
    """

    untrained: str | None = None
    task: str | None = None
    hidden_size: int = 64
    embedding_size: int | None = None
    seeds: int = 1
    out: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """Which probes are applied, and with which resources.

    Args:
        probes: names, separated by commas; by default all.
        device: auto takes a GPU if there is one.
        workers: models at the same time; by default one per core, or one on a GPU. The results do not depend on it.
        threads: threads of each.
    """

    probes: str | None = None
    device: ProbeDevice = "auto"
    workers: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("device", self.device, ProbeDevice)
        check_int("threads", self.threads, least=1, most=MAX_THREADS)
        if self.workers is not None:
            check_int("workers", self.workers, least=1, most=MAX_WORKERS)


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, named_options = parse_arguments(build_parser(), arguments)
    path, again, allow_code = values.pop("dir"), values.pop("again"), values.pop("allow_code")
    untrained, options = take_options(UntrainedOptions, values), take_options(AnalyzeOptions, values)
    launch = take_options(LaunchOptions, values)
    experiments = None if path is not None else untrained_experiments(untrained, named_options)
    if path is not None and (named_options or untrained != UntrainedOptions()):
        raise UserError("name DIR to probe what is there, or --untrained with --task and --out, but not both")
    if path is not None and not any(os.path.exists(place / "config.yaml") for place in (Path(path), Path(path).parent)):
        refuse_inside(Path(path))
    out = Path(path or untrained.out or "")
    if launch.launcher != "local":
        check_shareable(path, launch.launcher, again=again)
    array = launch.own_array("analyze", arguments, options)

    # Imported only now, as it takes seconds: a mistake is answered at once.
    from analysis.probes import registry, runner
    from analysis.probes.parallel import run_all
    from analysis.probes.progress import ProbeProgress, describe_problems
    from analysis.probes.remote import watch_jobs
    from analysis.probes.runner import ProbeOptions
    from analysis.probes.settings import ProbeSettings
    from workbench.cli.analyze_output import result_table
    from workbench.devices import resolve_device

    names = registry.select_probes(options.probes)
    # The jobs find out for themselves what there is where they run.
    device = resolve_device(options.device) if launch.launcher == "local" else "cpu"
    probe_options = ProbeOptions(
        names=names, settings=ProbeSettings(**values), again=again, threads=options.threads, device=device
    )
    for name in names:
        registry.load_probe(name)
    if experiments is None:
        jobs, notes = runner.find_jobs(Path(path))
        for job in jobs:
            names_of_code = (job.experiment.task.name, job.experiment.architecture.name)
            check_code_allowed(names_of_code, results_folder(job.folder) or job.folder, allowed=allow_code)
        if launch.launcher != "print":
            ensure_writable(out if out.is_dir() else out.parent)
    else:
        jobs, notes = runner.untrained_jobs(out, experiments), []
        if launch.launcher != "print":
            ensure_writable(out)
    for line in notes:
        warn(line)
    if not jobs:
        return 2
    if launch.launcher == "print":
        return print_batch_file(array)
    with end_on_signal(), launched_jobs(launch, array, out) as remote, ProbeProgress(jobs, names) as progress:
        if remote is not None:
            records = watch_jobs(jobs, probe_options, remote, on_event=progress.on_event, log=progress.print_line)
        else:
            records = run_all(
                jobs,
                probe_options,
                workers=options.workers or default_workers(device, options.threads),
                on_event=progress.on_event,
            )
    for line in describe_problems(jobs, records, progress.failed):
        warn(line)
    if not any(record.result is not None for by_probe in records for record in by_probe.values()):
        return 2
    print(result_table(jobs, records))
    if path is not None and (Path(path) / "runs").is_dir():
        from analysis.report.build import write_report

        print(write_report(Path(path), shared=True))
    for folder in {results_folder(job.folder) for job in jobs if job.trained}:
        if folder is not None:
            update_mirror(folder)
    return 1 if progress.failed else 0


def check_shareable(path: str | None, launcher: str, *, again: bool) -> None:
    """Refuses what jobs cannot share.

    Args:
        path: what is probed; `None` for untrained models.
        launcher: of the jobs.
        again: whether probes are repeated.

    Raises:
        UserError: if it is a single run, or each job would repeat what the others have done.
    """
    if path is not None and Path(path).exists() and not (Path(path) / "runs").is_dir():
        raise UserError(
            f"{path} is one run, which jobs cannot share; name a folder of results, or leave out --launcher"
        )
    if again:
        raise UserError(
            f"--again lets each job repeat what the others have done; leave it out, or --launcher {launcher}"
        )


def untrained_experiments(options: UntrainedOptions, named_options: Mapping[str, NamedOptions]) -> list[Experiment]:
    """Returns the experiments whose models are probed before their first step.

    Args:
        options: architectures and a task, by name.
        named_options: their own options, by kind and name.

    Raises:
        UserError: if something is not named, or a name or an option is unknown.
    """
    from workbench.comparison import Comparison
    from workbench.memory_needs import check_weights

    if options.untrained is None:
        raise UserError("name what to probe: a folder of results, a run's folder, a checkpoint, or --untrained NAME")
    given = {"untrained": options.untrained.strip(" ,"), "untrained_task": options.task, "out": options.out}
    check_required(given, "untrained", "untrained_task", "out")
    check_task_names(options.task, "--task")
    refuse_inside(Path(options.out or ""))
    values = {
        "tasks": [options.task],
        "architectures": options.untrained,
        "hidden_size": options.hidden_size,
        "embedding_size": options.embedding_size,
        "seeds": options.seeds,
        "task": named_options.get("task", {}),
        "architecture": named_options.get("architecture", {}),
    }
    experiments = Comparison.from_dict({key: value for key, value in values.items() if value is not None}).experiments()
    for experiment in {experiment.identity: experiment for experiment in experiments}.values():
        check_weights(experiment)
    return experiments


def build_parser() -> Parser:
    """Returns the parser of the command."""
    from analysis.probes.registry import PROBES
    from analysis.probes.settings import ProbeSettings

    probes = "".join(f"  {name:<20}{text}\n" for name, text in PROBES.items())
    parser = Parser(prog="workbench analyze", description=DESCRIPTION, examples=f"probes:\n{probes}\n{EXAMPLES}")
    parser.add_argument(
        "dir", type=str, nargs="?", help="a comparison's folder, a run's, or a checkpoint", metavar="DIR"
    )
    parser.add_fields(ProbeSettings, "how closely")
    parser.add_fields(AnalyzeOptions, "how it is done")
    parser.add_argument("--again", action="store_true", help="repeat probes whose results are there already")
    parser.add_argument("--allow-code", action="store_true", help=ALLOW_CODE_HELP)
    parser.add_fields(UntrainedOptions, "untrained models")
    parser.add_fields(LaunchOptions, "by which processes")
    parser.add_data_dir()
    return parser
