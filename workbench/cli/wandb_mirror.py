"""The W&B mirror at the end of a command."""

from pathlib import Path

from workbench.cli.options import RunOptions
from workbench.cli.output import warn


def publish(options: RunOptions) -> None:
    """Mirrors the comparison as its report shows it and, with `--wandb online`, sends what has not been sent."""
    from analysis.dashboards.mirror import publishing

    publishing.publish(options.folder, options.wandb, lambda: options.mirror(warn), warn)


def update_mirror(out: Path) -> None:
    """Brings the records of a mirrored folder up to date, offline; a folder without a mirror is left alone."""
    from analysis.dashboards.mirror import publishing

    publishing.update_mirror(out, warn)
