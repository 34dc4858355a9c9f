"""Pools whose processes are forked from a server that has imported PyTorch and Lightning once.

A spawned process takes three seconds of a core to import them, and tests start some hundred processes. What is started
here has the environment and the working directory of the test, as a spawned process has; only the imports are shared.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from workbench import process_pool
from workbench.spawned import pack, run_packed

SPAWN_PROCESS = process_pool.start_process
"""The function that the package itself uses."""
CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = [
    *("lightning.pytorch", "workbench.training.trainer", "workbench.run", "workbench.run_pool"),
    *("alembic.command", "sklearn.datasets", "sqlalchemy.orm"),
    *("sweeps.local_launcher", "sweeps.worker", "sweeps.storage", "analysis.probes.parallel", "tests.preloaded"),
]
"""Modules that a process of a pool imports, those too that it imports only once it trains."""


def start_process(target: Callable[..., None], *arguments: Any, threads: int) -> tuple[Connection, BaseProcess]:
    """Starts a process as `process_pool.start_process` does, from the server."""
    ours, theirs = CONTEXT.Pipe()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    process = CONTEXT.Process(target=run, args=(environment, theirs, pack(target, arguments)), daemon=True)
    resource_tracker.ensure_running()
    process.start()
    theirs.close()
    return ours, process


def run(environment: Mapping[str, str], connection: Connection, packed: bytes) -> None:
    """Makes a packed call in the environment of the process that asked for it."""
    os.environ.clear()
    os.environ.update(environment)
    run_packed(connection, packed)


@contextmanager
def forked_pools() -> Iterator[None]:
    """Lets pools fork their processes while it lasts."""
    CONTEXT.set_forkserver_preload(PRELOADED)
    # Now, with the environment and the working directory as they are: the first test that needs it may change them.
    forkserver.ensure_running()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_pool, "start_process", start_process)
        yield
