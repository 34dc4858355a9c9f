"""`workbench status`: what has become of the runs of a folder."""

import json
from typing import TYPE_CHECKING, Any

from workbench.cli.options import existing_folder
from workbench.cli.output import align_columns, warn
from workbench.cli.parser import Parser

if TYPE_CHECKING:
    from analysis.dashboards.folder_status import FolderStatus
    from analysis.dashboards.server.run_status import RunStatus, State

DESCRIPTION = """Show how many runs of DIR have finished, which are under way and where, which have failed and why, and
how much is left. It only looks: nothing is written, imported or connected to. `workbench view DIR` shows more, in a
browser."""
EXAMPLES = """examples:
  workbench status results
  watch workbench status results
  workbench status results --json | jq '.runs[] | select(.state == "failed") | .folder'
"""
MAX_LISTED = 20
"""Runs of a kind that are listed."""
LISTED: "tuple[State, ...]" = ("running", "failed", "unreadable", "interrupted")
"""The states whose runs are listed, in this order."""
SHOWN: "tuple[State, ...]" = ("finished", "diverged", *LISTED, "waiting")
"""The columns of the table."""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    out = existing_folder(values.dir)
    from analysis.dashboards.folder_status import read_folder_status

    status = read_folder_status(out)
    if values.json:
        print(json.dumps(to_json(status), indent=1))
        return 0
    print("\n\n".join(describe(status)))
    for line in status.problems:
        warn(line)
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench status", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder given as --out", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="for programs: the counts, and every unfinished run")
    return parser


def describe(status: "FolderStatus") -> list[str]:
    """Returns the paragraphs that say what has become of the runs."""
    from analysis.formatting import make_printable

    paragraphs = [headline(status)]
    states = [state for state in SHOWN if status.total[state]]
    if states:
        rows = [["task", *states]]
        rows += [
            [make_printable(task), *(f"{counts[state]:,}" for state in states)]
            for task, counts in status.counts.items()
        ]
        paragraphs.append(align_columns(rows))
    for state in LISTED:
        runs = [run for run in status.unfinished if run.state == state]
        if runs:
            lines = [f"  {describe_run(run)}" for run in runs[:MAX_LISTED]]
            if len(runs) > MAX_LISTED:
                lines.append(f"  and {len(runs) - MAX_LISTED:,} more")
            paragraphs.append("\n".join([f"{state}:", *lines]))
    return paragraphs


def headline(status: "FolderStatus") -> str:
    """Returns the sentence that says it in short."""
    from analysis.formatting import format_time_left, pluralize

    begun = status.total.total() - status.total["waiting"]
    if not begun and status.planned is None:
        text = (
            "no run that a table counts has begun"
            if any(status.rate_runs) or status.trials
            else "no run has begun here"
        )
    else:
        runs = begun if status.planned is None else status.planned + status.beside
        text = f"{status.ended:,} of {runs:,} {'run' if runs == 1 else 'runs'} finished"
    if status.beside:
        text += f"; {status.beside:,} of them not in comparison.yaml"
    if any(status.rate_runs):
        finished, unfinished = status.rate_runs
        text += f"; of the runs that only choose a learning rate {finished:,} finished, {unfinished:,} begun"
    if status.trials:
        text += f"; {pluralize(status.trials, 'trial')} of sweeps finished (workbench sweep status)"
    if status.seconds_left:
        text += f"; one process would need {format_time_left(status.seconds_left)} for the rest"
    return text


def describe_run(run: "RunStatus") -> str:
    """Returns a run that has not ended in a line: what it is, how far it is, and who has it or what went wrong."""
    from analysis.formatting import make_printable

    text = f"{run.architecture} on {run.task}, seed {run.seed}: step {run.steps:,}"
    if run.total_steps:
        text += f" of {run.total_steps:,}"
    if run.holder:
        text += f", {run.holder}"
    if run.message:
        text += f"; {run.message}"
    if run.state in ("failed", "unreadable"):
        text += f" ({run.folder})"
    return make_printable(text)


def to_json(status: "FolderStatus") -> dict[str, Any]:
    """Returns the status as JSON holds it."""
    return {
        "planned": status.planned,
        "finished": status.ended,
        "not_in_comparison": status.beside,
        "trials": status.trials,
        "learning_rate_runs": dict(zip(("finished", "unfinished"), status.rate_runs, strict=True)),
        "seconds_left": status.seconds_left,
        "tasks": {task: dict(counts) for task, counts in status.counts.items()},
        "runs": [
            {
                "task": run.task,
                "architecture": run.architecture,
                "seed": run.seed,
                "state": run.state,
                "step": run.steps,
                "steps": run.total_steps,
                "holder": run.holder or None,
                "message": run.message or None,
                "folder": str(run.folder),
            }
            for run in status.unfinished
        ],
        "problems": list(status.problems),
    }
