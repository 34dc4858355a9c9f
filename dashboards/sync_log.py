"""What `wandb sync` tells of what it did not send: only its log does, as it ends with status 0 all the same."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

SAID = "said.txt"
"""What it printed, in the folder of its logs."""
CARRIERS = re.compile(r"(?i)filestream|file transfer|runfiles|sender|runupserter|runreader|runsync|artifact|giving up")
"""Parts of W&B by which something of a run is sent: what goes wrong in others costs nothing that it shows."""
SECRET = re.compile(r"\b[0-9A-Za-z_-]{40,}\b|(?<=://)[^/@\s]+@|(?<=\?)\S+")
"""What may be a key, who signs in by a URL, and the signature of one."""
LONG = 240


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
        return clean(found)
    lines = (work / SAID).read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.strip()]
    told = [line for line in said if "ERROR" in line or "Error" in line]
    return clean((told or said)[-1]) if said else None


def clean(text: str) -> str:
    """Without what a terminal would obey, line breaks and what W&B puts before each line; and without secrets."""
    printable = (char if char.isprintable() else " " for char in re.sub(r"\x1b\[[0-9;]*m", "", text))
    plain = " ".join("".join(printable).split())
    plain = SECRET.sub("***", re.sub(r"^(wandb:\s*)?(ERROR\s*)?", "", plain))
    return plain if len(plain) <= LONG else plain[:LONG] + "..."
