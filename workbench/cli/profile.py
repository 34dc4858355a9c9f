"""`workbench profile`: the cost of a step of each architecture on this machine."""

from argparse import SUPPRESS
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.output import ProgressBar, warn
from workbench.cli.parser import Parser, parse_arguments
from workbench.errors import UserError
from workbench.files import write_json
from workbench.flat_config import parse_names
from workbench.malloc import keep_memory

if TYPE_CHECKING:
    from analysis.profile.profiler import Progress
    from analysis.profile.settings import ProfileSettings

DESCRIPTION = """Time every architecture beside torch.nn.LSTM, in turns, and count what a step of it takes.

Prints parameters, state, multiply-adds, bytes and peak memory; and milliseconds, forward and forward + backward, with
their ratio to torch.nn.LSTM in the same rounds and their share of the machine's measured peak. Options of one
architecture are given by its name: --architecture.tcn.kernel_size 5.

With --training, a step of a run, its trainer and callbacks included, beside a bare PyTorch loop of the same model, data
and optimiser.

With --streaming, one step more of a single sequence, with the state carried, on one thread: milliseconds, bytes and
state of every architecture that can read a sequence as it comes."""

EXAMPLES = """examples:
  workbench profile
  workbench profile --architectures lstm,rwa,rda-exp-tanh --lengths 200,1000 --batch-size 100 --hidden-size 250
  workbench profile --lengths 200 --json profile.json --out profile
  workbench profile --training --architectures rnn,lstm,rda --lengths 20 --hidden-size 32
  workbench profile --streaming --lengths 200,1000 --hidden-size 128 --json streaming.json
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    from analysis.profile.settings import ProfileSettings

    values, named_options = parse_arguments(build_parser(), arguments)
    json, out, training = values.pop("json"), values.pop("out"), values.pop("training")
    streaming = values.pop("streaming")
    if training and streaming:
        raise UserError("--training and --streaming are two measurements; make one after the other")
    if tasks := named_options.get("task"):
        raise UserError(f"options are given for task {next(iter(tasks))!r}, but a profile is of no task")
    values["architectures"] = parse_names(values["architectures"], "architectures")
    values["lengths"] = parse_lengths(values["lengths"])
    values["architecture"] = named_options.get("architecture", {})
    settings = ProfileSettings(**values)

    # Imported only now, as it takes seconds: a mistake is answered at once.
    from analysis.profile import output, profiler

    if json is not None:
        output.check_file(Path(json))
    if out == "":
        raise UserError("name a folder for the files: --out DIR")
    if training and out is not None:
        raise UserError("--training draws no roofline; save its numbers with --json FILE")
    if streaming:
        return profile_stream(settings, json, out)
    if out is not None:
        output.check_folder(Path(out))
    if settings.memory == "kept":
        keep_memory()
    if training:
        return profile_steps(settings, json)
    with measuring("measurements") as on_progress:
        profile = profiler.profile(settings, progress=on_progress)
    # Before the table is printed: its reader may be gone by then.
    if json is not None:
        write_json(Path(json), profile.to_dict())
    if out is not None:
        output.write_profile(profile, Path(out))
    print(output.format_profile(profile), end="")
    return 0


@contextmanager
def measuring(unit: str) -> Iterator["Progress"]:
    """Shows the progress of a measurement, and yields what is called with its stage, what is done, and all there is."""
    with ProgressBar(unit, smoothing=0.05) as bar:

        def on_progress(stage: str, done: int, total: int) -> None:
            bar.update(done, total=total, status=stage, line=f"measuring: {stage}")

        yield on_progress


def profile_steps(settings: "ProfileSettings", json: str | None) -> int:
    """Measures training steps, prints their table and writes the file, if one is named; returns the exit status."""
    from analysis.profile import training

    training.check_settings(settings)
    from architectures.kernels import build_native_kernels

    build_native_kernels(warn)
    with measuring("architectures") as on_progress:
        profile = training.profile_training(settings, progress=on_progress)
    if json is not None:
        write_json(Path(json), profile.to_dict())
    print(training.format_training(profile), end="")
    return 0


def profile_stream(settings: "ProfileSettings", json: str | None, out: str | None) -> int:
    """Measures steps of a stream, prints their table and writes the files that are named; returns the exit status."""
    from analysis.profile import streaming

    streaming.check_settings(settings)
    if out is not None:
        streaming.check_folder(Path(out))
    from architectures.kernels import build_native_kernels

    build_native_kernels(warn)
    with measuring("measurements") as on_progress:
        profile = streaming.profile_streaming(settings, progress=on_progress)
    if json is not None:
        write_json(Path(json), profile.to_dict())
    if out is not None:
        streaming.write_streaming(profile, Path(out))
    print(streaming.format_streaming(profile), end="")
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    from analysis.profile.settings import ProfileSettings
    from workbench.docstrings import argument_help

    parser = Parser(prog="workbench profile", description=DESCRIPTION, examples=EXAMPLES)
    texts, lists = argument_help(ProfileSettings), ("architectures", "lengths")
    for name in lists:
        default = ",".join(map(str, getattr(ProfileSettings(), name)))
        parser.add_argument(f"--{name}", type=str, default=default, help=texts[name])
    parser.add_argument(
        "--training",
        action="store_true",
        help="a run's training step beside a bare PyTorch loop, one thread on the CPU",
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="one step of a single sequence with the state carried, one thread on the CPU",
    )
    parser.add_fields(ProfileSettings, "what is measured, and where", skip=lists)
    parser.add_argument("--json", type=str, default=None, help="a file for all of it, every round included")
    parser.add_argument(
        "--out",
        type=str,
        default=None,
        help="a folder for profile.json, profile.csv and the roofline, or streaming.json and streaming.csv",
    )
    parser.add_argument("--architecture", type=dict, default={}, help=SUPPRESS)
    parser.add_data_dir()
    return parser


def parse_lengths(text: str) -> tuple[int, ...]:
    """Returns whole numbers that are separated by commas.

    Raises:
        UserError: if one of them is not a whole number.
    """
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"lengths must be whole numbers separated by commas, not {text!r}") from None
