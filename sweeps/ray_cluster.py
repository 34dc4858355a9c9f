"""A Ray cluster, as those who have work for it use it."""

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
from workbench.errors import UserError
from workbench.files import one_line
from workbench.malloc import keep_memory

CONCURRENT_CALLS = 4
"""That a worker's process takes at a time: its work, news of it, its name, and a stop."""


class ConnectionLostError(Exception):
    """A process on the cluster is no more; the message says in a line how it came to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """A cluster that this process has joined.

    Args:
        ray: the module.
        order: what its workers do.
    """

    ray: Any
    order: WorkerConfig

    @property
    def needs(self) -> dict[str, float]:
        """What a worker takes of a node, by Ray's names."""
        return {"CPU": self.order.threads, **({"GPU": 1} if self.order.device == "cuda" else {})}

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """What Ray knows of each node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def room(self) -> int:
        """How many workers its nodes have place for, if nothing else runs there.

        Raises:
            UserError: if there is no place for a single one.
        """
        free: list[list[float]] = [
            [node["Resources"].get(name, 0) / amount for name, amount in self.needs.items()] for node in self.nodes
        ]
        places = sum(math.floor(min(each)) for each in free)
        if places == 0:
            wanted = " and ".join(f"{amount:g} {name}" for name, amount in self.needs.items())
            raise UserError(
                f"no node of the Ray cluster has {wanted} for a worker; ask for fewer --threads, or the cpu"
            )
        return places

    def machines(self) -> int:
        """How many machines it has, by their addresses."""
        return len({node["NodeManagerAddress"] for node in self.nodes})

    def hire(self) -> Any:
        """A process with a worker in it, on whichever node has room, now or later."""
        threads = str(self.order.threads)
        options = {
            "num_cpus": self.needs["CPU"],
            "num_gpus": self.needs.get("GPU", 0),
            "max_concurrency": CONCURRENT_CALLS,
            # For libraries that read it when imported.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}},
        }
        # What libpq reads, the password above all; not as part of what Ray shows of a process's environment.
        variables = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        return self.ray.remote(WorkerActor).options(**options).remote(self.order, tuple(sys.path), variables)

    def wait(self, asked: Sequence[Any], seconds: float) -> list[Any]:
        """Those of the answers that are there, after so many seconds or once one is.

        Raises:
            UserError: if the cluster itself is gone.
        """
        try:
            ready, _ = self.ray.wait(list(asked), timeout=seconds, fetch_local=False)
        except self.ray.exceptions.RayError as error:
            raise UserError(f"the Ray cluster is lost: {cause(error)}; the same command goes on from there") from None
        return list(ready)

    def answer(self, asked: Any) -> Any:
        """What a call returned.

        Raises:
            LostError: if its process is no more.
        """
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayError as error:
            raise ConnectionLostError(cause(error)) from None

    def kill(self, actor: Any) -> None:
        """Ends a process, if it has not ended yet."""
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor)


def cause(error: Exception) -> str:
    """How a process was lost, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A traceback from the node ends with what went wrong; all else that Ray says begins with it.
    raised = [line for line in lines if line.split(":")[0].endswith("Error")]
    return (raised or lines or [type(error).__name__])[-1 if raised else 0]


CONNECTING_SECONDS = 20
OBJECT_STORE_BYTES = 80 * 2**20
"""Of shared memory: the least that Ray takes, as workers share nothing but the store and the folder."""
CONNECT_SCRIPT = """
import logging, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
ray.nodes()
"""
"""Whether a cluster answers: Ray itself waits for minutes, and cannot be told to stop."""


@contextmanager
def join(address: str | None, order: WorkerConfig, workers: int | None) -> Iterator[RayCluster]:
    """Joins a cluster, and leaves it.

    Args:
        address: `auto`, or host:port; `None` begins one on this machine, reached by itself alone, which ends here too.
        order: what its workers are to do.
        workers: how many a cluster on this machine is to have room for; `None` for as many as it has processors for.

    Raises:
        UserError: if Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise UserError("--launcher ray needs Ray: pip install 'sequence-workbench[ray]'")
    # Read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    folder = None
    if address is None:
        # Some of its servers listen on all interfaces: only who has the token is let in.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Its sockets' paths are to be short, and no other cluster is to be mistaken for it.
        folder = tempfile.mkdtemp(prefix="ray-")
        cores = len(os.sched_getaffinity(0))
        how = {
            "address": "local",
            "num_cpus": max(order.threads, workers * order.threads if workers else cores),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    else:
        check_reachable(address)
        how = {"address": address}
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    before = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(**how, log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=False)
        except (ray.exceptions.RayError, RuntimeError, OSError, ValueError) as error:
            raise UserError(f"Ray could not be started: {one_line(error)}") from None
        finally:
            if threading.current_thread() is threading.main_thread():
                # Ray has taken it over.
                signal.signal(signal.SIGTERM, before)
        yield RayCluster(ray=ray, order=order)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def check_reachable(address: str) -> None:
    """Makes sure that a cluster answers.

    Raises:
        UserError: if none does.
    """
    if "://" in address:
        raise UserError(f"ray_address must be auto or HOST:PORT, not {address!r}; be on one of the cluster's machines")
    command = [sys.executable, "-c", CONNECT_SCRIPT, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CONNECTING_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"no Ray cluster answers at {address!r} within {CONNECTING_SECONDS} s; see whether it is running there"
        ) from None
    if done.returncode == -signal.SIGINT:
        # Ctrl-C reaches both.
        raise KeyboardInterrupt
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        told = (said[-1].partition(": ")[2] or said[-1]).split(". ")[0].rstrip(".")
        raise UserError(
            f"no Ray cluster can be used at {address!r}: {told}; name one that runs, or leave ray_address out to have "
            "one on this machine"
        )


POLL_EVENTS_SECONDS = 2.0
"""For which whoever asks for news waits for some."""
OVER, STOPPED, SPENT = "over", "stopped", "spent"
"""How work ends; all else that it returns is why it was refused."""


class WorkerActor:
    """A worker, its news, and a way to stop it; its methods are called in threads of their own.

    Args:
        order: what to do.
        path: where the one who started it finds modules, such as a user's own architectures.
        environment: variables that are set here unless they are already.
    """

    def __init__(self, order: WorkerConfig, path: Sequence[str], environment: Mapping[str, str]) -> None:
        # Before PyTorch takes its first memory.
        keep_memory()
        sys.path.extend(folder for folder in path if folder not in sys.path)
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self.order = order
        self._stop = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def name(self) -> str:
        """The machine it is on; that there is an answer says that the process has started."""
        return platform.node()

    def work(self) -> str:
        """Works until nothing is left, or until it is stopped.

        Returns:
            OVER, STOPPED, SPENT where another process is to go on, or in a line why something other than a trial is
            wrong.
        """
        listener = TrialListener(stop=lambda: self._stop, note=self._lines.put)
        try:
            TrialWorker(order=self.order, listener=listener).run()
        except WorkerUnusableError:
            return SPENT
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{one_line(error)}; free the way, then run the same command again"
        except Exception as error:
            return f"a worker failed: {type(error).__name__}: {one_line(error)}"
        finally:
            self._lines.put(None)
        return STOPPED if self._stop else OVER

    def news(self) -> list[str]:
        """The lines that a user should know since the last call; waits a while where there are none."""
        found: list[str | None] = []
        try:
            found.append(self._lines.get(timeout=POLL_EVENTS_SECONDS))
            while True:
                found.append(self._lines.get_nowait())
        except queue.Empty:
            return [line for line in found if line is not None]

    def stop(self) -> None:
        """Has the worker save its trial and put it down."""
        self._stop = True
