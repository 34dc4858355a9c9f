"""The runs of a comparison, resolved, in a file of its folder: `planned.json`.

It is written whenever the comparison is started, and can be deleted: it spares those who only look the resolving,
which takes a while and imports custom code.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import read_json, write_json

PLAN_FILE = "planned.json"


def write_planned_runs(out: Path, comparison_file: Path, experiments: Sequence[Experiment]) -> None:
    """Writes the runs of a comparison beside it.

    Args:
        out: the folder of results.
        comparison_file: the file of the comparison, by whose contents it is known later.
        experiments: its runs; of each configuration the same seeds.
    """
    write_json(
        out / PLAN_FILE,
        {
            "comparison": digest(comparison_file),
            "seeds": sorted({experiment.seed for experiment in experiments}),
            "configurations": [
                without_seed(experiment) for experiment in experiments if experiment.seed == experiments[0].seed
            ],
        },
    )


def read_planned_runs(out: Path, comparison_file: Path) -> list[Experiment] | None:
    """Returns the runs of the comparison in a file; `None` if they have to be resolved, as they are not known.

    Args:
        out: the folder of results.
        comparison_file: the file of the comparison.
    """
    with suppress(OSError, UserError, LookupError, TypeError, ValueError):
        values = read_json(out / PLAN_FILE)
        if values["comparison"] == digest(comparison_file):
            configurations = [Experiment.from_dict({**item, "seed": 0}) for item in values["configurations"]]
            return [configuration.with_seed(seed) for seed in values["seeds"] for configuration in configurations]
    return None


def without_seed(experiment: Experiment) -> dict[str, Any]:
    """Returns the configuration of a run, whatever its seed."""
    values = experiment.to_dict()
    del values["seed"]
    return values


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
