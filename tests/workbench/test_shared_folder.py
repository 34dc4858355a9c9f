"""Several `compare` processes in one folder, on one machine or on many: no run twice, none lost, the same bits."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.forked_command import ForkedCommand, forked_command, run_command
from tests.workbench.test_run import assert_same
from workbench import leases
from workbench.files import write_json
from workbench.training.callbacks import checkpoint_file

OPTIONS = [
    *("compare", "--tasks", "addition", "--task.addition.length", "8", "--hidden-size", "5", "--batch-size", "4"),
    *("--evaluation-size", "6", "--workers", "1", "--device", "cpu", "--wandb", "off"),
]
NOBODY = ""


def compare(machine: str, grace: float, log: str, arguments: Sequence[str]) -> int:
    """Does what `workbench compare` does, with many checkpoints a second, and notes each result that is written.

    Args:
        machine: a machine whose locks no other one sees; empty for that of the test.
        grace: seconds after which a machine counts as dead.
        log: a file, to which the folder of a result is appended when it is written.
        arguments: of the command.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(checkpoint_file, "CHECKPOINT_SECONDS", 0.05)
    patch.setattr(leases, "GRACE_SECONDS", grace)
    patch.setattr(leases, "HEARTBEAT_SECONDS", grace / 20)
    if machine:
        patch.setattr(leases, "_kernel_id", lambda: machine)
        for module in ("run_folder", "run_queue"):
            patch.setattr(f"workbench.{module}.LOCK_FILE", f".lock-{machine}")

    def write_and_note(path: Path, value: object) -> None:
        if path.name == "result.json":
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{path.parent}\n")
        write_json(path, value)

    patch.setattr("workbench.run.write_json", write_and_note)
    return run_command([*OPTIONS, *arguments])


@contextmanager
def started(
    folders: Sequence[Path], machines: Sequence[str], grace: float, log: Path, arguments: Sequence[str]
) -> Iterator[list[ForkedCommand]]:
    """Starts a process for each machine."""
    with ExitStack() as stack:
        commands = []
        for folder, machine in zip(folders, machines, strict=True):
            folder.mkdir(exist_ok=True)
            command = forked_command(compare, machine, grace, str(log), arguments, folder=folder)
            commands.append(stack.enter_context(command))
        yield commands


def results(out: Path) -> dict[str, Path]:
    return {str(path.parent.relative_to(out)): path.parent for path in out.glob("runs/*/*/*/*/result.json")}


def check(alone: Path, shared: Path, log: Path) -> None:
    """Checks that two folders hold the same runs, and that what is left of several processes is nothing else."""
    expected, found = results(alone), results(shared)
    assert expected.keys() == found.keys()
    for name, folder in expected.items():
        assert_same(folder, found[name])
    assert Counter(log.read_text().splitlines()) == Counter(map(str, found.values()))
    for file in ("comparison.yaml", "report.html", "curves.csv"):
        assert (alone / file).exists()
        assert (shared / file).exists()
    assert (alone / "comparison.yaml").read_bytes() == (shared / "comparison.yaml").read_bytes()
    assert (alone / "curves.csv").read_bytes() == (shared / "curves.csv").read_bytes()
    hidden = {path.name for path in shared.rglob(".*")}
    known = {".made-by-report", ".comparison.lock", ".report.lock"}
    assert {name for name in hidden if not name.startswith(".lock")} <= known


def test_three_processes_share_a_folder_and_one_of_them_is_killed(tmp_path: Path) -> None:
    arguments = ["--architectures", "rnn,gru", "--seeds", "2", "--steps", "150", "--log-every", "50"]
    folders = [tmp_path / name for name in "abc"]
    log, out = tmp_path / "log", tmp_path / "shared"
    with started(folders, [NOBODY] * 3, 120.0, log, [*arguments, "--out", str(out)]) as commands:
        commands[0].wait_until(lambda: list(out.glob("runs/*/*/*/*/last.ckpt")))
        commands[0].signal_group(signal.SIGKILL)
        assert [command.wait() for command in commands] == [-signal.SIGKILL, 0, 0], commands[1].errors
    assert "[4/4]" in commands[1].errors
    assert "[4/4]" in commands[2].errors
    arguments += ["--out", str(tmp_path / "one")]
    with started([tmp_path / "d"], [NOBODY], 120.0, tmp_path / "log-alone", arguments) as alone:
        assert alone[0].wait() == 0
    check(tmp_path / "one", out, log)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machines", [[NOBODY] * 3, ["first", "second", "third"]], ids=["one machine", "three"])
def test_ten_kills_among_three_processes_lose_no_run_and_repeat_none(tmp_path: Path, machines: list[str]) -> None:
    """What was killed is started again at once, on the same machine or on one that shares no locks with the others."""
    arguments = ["--architectures", "rnn,gru,lstm", "--seeds", "4", "--steps", "6000", "--log-every", "200"]
    grace, log, out = 10.0, tmp_path / "log", tmp_path / "shared"
    moments = random.Random(7)
    with ExitStack() as stack:

        def start(index: int, attempt: int) -> ForkedCommand:
            places = [tmp_path / f"{index}-{attempt}"]
            running = started(places, [machines[index]], grace, log, [*arguments, "--out", str(out)])
            return stack.enter_context(running)[0]

        commands = [start(index, 0) for index in range(3)]
        kills = 0
        while kills < 10:
            time.sleep(moments.uniform(0.2, 3.0))
            index = moments.randrange(3)
            if commands[index].process.exitcode is not None:
                break
            command = commands[index]
            while os.getpgid(command.pid) != command.pid:
                time.sleep(0.01)
            # With its workers, or without: then they notice.
            (command.signal_group if moments.random() < 0.5 else command.signal)(signal.SIGKILL)
            assert command.wait() == -signal.SIGKILL
            kills += 1
            commands[index] = start(index, kills)
        assert kills == 10, "it was over before ten kills"
        assert [command.wait(900) for command in commands] == [0, 0, 0], [command.errors for command in commands]
    place = [tmp_path / "alone"]
    with started(place, [NOBODY], grace, tmp_path / "log-alone", [*arguments, "--out", str(tmp_path / "one")]) as alone:
        assert alone[0].wait(900) == 0
    check(tmp_path / "one", out, log)
