"""Text and tables as Markdown; whatever is in them shows as it is."""

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#&~$])")


def plain(text: str) -> str:
    """A text in which nothing is markup.

    Example:
        >>> print(plain("steps until loss < 0.001"))
        steps until loss \\< 0.001
    """
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """A text as code, which may hold no backtick."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def table(headings: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table.

    Args:
        headings: of its columns, as Markdown.
        lines: their cells, as Markdown.
        left: the columns that are text; numbers stand to the right.
    """
    rule = ["---" if index < left else "---:" for index in range(len(headings))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))
