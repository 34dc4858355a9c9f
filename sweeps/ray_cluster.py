"""A Ray cluster that a sweep joins or starts, and the actor that holds a worker."""

import logging
import math
import os
import platform
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sweeps.objective import WorkerUnusableError
from sweeps.worker import TrialListener, TrialWorker, WorkerConfig
from workbench.cores import available_cores
from workbench.errors import UserError
from workbench.files import describe_error
from workbench.malloc import keep_memory

MAX_CONCURRENT_CALLS = 4
"""Calls that an actor serves at the same time: its work, its log lines, its node, and a stop."""
CONNECT_TIMEOUT_SECONDS = 20
OBJECT_STORE_BYTES = 80 * 2**20
"""Shared memory of a cluster; Ray's minimum, as workers share nothing but the store and the folder of results."""
CONNECT_SCRIPT = """
import logging, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
ray.nodes()
"""
"""Checks that a cluster answers, in a process of its own, as Ray itself waits for minutes and cannot be interrupted."""
LOG_WAIT_SECONDS = 2.0
"""Seconds that a call for log lines waits for a line."""
DONE, STOPPED, UNUSABLE = "done", "stopped", "unusable"
"""Results of an actor's work; any other result is an error message."""


class WorkerLostError(Exception):
    """A process on the cluster has died; the message is the reason in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """A cluster that this process has joined.

    Args:
        ray: the module `ray`.
        config: configuration of the workers.
    """

    ray: Any
    config: WorkerConfig

    @property
    def worker_resources(self) -> dict[str, float]:
        """Resources of a node that a worker takes, by Ray's names."""
        return {"CPU": self.config.threads, **({"GPU": 1} if self.config.device == "cuda" else {})}

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Ray's description of each node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def capacity(self) -> int:
        """Returns how many workers the nodes have room for, if nothing else runs there.

        Raises:
            UserError: if there is no room for a single worker.
        """
        ratios: list[list[float]] = [
            [node["Resources"].get(name, 0) / amount for name, amount in self.worker_resources.items()]
            for node in self.nodes
        ]
        capacity = sum(math.floor(min(node_ratios)) for node_ratios in ratios)
        if capacity == 0:
            needed = " and ".join(f"{amount:g} {name}" for name, amount in self.worker_resources.items())
            raise UserError(
                f"no node of the Ray cluster has {needed} for a worker; ask for fewer --threads, or the cpu"
            )
        return capacity

    def count_machines(self) -> int:
        """Returns the number of machines, by their addresses."""
        return len({node["NodeManagerAddress"] for node in self.nodes})

    def start_worker(self) -> Any:
        """Starts an actor with a worker on any node that has room, now or later; returns its handle."""
        threads = str(self.config.threads)
        options = {
            "num_cpus": self.worker_resources["CPU"],
            "num_gpus": self.worker_resources.get("GPU", 0),
            "max_concurrency": MAX_CONCURRENT_CALLS,
            # For libraries that read it when they are imported.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}},
        }
        # Variables of libpq, above all the password; not in `runtime_env`, which Ray shows.
        variables = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        return self.ray.remote(WorkerActor).options(**options).remote(self.config, tuple(sys.path), variables)

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
            WorkerLostError: if its process has died.
        """
        try:
            return self.ray.get(call)
        except self.ray.exceptions.RayError as error:
            raise WorkerLostError(loss_reason(error)) from None

    def kill(self, actor: Any) -> None:
        """Ends an actor's process, if it has not ended yet."""
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor)


class WorkerActor:
    """A Ray actor with a worker. Its methods are called from other processes, each in a thread of its own.

    Args:
        config: configuration of the worker.
        path: `sys.path` of the process that starts it, which may have a user's own architectures.
        environment: variables that are set here, unless they are set already.
    """

    def __init__(self, config: WorkerConfig, path: Sequence[str], environment: Mapping[str, str]) -> None:
        # Before PyTorch takes its first memory.
        keep_memory()
        sys.path.extend(folder for folder in path if folder not in sys.path)
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self.config = config
        self._stop = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def node_name(self) -> str:
        """Returns the name of the machine; any answer shows that the process has started."""
        return platform.node()

    def run(self) -> str:
        """Works until no trial is left, or until it is stopped.

        Returns:
            DONE, STOPPED, UNUSABLE if another process has to take over, or an error message in one line if something
            other than a trial is wrong.
        """
        listener = TrialListener(stop=lambda: self._stop, log=self._lines.put)
        try:
            TrialWorker(config=self.config, listener=listener).run()
        except WorkerUnusableError:
            return UNUSABLE
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{describe_error(error)}; fix this, then run the same command again"
        except Exception as error:
            return f"a worker failed: {type(error).__name__}: {describe_error(error)}"
        finally:
            # Ends a call that waits for lines.
            self._lines.put(None)
        return STOPPED if self._stop else DONE

    def log_lines(self) -> list[str]:
        """Returns the lines that the worker has logged since the last call; waits a while if there are none."""
        lines: list[str | None] = []
        try:
            lines.append(self._lines.get(timeout=LOG_WAIT_SECONDS))
            while True:
                lines.append(self._lines.get_nowait())
        except queue.Empty:
            return [line for line in lines if line is not None]

    def stop(self) -> None:
        """Makes the worker save its trial and stop."""
        self._stop = True


@contextmanager
def join_cluster(address: str | None, config: WorkerConfig, workers: int | None) -> Iterator[RayCluster]:
    """Joins a cluster, and leaves it at the end.

    Args:
        address: `auto`, or host:port; `None` starts a cluster on this machine that only this machine can reach, and
            that ends here too.
        config: configuration of the workers.
        workers: how many workers a cluster on this machine has room for; `None` for as many as it has processors for.

    Raises:
        UserError: if Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise UserError("--launcher ray needs Ray: pip install 'sequence-workbench[ray]'")
    # Read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
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
            "num_cpus": max(config.threads, workers * config.threads if workers else cores),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    else:
        check_reachable(address)
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
        yield RayCluster(ray=ray, config=config)
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
