"""`workbench dashboard`: the W&B workspace of a folder of results, as a file and in W&B."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from architectures.suggest import did_you_mean
from workbench.cli.options import check_wandb_name
from workbench.cli.parser import Parser
from workbench.errors import UserError

HELP = """usage: workbench dashboard COMMAND [options]

The W&B workspace of a folder of results: sections for learning, every probe, cost, sweeps and the report.

commands:
  build     write the workspace as JSON; no account and no network are needed
  push      send the workspace, and a report in words and panels, to W&B

Each command explains itself: workbench dashboard COMMAND --help

examples:
  workbench dashboard build results
  workbench dashboard push results --entity me --project sequence-workbench
"""
BUILD = """Write the W&B workspace of the runs below DIR as JSON: every panel, its title, colours and groups.

No account and no network are needed. The same files give the same bytes."""
BUILD_EXAMPLES = """examples:
  workbench dashboard build results
  workbench dashboard build results --task copy,addition --out copying.json
"""
PUSH = """Send the W&B workspace of the runs below DIR, and a report of what was found, to W&B.

The account is checked first (wandb login, or WANDB_API_KEY). Pushing again replaces what was pushed from this folder to
the same project for the same tasks; DIR/wandb/dashboard.json remembers it. The runs themselves are sent apart."""
PUSH_EXAMPLES = """examples:
  workbench dashboard push results
  workbench dashboard push results --entity my-team --project sequence-workbench --task copy
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    commands: dict[str, Callable[[list[str]], int]] = {"build": build, "push": push}
    if not given or given[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if given else 2
    if given[0] not in commands:
        raise UserError(f"unknown command 'dashboard {given[0]}'{did_you_mean(given[0], commands)}")
    return commands[given[0]](given[1:])


def build(given: list[str]) -> int:
    """`workbench dashboard build`."""
    made = parser("build", BUILD, BUILD_EXAMPLES)
    made.add_argument("--out", type=str, default=None, help="the file to write; DIR/dashboard.json by default")
    values = made.parse_args(given)
    out, tasks = requested(values)
    path = out / "dashboard.json" if values.out is None else Path(values.out)
    from analysis.dashboards.mirror.state import destination_of
    from analysis.dashboards.workspace import build as building
    from analysis.dashboards.workspace import serialization

    serialization.check_ours(path)
    place = destination_of(out, values.project, values.entity)
    workspace = building.workspace(out, entity=place.entity or "", project=place.project, tasks=tasks)
    serialization.write(workspace, path)
    panels = sum(len(section.panels) for section in workspace.sections)
    print(f"{path}: {panels} panels in {', '.join(section.name for section in workspace.sections)}")
    return 0


def push(given: list[str]) -> int:
    """`workbench dashboard push`."""
    values = parser("push", PUSH, PUSH_EXAMPLES).parse_args(given)
    out, tasks = requested(values)
    from analysis.dashboards.workspace.panels import library

    library()
    from analysis.dashboards.mirror.account import signed_in
    from analysis.dashboards.mirror.state import destination_of

    # Asked even where the entity is known: without an account W&B would keep one waiting, or ask for a key.
    account = signed_in()
    place = destination_of(out, values.project, values.entity)
    entity = place.entity or account.entity
    if entity is None:
        raise UserError("W&B does not say whose the workspace is to be; name a user or a team: --entity NAME")
    from analysis.dashboards.workspace import push as pushing

    pushed = pushing.push(out, entity=entity, project=place.project, tasks=tasks)
    print(f"workspace: {pushed.workspace}")
    print(f"report: {pushed.report}")
    return 0


def parser(name: str, description: str, examples: str) -> Parser:
    """The options that the commands share."""
    made = Parser(prog=f"workbench dashboard {name}", description=description, examples=examples)
    made.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    made.add_argument("--entity", type=str, default=None, help="the W&B user or team; the account's own by default")
    made.add_argument("--project", type=str, default=None, help="the W&B project; that of the mirror by default")
    made.add_argument("--task", type=str, default=None, help="show these tasks alone: NAME,NAME", metavar="NAME,NAME")
    return made


def requested(values: Any) -> tuple[Path, tuple[str, ...]]:
    """The folder, and the tasks.

    Raises:
        UserError: if there is no such folder, or a name that W&B would not take.
    """
    out = Path(values.dir)
    if not out.is_dir():
        raise UserError(f"there is no folder {out}; name the one that was given as --out")
    for option in ("project", "entity"):
        check_wandb_name(option, values[option])
    tasks = () if values.task is None else tuple(name.strip() for name in values.task.split(",") if name.strip())
    if values.task is not None and not tasks:
        raise UserError("--task needs a task's name, or several with commas between")
    return out, tasks
