"""What `make test-gpu` prints last."""

from collections.abc import Mapping
from typing import Any

from analysis.formatting import ABSENT, pluralize
from analysis.profile.output import align, between, significant
from analysis.statistics import Spread

HEAD = (
    "architecture",
    "forward\nms",
    "\nto LSTM",
    "forward + backward\nms",
    "\nto LSTM",
    "naive\nto this",
    "peak\nMiB",
)
LONGEST = 100
"""Characters of an error."""


def text(report: Mapping[str, Any]) -> str:
    """The tests' outcome, and a table for each size and precision."""
    parts = [tested(report["tests"])] if report.get("tests") else []
    if benchmark := report.get("benchmark"):
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in benchmark["rows"]:
            groups.setdefault(heading(row), []).append(row)
        parts += [f"{head}\n{align([HEAD, *map(line, rows)])}{below(rows)}" for head, rows in groups.items()]
        parts += [f"not reached: {name}" for name in benchmark["not_reached"]]
        parts.append("all ratios are per step, and medians of those within each round")
    return "\n\n".join(parts) + "\n"


def tested(tests: Mapping[str, Any]) -> str:
    """Counts, and a line for each failure."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(tests["counts"].items())) or "none ran"
    lines = [f"tests: {counts}, in {tests['seconds']:.0f} s"]
    lines += [f"  {each['test']}: {last_line(each['message'])}" for each in tests["failures"]]
    if missed := tests["not_reached"]:
        lines.append(f"  {pluralize(len(missed), 'test')} not reached, from {missed[0]} on")
    return "\n".join(lines)


def heading(row: Mapping[str, Any]) -> str:
    """Of a group of rows."""
    sizes = f"batch {row['batch_size']}, {row['hidden_size']} units"
    mixed = "bf16 autocast, " if row["precision"] == "bf16" else ""
    return f"{sizes}; {mixed}products of float32 at precision {row['matmul_precision']}"


def line(row: Mapping[str, Any]) -> list[str]:
    """A row; steps are named where they differ from the others'."""
    name = " ".join(filter(None, (row.get("architecture", "all"), row.get("backend"))))
    if row.get("backend") == "naive":
        name += f" ({row['length']} steps)"
    if "error" in row:
        return [name, "failed", *[ABSENT] * (len(HEAD) - 2)]
    forward, both = row["forward"], row["forward_backward"]
    height = row["peak_memory_bytes"]
    return [
        name,
        between(Spread(**forward["milliseconds"])),
        ratio(forward, "ratio_to_lstm"),
        between(Spread(**both["milliseconds"])),
        ratio(both, "ratio_to_lstm"),
        ratio(both, "naive_to_this"),
        significant(None if height is None else height / 2**20),
    ]


def below(rows: list[Mapping[str, Any]]) -> str:
    """What cuDNN did, and what failed."""
    lines = []
    for row in rows:
        if "cudnn" in row:
            chosen = row["cudnn"]
            missing = "; ".join(chosen["missing_for_persistent"])
            lines.append(
                f"LSTM in {row['dtype']}; cuDNN's algorithm: {chosen['forward']}, backward {chosen['backward']}"
                + (f" (the persistent one wants {missing})" if missing else "")
            )
        if "error" in row:
            lines.append(f"{row.get('architecture', 'all')} {row.get('backend') or ''}: {last_line(row['error'])}")
    return "".join(f"\n{each}" for each in lines)


def ratio(timed: Mapping[str, Any], key: str) -> str:
    """With two decimals."""
    return f"{timed[key]['median']:.2f}" if key in timed else ABSENT


def last_line(message: str | None) -> str:
    """The last line that says something, cut to length."""
    told = [each.strip() for each in (message or "").splitlines() if each.strip()]
    wrong = [each for each in told if each.startswith("E ")] or told[:1] or [""]
    return wrong[0].removeprefix("E ").strip()[:LONGEST]
