"""Terminal output that the commands share: tables, sizes and warnings, beside the progress of `workbench.progress`."""

import sys
from collections.abc import Collection, Sequence

from tqdm import tqdm

from workbench.errors import one_line
from workbench.progress import ProgressBar, RunProgress, run_label, run_summary

__all__ = ["ProgressBar", "RunProgress", "align_columns", "format_bytes", "run_label", "run_summary", "warn"]


def align_columns(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Returns rows of cells as lines whose columns have equal widths.

    Args:
        rows: cells, equally many in each row.
        left: the columns that are aligned to the left; the others are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_bytes(count: int) -> str:
    """Returns a size as users read it, with a decimal prefix.

    Example:
        >>> format_bytes(999), format_bytes(1_234_567)
        ('999 B', '1.23 MB')
    """
    text = tqdm.format_sizeof(count)
    return f"{text} B" if text[-1].isdigit() else f"{text[:-1]} {text[-1]}B"


def warn(line: str) -> None:
    """Prints a line on stderr about what went wrong."""
    print(one_line(f"workbench: {line}"), file=sys.stderr)
