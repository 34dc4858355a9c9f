"""`workbench demo`: a small suite that shows what the bench does, from a configuration that comes with it."""

import shutil
from pathlib import Path

from workbench.cli.parser import Parser
from workbench.errors import UserError

DESCRIPTION = """Ask six architectures what they can hold, forget, track and find, by one small task each, and whether
they tell scikit-learn's handwritten digits apart, three seeds each, and write the report: 90 runs, a few minutes on two
cores, and no network.

It is workbench compare with demo.yaml, which comes with the bench. Every option of that command is known here, too; the
same command goes on where it was stopped, and with more seeds only the missing runs are trained."""
EXAMPLES = """examples:
  workbench demo
  workbench demo --seeds 5 --out demo
  workbench demo --tasks needle,mqar --architectures lstm,rwa
  workbench demo --copy examples               (the configurations and a notebook, to be edited)
  workbench compare --config examples/demo.yaml --steps 2000 --out longer
"""
CONFIGURATION = "demo.yaml"
OUT = "demo"


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    if any(argument in ("-h", "--help") or argument.partition("=")[0] == "--copy" for argument in arguments):
        values = build_parser().parse_args(arguments)
        for path in copy_examples(Path(values.copy)):
            print(path)
        return 0
    from workbench.cli import compare

    # What is given later wins.
    return compare.main(["--config", str(examples_folder() / CONFIGURATION), "--out", OUT, *arguments])


def examples_folder() -> Path:
    """Returns the folder of the configurations: in an installed package, or beside it in the project's own folder."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "examples"


def copy_examples(folder: Path) -> list[Path]:
    """Copies all examples into a folder, and returns the copies.

    Raises:
        UserError: if one of them is there already, or nothing can be written.
    """
    sources = sorted(path for path in examples_folder().iterdir() if path.suffix != ".py" and path.is_file())
    targets = [folder / path.name for path in sources]
    if present := [path for path in targets if path.exists()]:
        raise UserError(f"{present[0]} exists already; name another folder, or remove it first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, target in zip(sources, targets, strict=True):
            shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    return targets


def build_parser() -> Parser:
    """Returns the parser of the command's own options."""
    parser = Parser(prog="workbench demo", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("--out", type=str, default=OUT, help="folder of the results", metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each architecture on each task", metavar="N")
    parser.add_argument(
        "--copy",
        type=str | None,
        default=None,
        help="copy the examples to this folder, and train nothing",
        metavar="DIR",
    )
    return parser
