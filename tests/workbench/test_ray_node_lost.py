"""A Ray cluster of three nodes on this machine, one of which is lost while its job trains; and one of a command."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.ray_nodes import descendants, ray_nodes
from tests.workbench.test_run import assert_same
from workbench.leases import LEASE_FILE, read_holder
from workbench.locks import is_locked
from workbench.run_folder import LOCK_FILE

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sequence-workbench[ray]'")

RUNS = 6
COMMAND = [
    *(sys.executable, "-m", "workbench", "compare", "--tasks", "addition", "--task.addition.length", "12"),
    *("--architectures", "rnn,gru", "--seeds", "3", "--steps", "3000", "--log-every", "500"),
    *("--batch-size", "4", "--hidden-size", "6", "--evaluation-size", "10", "--device", "cpu", "--wandb", "off"),
]


def results(out: Path) -> dict[str, Path]:
    return {str(path.parent.relative_to(out)): path for path in out.glob("runs/*/*/*/*/result.json")}


def stamp(path: Path) -> tuple[int, int]:
    """What changes if a file is written again."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_node_that_is_lost_costs_a_comparison_nothing_but_time(tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    finished: dict[str, tuple[int, int]] = {}

    def look() -> dict[int, tuple[int, Path]]:
        """Notes what is finished; returns the nodes at work, each with the process that trains and its run."""
        for name, path in results(out).items():
            finished.setdefault(name, stamp(path))
        found = {}
        for path in out.glob(f"runs/*/*/*/*/{LEASE_FILE}"):
            holder = read_holder(path)
            node = None if holder is None else cluster.node_of(holder.pid)
            if holder is not None and node is not None:
                found[node] = (holder.pid, path.parent)
        return found

    with ray_nodes(3) as cluster, (tmp_path / "log").open("w") as log:
        arguments = [*COMMAND, "--launcher", "ray", "--ray-address", cluster.address, "--job-count", "2", "--out"]
        command = subprocess.Popen(
            [*arguments, str(out)], env=cluster.environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            # Both jobs are at work, and one of them has trained for a while.
            working = look()
            while len(working) < 2 or not any((run / "metrics.csv").exists() for _, run in working.values()):
                assert command.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.02)
                working = look()
            lost = next(node for node, (_, run) in working.items() if (run / "metrics.csv").exists())
            processes = descendants(cluster.raylets[lost])
            assert working[lost][0] in processes
            cluster.remove(lost)
            later: set[int] = set()
            while command.poll() is None:
                time.sleep(0.05)
                later |= {*look()}
        finally:
            command.kill()
            command.wait()
        output = (tmp_path / "log").read_text()
        assert command.returncode == 0, output
        assert "2 jobs are started on Ray" in output
        assert {0, 1, 2} - {*working} <= later, "the free node has not been taken"
        assert "another is started in its place" in output
        assert "Traceback" not in output
        assert "(raylet)" not in output, "Ray says at length what one line says"
        # What ran there has not gone on beside the others, and all jobs have ended with the command.
        for pid in processes | {pid for raylet in cluster.raylets for pid in descendants(raylet)}:
            assert b"attached_command" not in cmdline(pid)
        assert len(list((out / "jobs").glob("ray-*-*.log"))) == 3

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*COMMAND, "--workers", "1", "--out", str(alone)], env=environment, capture_output=True, check=True)
    expected, found = results(alone), results(out)
    assert len(found) == RUNS
    assert expected.keys() == found.keys()
    for name, path in expected.items():
        assert_same(path.parent, found[name].parent)
        # A run that was finished once was not run again.
        assert finished.get(name, stamp(found[name])) == stamp(found[name])
    assert len(finished) >= RUNS - 1
    assert list(out.rglob(f"{LEASE_FILE}*")) == []
    assert not any(is_locked(path) for path in out.rglob(LOCK_FILE))
    assert list(out.rglob(".*.tmp")) == []
    assert (out / "report.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_without_an_address_a_command_has_a_cluster_of_its_own(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": tempfile.mkdtemp(prefix="t", dir="/tmp")}
    arguments = [*COMMAND, "--steps", "200", "--out", str(tmp_path / "out")]
    try:
        done = subprocess.run(
            [*arguments, "--launcher", "ray", "--job-count", "2"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "2 jobs are started on Ray" in done.stderr
        assert f"[{RUNS}/{RUNS}]" in done.stderr
        assert len(results(tmp_path / "out")) == RUNS
        # Ray has left nothing.
        assert list(Path(environment["TMPDIR"]).glob("ray-*")) == []
    finally:
        shutil.rmtree(environment["TMPDIR"])
    for path in (tmp_path / "out/jobs").glob("*.log"):
        assert f"[{RUNS}/{RUNS}]" in path.read_text()


def cmdline(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
