"""Joining a Ray cluster by its address, or beginning one on this machine that ends again."""

import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from sweeps.ray_cluster import RayCluster
from sweeps.worker import Order
from workbench.errors import UserError
from workbench.files import one_line

CONNECTING_SECONDS = 20
OBJECT_STORE_BYTES = 80 * 2**20
"""Of shared memory: the least that Ray takes, as workers share nothing but the store and the folder."""
TRY = """
import logging, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
ray.nodes()
"""
"""Whether a cluster answers: Ray itself waits for minutes, and cannot be told to stop."""


@contextmanager
def joined(address: str | None, order: Order, workers: int | None) -> Iterator[RayCluster]:
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
        reach(address)
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


def reach(address: str) -> None:
    """Makes sure that a cluster answers.

    Raises:
        UserError: if none does.
    """
    if "://" in address:
        raise UserError(f"ray_address must be auto or HOST:PORT, not {address!r}; be on one of the cluster's machines")
    command = [sys.executable, "-c", TRY, address]
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
