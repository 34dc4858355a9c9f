"""`wandb sync` in a process of its own, which ends with whoever started it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

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
    with (work / LOG_FILE).open("wb") as said:
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


LOG_FILE = "said.txt"
"""What it printed, in the folder of its logs."""
CARRIERS = re.compile(r"(?i)filestream|file transfer|runfiles|sender|runupserter|runreader|runsync|artifact|giving up")
"""Parts of W&B by which something of a run is sent: what goes wrong in others costs nothing that it shows."""
SECRET = re.compile(r"\b[0-9A-Za-z_-]{40,}\b|(?<=://)[^/@\s]+@|(?<=\?)\S+")
"""What may be a key, who signs in by a URL, and the signature of one."""
MAX_LINE_LENGTH = 240


def losses(work: Path) -> dict[Path, str]:
    """By W&B's file of each record, what was logged of a failure to send something of it; the first is the cause."""
    found: dict[Path, str] = {}
    for line in errors(work):
        if "sync_path" in line and CARRIERS.search(str(line.get("msg"))):
            found.setdefault(Path(str(line["sync_path"])).resolve(), str(line.get("error") or line.get("msg")))
    return found


def errors(work: Path) -> Iterator[dict[str, object]]:
    """Lines of the logs below a folder that tell of an error."""
    for path in sorted(work.rglob("debug-sync*.log")):
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                # Not yet written to its end.
                continue
            if isinstance(line, dict) and str(line.get("level")).startswith("ERROR"):
                yield line


def reason(work: Path, files: Sequence[Path]) -> str | None:
    """In a line, why records were not sent: what W&B has logged of them, else the last thing that it said."""
    logged = losses(work)
    if found := next((logged[file] for file in files if file in logged), None):
        return redact_line(found)
    lines = (work / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip()]
    told = [line for line in said if "ERROR" in line or "Error" in line]
    return redact_line((told or said)[-1]) if said else None


def redact_line(text: str) -> str:
    """Without what a terminal would obey, line breaks and what W&B puts before each line; and without secrets."""
    printable = (char if char.isprintable() else " " for char in re.sub(r"\x1b\[[0-9;]*m", "", text))
    plain = " ".join("".join(printable).split())
    plain = SECRET.sub("***", re.sub(r"^(wandb:\s*)?(ERROR\s*)?", "", plain))
    return plain if len(plain) <= MAX_LINE_LENGTH else plain[:MAX_LINE_LENGTH] + "..."
