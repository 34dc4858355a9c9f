"""`workbench sweep best`: what was found."""

from pathlib import Path
from typing import Any

from sweeps.final_runs import winning_trial
from sweeps.retry import with_retries
from sweeps.studies import LoadedStudy
from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.load import FoundSweep, find_sweep, with_folder
from workbench.cli.sweep.output import best_table
from workbench.errors import UserError
from workbench.files import write_yaml

DESCRIPTION = """The winner of each study: its validation loss and its parameters.

With --yaml FOLDER, a file for each, FOLDER/<task>-<architecture>.yaml, which workbench compare --config takes."""

EXAMPLES = """examples:
  workbench sweep best tuned
  workbench sweep best tuned --yaml winners
  workbench compare --config winners/addition-lstm.yaml --seeds 10 --out more
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    found = find_sweep(values.dir, values.storage)
    print(with_retries(lambda: best_table(found.snapshots()), warn))
    if values.yaml is not None:
        for path in with_retries(lambda: keep_winner(found, Path(values.yaml)), warn):
            print(path)
    return 0


def keep_winner(found: FoundSweep, folder: Path) -> list[Path]:
    """Writes the winners' files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    paths = []
    for opened in found.studies:
        if (comparison := to_comparison(opened)) is not None:
            paths.append(folder / f"{opened.spec.name.replace(':', '-').replace('/', '-')}.yaml")
            write_yaml(paths[-1], comparison)
    return paths


def to_comparison(opened: LoadedStudy) -> dict[str, Any] | None:
    """The winner as a comparison of one; `None` where no trial is complete."""
    choice = winning_trial(opened)
    if choice is None:
        return None
    experiment = opened.spec.experiment(choice, 0).to_dict()
    embedded = {} if experiment["embedding_size"] is None else {"embedding_size": experiment["embedding_size"]}
    return {
        "tasks": [opened.spec.task.name],
        "architectures": [opened.spec.architecture],
        **embedded,
        **experiment["optimization"],
        **experiment["budget"],
        **experiment.get("numerics", {}),
        "task": {opened.spec.task.name: experiment["task"]["options"]},
        "architecture": {opened.spec.architecture: experiment["architecture"]["options"]},
    }


def parser() -> Parser:
    """The command's options."""
    made = with_folder(Parser(prog="workbench sweep best", description=DESCRIPTION, examples=EXAMPLES))
    made.add_argument("--yaml", type=str | None, default=None, help="folder for a file of each winner's options")
    return made
