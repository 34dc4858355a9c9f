"""`workbench report`: the report of what has been run, made again."""

from pathlib import Path

from workbench.cli.parser import Parser
from workbench.cli.wandb_mirror import renew
from workbench.errors import UserError
from workbench.files import writable

DESCRIPTION = "Write DIR/report.html, DIR/comparison.csv and DIR/figures from all finished runs below DIR."
EXAMPLES = """examples:
  workbench report results
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    parser = Parser(prog="workbench report", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    out = Path(parser.parse_args(given).dir)
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    writable(out)
    from analysis.report.build import write

    print(write(out))
    renew(out)
    return 0
