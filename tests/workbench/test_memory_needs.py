"""What needs more memory than the machine has is refused before it is built, with the need in numbers."""

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.workbench.experiments import small
from workbench import memory_needs
from workbench.cli.main import main
from workbench.config import Budget
from workbench.errors import UserError
from workbench.memory_needs import check_memory, device_memory
from workbench.model import count_trainable_parameters, seeded_model
from workbench.run import run


@pytest.fixture
def kilobytes(monkeypatch):
    """Sets the memory of the machine."""
    return lambda count: monkeypatch.setattr(memory_needs, "device_memory", lambda device: 1000 * count)


@pytest.mark.parametrize(("optimizer", "momentum", "copies"), [("adam", 0, 4), ("rmsprop", 0.5, 4), ("sgd", 0, 2)])
def test_the_weights_are_counted_with_what_the_optimiser_keeps(optimizer, momentum, copies, kilobytes):
    experiment = small("lstm", architecture_options={"hidden_size": 99}, optimizer=optimizer, momentum=momentum)
    needed = 4 * copies * count_trainable_parameters(seeded_model(experiment)[1]) / 1000
    kilobytes(needed * 0.99)
    with pytest.raises(UserError, match=r"^lstm on addition needs at least \d+kB of memory, and this machine has"):
        check_memory(experiment)
    # The batch and the sets of data are small.
    kilobytes(needed * 1.2)
    check_memory(experiment)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"batch_size": 10**6}, r"a batch \(1,000,000 sequences of 8 steps\)$"),
        ({"evaluation_size": 10**6}, r"validation and test sets \(1,000,000 sequences of 8 steps each\)$"),
    ],
)
def test_the_largest_need_is_named(budget, said, kilobytes):
    kilobytes(10_000)
    with pytest.raises(UserError, match=said):
        check_memory(replace(small(), budget=Budget(**budget)))


def test_stored_data_is_no_larger_than_it_is(kilobytes):
    """All 360 digits, however many are asked for."""
    kilobytes(10_000)
    check_memory(replace(small(task="digits"), budget=Budget(evaluation_size=10**6)))


def test_a_run_that_is_too_large_is_not_begun(tmp_path, kilobytes):
    kilobytes(1)
    with pytest.raises(UserError, match="needs at least"):
        run(small(), tmp_path)


def test_this_machine_has_memory_for_the_experiments_of_tests():
    assert (device_memory("cpu") or 10**9) > 10**8
    check_memory(small())


@pytest.mark.parametrize(
    "options",
    [
        ["--architecture.lstm.num_layers", "1000000"],
        ["--hidden-size", "1000000"],
        ["--hidden-size", "9" * 30],
        ["--task.addition.length", "900000000"],
        ["--task.addition.length", "1" + "0" * 400],
        ["--batch-size", "1000000", "--task.addition.length", "100000"],
        ["--seeds", "1000000"],
        ["--steps", "1" + "0" * 20],
        ["--seconds", "1e300"],
        ["--workers", "100000"],
        ["--until", f"val/loss < 1, {'9' * 5000} times"],
        ["--learning-rate", "9" * 400],
    ],
)
def test_compare_refuses_what_no_machine_could_do_in_a_line_at_once(options, tmp_path, capsys):
    start = time.monotonic()
    command = ["compare", "--tasks", "addition", "--architectures", "lstm", *options, "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert time.monotonic() - start < 10
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("workbench: ")
    assert len(line) <= 300
    assert not [*(tmp_path / "out").glob("runs/*")]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["profile", "--architectures", "gru", "--lengths", "3"], "of it are for the weights and their gradients"),
        (["profile", "--architectures", "gru", "--lengths", "9999", "--hidden-size", "2"], "of it are for a batch"),
        (["analyze", "--untrained", "gru", "--task", "addition", "--out", "new"], "of it are for the weights"),
        (["train", "--task", "addition", "--architecture", "gru", "--wandb", "off", "--out", "new"], "needs at least"),
    ],
)
def test_so_does_every_command_that_builds_a_model(command, said, kilobytes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    kilobytes(10)
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_file_is_looked_for_where_it_was_named(tmp_path, monkeypatch):
    path = tmp_path / "elsewhere" / "mine.npz"
    path.parent.mkdir()
    np.savez(path, x=np.arange(40.0).reshape(20, 2, 1), y=np.arange(20) % 2)
    monkeypatch.chdir(tmp_path)
    check_memory(small(task="file:elsewhere/mine.npz"))
