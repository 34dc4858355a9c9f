"""The runs of a comparison, resolved, in a file of its folder: `planned.json`.

It is written whenever the comparison is started, and can be deleted: it spares those who only look the resolving,
which takes a while and imports custom code.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.comparison import Comparison
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import read_json, write_json

PLAN_FILE = "planned.json"


def write_planned_runs(out: Path, comparison_file: Path, experiments: Sequence[Experiment]) -> None:
    """Writes the runs of a comparison beside it: each configuration once, as the comparison says which seeds it has.

    Args:
        out: the folder of results.
        comparison_file: the file of the comparison, by whose contents it is known later.
        experiments: its runs.
    """
    configurations = [without_seed(experiment) for experiment in experiments if experiment.seed == experiments[0].seed]
    write_json(out / PLAN_FILE, {"comparison": digest(comparison_file), "configurations": configurations})


def read_planned_runs(out: Path, comparison_file: Path, comparison: Comparison) -> list[Experiment] | None:
    """Returns the configurations of a comparison, with seed 0; `None` if they have to be resolved, as none are known.

    Args:
        out: the folder of results, which may be anybody's.
        comparison_file: the file of the comparison.
        comparison: what it holds.
    """
    with suppress(OSError, UserError, LookupError, TypeError, ValueError, RecursionError):
        # A link may lead to what has no end, and a pipe to what has no beginning.
        if not stat.S_ISREG(os.lstat(out / PLAN_FILE).st_mode):
            return None
        values = read_json(out / PLAN_FILE)
        number = len(comparison.tasks) * len(comparison.architectures)
        if values["comparison"] == digest(comparison_file) and len(values["configurations"]) == number:
            return [Experiment.from_dict({**item, "seed": 0}) for item in values["configurations"]]
    return None


def without_seed(experiment: Experiment) -> dict[str, Any]:
    """Returns the configuration of a run, whatever its seed."""
    values = experiment.to_dict()
    del values["seed"]
    return values


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
