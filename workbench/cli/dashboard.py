"""`workbench dashboard`: the W&B workspace of a folder of results, as a file and in W&B."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from architectures.suggest import did_you_mean
from workbench.cli.options import check_wandb_name, existing_folder
from workbench.cli.parser import Parser
from workbench.errors import UserError

HELP = """usage: workbench dashboard COMMAND [options]

The W&B workspace of a folder of results: sections for learning, every probe, cost, sweeps and the report.

commands:
  build     write the workspace as JSON; no account and no network are needed
  push      send the workspace, and a report of text and panels, to W&B

workbench dashboard COMMAND --help shows the options of a command.

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
PUSH = """Send the W&B workspace of the runs below DIR, and a report of the results, to W&B.

The account is checked first (wandb login, or WANDB_API_KEY). Pushing again replaces what was pushed from this folder to
the same project for the same tasks; DIR/wandb/dashboard.json remembers it. The runs themselves are sent by
workbench sync."""
PUSH_EXAMPLES = """examples:
  workbench dashboard push results
  workbench dashboard push results --entity my-team --project sequence-workbench --task copy
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    commands: dict[str, Callable[[list[str]], int]] = {"build": build, "push": push}
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if arguments else 2
    name = arguments[0]
    if name not in commands:
        raise UserError(f"unknown command 'dashboard {name}'{did_you_mean(name, commands)}")
    return commands[name](arguments[1:])


def build(arguments: list[str]) -> int:
    """Runs `workbench dashboard build`; returns the exit status."""
    values = PARSERS["build"]().parse_args(arguments)
    out, tasks = check_selection(values)
    path = out / "dashboard.json" if values.out is None else Path(values.out)
    from analysis.dashboards.mirror.state import resolve_destination
    from analysis.dashboards.workspace import serialization
    from analysis.dashboards.workspace.build import build_workspace

    serialization.check_replaceable(path)
    destination = resolve_destination(out, values.project, values.entity)
    workspace = build_workspace(out, entity=destination.entity or "", project=destination.project, tasks=tasks)
    serialization.write_workspace(workspace, path)
    panels = sum(len(section.panels) for section in workspace.sections)
    print(f"{path}: {panels} panels in {', '.join(section.name for section in workspace.sections)}")
    return 0


def push(arguments: list[str]) -> int:
    """Runs `workbench dashboard push`; returns the exit status."""
    values = PARSERS["push"]().parse_args(arguments)
    out, tasks = check_selection(values)
    from analysis.dashboards.workspace.panels import load_library

    load_library()
    from analysis.dashboards.mirror.account import fetch_account
    from analysis.dashboards.mirror.state import resolve_destination

    # Asked even if the entity is known: without an account W&B would let the user wait, or ask for a key.
    account = fetch_account()
    destination = resolve_destination(out, values.project, values.entity)
    entity = destination.entity or account.entity
    if entity is None:
        raise UserError("W&B does not say whose the workspace is to be; name a user or a team: --entity NAME")
    from analysis.dashboards.workspace import push as pushing

    pushed = pushing.push(out, entity=entity, project=destination.project, tasks=tasks)
    print(f"workspace: {pushed.workspace}")
    print(f"report: {pushed.report}")
    return 0


def build_parser(name: str, description: str, examples: str) -> Parser:
    """Returns a parser with the options that both commands share."""
    parser = Parser(prog=f"workbench dashboard {name}", description=description, examples=examples)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    parser.add_argument("--entity", type=str, default=None, help="the W&B user or team; the account's own by default")
    parser.add_argument("--project", type=str, default=None, help="the W&B project; that of the mirror by default")
    parser.add_argument("--task", type=str, default=None, help="show these tasks alone: NAME,NAME", metavar="NAME,NAME")
    return parser


def build_parser_of_build() -> Parser:
    """Returns the parser of `workbench dashboard build`."""
    parser = build_parser("build", BUILD, BUILD_EXAMPLES)
    parser.add_argument("--out", type=str, default=None, help="the file to write; DIR/dashboard.json by default")
    return parser


PARSERS: Mapping[str, Callable[[], Parser]] = {
    "build": build_parser_of_build,
    "push": lambda: build_parser("push", PUSH, PUSH_EXAMPLES),
}
"""The parser of each command."""


def check_selection(values: Any) -> tuple[Path, tuple[str, ...]]:
    """Returns the folder of results and the tasks that were named; no tasks if all are to be shown.

    Raises:
        UserError: if there is no such folder, or W&B would not accept a name.
    """
    out = existing_folder(values.dir)
    for option in ("project", "entity"):
        check_wandb_name(option, values[option])
    tasks = () if values.task is None else tuple(name.strip() for name in values.task.split(",") if name.strip())
    if values.task is not None and not tasks:
        raise UserError("--task needs a task's name, or several with commas between")
    return out, tasks
