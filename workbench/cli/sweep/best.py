"""`workbench sweep best`: the winner of each study."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.storage_options import add_location_options
from workbench.custom_code import ALLOW_CODE_HELP, check_code_allowed
from workbench.errors import UserError
from workbench.files import write_yaml

if TYPE_CHECKING:
    from sweeps.studies import LoadedStudy
    from workbench.cli.sweep.open_sweep import LoadedSweep

DESCRIPTION = """Show the winner of each study: its score on the validation set and its parameters.

With --yaml FOLDER, a file for each, FOLDER/<task>-<architecture>.yaml, which workbench compare --config takes."""

EXAMPLES = """examples:
  workbench sweep best tuned
  workbench sweep best tuned --yaml winners
  workbench compare --config winners/addition-lstm.yaml --seeds 10 --out more
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    from sweeps.storage_retry import with_retries
    from workbench.cli.sweep.open_sweep import load_sweep
    from workbench.cli.sweep.output import best_table

    sweep = load_sweep(values.dir, values.storage)
    print(with_retries(lambda: best_table(sweep.snapshots()), warn))
    if values.yaml is not None:
        parts = [name for study in sweep.studies for name in (study.spec.task.name, study.spec.architecture)]
        check_code_allowed(parts, values.dir, allowed=values.allow_code)
        for path in with_retries(lambda: write_winners(sweep, Path(values.yaml)), warn):
            print(path)
    return 0


def write_winners(sweep: "LoadedSweep", folder: Path) -> list[Path]:
    """Writes a file for the winner of each study, and returns the files.

    Raises:
        UserError: if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    paths = []
    for study in sweep.studies:
        if (comparison := winner_comparison(study)) is not None:
            paths.append(folder / f"{study.spec.name.replace(':', '-').replace('/', '-')}.yaml")
            write_yaml(paths[-1], comparison)
    return paths


def winner_comparison(study: "LoadedStudy") -> dict[str, Any] | None:
    """Returns the winner of a study as the options of a comparison; `None` if no trial is complete."""
    from sweeps.final_runs import winning_params

    params = winning_params(study)
    if params is None:
        return None
    task, architecture = study.spec.task.name, study.spec.architecture
    experiment = study.spec.experiment(params, 0).to_dict()
    embedding_size = experiment["embedding_size"]
    return {
        "tasks": [task],
        "architectures": [architecture],
        **({} if embedding_size is None else {"embedding_size": embedding_size}),
        **experiment["optimization"],
        **experiment["budget"],
        **experiment.get("numerics", {}),
        "task": {task: experiment["task"]["options"]},
        "architecture": {architecture: experiment["architecture"]["options"]},
    }


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = add_location_options(Parser(prog="workbench sweep best", description=DESCRIPTION, examples=EXAMPLES))
    parser.add_argument("--yaml", type=str | None, default=None, help="folder for a file of each winner's options")
    parser.add_argument("--allow-code", action="store_true", help=ALLOW_CODE_HELP)
    return parser
