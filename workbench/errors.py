"""The exception for mistakes of users, and the line that a message is printed as."""

MAX_LINE = 300
"""Largest number of characters of a message; the middle of a longer one is left out."""
PREFIX = "workbench: "
"""What a line on stderr begins with."""
TAIL = 90
"""Characters of its end that are kept: what would be right usually stands there."""


class UserError(ValueError):
    """One line that says what was wrong and what would be right; the command line prints it and exits with status 2.

    To Python it is a `ValueError`, as users expect of a function that refuses an argument.

    Args:
        message: the line; whatever it quotes, it becomes short, and no terminal obeys it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Returns a message as one short line without control characters, whatever was quoted in it.

    Line breaks become spaces, other characters that a terminal would obey are written as escapes.
    """
    plain = "".join(char if char.isprintable() else _escape(char) for char in text).strip()
    if len(plain) <= MAX_LINE:
        return plain
    head = MAX_LINE - TAIL - len(" ... ")
    return f"{plain[:head]} ... {plain[-TAIL:]}"


def with_advice(reason: str, advice: str) -> str:
    """Returns a reason and an advice in one line, of which the advice is whole, as somebody may copy it.

    A reason that is too long for the line loses its end.
    """
    room = max(60, MAX_LINE - len(PREFIX) - len(advice) - len("...; "))
    return f"{reason if len(reason) <= room else f'{reason[:room]}...'}; {advice}"


def _escape(char: str) -> str:
    """Returns a space for white space, and an escape sequence for any other character."""
    return " " if char.isspace() else char.encode("unicode_escape").decode("ascii")
