"""`workbench analyze`: probes of trained and untrained models."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from workbench.cli.options import Device, default_workers
from workbench.cli.output import warn
from workbench.cli.parser import Options, Parser, chosen_values
from workbench.cli.wandb_mirror import renew
from workbench.config import MAX_THREADS, Experiment
from workbench.errors import UserError
from workbench.files import writable
from workbench.run_folder import results_of
from workbench.validation import check_choice, check_int

DESCRIPTION = """Probe what models have learned: how far back they remember, why, and what they forget.

DIR is the folder of a comparison, of which every finished run is probed and the report written again; or the folder of
one run; or a checkpoint in it. What is found is kept beside each run in analysis.json, as soon as it is known; what is
there already is read, not repeated. Architectures that nobody has trained are probed with --untrained."""

EXAMPLES = """examples:
  workbench analyze results
  workbench analyze results --probes memory_length,gradient_decay --length 500
  workbench analyze results/runs/copy/lstm/0123456789abcdef/seed-0/last.ckpt --again
  workbench analyze --untrained lstm,rda-exp-tanh --task copy --task.copy.length 50 --out untrained
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """What to probe where nothing is trained.

    Args:
        untrained: names of architectures, separated by commas, to be probed before their first step.
        task: what they would be trained on.
        hidden_size: units, unless an architecture's own options say otherwise.
        embedding_size: learned vectors of this size for tasks of symbols; by default symbols are one-hot.
        seeds: models of each, with seeds 0, 1, 2, ...
        out: folder for the findings, OUT/untrained/<task>/<architecture>/<hash>/seed-<n>.
    """

    untrained: str | None = None
    task: str | None = None
    hidden_size: int = 64
    embedding_size: int | None = None
    seeds: int = 1
    out: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How it is done.

    Args:
        probes: names, separated by commas; by default all.
        device: auto takes a GPU where there is one.
        workers: models side by side; by default one for each core, or one on a GPU. The findings do not depend on it.
        threads: of each.
    """

    probes: str | None = None
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("device", self.device, Device)
        check_int("threads", self.threads, least=1, most=MAX_THREADS)
        if self.workers is not None:
            check_int("workers", self.workers, least=1)


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values, parts = chosen_values(parser(), given)
    where, again = values.pop("dir"), values.pop("again")
    choice, effort = check_backend_options(AnalyzeOptions, values), check_backend_options(Effort, values)
    experiments = None if where is not None else untrained_jobs(choice, parts)
    if where is not None and (parts or choice != AnalyzeOptions()):
        raise UserError("name DIR to probe what is there, or --untrained with --task and --out, but not both")

    # Only now, as it takes seconds: a mistake is answered at once.
    from analysis.probes import registry, runner
    from analysis.probes.parallel import run_all
    from analysis.probes.runner import ProbeOptions
    from analysis.probes.settings import ProbeSettings
    from workbench.cli.analyze_output import AnalyzeProgress, notes, result_table
    from workbench.devices import device_named

    names, device = parse_lengths(effort.probes), device_named(effort.device)
    order = ProbeOptions(
        names=names, settings=ProbeSettings(**values), again=again, threads=effort.threads, device=device
    )
    for name in names:
        registry.load_probe(name)
    if experiments is None:
        found, lines = runner.jobs_below(Path(where))
        writable(Path(where) if Path(where).is_dir() else Path(where).parent)
    else:
        found, lines = runner.untrained_jobs(Path(choice.out or ""), experiments), []
        writable(Path(choice.out or ""))
    for line in lines:
        warn(line)
    if not found:
        return 2
    with AnalyzeProgress(found, names) as progress:
        entries = run_all(
            found,
            order,
            workers=effort.workers or default_workers(device, effort.threads),
            listen=progress.hear,
        )
    for line in notes(found, entries, progress.failed):
        warn(line)
    if not any(entry.result is not None for each in entries for entry in each.values()):
        return 2
    print(result_table(found, entries))
    if where is not None and (Path(where) / "runs").is_dir():
        from analysis.report.build import write

        print(write(Path(where)))
    for out in {results_of(job.folder) for job in found if job.trained}:
        if out is not None:
            renew(out)
    return 1 if progress.failed else 0


def check_backend_options(kind: Any, values: dict[str, Any]) -> Any:
    """Takes the fields of a dataclass out of a command's values."""
    return kind(**{item.name: values.pop(item.name) for item in fields(kind)})


def parse_lengths(text: str | None) -> list[str]:
    """The probes that are named, in the order of the catalogue; all where none is.

    Raises:
        UserError: if one of them is unknown.
    """
    from analysis.probes.registry import PROBES
    from architectures.suggest import did_you_mean

    if text is None:
        return list(PROBES)
    named = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    for name in named:
        if name not in PROBES:
            raise UserError(f"unknown probe {name!r}{did_you_mean(name, PROBES)}")
    if not named:
        raise UserError(f"name at least one probe: --probes {','.join(PROBES)}")
    return [name for name in PROBES if name in named]


def untrained_jobs(choice: AnalyzeOptions, parts: Mapping[str, Options]) -> list[Experiment]:
    """The experiments whose models are probed before their first step.

    Raises:
        UserError: if something is not named, or a name or an option is unknown.
    """
    from workbench.comparison import Comparison

    if choice.untrained is None:
        raise UserError("name what to probe: a folder of results, a run's folder, a checkpoint, or --untrained NAME")
    if choice.task is None:
        raise UserError("name the task that the untrained would be trained on: --task NAME (workbench list shows them)")
    if not choice.out:
        raise UserError("name a folder for the findings: --out DIR")
    if not choice.untrained.strip(" ,"):
        raise UserError("name at least one architecture: --untrained NAME,NAME (workbench list shows them)")
    given = {
        "tasks": [choice.task],
        "architectures": choice.untrained,
        "hidden_size": choice.hidden_size,
        "embedding_size": choice.embedding_size,
        "seeds": choice.seeds,
        "task": parts.get("task", {}),
        "architecture": parts.get("architecture", {}),
    }
    return Comparison.from_dict({key: value for key, value in given.items() if value is not None}).experiments()


def parser() -> Parser:
    """The command's options."""
    from analysis.probes.registry import PROBES
    from analysis.probes.settings import ProbeSettings

    known = "".join(f"  {name:<20}{text}\n" for name, text in PROBES.items())
    made = Parser(prog="workbench analyze", description=DESCRIPTION, examples=f"probes:\n{known}\n{EXAMPLES}")
    made.add_argument("dir", type=str, nargs="?", help="a comparison's folder, a run's, or a checkpoint", metavar="DIR")
    made.add_fields(ProbeSettings, "how closely")
    made.add_fields(Effort, "how it is done")
    made.add_argument("--again", action="store_true", help="repeat what is known already")
    made.add_fields(AnalyzeOptions, "what is not trained")
    made.add_data_dir()
    return made
