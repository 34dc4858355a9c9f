"""`workbench suite`: what architectures can hold, forget, track and find, asked by tasks with one setting for all."""

import time
from dataclasses import dataclass
from typing import Literal

from workbench.cli.execution import INTERRUPTED
from workbench.cli.launching import LaunchOptions, print_batch_file, remote_pool
from workbench.cli.options import Device, RunOptions, parse_duration, take_options
from workbench.cli.output import warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.cli.planned_runs import train_planned
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.resolve import find_all_warnings
from workbench.validation import check_int

Budget = Literal["small", "long"]

DESCRIPTION = """Ask what architectures can do; the report of several questions opens on a square that answers them.

A suite is a question that several tasks ask: hold, forget, track, find, order, language, real; all asks every one. On
each task every architecture has as many learning rates to choose from, those of a small stated grid, tried with seeds
that no table counts and judged on the validation set; then the chosen one trains its seeds. Finished runs in OUT are
read, not repeated, and interrupted ones are resumed, so that a suite can be made in many short sittings: --time-limit
saves what is under way and ends with status 3 as long as there is more to do. The settings are the files in
analysis/suites, and are the same for all architectures."""

EXAMPLES = """examples:
  workbench suite --list
  workbench suite track --architectures rnn,lstm,rwa --out track
  workbench suite hold,find --seeds 5 --out suite
  until workbench suite all --budget long --time-limit 1h --out suite; do [ $? = 3 ] || break; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """Options of a suite.

    Args:
        architectures: names, separated by commas; by default one or two of each family. package.module:Class is one of
            yours.
        seeds: runs of each architecture on each task; by default as the suite has it.
        budget: small, minutes for each task on two cores; or long, with longer sequences and more seeds, for hours.
        time_limit: a time such as 90s, 9m or 1h30m, after which what is under way is saved; by default no limit.
        out: folder of the results; finished runs in it are read, interrupted ones are resumed.
        device: auto takes a GPU if there is one.
        workers: experiments at the same time; by default one per core, or one on a GPU.
        threads: threads of each.
        seeds_at_once: seeds of a configuration that a process trains as one stacked model; compare --help says more.
    """

    architectures: str | None = None
    seeds: int | None = None
    budget: Budget = "small"
    time_limit: str | None = None
    out: str = "suite"
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1
    seeds_at_once: int = 1


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    start = time.monotonic()
    values, _ = parse_arguments(build_parser(), arguments)
    names, list_suites = values.pop("suites"), values.pop("list")
    launch = take_options(LaunchOptions, values)
    options = SuiteOptions(**values)
    deadline = None if options.time_limit is None else start + parse_duration(options.time_limit, "--time-limit")
    if options.seeds is not None:
        check_int("seeds", options.seeds, least=1, most=TUNING_SEED)

    # Imported only now, as it takes seconds: a mistake is answered at once.
    from analysis.suites.suite import choose_suites, suite_names

    if list_suites:
        for suite in choose_suites(suite_names()):
            print(f"{suite.name:<10} {suite.title:<55} {', '.join(suite.tasks)}")
        return 0
    chosen = [name for name in (names or "").split(",") if name.strip()]
    if not chosen:
        raise UserError("name a suite: workbench suite hold (--list shows them; all is every one)")
    suites = choose_suites([name.strip() for name in chosen])
    if options.architectures is not None:
        architectures = [name for name in options.architectures.split(",") if name]
        suites = [suite.with_architectures(architectures) for suite in suites]
    available = [suite.without_missing() for suite in suites]
    suites = [suite for suite, _ in available]
    for line in (line for _, lines in available for line in lines):
        warn(line)
    run_options = RunOptions(
        out=options.out,
        device=options.device,
        workers=options.workers,
        threads=options.threads,
        seeds_at_once=options.seeds_at_once,
        wandb="off",
    )
    array = launch.own_array("suite", arguments, run_options)
    if launch.launcher == "print":
        return print_batch_file(array)
    presets = [preset for suite in suites for preset in suite.presets]
    plans = [plan for suite in suites for plan in suite.plans(options.budget, options.seeds)]
    planned = [run.experiment for plan in plans for run in plan]
    for line in find_all_warnings(planned):
        warn(f"warning: {line}")
    with remote_pool(launch, array, run_options.folder) as remote:
        progress, status = train_planned(presets, plans, run_options, deadline, remote)
    if status != INTERRUPTED and any(part.runs for part in progress):
        from analysis.report.build import write_report

        print(write_report(run_options.folder, shared=True))
    return status


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench suite", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "suites",
        type=str,
        nargs="?",
        default=None,
        help="names, separated by commas, or all; --list shows them",
        metavar="SUITE",
    )
    parser.add_argument("--list", action="store_true", help="show every suite with its tasks, and end")
    parser.add_fields(SuiteOptions, "how")
    parser.add_fields(LaunchOptions, "by which processes")
    parser.add_data_dir()
    return parser
