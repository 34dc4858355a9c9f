"""The report that `make test-gpu` prints."""

from collections.abc import Mapping
from typing import Any

from analysis.formatting import ABSENT, pluralize
from analysis.profile.output import align_columns, format_median, format_significant
from analysis.statistics import MedianInterval

HEAD = (
    "architecture",
    "forward\nms",
    "\nto LSTM",
    "forward + backward\nms",
    "\nto LSTM",
    "naive\nto this",
    "peak\nMiB",
)
MAX_ERROR_LENGTH = 100
"""Characters of an error that are shown."""


def format_report(report: Mapping[str, Any]) -> str:
    """Formats the tests' outcomes, and a table for each size and precision."""
    parts = [format_tests(report["tests"])] if report.get("tests") else []
    if benchmark := report.get("benchmark"):
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in benchmark["rows"]:
            groups.setdefault(group_heading(row), []).append(row)
        for heading, rows in groups.items():
            parts.append(f"{heading}\n{align_columns([HEAD, *map(format_row, rows)])}{format_notes(rows)}")
        parts += [f"not reached: {name}" for name in benchmark["not_reached"]]
        parts.append("all ratios are per step, and medians of those within each round")
    return "\n\n".join(parts) + "\n"


def format_tests(tests: Mapping[str, Any]) -> str:
    """Formats counts by outcome, and a line for each failure."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(tests["counts"].items())) or "none ran"
    lines = [f"tests: {counts}, in {tests['seconds']:.0f} s"]
    lines += [f"  {failure['test']}: {error_line(failure['message'])}" for failure in tests["failures"]]
    if not_reached := tests["not_reached"]:
        lines.append(f"  {pluralize(len(not_reached), 'test')} not reached, from {not_reached[0]} on")
    return "\n".join(lines)


def group_heading(row: Mapping[str, Any]) -> str:
    """Returns the heading of the table to which a row belongs."""
    sizes = f"batch {row['batch_size']}, {row['hidden_size']} units"
    mixed = "bf16 autocast, " if row["precision"] == "bf16" else ""
    return f"{sizes}; {mixed}products of float32 at precision {row['matmul_precision']}"


def format_row(row: Mapping[str, Any]) -> list[str]:
    """Formats a row; the naive loop's steps are shown, since they differ from the others'."""
    name = " ".join(filter(None, (row.get("architecture", "all"), row.get("backend"))))
    if row.get("backend") == "naive":
        name += f" ({row['length']} steps)"
    if "error" in row:
        return [name, "failed", *[ABSENT] * (len(HEAD) - 2)]
    forward, forward_backward = row["forward"], row["forward_backward"]
    peak_memory = row["peak_memory_bytes"]
    return [
        name,
        format_median(MedianInterval(**forward["milliseconds"])),
        format_ratio(forward, "ratio_to_lstm"),
        format_median(MedianInterval(**forward_backward["milliseconds"])),
        format_ratio(forward_backward, "ratio_to_lstm"),
        format_ratio(forward_backward, "naive_to_this"),
        format_significant(None if peak_memory is None else peak_memory / 2**20),
    ]


def format_notes(rows: list[Mapping[str, Any]]) -> str:
    """Formats lines below a table: cuDNN's algorithms, and errors."""
    lines = []
    for row in rows:
        if "cudnn" in row:
            algorithms = row["cudnn"]
            missing = "; ".join(algorithms["missing_for_persistent"])
            lines.append(
                f"LSTM in {row['dtype']}; cuDNN's algorithm: {algorithms['forward']}, backward {algorithms['backward']}"
                + (f" (the persistent one wants {missing})" if missing else "")
            )
        if "error" in row:
            lines.append(f"{row.get('architecture', 'all')} {row.get('backend') or ''}: {error_line(row['error'])}")
    return "".join(f"\n{line}" for line in lines)


def format_ratio(times: Mapping[str, Any], key: str) -> str:
    """Formats a ratio with two decimals."""
    return f"{times[key]['median']:.2f}" if key in times else ABSENT


def error_line(message: str | None) -> str:
    """Returns the line of a message that states the error, truncated."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    assertion_lines = [line for line in lines if line.startswith("E ")] or lines[:1] or [""]
    return assertion_lines[0].removeprefix("E ").strip()[:MAX_ERROR_LENGTH]
