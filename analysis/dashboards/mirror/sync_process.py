"""`wandb sync` as a child process that ends with its parent, and its log."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

CHILD_CODE = """
import os, runpy, signal, threading

def watch():
    # Ends when the parent has closed the pipe, or is gone; W&B's service ends with its parent.
    os.read(0, 1)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()
runpy.run_module("wandb", run_name="__main__")
"""

RETRY_LIMITS = {
    # W&B retries for hours or days, too long for somebody who waits for the command.
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
"""W&B's settings, unless the environment sets them."""
PARALLEL_UPLOADS = 5
"""Records that `wandb sync` sends at the same time."""
FOREIGN_VARIABLES = frozenset(
    f"WANDB_{name}"
    for name in (
        *("SERVICE", "MODE", "DISABLED", "RESUME", "RUN_ID", "RUN_GROUP", "NAME", "NOTES", "TAGS", "JOB_TYPE"),
        *("SWEEP_ID", "PROJECT", "ENTITY"),
    )
)
"""Variables of the environment that would change what is sent, its destination, or the process that sends it."""
OUTPUT_FILE = "said.txt"
"""Output of `wandb sync`, in the folder of its logs."""
UPLOADING_PARTS = re.compile(
    r"(?i)filestream|file transfer|runfiles|sender|runupserter|runreader|runsync|artifact|giving up"
)
"""Parts of W&B that send something of a run; errors in other parts lose nothing that is shown."""
SECRET_PATTERN = re.compile(r"\b[0-9A-Za-z_-]{40,}\b|(?<=://)[^/@\s]+@|(?<=\?)\S+")
"""Possible keys, user names and passwords in URLs, and signatures of URLs."""
MAX_LINE_LENGTH = 240


def start_sync(work: Path, files: Sequence[Path], project: str, entity: str) -> subprocess.Popen[bytes]:
    """Starts `wandb sync` for W&B's files; its output and logs go to the folder `work`.

    Args:
        work: an empty folder.
        files: absolute paths of the records' files.
        project: that they are sent to.
        entity: its owner.
    """
    options = ["--project", project, "--entity", entity, "-n", str(PARALLEL_UPLOADS)]
    # -P keeps Python from importing files of the user's working directory in place of its own modules.
    command = [sys.executable, "-P", "-c", CHILD_CODE, "sync", *options, *map(str, files)]
    with (work / OUTPUT_FILE).open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=sync_environment(work),
            # W&B takes over settings from the current folder, even the address of the server.
            cwd=work,
            start_new_session=True,
        )


def sync_environment(work: Path) -> dict[str, str]:
    """Returns the environment of `wandb sync`: the user's, with limited retries and logs below `work`."""
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    fixed = {"WANDB_DIR": str(work), "WANDB_SILENT": "false", "WANDB_QUIET": "false", "PYTHONUNBUFFERED": "1"}
    return RETRY_LIMITS | inherited | fixed


def kill_sync(process: subprocess.Popen[bytes]) -> None:
    """Ends `wandb sync` and its service at once."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def lost_records(work: Path) -> dict[Path, str]:
    """Returns the first logged error of each record that was not sent completely, by W&B's file of the record.

    The debug log is not a public interface of W&B, but nothing else tells: the exit status is 0 anyway.
    """
    lost: dict[Path, str] = {}
    for entry in logged_errors(work):
        if "sync_path" in entry and UPLOADING_PARTS.search(str(entry.get("msg"))):
            lost.setdefault(Path(str(entry["sync_path"])).resolve(), str(entry.get("error") or entry.get("msg")))
    return lost


def logged_errors(work: Path, pattern: str = "debug-sync*.log") -> Iterator[dict[str, object]]:
    """Yields the errors in the logs below a folder whose names match a pattern."""
    for path in sorted(work.rglob(pattern)):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                # An incomplete line that is still being written.
                continue
            if isinstance(entry, dict) and str(entry.get("level")).startswith("ERROR"):
                yield entry


def failure_reason(work: Path, files: Sequence[Path]) -> str | None:
    """Returns in one line why records were not sent: a logged error, else the last line that W&B printed."""
    lost = lost_records(work)
    if logged := next((lost[file] for file in files if file in lost), None):
        return redact_line(logged)
    output = (work / OUTPUT_FILE).read_text(encoding="utf-8", errors="replace")
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Error" in line]
    return redact_line((errors or lines)[-1]) if lines else None


def redact_line(text: str) -> str:
    """Returns a text as one line without secrets, control characters and W&B's prefix."""
    printable = (char if char.isprintable() else " " for char in re.sub(r"\x1b\[[0-9;]*m", "", text))
    plain = " ".join("".join(printable).split())
    plain = SECRET_PATTERN.sub("***", re.sub(r"^(wandb:\s*)?(ERROR\s*)?", "", plain))
    return plain if len(plain) <= MAX_LINE_LENGTH else plain[:MAX_LINE_LENGTH] + "..."
