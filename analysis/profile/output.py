"""Output of a profile: a table of a hundred columns, JSON, CSV and the roofline."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from analysis import style
from analysis.formatting import ABSENT, DASH, decimal_places, format_count, format_percent, join_names, pluralize
from analysis.profile import roofline
from analysis.profile.cases import BASELINE
from analysis.profile.machine import Peak
from analysis.profile.profiler import KIND, Profile, ProfileRow, Timing
from analysis.statistics import MedianInterval
from workbench.errors import UserError
from workbench.files import ensure_writable, write_json, write_text

WIDTH = 100
"""Characters per line."""
COST_HEADINGS = (
    "architecture",
    "parameters",
    "state",
    "multiply-adds\na step",
    "bytes\na step",
    "flop\na byte",
    "peak\nMiB",
)
TIME_HEADINGS = ("architecture", "ms a batch", "µs a step", f"to {BASELINE}", "GFLOP/s", "of peak")
OTHER_FILES = ("profile.csv", "roofline.svg", "roofline.png")
"""Files of a profile's folder beside `profile.json`."""


def format_profile(profile: Profile) -> str:
    """Returns the machine and the method, then for each length the cost of a step and the times of each pass."""
    parts = [format_header(profile)]
    for length in profile.settings.lengths:
        rows = profile.rows_of_length(length)
        forward = [time_cells(row, row.forward, profile.peak) for row in rows]
        both = [time_cells(row, row.forward_backward, profile.peak) for row in rows]
        parts += [
            f"{pluralize(length, 'step')}: cost of one step of one sequence, forward + backward",
            align_columns([COST_HEADINGS, *map(cost_cells, rows)]),
            f"{pluralize(length, 'step')}: forward",
            align_columns([TIME_HEADINGS, *forward]),
            f"{pluralize(length, 'step')}: forward + backward",
            align_columns([TIME_HEADINGS, *both]),
        ]
    return "\n\n".join([*parts, format_notes(profile)]) + "\n"


def write_profile(profile: Profile, folder: Path) -> None:
    """Writes `profile.json`, `profile.csv`, `roofline.svg` and `roofline.png`, each atomically.

    There is no roofline if the traffic of no architecture is known.
    """
    write_json(folder / "profile.json", profile.to_dict())
    write_text(folder / "profile.csv", format_csv(profile))
    if (figure := roofline.draw_roofline(profile)) is not None:
        style.save_figure(figure, folder, "roofline")


def check_file(path: Path) -> None:
    """Checks that a profile can be written to a file without overwriting anything but an earlier profile.

    Raises:
        UserError: if the file holds anything else, or cannot be written.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; --json names a file")
    if path.exists() and not is_profile(path):
        raise UserError(f"{path} is not an earlier profile and is not overwritten; name another file")
    ensure_writable(path.parent)


def check_folder(folder: Path) -> None:
    """Checks that the files of a profile can be written to a folder without overwriting those of anything else.

    Raises:
        UserError: if the folder is a file, cannot be written, or holds files of these names without a profile.
    """
    check_profile_folder(folder, ("profile.json", *OTHER_FILES))


def check_profile_folder(folder: Path, names: Sequence[str]) -> None:
    """Does what `check_folder` does, for files of these names, of which the first holds the profile."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --out names a folder")
    earlier = folder / names[0]
    for name in names:
        if (folder / name).exists() and not (earlier.is_file() and is_profile(earlier)):
            raise UserError(
                f"{folder / name} does not belong to an earlier profile and is not overwritten; name another folder"
            )
    ensure_writable(folder)


def is_profile(path: Path) -> bool:
    """Returns whether a file holds a profile."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def format_header(profile: Profile) -> str:
    """Returns what was measured, and on which machine."""
    info, settings, peak = profile.machine, profile.settings, profile.peak
    threads = "" if info["device"] == "cuda" else f", {pluralize(info['threads'], 'thread')} on {info['cores']} cores"
    with_tf32 = [name for name, is_on in info.get("tf32", {}).items() if is_on]
    tf32 = f" (TF32 in {' and '.join(with_tf32)})" if with_tf32 else ""
    baseline = profile.rows[0]
    lines = [
        f"{info['processor']}{threads}; torch {info['torch']}, {info['dtype']}",
        f"products of float32 at precision {info['float32_matmul_precision']}{tf32}",
        f"{BASELINE}: batch {format_count(baseline.batch)}, outputs {baseline.dtype}{describe_algorithms(baseline)}",
        f"memory allocator: {info['allocator']}",
        f"recurrences of rwa, rda, gru and rnn: {info['recurrences']} kernels",
        f"peak: {peak.gflops:,.0f} GFLOP/s (product), {peak.memory:,.0f} GB/s (memory), {peak.cache:,.0f} GB/s (cache)",
        f"batch {format_count(settings.batch_size)}, {pluralize(settings.hidden_size, 'unit')}, "
        f"{pluralize(settings.input_size, 'feature')} a step; "
        f"{pluralize(settings.repeats, 'round')}, each in a new order",
    ]
    return "\n".join(lines)


def describe_algorithms(row: ProfileRow) -> str:
    """Returns the algorithms of cuDNN in words; nothing if it is not used."""
    if row.cudnn is None:
        return ""
    algorithms = list(dict.fromkeys((row.cudnn["forward"], row.cudnn["backward"])))
    return f"; cuDNN's algorithm: {', backward '.join(algorithms)}"


def cost_cells(row: ProfileRow) -> Sequence[str]:
    """Returns the cells of a row below `COST_HEADINGS`."""
    cost = row.forward_backward.cost
    return (
        row.architecture,
        format_count(row.parameters),
        format_count(row.state_size),
        format_count(None if cost is None else cost.multiply_adds),
        format_count(None if cost is None else cost.bytes),
        format_significant(None if cost is None else cost.intensity),
        format_significant(None if row.peak_memory is None else row.peak_memory / 2**20),
    )


def time_cells(row: ProfileRow, timing: Timing, peak: Peak) -> Sequence[str]:
    """Returns the cells of a row below `TIME_HEADINGS`, for one of its passes."""
    gflops = timing.gflops(row.total_steps)
    return (
        row.architecture,
        format_median(timing.median_seconds, 1e3),
        format_significant(1e6 * timing.median_seconds.median / row.length),
        ABSENT if row.architecture == BASELINE else format_median(timing.ratio_to_baseline),
        format_significant(gflops),
        ABSENT if gflops is None else format_percent(100 * gflops / peak.gflops),
    )


def format_notes(profile: Profile) -> str:
    """Returns explanations of the columns."""
    lines = [
        "multiply-adds, bytes: of the matrix products; state: numbers that one sequence carries on",
        f"peak MiB: {profile.memory_definition}",
        "forward: as in evaluation, without a graph; ms: the median over the rounds",
        f"to {BASELINE}: the median of the ratios within each round",
    ]
    if any(row.forward.median_seconds.low is not None for row in profile.rows):
        lines.append("[low, high]: the 95 % interval of the median")
    if counted := sorted({row.architecture for row in profile.rows if row.cost_source not in (None, "formula")}):
        lines.append(f"multiply-adds of {join_names(counted)}: as PyTorch's counter sees them")
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def format_median(interval: MedianInterval, factor: float = 1) -> str:
    """Formats a median and the ends of its interval with the same number of decimals, all times a factor.

    Example:
        >>> format_median(MedianInterval(median=1.234, low=1.1, high=1.41))
        '1.23 [1.10, 1.41]'
    """
    decimals = decimal_places(factor * interval.median)
    ends = [f"{factor * end:.{decimals}f}" for end in (interval.low, interval.high) if end is not None]
    return f"{factor * interval.median:.{decimals}f}" + (f" [{', '.join(ends)}]" if ends else "")


def format_significant(value: float | None) -> str:
    """Formats a number with three significant digits, without a power of ten."""
    return ABSENT if value is None else f"{value:,.{decimal_places(value)}f}"


def align_columns(table: Sequence[Sequence[str]]) -> str:
    """Aligns a table: the first column to the left, the others to the right.

    Args:
        table: the cells line by line, headings first; these may have several rows.
    """
    headings = [cell.split("\n") for cell in table[0]]
    heading_rows = max(map(len, headings))
    padded = [[""] * (heading_rows - len(cell)) + cell for cell in headings]
    cells = [list(row) for row in zip(*padded, strict=True)] + [list(line) for line in table[1:]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]
    rule = DASH * len(lines[0])
    return "\n".join(line.rstrip() for line in [*lines[:heading_rows], rule, *lines[heading_rows:]])


def format_csv(profile: Profile) -> str:
    """Returns a line for each architecture and length, without the single rounds; nested keys are joined by dots."""
    rows = [flatten_row(row) for row in profile.to_dict()["rows"]]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def flatten_row(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a row without nesting, its options as one value of JSON."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key == "seconds_by_round":
            continue
        if key == "options":
            flat[key] = json.dumps(value, sort_keys=True)
        elif isinstance(value, dict):
            flat |= flatten_row(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
