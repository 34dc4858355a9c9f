"""The fuzzers: a small part of each at every change, and thousands of cases where minutes do not count."""

import pytest

from architectures.kernels import native
from tests.forked_command import forked_command
from tests.fuzz import command_lines, guard, kernel_cases, option_values

# Children of the tests that fork do nothing that another thread could hold a lock on.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

QUICK_VALUES = 120
QUICK_KERNELS = 25
QUICK_COMMANDS = 8
COMMANDS, VALUES, KERNELS = 2000, 3000, 400
PARTS = 2
"""Processes that share the command lines."""


def fuzz_command_lines(*arguments):
    """Runs the fuzzer of command lines in a process of its own, from which it forks each case."""
    return command_lines.run_fuzzer(arguments)


def run_commands(tmp_path, *arguments, seconds):
    with forked_command(fuzz_command_lines, *arguments, folder=tmp_path) as fuzzer:
        status = fuzzer.wait(seconds)
        assert status == 0, fuzzer.output + fuzzer.errors


def test_values_of_options_are_taken_or_refused_in_a_line():
    assert list(option_values.find_faults(range(QUICK_VALUES))) == []


def test_kernels_compute_what_the_reference_does_or_refuse_it_alike():
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    assert list(kernel_cases.find_faults(range(QUICK_KERNELS))) == []


def test_command_lines_end_without_a_traceback(tmp_path):
    run_commands(tmp_path, "--light", "--count", str(QUICK_COMMANDS), seconds=200)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_thousands_of_command_lines_end_without_a_traceback(part, tmp_path):
    count = COMMANDS // PARTS
    run_commands(tmp_path, "--first", str(part * count), "--count", str(count), seconds=3500)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thousands_of_values_are_taken_or_refused_in_a_line():
    assert list(option_values.find_faults(range(VALUES))) == []


@pytest.mark.slow
def test_hundreds_of_kernel_cases_agree_with_the_reference():
    if reason := native.unavailable_reason():
        pytest.skip(reason)
    assert list(kernel_cases.find_faults(range(KERNELS))) == []


def outcome_of(function, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    return guard.run_guarded(function, folder, {"PATH": "/usr/bin"})


def misbehave_by_writing():
    open("../elsewhere", "w")  # noqa: SIM115


def misbehave_by_connecting():
    import socket

    socket.socket().connect(("192.0.2.1", 80))


def misbehave_by_starting_a_program():
    import subprocess

    subprocess.run(["true"])


def misbehave_by_printing():
    print("\x1b[2J" + "x" * 400)


def behave():
    with open("inside", "w") as file:
        file.write("fine")
    print("fine")
    return 3


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (misbehave_by_writing, "did what it must not: \"open for writing '../elsewhere'\""),
        (misbehave_by_connecting, "did what it must not: \"socket.connect ('192.0.2.1', 80)\""),
        (misbehave_by_starting_a_program, "did what it must not: \"subprocess.Popen ('true', ['true'])\""),
        (misbehave_by_printing, "a control character on stdout: '\\x1b[2J" + "x" * 96 + "'"),
        (misbehave_by_printing, "a line of more than 300 characters on stdout"),
        (misbehave_by_writing, "a traceback on stderr"),
    ],
)
def test_the_guard_finds_what_a_case_must_not_do(function, fault, tmp_path):
    assert fault in outcome_of(function, tmp_path).faults()


def test_the_guard_leaves_alone_what_it_may(tmp_path):
    outcome = outcome_of(behave, tmp_path)
    assert outcome.faults() == []
    assert (outcome.status, outcome.output) == (3, "fine\n")
    assert (tmp_path / "case" / "inside").read_text() == "fine"


def test_the_guard_ends_what_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "SECONDS", 0.2)
    outcome = outcome_of(lambda: __import__("time").sleep(60), tmp_path)
    assert outcome.status is None
    assert outcome.faults()[0].startswith("still running after")


def test_a_seed_makes_the_same_case_each_time():
    assert [str(command_lines.make_case(seed)) for seed in range(20)] == [
        str(command_lines.make_case(seed)) for seed in range(20)
    ]
