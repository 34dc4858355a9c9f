"""A Ray cluster of several nodes on this machine, of which one can be lost."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

MEMORY = 80 * 2**20
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(int(sys.argv[1]))]
print("READY", cluster.address, *(node.all_processes["raylet"][0].process.pid for node in nodes), flush=True)
cluster.remove_node(nodes[int(sys.stdin.readline())], allow_graceful=False)
print("REMOVED", flush=True)
sys.stdin.read()
cluster.shutdown()
"""
"""Runs in a process of its own, as Ray prints many warnings and replaces signal handlers."""


@dataclass(frozen=True, kw_only=True)
class RayNodes:
    """Nodes with a processor each, beside a head that has none.

    Args:
        process: the process that has started them.
        address: of the cluster.
        raylets: the process id of each node's main process.
        environment: of the processes that join the cluster.
    """

    process: Any
    address: str
    raylets: tuple[int, ...]
    environment: dict[str, str]

    def node_of(self, pid: int) -> int | None:
        """Returns the index of the node that a process belongs to, by its ancestors; `None` if it has ended."""
        while pid not in self.raylets:
            if pid <= 1:
                return None
            pid = parent_pid(pid)
        return self.raylets.index(pid)

    def remove(self, index: int) -> None:
        """Kills a node."""
        self.process.stdin.write(f"{index}\n")
        self.process.stdin.flush()
        wait_for_line(self.process, "REMOVED")


@contextmanager
def ray_nodes(count: int) -> Iterator[RayNodes]:
    """Starts a cluster, which ends with the context."""
    folder = tempfile.mkdtemp(prefix="ray-")  # Short, for the sockets in it.
    environment = {
        **os.environ,
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0" * 64,
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(count)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        address, *raylets = wait_for_line(process, "READY")
        yield RayNodes(process=process, address=address, raylets=tuple(map(int, raylets)), environment=environment)
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_line(process: Any, word: str) -> list[str]:
    """Returns the other words of the next line that begins with a word."""
    for line in process.stdout:
        if line.startswith(word):
            return list(line.split()[1:])
    raise AssertionError(f"the cluster ended without {word}")


def parent_pid(pid: int) -> int:
    """Returns the process id of a process's parent; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def descendants(pid: int) -> set[int]:
    """Returns the ids of the processes that a process has started, and of those that they have, and so on."""
    found: set[int] = set()
    parents = {int(path.name): parent_pid(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found
