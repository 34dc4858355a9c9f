"""A Ray cluster that a command joins or starts, to have actors of its own there."""

import logging
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from workbench.cores import available_cores
from workbench.errors import UserError
from workbench.files import describe_error

MAX_CONCURRENT_CALLS = 4
"""Calls that an actor serves at the same time: its work, its log lines, its node, and a stop."""
CONNECT_TIMEOUT_SECONDS = 20
OBJECT_STORE_BYTES = 80 * 2**20
"""Shared memory of a cluster; Ray's minimum, as actors share nothing but files and, in a sweep, a store."""
CONNECT_SCRIPT = """
import logging, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
ray.nodes()
"""
"""Checks that a cluster answers, in a process of its own, as Ray itself waits for minutes and cannot be interrupted."""


class ActorLostError(Exception):
    """A process on the cluster has died; the message is the reason in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorKind:
    """What a command has on the cluster, and what each of them takes of a node.

    Args:
        name: what one is called in messages.
        remedy: what the user can do where no node has room for one.
        cpus: processors.
        gpus: GPUs, or a share of one.
        threads: of libraries that compute in the actor's process.
    """

    name: str
    remedy: str
    cpus: int
    gpus: float = 0
    threads: int = 1

    @property
    def amounts(self) -> dict[str, float]:
        """The amounts, by Ray's names of what is not zero."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """A cluster that this process has joined.

    Args:
        ray: the module `ray`.
        kind: what actors this process has there.
    """

    ray: Any
    kind: ActorKind

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Ray's description of each node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def capacity(self) -> int:
        """Returns how many actors the nodes have room for, if nothing else runs there.

        Raises:
            UserError: if there is no room for a single one.
        """
        amounts = self.kind.amounts
        ratios: list[list[float]] = [
            [node["Resources"].get(name, 0) / amount for name, amount in amounts.items()] for node in self.nodes
        ]
        capacity = sum(math.floor(min(node_ratios)) for node_ratios in ratios)
        if capacity == 0:
            needed = " and ".join(f"{amount:g} {name}" for name, amount in amounts.items())
            raise UserError(f"no node of the Ray cluster has {needed} for a {self.kind.name}; {self.kind.remedy}")
        return capacity

    def start_actor(self, actor: type, *arguments: Any) -> Any:
        """Starts an actor on any node that has room, now or later; returns its handle.

        Args:
            actor: its class.
            arguments: of its constructor. Unlike an environment, Ray shows them nowhere.
        """
        threads = str(self.kind.threads)
        options = {
            "num_cpus": self.kind.cpus,
            "num_gpus": self.kind.gpus,
            "max_concurrency": MAX_CONCURRENT_CALLS,
            # For libraries that read it when they are imported.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}},
        }
        return self.ray.remote(actor).options(**options).remote(*arguments)

    def wait(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Waits until a call has returned, or for so many seconds; returns the calls that have.

        Raises:
            UserError: if the cluster itself is lost.
        """
        try:
            ready, _ = self.ray.wait(list(calls), timeout=seconds, fetch_local=False)
        except self.ray.exceptions.RayError as error:
            raise UserError(
                f"the Ray cluster is lost: {loss_reason(error)}; run the same command again to resume"
            ) from None
        return list(ready)

    def result(self, call: Any) -> Any:
        """Returns the result of a call that has returned.

        Raises:
            ActorLostError: if its process has died.
        """
        try:
            return self.ray.get(call)
        except self.ray.exceptions.RayError as error:
            raise ActorLostError(loss_reason(error)) from None

    def kill(self, actor: Any) -> None:
        """Ends an actor's process, if it has not ended yet."""
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor)


def check_ray(address: str | None) -> None:
    """Makes sure that Ray is installed, and that a cluster answers if one is named.

    Args:
        address: `auto`, or host:port; `None` for a cluster that is yet to be started on this machine.

    Raises:
        UserError: if Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise UserError("--launcher ray needs Ray: pip install 'sequence-workbench[ray]'")
    if address is not None:
        check_reachable(address)


@contextmanager
def join_cluster(address: str | None, kind: ActorKind, count: int | None) -> Iterator[RayCluster]:
    """Joins a cluster that `check_ray` has found, and leaves it at the end.

    Args:
        address: `auto`, or host:port; `None` starts a cluster on this machine that only this machine can reach, and
            that ends here too.
        kind: what actors this process has there.
        count: how many actors a cluster on this machine has room for; `None` for as many as it has processors for.

    Raises:
        UserError: if Ray cannot be started.
    """
    # Read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Without a pattern by which every line is left out, it prints the log of a lost node on the standard output.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    folder = None
    options: dict[str, Any]
    if address is None:
        # Some of Ray's servers listen on all interfaces; they admit only clients that have the token.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # The paths of its sockets must be short, and no other cluster must be mistaken for it.
        folder = tempfile.mkdtemp(prefix="ray-")
        cores = available_cores()
        options = {
            "address": "local",
            "num_cpus": max(kind.cpus, count * kind.cpus if count else cores),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    else:
        options = {"address": address}
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    sigterm_handler = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=False)
        except (ray.exceptions.RayError, RuntimeError, OSError, ValueError) as error:
            raise UserError(f"Ray could not be started: {describe_error(error)}") from None
        finally:
            if threading.current_thread() is threading.main_thread():
                # Ray has replaced the handler.
                signal.signal(signal.SIGTERM, sigterm_handler)
        yield RayCluster(ray=ray, kind=kind)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def check_reachable(address: str) -> None:
    """Makes sure that a cluster answers.

    Raises:
        UserError: if no cluster answers.
    """
    if "://" in address:
        raise UserError(f"ray_address must be auto or HOST:PORT, not {address!r}; be on one of the cluster's machines")
    command = [sys.executable, "-c", CONNECT_SCRIPT, address]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=CONNECT_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"no Ray cluster answers at {address!r} within {CONNECT_TIMEOUT_SECONDS} s; see whether it is running there"
        ) from None
    if process.returncode == -signal.SIGINT:
        # Ctrl-C reaches both processes.
        raise KeyboardInterrupt
    if process.returncode != 0:
        lines = [line for line in process.stderr.splitlines() if line.strip()] or [f"status {process.returncode}"]
        reason = (lines[-1].partition(": ")[2] or lines[-1]).split(". ")[0].rstrip(".")
        raise UserError(
            f"no Ray cluster can be used at {address!r}: {reason}; name one that runs, or leave ray_address out to "
            "have one on this machine"
        )


def loss_reason(error: Exception) -> str:
    """Returns the reason why a process was lost, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A traceback from a node ends with the exception; all other messages of Ray begin with the reason.
    exceptions = [line for line in lines if line.split(":")[0].endswith("Error")]
    return exceptions[-1] if exceptions else (lines or [type(error).__name__])[0]
