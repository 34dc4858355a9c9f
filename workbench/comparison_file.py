"""The file of a comparison in its folder, `comparison.yaml`, and the ones that were there before it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workbench.comparison import Comparison
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import create_whole, read_yaml, write_yaml
from workbench.locks import file_lock
from workbench.planned_runs import write_planned_runs
from workbench.tasks.file_names import with_absolute_paths

COMPARISON_FILE = "comparison.yaml"
LOCK_FILE = ".comparison.lock"
EARLIER_FILE = re.compile(r"comparison-(\d+)\.yaml")


def write_comparison(out: Path, comparison: Comparison, experiments: Sequence[Experiment] = ()) -> None:
    """Writes a comparison to `out/comparison.yaml`, and its runs, if they are given, beside it.

    If another comparison is there, it becomes `comparison-1.yaml`, or has the next number that is free. One that
    differs only in the number of its seeds is replaced. Several processes may do so at the same time.
    """
    path, values = out / COMPARISON_FILE, with_absolute_paths(comparison.to_dict())
    with file_lock(out / LOCK_FILE):
        if path.exists() and read_comparison_key(path) != comparison_key(values):
            keep_earlier(out, path)
        write_yaml(path, values)
        if experiments:
            write_planned_runs(out, path, experiments)


def keep_earlier(out: Path, path: Path) -> None:
    """Copies a comparison to the next number that is free, unless it is kept already."""
    content, key = path.read_bytes(), read_comparison_key(path)
    while True:
        earlier = {int(match[1]): file for file in out.iterdir() if (match := EARLIER_FILE.fullmatch(file.name))}
        if key is not None and key in map(read_comparison_key, earlier.values()):
            return
        # Where locks are not shared, another machine may take the same number.
        if create_whole(out / f"comparison-{max(earlier, default=0) + 1}.yaml", content):
            return


def read_comparison_key(path: Path) -> str | None:
    """Returns `comparison_key` of a file; `None` if it cannot be read."""
    try:
        return comparison_key(read_yaml(path))
    except UserError:
        return None


def comparison_key(values: Mapping[str, Any]) -> str:
    """Returns a text that is the same for the same comparison, whatever the number of its seeds."""
    return yaml.safe_dump({**values, "seeds": None})
