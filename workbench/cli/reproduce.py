"""`workbench reproduce`: a table of a paper, trained in its setting, with our columns beside its own."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.cli.launching import LaunchOptions, print_batch_file, remote_pool
from workbench.cli.options import Device, RunOptions, parse_duration, take_options
from workbench.cli.output import warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.cli.planned_runs import train_planned
from workbench.config import TUNING_SEED, Draw, Numerics, Precision
from workbench.errors import UserError
from workbench.files import ensure_writable
from workbench.resolve import find_all_warnings
from workbench.validation import check_int

Scale = Literal["full", "long", "small"]

DESCRIPTION = """Train a table of a paper in its setting, and write it with our columns beside the published ones.

Finished runs in OUT are read, not repeated, and interrupted ones are resumed, so that a table can be made in many
short sittings: --time-limit saves what is under way and ends with status 3 as long as there is more to do. No file that
is left behind is larger than 16 MiB, so OUT can be carried to another machine and resumed there. --scale long
keeps a paper's lengths and criteria and makes the rest cheaper; --scale small is shorter too, for two cores and some
minutes. Pages say so. Where a preset has a grid of learning rates, those are tried first, and the best of each row on
the validation set trains its seeds. Beside the pages there is claims.md: every claim of the papers, and whether it was
reproduced; --claims writes that alone, from the pages that are there."""

EXAMPLES = """examples:
  workbench reproduce --list
  workbench reproduce rda-table-6 --scale small
  workbench reproduce rwa-addition-100 --scale full --seeds 3 --time-limit 9m --out reproduced
  until workbench reproduce rda-table-1 --scale full --time-limit 1h; do [ $? = 3 ] || break; done
  workbench reproduce --claims --pages docs/results
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceOptions:
    """Options of a reproduction.

    Args:
        scale: full, the paper's own setting; long, its tasks at its lengths, mostly with 64 units and ten seeds; or
            small, with short sequences, for a first look on two cores.
        seeds: runs of each architecture; by default as the preset has it.
        time_limit: a time such as 90s, 9m or 1h30m, after which what is under way is saved; by default no limit.
        out: folder of the runs; finished runs in it are read, interrupted ones are resumed.
        pages: folder of the page, its figures and the index of all pages; by default OUT/results.
        device: auto takes a GPU if there is one.
        workers: experiments at the same time; by default one per core, or one on a GPU.
        threads: threads of each.
        precision: float32, or bf16: mixed precision, which has a page of its own.
        draw: where training data is drawn: cpu, or device: that which trains. It has a page of its own.
    """

    scale: Scale = "long"
    seeds: int | None = None
    time_limit: str | None = None
    out: str = "reproduced"
    pages: str | None = None
    device: Device = "auto"
    workers: int | None = None
    threads: int = 1
    precision: Precision = "float32"
    draw: Draw = "cpu"


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    start = time.monotonic()
    values, _ = parse_arguments(build_parser(), arguments)
    name, list_presets, only_claims = values.pop("preset"), values.pop("list"), values.pop("claims")
    launch = take_options(LaunchOptions, values)
    options = ReproduceOptions(**values)
    deadline = None if options.time_limit is None else start + parse_duration(options.time_limit, "--time-limit")
    if options.seeds is not None:
        check_int("seeds", options.seeds, least=1, most=TUNING_SEED)

    # Imported only now, as it takes seconds: a mistake is answered at once.
    from analysis.papers import claims_page, index, page
    from analysis.papers.preset_files import load_preset, preset_names
    from analysis.presets.status import merge_status

    if list_presets:
        for preset_name in preset_names():
            print(f"{preset_name:<20} {load_preset(preset_name).title}")
        return 0
    if only_claims:
        if name is not None:
            raise UserError(f"--claims is about every preset; leave out {name}")
        folder = Path(options.pages) if options.pages else Path(options.out) / "results"
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder of pages; name one as --pages")
        print(claims_page.write_claims(folder))
        return 0
    if name is None:
        raise UserError("name a preset: workbench reproduce PRESET (--list shows them)")
    run_options = RunOptions(
        out=options.out, device=options.device, workers=options.workers, threads=options.threads, wandb="off"
    )
    out = run_options.folder
    pages = Path(options.pages) if options.pages else out / "results"
    if pages.exists() and not pages.is_dir():
        raise UserError(f"{pages} is a file; --pages names a folder for the page and the index")
    numerics = Numerics(precision=options.precision, draw=options.draw)
    preset = load_preset(name, numerics)
    page_name = preset.page_name(options.scale)
    index.check_writable(pages, page_name)
    claims_page.check_claims_writable(pages)
    if options.pages:
        ensure_writable(pages)
    parts = [load_preset(part, numerics) for part in preset.of] or [preset]
    plans = [part.plan(options.scale, options.seeds) for part in parts]
    planned = [run.experiment for plan in plans for run in plan]
    for line in find_all_warnings(planned):
        warn(f"warning: {line}")
    array = launch.own_array("reproduce", arguments, run_options)
    if launch.launcher == "print":
        return print_batch_file(array)
    with remote_pool(launch, array, out) as remote:
        progress, status = train_planned(parts, plans, run_options, deadline, remote)
    whole = merge_status(part.status for part in progress)
    finished = len(whole.runs)
    on_page = index.find_more_complete(pages, page_name, finished) if not whole.complete else None
    if on_page is not None:
        warn(
            f"{pages / page_name}.md stays as it is: it is made of {on_page} finished runs, and {out} has {finished} "
            f"of {len(whole.experiments)}; name the OUT that it was made from, or another folder as --pages"
        )
        return status
    written = page.write_page(preset, options.scale, out, pages, options.seeds)
    index.write_index(pages)
    claims_page.write_claims(pages)
    print(f"{written.path}: {written.verdict}")
    return status


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench reproduce", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "preset", type=str, nargs="?", default=None, help="the table; --list shows them", metavar="PRESET"
    )
    parser.add_argument("--list", action="store_true", help="show every preset and what it is about, and end")
    parser.add_argument(
        "--claims", action="store_true", help="write claims.md alone, from the pages in PAGES or OUT/results, and end"
    )
    parser.add_fields(ReproduceOptions, "how")
    parser.add_fields(LaunchOptions, "by which processes")
    parser.add_data_dir()
    return parser
