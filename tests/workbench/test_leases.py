"""Leases: they hold between machines that share no locks, end with their holder, and are not taken from a live one."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.workbench.experiments import small
from workbench import leases, run_folder
from workbench.leases import (
    GRACE_SECONDS,
    LEASE_FILE,
    HeldError,
    Holder,
    Lease,
    LeaseWatch,
    end_lease,
    hold_lease,
    parse_holder,
    read_holder,
    take_lease,
)
from workbench.run import run
from workbench.run_folder import BusyError, find_holder, run_lock, see_holder


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of this process, of its lookouts and of its leases."""
    clock = Clock()
    monkeypatch.setattr(leases, "seconds_awake_or_not", clock)
    monkeypatch.setattr(run_folder, "_watch", LeaseWatch(clock))
    return clock


@contextmanager
def on_machine(name: str) -> Iterator[None]:
    """Lets this process be on another machine, whose locks it does not share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "_kernel_id", lambda: name)
        patch.setattr(run_folder, "LOCK_FILE", f".lock.{name}")
        yield


def take_elsewhere(folder: Path) -> Lease:
    with on_machine("elsewhere"):
        return take_lease(folder, LeaseWatch(), alone=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_lease_keeps_other_machines_away_as_long_as_its_holder_lives(tmp_path: Path, clock: Clock) -> None:
    holder, watch = take_elsewhere(tmp_path), LeaseWatch(clock)
    for _ in range(5):
        with pytest.raises(HeldError, match=f"process {os.getpid()} on "):
            take_lease(tmp_path, watch, alone=True)
        clock.seconds += GRACE_SECONDS - 1
        holder.renew()
    assert not holder.lost
    assert names(tmp_path) == {LEASE_FILE}


def test_a_silent_holder_is_dead_after_the_grace_and_notices_if_it_was_not(tmp_path: Path, clock: Clock) -> None:
    first, watch = take_elsewhere(tmp_path), LeaseWatch(clock)
    with pytest.raises(HeldError):
        take_lease(tmp_path, watch, alone=True)
    clock.seconds += GRACE_SECONDS - 0.1
    with pytest.raises(HeldError):
        take_lease(tmp_path, watch, alone=True)
    clock.seconds += 0.2
    second = take_lease(tmp_path, watch, alone=True)
    assert not first.confirm()
    first.renew()
    assert first.lost
    found = read_holder(tmp_path / LEASE_FILE)
    assert found is not None
    assert found.token == second.holder.token
    assert second.confirm()
    assert names(tmp_path) == {LEASE_FILE}


def test_nothing_depends_on_the_clocks_of_two_machines_being_the_same(tmp_path: Path, clock: Clock) -> None:
    """Neither the time in the file nor that of the file decides: both may be hours away from this machine's."""
    take_elsewhere(tmp_path)
    for moment in (1.0, 4e9):
        os.utime(tmp_path / LEASE_FILE, (moment, moment))
        with pytest.raises(HeldError):
            take_lease(tmp_path, LeaseWatch(clock), alone=True)


def test_what_a_killed_process_of_this_machine_has_left_is_taken_at_once(tmp_path: Path) -> None:
    """Only if the system's lock says that it has ended: without locks its signs of life are waited for."""
    take_lease(tmp_path, LeaseWatch(), alone=True)
    with pytest.raises(HeldError):
        take_lease(tmp_path, LeaseWatch(), alone=False)
    with run_lock(tmp_path) as lease:
        assert lease.confirm()
    assert names(tmp_path) == {".lock"}


def test_one_kernel_with_two_mounts_counts_as_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may keep the locks of each mount to itself."""
    first = leases.machine_id(tmp_path)
    assert first == leases.machine_id(tmp_path.parent)
    assert first != leases.machine_id(Path("/proc"))


def test_who_is_late_does_not_remove_the_lease_of_whoever_came_first(tmp_path: Path, clock: Clock) -> None:
    dead = take_elsewhere(tmp_path)
    path, seen = tmp_path / LEASE_FILE, read_holder(tmp_path / LEASE_FILE)
    assert seen is not None
    watches = [LeaseWatch(clock), LeaseWatch(clock)]
    assert end_lease(path, seen, watches[0])
    with on_machine("third"):
        present = take_lease(tmp_path, watches[0], alone=True)
    # The second one has found the first lease dead, too, and only now comes to remove it.
    assert not end_lease(path, seen, watches[1])
    dead.renew()
    assert dead.lost
    assert present.confirm()
    assert names(tmp_path) == {LEASE_FILE}


def test_a_holder_that_gives_a_sign_of_life_in_the_last_moment_keeps_its_lease(tmp_path: Path, clock: Clock) -> None:
    holder = take_elsewhere(tmp_path)
    seen = read_holder(tmp_path / LEASE_FILE)
    assert seen is not None
    holder.renew()
    assert not end_lease(tmp_path / LEASE_FILE, seen, LeaseWatch(clock))
    holder.renew()
    assert not holder.lost


def test_whoever_is_killed_while_it_removes_a_lease_blocks_it_for_a_grace_only(tmp_path: Path, clock: Clock) -> None:
    take_elsewhere(tmp_path)
    path, watch = tmp_path / LEASE_FILE, LeaseWatch(clock)
    seen = read_holder(path)
    assert seen is not None
    right = tmp_path / f"{LEASE_FILE}.{seen.token}.end"
    right.touch()
    watch.silence(path, seen.raw)
    for seconds in (GRACE_SECONDS, GRACE_SECONDS):
        clock.seconds += seconds
        with pytest.raises(HeldError):
            take_lease(tmp_path, watch, alone=True)
    assert not right.exists()
    take_lease(tmp_path, watch, alone=True)
    assert names(tmp_path) == {LEASE_FILE}


def test_a_lease_that_is_lost_is_not_removed_at_the_end(tmp_path: Path, clock: Clock) -> None:
    with ExitStack() as stack:
        with on_machine("elsewhere"):
            stack.enter_context(hold_lease(tmp_path, LeaseWatch(clock), alone=True))
        watch = LeaseWatch(clock)
        for _ in range(2):
            with pytest.raises(HeldError):
                take_lease(tmp_path, watch, alone=True)
            clock.seconds += GRACE_SECONDS / 2
        present = take_lease(tmp_path, watch, alone=True)
    present.renew()
    assert not present.lost


def test_a_lease_ends_with_its_context_and_leaves_nothing(tmp_path: Path) -> None:
    with hold_lease(tmp_path, LeaseWatch(), alone=False) as lease:
        (tmp_path / f"{LEASE_FILE}.{'0' * 32}.end").touch()
        leases.remove_leftovers(lease)
        assert names(tmp_path) == {LEASE_FILE}
    assert names(tmp_path) == set()


def test_signs_of_life_are_given_by_themselves_and_say_how_far_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.01)
    with hold_lease(tmp_path, LeaseWatch(), alone=False) as lease:
        first, lease.step = lease.path.read_bytes(), 17
        while (holder := read_holder(lease.path)) is None or holder.step != 17:
            pass
    assert len(holder.raw) == len(first) == leases.RECORD_BYTES


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links_has_leases_too(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    take_elsewhere(tmp_path)
    with pytest.raises(HeldError):
        take_lease(tmp_path, LeaseWatch(), alone=True)
    assert names(tmp_path) == {LEASE_FILE}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 2000,
        b"[" * 1000,
        b'{"host": 3, "machine": "m", "token": "t", "pid": 1, "step": 1}',
        b'{"host": "h", "machine": "m", "token": "../../../../../tmp/x", "pid": 1, "step": 1}',
        b'{"host": "h", "machine": "m", "token": "0123456789abcdef0123456789abcdef", "pid": 1e999, "step": 1}',
    ],
)
def test_a_file_that_is_no_lease_is_one_of_nobody_and_dead_after_the_grace(
    content: bytes, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / LEASE_FILE).write_bytes(content)
    assert parse_holder(content[: leases.RECORD_BYTES]).token == ""
    watch = LeaseWatch(clock)
    with pytest.raises(HeldError, match="a process"):
        take_lease(tmp_path, watch, alone=True)
    clock.seconds += GRACE_SECONDS
    take_lease(tmp_path, watch, alone=True)
    assert names(tmp_path) == {LEASE_FILE}


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_a_pipe_in_place_of_a_lease_is_not_followed(kind: str, tmp_path: Path, clock: Clock) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    path = tmp_path / "run" / LEASE_FILE
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    watch = LeaseWatch(clock)
    with pytest.raises(HeldError):
        take_lease(path.parent, watch, alone=True)
    clock.seconds += GRACE_SECONDS
    take_lease(path.parent, watch, alone=True).renew()
    assert target.read_text() == "mine"


def test_a_terminal_does_not_obey_the_name_of_a_machine() -> None:
    raw = b'{"host": "a\\u001b[2J\\n", "machine": "m", "token": "%s", "pid": 7, "step": -1}' % (b"0" * 32)
    assert str(parse_holder(raw)) == "process 7 on a?[2J?"
    assert parse_holder(raw).step == 0


def test_a_run_is_busy_and_shown_as_held_while_another_machine_is_at_work_on_it(tmp_path: Path, clock: Clock) -> None:
    holder, watch = take_elsewhere(tmp_path), LeaseWatch(clock)
    with pytest.raises(BusyError, match=f"{tmp_path} \\(process {os.getpid()} on "), run_lock(tmp_path):
        pass
    for seconds in (0.0, GRACE_SECONDS - 1):
        clock.seconds += seconds
        assert str(see_holder(tmp_path, watch)) == str(find_holder(tmp_path)) == str(holder.holder)
    clock.seconds += 1
    # Whoever only looks removes nothing.
    assert see_holder(tmp_path, watch) is None
    assert (tmp_path / LEASE_FILE).exists()
    assert find_holder(tmp_path) is None
    assert names(tmp_path) == {".lock"}


@pytest.mark.parametrize("machine", ["elsewhere", None])
def test_a_lock_that_a_server_keeps_for_a_dead_machine_is_removed_and_that_of_a_suspended_process_is_not(
    machine: str | None, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.01)
    if machine:
        take_elsewhere(tmp_path)
    else:
        take_lease(tmp_path, LeaseWatch(), alone=True)
    lock = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(BusyError), run_lock(tmp_path):
            pass
        clock.seconds += GRACE_SECONDS
        if machine:
            with run_lock(tmp_path) as lease:
                assert lease.confirm()
        else:
            with pytest.raises(BusyError), run_lock(tmp_path):
                pass
    finally:
        os.close(lock)


def test_a_run_that_another_machine_has_taken_meanwhile_is_left_to_it(tmp_path: Path, clock: Clock) -> None:
    """As after a suspension of hours: whatever it still had in mind to write is not written."""
    experiment = small("gru", steps=12, log_every=3)
    folder = run_folder.run_folder(tmp_path, experiment)
    rows: list[dict[str, float]] = []

    def suspend(row: dict[str, float]) -> None:
        rows.append(row)
        if len(rows) == 2:
            (folder / LEASE_FILE).unlink()
            take_elsewhere(folder)
            clock.seconds += GRACE_SECONDS

    with pytest.raises(BusyError, match="another process has taken"):
        run(experiment, tmp_path, on_row=suspend)
    assert [row["step"] for row in rows] == [3, 6]
    assert not (folder / "result.json").exists()
    found = read_holder(folder / LEASE_FILE)
    assert found is not None
    assert found.machine != leases.machine_id(folder)


def test_a_run_whose_last_write_fails_as_another_machine_has_it_is_no_failure(tmp_path: Path, clock: Clock) -> None:
    experiment = small("gru", steps=6, log_every=3)
    folder = run_folder.run_folder(tmp_path, experiment)

    def lose(row: dict[str, float]) -> None:
        (folder / LEASE_FILE).unlink()
        clock.seconds += GRACE_SECONDS
        raise FileNotFoundError("what the other one has cleared away")

    with pytest.raises(BusyError, match="another process has taken"):
        run(experiment, tmp_path, on_row=lose)


def test_nobody_is_a_holder_of_whom_nothing_is_known() -> None:
    assert str(Holder()) == "a process"
