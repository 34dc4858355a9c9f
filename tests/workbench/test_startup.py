"""What only tells something imports nothing that takes seconds."""

import json
import subprocess
import sys

import pytest

import architectures
from workbench import tasks
from workbench.cli.main import COMMANDS

HEAVY = ("torch", "lightning", "pandas", "matplotlib", "seaborn", "scipy", "sklearn", "optuna", "wandb")
CODE = """
import contextlib, io, json, sys
from workbench.cli.main import main

imported = {}
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            status = main(command.split())
        except SystemExit as end:
            status = end.code
    assert status == 0 and output.getvalue(), command
    imported[command] = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps(imported))
"""
# Subcommands of a sweep read their options by Optuna's own types, and import it.
HELPS = [f"{name} --help" for name in COMMANDS]
TELLING = ["--help", "--version", "list", *HELPS, "dashboard build --help"]


def test_help_and_lists_need_no_library_that_is_slow_to_import() -> None:
    command = [sys.executable, "-c", CODE, json.dumps(TELLING), json.dumps(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {command: [] for command in TELLING}


@pytest.mark.parametrize("package", [architectures, tasks])
def test_what_a_package_imports_late_is_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert {*names} <= {*dir(package)}
    assert all(getattr(package, name) is not None for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing  # type: ignore[attr-defined]
