"""How a command tells what went wrong."""

import sys


def complain(line: str) -> None:
    """Tells on stderr what went wrong, in one line."""
    print(f"workbench: {line}", file=sys.stderr)
