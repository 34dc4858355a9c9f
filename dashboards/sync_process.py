"""`wandb sync` in a process of its own, which ends with whoever started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dashboards.sync_log import SAID

CHILD = """
import os, signal, threading

def watch():
    # Ends when whoever started this has closed the pipe, or is gone; W&B's service ends with its parent.
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
from wandb.cli.cli import cli
cli(prog_name="wandb")
"""

SOON = {
    # W&B retries for hours or days; whoever waits for the command wants to know before.
    "WANDB__GRAPHQL_RETRY_MAX": "4",
    "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "8",
    "WANDB_HTTP_TIMEOUT": "30",
    "WANDB__FILE_STREAM_RETRY_MAX": "4",
    "WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "8",
    "WANDB__FILE_STREAM_TIMEOUT_SECONDS": "60",
    "WANDB__FILE_TRANSFER_RETRY_MAX": "4",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "8",
}
"""W&B's settings, where the environment does not set them."""
SIDE_BY_SIDE = 5
"""Records that it sends at the same time."""
OTHERS = frozenset(
    f"WANDB_{name}"
    for name in (
        *("SERVICE", "MODE", "DISABLED", "RESUME", "RUN_ID", "RUN_GROUP", "NAME", "NOTES", "TAGS", "JOB_TYPE"),
        *("SWEEP_ID", "PROJECT", "ENTITY"),
    )
)
"""Of the environment: what would change what is sent, or where, or by which process."""


def start(work: Path, files: Sequence[Path], project: str, entity: str) -> subprocess.Popen[bytes]:
    """Has W&B send its files; what it says and logs goes into the folder `work`."""
    options = ["--project", project, "--entity", entity, "-n", str(SIDE_BY_SIDE)]
    # -P: a file in the folder where the user happens to be is not to be taken for one of Python's modules.
    command = [sys.executable, "-P", "-c", CHILD, "sync", *options, *map(str, files)]
    with (work / SAID).open("wb") as said:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment(work), start_new_session=True
        )


def environment(work: Path) -> dict[str, str]:
    """That of `wandb sync`: the user's, with its logs where they are found, and an end to its patience."""
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    told = {"WANDB_DIR": str(work), "WANDB_SILENT": "false", "WANDB_QUIET": "false", "PYTHONUNBUFFERED": "1"}
    return SOON | kept | told


def end(child: subprocess.Popen[bytes]) -> None:
    """Ends `wandb sync` and its service at once."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()
