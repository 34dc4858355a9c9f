"""`workbench reproduce`: a table of a paper, trained in its setting, with our columns beside its own."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench import checkpoints
from workbench.cli.execution import execute
from workbench.cli.options import Device, RunOptions, parse_duration
from workbench.cli.output import warn
from workbench.cli.parser import Parser, chosen_values
from workbench.config import TUNING_SEED, Draw, Experiment, Numerics, Precision
from workbench.errors import UserError
from workbench.files import writable
from workbench.resolve import warnings
from workbench.run_folder import BusyError, run_folder, run_lock
from workbench.validation import check_int

Scale = Literal["full", "small"]

DESCRIPTION = """Train a table of a paper in its setting, and write it with our columns beside the published ones.

What is finished in OUT is read, not repeated, and what was interrupted goes on, so that a table can be made in many
short sittings: --time-limit saves what is under way and ends with status 3 as long as there is more to do. No file that
is left behind is larger than 16 MiB, so OUT can be carried to another machine and go on there. --scale small is shorter
and narrower, for two cores, and says so on its page."""

EXAMPLES = """examples:
  workbench reproduce --list
  workbench reproduce rda-table-6 --scale small
  workbench reproduce rwa-addition-100 --scale full --seeds 3 --time-limit 9m --out reproduced
  until workbench reproduce rda-table-1 --scale full --time-limit 1h; do [ $? = 3 ] || break; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceOptions:
    """How to make it.

    Args:
        scale: full, the paper's own setting, or small, for two cores and some minutes.
        seeds: runs of each architecture; by default as the preset has it.
        time_limit: a time such as 90s, 9m or 1h30m, after which what is under way is saved; by default there is none.
        out: folder of the runs; what is finished there is read, what is interrupted goes on.
        pages: folder of the page, its figures and the index of all pages; by default OUT/results.
        device: auto takes a GPU where there is one.
        workers: experiments side by side; by default one for each core, or one on a GPU.
        threads: threads of each.
        precision: float32, or bf16: mixed precision, which has a page of its own.
        draw: where training data is drawn: cpu, or device: that which trains. It has a page of its own.
    """

    scale: Scale = "small"
    seeds: int | None = None
    time_limit: str | None = None
    out: str = "reproduced"
    pages: str | None = None
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1
    precision: Precision = "float32"
    draw: Draw = "cpu"


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    begun = time.monotonic()
    values, _ = chosen_values(parser(), given)
    name, listed = values.pop("preset"), values.pop("list")
    choice = ReproduceOptions(**values)
    until = None if choice.time_limit is None else begun + parse_duration(choice.time_limit, "--time-limit")
    if choice.seeds is not None:
        check_int("seeds", choice.seeds, least=1, most=TUNING_SEED)

    # Only now, as it takes seconds: a mistake is answered at once.
    from analysis.papers import index, page, preset
    from analysis.papers.status import runs_status

    if listed:
        for each in preset.names():
            print(f"{each:<20} {preset.load(each).title}")
        return 0
    if name is None:
        raise UserError("name a preset: workbench reproduce PRESET (--list shows them)")
    settings = RunOptions(
        out=choice.out, device=choice.device, workers=choice.workers, threads=choice.threads, wandb="off"
    )
    pages = Path(choice.pages) if choice.pages else settings.folder / "results"
    if pages.exists() and not pages.is_dir():
        raise UserError(f"{pages} is a file; --pages names a folder for the page and the index")
    numerics = Numerics(precision=choice.precision, draw=choice.draw)
    made = preset.load(name, numerics)
    index.check(pages, made.page(choice.scale))
    if choice.pages:
        writable(pages)
    parts = [preset.load(part, numerics) for part in made.of] or [made]
    experiments = [experiment for part in parts for experiment in part.experiments(choice.scale, choice.seeds)]
    for line in dict.fromkeys(line for experiment in experiments for line in warnings(experiment)):
        warn(f"warning: {line}")
    _, status = execute(experiments, settings, until=until)
    option_values(settings.folder, experiments)
    name, done = made.page(choice.scale), len(runs_status(settings.folder, experiments).runs)
    if done < len(experiments) and (told := index.more_complete(pages, name, done)) is not None:
        warn(
            f"{pages / name}.md stays as it is: it is made of {told} finished runs, and {settings.folder} has {done} "
            f"of {len(experiments)}; name the OUT that it was made from, or another folder as --pages"
        )
        return status
    written = page.write(made, choice.scale, settings.folder, pages, choice.seeds)
    index.write(pages)
    print(f"{written.path}: {written.verdict}")
    return status


def option_values(out: Path, experiments: Sequence[Experiment]) -> None:
    """Leaves no checkpoint that is too large to be carried, but those that somebody is at work on."""
    for experiment in experiments:
        folder = run_folder(out, experiment)
        if folder.exists():
            with suppress(BusyError), run_lock(folder):
                checkpoints.split_checkpoints(folder)


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench reproduce", description=DESCRIPTION, examples=EXAMPLES)
    made.add_argument(
        "preset", type=str, nargs="?", default=None, help="the table; --list shows them", metavar="PRESET"
    )
    made.add_argument("--list", action="store_true", help="show every preset and what it is about, and end")
    made.add_fields(ReproduceOptions, "how")
    made.add_data_dir()
    return made
