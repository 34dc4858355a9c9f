"""`workbench profile`: what a step of each architecture costs on this machine."""

import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from tqdm import tqdm

from workbench.cli.parser import Parser, chosen_values
from workbench.errors import UserError
from workbench.files import write_json
from workbench.flat_config import join_names
from workbench.malloc import keep_memory

DESCRIPTION = """Time every architecture beside torch.nn.LSTM, in turns, and count what a step of it takes.

Prints parameters, state, multiply-adds, bytes and peak memory; and milliseconds, forward and forward + backward, with
their ratio to torch.nn.LSTM in the same rounds and their share of the machine's measured peak. Options of one
architecture are given by its name: --architecture.tcn.kernel_size 5."""

EXAMPLES = """examples:
  workbench profile
  workbench profile --architectures lstm,rwa,rda-exp-tanh --lengths 200,1000 --batch-size 100 --hidden-size 250
  workbench profile --lengths 200 --json profile.json --out profile
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    from analysis.profile.settings import ProfileSettings

    values, parts = chosen_values(parser(), given)
    json, out = values.pop("json"), values.pop("out")
    if tasks := parts.get("task"):
        raise UserError(f"options are given for task {next(iter(tasks))!r}, but a profile is of no task")
    values["architectures"] = join_names(values["architectures"], "architectures")
    values["lengths"] = parse_integers(values["lengths"])
    values["architecture"] = parts.get("architecture", {})
    settings = ProfileSettings(**values)

    # Only now, as it takes seconds: a mistake is answered at once.
    from analysis.profile import output, profiler

    if json is not None:
        output.refuse(Path(json))
    if out == "":
        raise UserError("name a folder for the files: --out DIR")
    if out is not None:
        output.refuse_folder(Path(out))
    if settings.memory == "kept":
        keep_memory()
    with ProfileProgress() as progress:
        profile = profiler.profile(settings, progress=progress.tell)
    # Before the table: whoever reads it may be gone by then.
    if json is not None:
        write_json(Path(json), profile.to_dict())
    if out is not None:
        output.write(profile, Path(out))
    print(output.text(profile), end="")
    return 0


def parser() -> Parser:
    """The command's options."""
    from analysis.profile.settings import ProfileSettings
    from workbench.docstrings import argument_help

    made = Parser(prog="workbench profile", description=DESCRIPTION, examples=EXAMPLES)
    texts, lists = argument_help(ProfileSettings), ("architectures", "lengths")
    for name in lists:
        default = ",".join(map(str, getattr(ProfileSettings(), name)))
        made.add_argument(f"--{name}", type=str, default=default, help=texts[name])
    made.add_fields(ProfileSettings, "what is measured, and where", skip=lists)
    made.add_argument("--json", type=str, default=None, help="a file for all of it, every round included")
    made.add_argument("--out", type=str, default=None, help="a folder for profile.json, profile.csv and the roofline")
    made.add_argument("--architecture", type=dict, default={}, help=SUPPRESS)
    made.add_data_dir()
    return made


def parse_integers(text: str) -> tuple[int, ...]:
    """Numbers separated by commas.

    Raises:
        UserError: if one of them is none.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"lengths must be whole numbers separated by commas, not {text!r}") from None


class ProfileProgress:
    """How far it has come, on stderr: a bar on a terminal, else a line for each stage."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.stage = ""

    def __enter__(self) -> "ProfileProgress":
        if sys.stderr.isatty():
            bar_format = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} measurements, {remaining} left {postfix}"
            self.bar = tqdm(dynamic_ncols=True, smoothing=0.05, bar_format=bar_format)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def tell(self, stage: str, made: int, total: int) -> None:
        """So many measurements of the total are made, and this is what comes now."""
        if self.bar is not None:
            self.bar.total = total
            self.bar.set_postfix_str(f"({stage})", refresh=False)
            self.bar.update(made - self.bar.n)
        elif stage != self.stage:
            print(f"measuring: {stage}", file=sys.stderr, flush=True)
        self.stage = stage
