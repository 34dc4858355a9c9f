"""What one more step of a stream costs: a single sequence, with the state carried, on one thread of the processor."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import fill
from typing import Any

import torch
from torch import Tensor, nn

from analysis.formatting import ABSENT, format_count, join_names, pluralize
from analysis.profile.cases import BASELINE, BenchmarkCase, build_cases
from analysis.profile.flops import BYTES_PER_NUMBER
from analysis.profile.machine import machine_info
from analysis.profile.output import WIDTH, align_columns, check_profile_folder, format_median
from analysis.profile.profiler import KIND, SCHEMA, Progress, to_milliseconds
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Meter, Workload, measure_rounds, wall_clock
from analysis.statistics import MedianInterval, median_interval, paired_ratio
from architectures.base import Encoder
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.files import write_json, write_text
from workbench.model import count_trainable_parameters

WARM_UP_ROUNDS = 2
"""Rounds that do not count."""
HEADINGS = ("architecture", "parameters", "state", "bytes\na step", "ms a step", f"to {BASELINE}")
"""Columns of the table."""
WITHOUT_EFFECT = ("batch_size", "threads", "precision", "matmul_precision", "memory")
"""Settings of a profile that are fixed here: one sequence, one thread, single precision."""
FILES = ("streaming.json", "streaming.csv")
"""Files of a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingRow:
    """What one step of an architecture costs, after so many steps."""

    architecture: str
    options: Mapping[str, Any]
    length: int
    """Steps before it."""
    parameters: int
    state_size: int
    """Numbers that are carried after these steps."""
    bytes: int
    """Weights, read once; the state, read and written; x and y."""
    seconds: tuple[float, ...]
    """Seconds of the step, by round."""
    median_seconds: MedianInterval
    ratio_to_baseline: MedianInterval
    """Ratio to the baseline's seconds in the same round."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON can hold."""
        return {
            "architecture": self.architecture,
            "options": dict(self.options),
            "length": self.length,
            "parameters": self.parameters,
            "state_size": self.state_size,
            "bytes": self.bytes,
            "milliseconds": to_milliseconds(self.median_seconds, 1),
            "ratio_to_baseline": asdict(self.ratio_to_baseline),
            "seconds_by_round": list(self.seconds),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingProfile:
    """The costs of all causal architectures, and the machine they were measured on."""

    settings: ProfileSettings
    machine: Mapping[str, Any]
    rows: tuple[StreamingRow, ...]
    """In order of length, the baseline first."""
    left_out: tuple[str, ...]
    """Architectures that read whole sequences."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON can hold."""
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "settings": self.settings.to_dict(),
            "streaming": [row.to_dict() for row in self.rows],
            "left_out": list(self.left_out),
        }


def profile_streaming(
    settings: ProfileSettings, *, meter: Meter | None = None, progress: Progress = lambda *_: None
) -> StreamingProfile:
    """Measures one step of every causal architecture, after as many steps as `lengths` says.

    Args:
        settings: the architectures and sizes, and the number of rounds.
        meter: takes the times; by default the clock.
        progress: called as the measurement advances.

    Raises:
        UserError: if a setting has no effect here, an architecture or an option is unknown, or none can stream.
    """
    settings = check_settings(settings)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    rows: list[StreamingRow] = []
    left_out: list[str] = []
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress("steps", done, total)

    try:
        total = len(settings.lengths) * (settings.repeats + WARM_UP_ROUNDS) * (1 + len(settings.architectures))
        for length in settings.lengths:
            progress(f"{pluralize(length, 'step')} before", done, total)
            streams = [Stream(case) for case in build_cases(settings, length, "cpu")]
            left_out = [stream.case.name for stream in streams if not stream.causal]
            streams = [stream for stream in streams if stream.causal]
            if len(streams) == 1:
                raise UserError(f"--streaming needs an architecture that is causal, not {join_names(left_out)} alone")
            workloads = {stream.case.name: stream.workload() for stream in streams}
            seconds = measure_rounds(
                workloads, settings.repeats, meter or wall_clock(), warm_up=WARM_UP_ROUNDS, progress=count
            )
            rows += [stream.row(seconds[stream.case.name], seconds[BASELINE]) for stream in streams]
    finally:
        torch.set_num_threads(threads_before)
    return StreamingProfile(
        settings=settings, machine=machine_info("cpu", settings), rows=tuple(rows), left_out=tuple(left_out)
    )


def check_settings(settings: ProfileSettings) -> ProfileSettings:
    """Returns the settings of a stream: one sequence, one thread.

    Raises:
        UserError: if one of them was set to something else.
    """
    for name in WITHOUT_EFFECT:
        if getattr(settings, name) != getattr(ProfileSettings(), name):
            raise UserError(
                f"--{name.replace('_', '-')} has no effect on --streaming: one sequence in float32, on one thread"
            )
    if settings.device == "cuda":
        raise UserError("--streaming measures what the processor does; leave --device cuda away")
    return replace(settings, batch_size=1, threads=1, device="cpu")


class Stream:
    """An encoder, or the baseline, in evaluation, that has read a sequence and is given one step more.

    Args:
        case: the encoder and its sizes.

    Raises:
        UserError: if the encoder fails.
    """

    def __init__(self, case: BenchmarkCase) -> None:
        self.case = case
        with user_errors(f"architecture {case.name}"):
            self.module: nn.Module = case.build().eval()
            self.causal = self.module.causal if isinstance(self.module, Encoder) else True
            if self.causal:
                self.x = torch.randn(1, 1, case.input_size, generator=torch.Generator().manual_seed(1))
                with torch.no_grad():
                    self.state = self.module(case.inputs())[1]
                    self.y: Tensor = self.module(self.x, self.state)[0]

    def workload(self) -> Workload:
        """Returns the step, which begins at the same state each time."""

        def step() -> None:
            with torch.no_grad():
                self.module(self.x, self.state)

        return Workload(run=step)

    def state_size(self, time: int) -> int:
        """Returns how many numbers are carried after so many steps."""
        return self.module.state_size(time) if isinstance(self.module, Encoder) else 2 * self.case.hidden_size

    def row(self, seconds: list[float], baseline: list[float]) -> StreamingRow:
        """Returns what was measured, given the seconds by round, and those of the baseline."""
        case, parameters = self.case, count_trainable_parameters(self.module)
        before, after = self.state_size(case.time), self.state_size(case.time + 1)
        return StreamingRow(
            architecture=case.name,
            options=case.options,
            length=case.time,
            parameters=parameters,
            state_size=before,
            bytes=BYTES_PER_NUMBER * (parameters + before + after + self.x.numel() + self.y.numel()),
            seconds=tuple(seconds),
            median_seconds=median_interval(seconds),
            ratio_to_baseline=paired_ratio(seconds, baseline),
        )


def check_folder(folder: Path) -> None:
    """Checks that the files can be written to a folder without overwriting those of anything but an earlier profile.

    Raises:
        UserError: if they cannot.
    """
    check_profile_folder(folder, FILES)


def write_streaming(profile: StreamingProfile, folder: Path) -> None:
    """Writes `streaming.json`, and `streaming.csv` without the single rounds, each atomically."""
    write_json(folder / "streaming.json", profile.to_dict())
    lines, rows = io.StringIO(), []
    for row in profile.to_dict()["streaming"]:
        medians = {
            f"{key}.{end}": value
            for key in ("milliseconds", "ratio_to_baseline")
            for end, value in row.pop(key).items()
        }
        del row["seconds_by_round"]
        rows.append({**row, "options": json.dumps(row["options"], sort_keys=True), **medians})
    writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "streaming.csv", lines.getvalue())


def format_streaming(profile: StreamingProfile) -> str:
    """Returns the table, length by length."""
    settings, parts = profile.settings, []
    for length in settings.lengths:
        rows = [
            (
                row.architecture,
                format_count(row.parameters),
                format_count(row.state_size),
                format_count(row.bytes),
                format_median(row.median_seconds, 1e3),
                ABSENT if row.architecture == BASELINE else format_median(row.ratio_to_baseline),
            )
            for row in profile.rows
            if row.length == length
        ]
        sizes = f"{pluralize(settings.hidden_size, 'unit')}, {pluralize(settings.input_size, 'feature')} a step"
        parts += [
            f"one step of one sequence, after {pluralize(length, 'step')}: {sizes}",
            align_columns([HEADINGS, *rows]),
        ]
    notes = [
        f"{profile.machine['processor']}, one thread, float32, in evaluation",
        "state: numbers that are carried; bytes: the weights, the state in and out, x and y, each once",
        f"ms: medians over {pluralize(settings.repeats, 'round')}, in turns, with 95 % intervals from six rounds on; "
        "ratios are within a round",
    ]
    if profile.left_out:
        notes.append(f"left out, as they read whole sequences: {join_names(profile.left_out)}")
    parts.append("\n".join(fill(line, WIDTH, subsequent_indent="  ") for line in notes))
    return "\n\n".join(parts) + "\n"
