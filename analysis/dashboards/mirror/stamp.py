"""What the files behind a record look like, so that unchanged ones need not be read again."""

import hashlib
from pathlib import Path

from analysis.code_hash import add_parts, code_hash
from analysis.dashboards.mirror.record import CHECKPOINT, TrialInfo
from analysis.probes.records import FILE_NAME as PROBES_FILE

FILES = ("config.yaml", "result.json", "timing.json", "metrics.csv", PROBES_FILE)
"""Files of a run that its record is made from."""


def run_stamp(folder: Path, trial_info: TrialInfo | None = None, *, checkpoint: bool = False) -> str:
    """Returns a hash of the looks of a run's files, of its trial, and of the code that makes records.

    A file looks as it did if its size, its time and its inode are the same. A copy of a folder looks different, and is
    read once.

    Args:
        folder: of the run.
        trial_info: the trial that it belongs to.
        checkpoint: whether the trained weights are included.
    """
    total = hashlib.sha256()
    add_parts(total, [code_hash().encode(), repr(trial_info).encode()])
    for name in (*FILES, CHECKPOINT) if checkpoint else FILES:
        add_parts(total, [name.encode(), looks(folder / name).encode()])
    return total.hexdigest()


def looks(path: Path) -> str:
    """Returns the size, the time in nanoseconds and the inode of a file; `absent` if there is none."""
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
