"""Markdown text, code and tables, escaped so that their content is shown literally."""

import re
from collections.abc import Iterable, Sequence

SPECIAL_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>|#&~$])")


def escape(text: str) -> str:
    r"""Escapes a text so that nothing in it is markup, and joins its lines.

    Example:
        >>> print(escape("steps until loss < 0.001"))
        steps until loss \< 0.001
    """
    return SPECIAL_CHARACTERS.sub(r"\\\1", " ".join(text.split()))


def inline_code(text: str) -> str:
    """Returns a text as code, with quotes in place of backticks."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    """Returns a table.

    Args:
        headings: headings of the columns, as Markdown.
        lines: cells of each line, as Markdown.
        left: number of columns that are aligned to the left; the others hold numbers, aligned to the right.
    """
    rule = ["---" if index < left else "---:" for index in range(len(headings))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))
