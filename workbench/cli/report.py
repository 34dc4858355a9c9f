"""`workbench report`: writes the report of a folder of results again."""

from workbench.cli.options import existing_folder
from workbench.cli.parser import Parser
from workbench.cli.wandb_mirror import update_mirror
from workbench.files import ensure_writable

DESCRIPTION = "Write DIR/report.html, DIR/comparison.csv and DIR/figures from all finished runs below DIR."
EXAMPLES = """examples:
  workbench report results
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    parser = Parser(prog="workbench report", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    out = existing_folder(parser.parse_args(arguments).dir)
    ensure_writable(out)
    from analysis.report.build import write_report

    print(write_report(out))
    update_mirror(out)
    return 0
