"""The command line that starts a worker."""

import shlex

from sweeps.storage_url import without_password
from sweeps.worker import WorkerConfig


def worker_command(order: WorkerConfig) -> str:
    """What to type on another machine, in any folder. It starts one worker, so that a task of a SLURM array is one.
    A password is not in it: PGPASSWORD or ~/.pgpass has it."""
    words = ["workbench", "sweep", "worker", "--storage", without_password(order.url)]
    words += ["--study", ",".join(order.names), "--out", str(order.out), "--workers", "1"]
    for name in ("threads", "heartbeat", "grace", "retries"):
        words += [f"--{name}", str(getattr(order, name))]
    return shlex.join(words)
