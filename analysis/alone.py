"""A probe by itself: `python -m analysis.memory_length DIR` is `workbench analyze DIR --probes memory_length`."""

import sys
from collections.abc import Sequence


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """Runs one probe on what the command line names.

    Args:
        name: the probe.
        arguments: those of `workbench analyze`; by default the command line's.

    Returns:
        The exit status.
    """
    # The command knows all probes, and this module is imported by each of them.
    from workbench.cli.main import main as command

    given = sys.argv[1:] if arguments is None else list(arguments)
    return command(["analyze", *given, "--probes", name])
