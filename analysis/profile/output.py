"""A profile as text, in a hundred columns."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from analysis import style
from analysis.formatting import ABSENT, DASH, decimals, format_count, format_percent, join_names, pluralize
from analysis.profile import roofline
from analysis.profile.cases import BASELINE
from analysis.profile.machine import Peak
from analysis.profile.profiler import KIND, Profile, ProfileRow, Timing
from analysis.statistics import Spread
from workbench.errors import UserError
from workbench.files import writable, write_json, write_text

WIDTH = 100
"""Columns."""
WORK = ("architecture", "parameters", "state", "multiply-adds\na step", "bytes\na step", "flop\na byte", "peak\nMiB")
TIME = ("architecture", "ms a batch", "µs a step", f"to {BASELINE}", "GFLOP/s", "of peak")


def text(profile: Profile) -> str:
    """The machine and how it was measured; then for each length what a step takes, and how long, each way."""
    parts = [header(profile)]
    for length in profile.settings.lengths:
        rows = profile.at(length)
        forward = [time(row, row.forward, profile.peak) for row in rows]
        both = [time(row, row.forward_backward, profile.peak) for row in rows]
        parts += [
            f"{pluralize(length, 'step')}: what one step of one sequence takes, forward + backward",
            align([WORK, *map(work, rows)]),
            f"{pluralize(length, 'step')}: forward",
            align([TIME, *forward]),
            f"{pluralize(length, 'step')}: forward + backward",
            align([TIME, *both]),
        ]
    return "\n\n".join([*parts, notes(profile)]) + "\n"


def header(profile: Profile) -> str:
    """What was measured, and on what."""
    told, settings, peak = profile.machine, profile.settings, profile.peak
    threads = "" if told["device"] == "cuda" else f", {pluralize(told['threads'], 'thread')} on {told['cores']} cores"
    where = [name for name, on in told.get("tf32", {}).items() if on]
    rounded = f" (TF32 in {' and '.join(where)})" if where else ""
    base = profile.rows[0]
    lines = [
        f"{told['processor']}{threads}; torch {told['torch']}, {told['dtype']}",
        f"products of float32 at precision {told['float32_matmul_precision']}{rounded}",
        f"{BASELINE}: batch {format_count(base.batch)}, puts out {base.dtype}{algorithms(base)}",
        f"memory handed out by: {told['allocator']}",
        f"recurrences of rwa, rda, gru and rnn: {told['recurrences']} kernels",
        f"peak: {peak.gflops:,.0f} GFLOP/s (product), {peak.memory:,.0f} GB/s (memory), {peak.cache:,.0f} GB/s (cache)",
        f"batch {format_count(settings.batch_size)}, {pluralize(settings.hidden_size, 'unit')}, "
        f"{pluralize(settings.input_size, 'feature')} a step; "
        f"{pluralize(settings.repeats, 'round')}, each in a new order",
    ]
    return "\n".join(lines)


def algorithms(row: ProfileRow) -> str:
    """What PyTorch asks of cuDNN, where it runs on it."""
    if row.cudnn is None:
        return ""
    kinds = list(dict.fromkeys((row.cudnn["forward"], row.cudnn["backward"])))
    return f"; cuDNN's algorithm: {', backward '.join(kinds)}"


def work(row: ProfileRow) -> Sequence[str]:
    """What a step takes."""
    amount = row.forward_backward.amount
    amounts = (None, None, None) if amount is None else (amount.multiply_adds, amount.bytes, amount.intensity)
    return (
        row.architecture,
        format_count(row.parameters),
        format_count(row.state_size),
        *map(format_count, amounts[:2]),
        significant(amounts[2]),
        significant(None if row.peak_memory is None else row.peak_memory / 2**20),
    )


def time(row: ProfileRow, each: Timing, peak: Peak) -> Sequence[str]:
    """How long it takes, and how much of the peak its products come to."""
    gflops = each.gflops(row.steps)
    return (
        row.architecture,
        between(each.taken, 1e3),
        significant(1e6 * each.taken.median / row.length),
        ABSENT if row.architecture == BASELINE else between(each.ratio),
        significant(gflops),
        ABSENT if gflops is None else format_percent(100 * gflops / peak.gflops),
    )


def notes(profile: Profile) -> str:
    """What the columns are."""
    lines = [
        "multiply-adds, bytes: of the matrix products; state: numbers that one sequence carries on",
        f"peak MiB: {profile.memory_is}",
        "forward: as in evaluation, without a graph; ms: the median over the rounds",
        f"to {BASELINE}: the median of the ratios within each round",
    ]
    if any(row.forward.taken.low is not None for row in profile.rows):
        lines.append("[low, high]: the 95 % interval of the median")
    if own := sorted({row.architecture for row in profile.rows if row.counted not in (None, "formula")}):
        lines.append(f"multiply-adds of {join_names(own)}: as PyTorch's counter sees them")
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def between(spread: Spread, factor: float = 1) -> str:
    """A median with the ends of its interval, to the same decimals.

    Example:
        >>> between(Spread(median=1.234, low=1.1, high=1.41))
        '1.23 [1.10, 1.41]'
    """
    places = decimals(factor * spread.median)
    ends = [f"{factor * end:.{places}f}" for end in (spread.low, spread.high) if end is not None]
    return f"{factor * spread.median:.{places}f}" + (f" [{', '.join(ends)}]" if ends else "")


def significant(value: float | None) -> str:
    """Three digits."""
    return ABSENT if value is None else f"{value:,.{decimals(value)}f}"


def align(lines: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right; the first line may have several rows."""
    head = [cell.split("\n") for cell in lines[0]]
    rows = max(map(len, head))
    padded = [[""] * (rows - len(cell)) + cell for cell in head]
    cells = [list(row) for row in zip(*padded, strict=True)] + [list(line) for line in lines[1:]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    made = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]
    rule = DASH * len(made[0])
    return "\n".join(line.rstrip() for line in [*made[:rows], rule, *made[rows:]])


BESIDE = ("profile.csv", "roofline.svg", "roofline.png")
"""What stands in a folder beside `profile.json`."""


def refuse(path: Path) -> None:
    """Makes sure that a file can be written without losing another.

    Raises:
        UserError: if there is something else than an earlier profile, or nothing can be written there.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; --json names a file")
    if path.exists() and not ours(path):
        raise UserError(f"{path} is no earlier profile and is not overwritten; name another file")
    writable(path.parent)


def refuse_folder(folder: Path) -> None:
    """The same for a folder: its files are replaced only beside an earlier profile.

    Raises:
        UserError: if it is a file, or holds files of these names that are no profile's.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --out names a folder")
    whole = folder / "profile.json"
    for name in ("profile.json", *BESIDE):
        if (folder / name).exists() and not (whole.is_file() and ours(whole)):
            raise UserError(f"{folder / name} is of no earlier profile and is not overwritten; name another folder")
    writable(folder)


def ours(path: Path) -> bool:
    """Whether a file holds a profile."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def write(profile: Profile, folder: Path) -> None:
    """Writes `profile.json`, `profile.csv` and the roofline as `roofline.svg` and `roofline.png`, each whole or not at
    all; without a roofline where no traffic is known."""
    write_json(folder / "profile.json", profile.to_dict())
    write_text(folder / "profile.csv", table(profile))
    if (figure := roofline.draw(profile)) is not None:
        style.save(figure, folder, "roofline")


def table(profile: Profile) -> str:
    """A line for each architecture and length, without the single rounds; what is nested has names with points."""
    rows = [flat(row) for row in profile.to_dict()["rows"]]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def flat(row: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A row without nesting; options stay one value."""
    made: dict[str, Any] = {}
    for key, value in row.items():
        if key == "seconds_by_round":
            continue
        if key == "options":
            made[key] = json.dumps(value, sort_keys=True)
        elif isinstance(value, dict):
            made |= flat(value, f"{above}{key}.")
        else:
            made[f"{above}{key}"] = value
    return made
