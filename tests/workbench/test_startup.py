"""What only tells something imports nothing that takes seconds."""

import json
import subprocess
import sys

import pytest

import architectures
from workbench import tasks
from workbench.cli.main import COMMANDS

HEAVY = ("torch", "lightning", "pandas", "matplotlib", "seaborn", "scipy", "sklearn", "optuna", "wandb")
BLOCK = """
import sys
from importlib.machinery import ModuleSpec

class Blocked:
    # In the way of every import of these libraries, which are there nevertheless for who asks whether they are.
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in sys.argv[1].split(",") else None

    def create_module(self, spec):
        raise AssertionError(f"{spec.name} is imported")

    def exec_module(self, module):
        raise AssertionError

sys.meta_path.insert(0, Blocked())
"""
TELL = """
import argparse, contextlib, io, json
from workbench.cli.completion import whole_parser
from workbench.cli.main import main

def walk(parser, *words):
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from walk(child, *words, name)

told = []
helps = [(*words, "--help") for words in walk(whole_parser())]
for arguments in [*helps, ("--version",), ("list",)]:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            status = main([*arguments])
        except SystemExit as end:
            status = end.code
        except AssertionError as error:
            sys.exit(f"{' '.join(arguments)}: {error}")
    assert status == 0 and output.getvalue(), arguments
    told.append(" ".join(arguments))
print(json.dumps(told))
"""


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, ",".join(HEAVY)], capture_output=True, text=True)


def test_help_of_every_command_and_lists_need_no_library_that_is_slow_to_import() -> None:
    done = run_code(BLOCK + TELL)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # The walk has reached the commands, and what is below them.
    assert {f"{name} --help" for name in COMMANDS} < {*told}
    assert {"--help", "list", "sweep run --help", "dashboard push --help"} < {*told}


@pytest.mark.parametrize("name", ["torch", "optuna"])
def test_a_blocked_library_cannot_be_imported_unnoticed(name: str) -> None:
    done = run_code(
        f"{BLOCK}\nfrom importlib.util import find_spec\nprint(find_spec({name!r}) is not None)\nimport {name}"
    )
    assert done.stdout == "True\n"
    assert f"AssertionError: {name} is imported" in done.stderr


@pytest.mark.parametrize("package", [architectures, tasks])
def test_what_a_package_imports_late_is_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert {*names} <= {*dir(package)}
    assert all(getattr(package, name) is not None for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing  # type: ignore[attr-defined]
