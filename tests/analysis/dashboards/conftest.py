"""Fixture: a comparison with probes and a small sweep, mirrored offline by the commands that a user runs."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.shared_fixture import make_once
from workbench.cli.main import main

SMALL = [
    *("--steps", "20", "--batch-size", "4", "--log-every", "5", "--evaluation-size", "10", "--hidden-size", "4"),
    *("--workers", "1", "--task.addition.length", "8", "--tasks", "addition", "--seeds", "1", "--logger", "csv"),
]


def write_results(out: Path) -> None:
    """Runs the commands that compare, probe and tune."""
    assert main(["compare", "--architectures", "gru,rda-exp-tanh", *SMALL, "--out", str(out)]) == 0
    probes = ["--probes", "memory_length,discount_dynamics", "--sequences", "4", "--workers", "1"]
    assert main(["analyze", str(out), *probes]) == 0
    pruned = ["--pruner", "median", "--startup-trials", "1"]
    assert main(["sweep", "run", "--architectures", "rnn", *SMALL, "--trials", "3", *pruned, "--out", str(out)]) == 0


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory):
    """The folder of results; not to be changed."""
    for needed in ("wandb", "optuna"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    return make_once(tmp_path_factory, "mirrored", write_results)
