"""Jobs of submitit on this machine, in place of those of SLURM."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workbench.launchers import slurm
from workbench.launchers.job_array import JobArray


@contextmanager
def local_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[slurm.SlurmJobs]]:
    """Lets `--launcher slurm` start processes here; waits for all of them at the end.

    Yields:
        The jobs of each command.
    """
    pytest.importorskip("submitit", reason="submitit is not installed")
    started: list[slurm.SlurmJobs] = []
    original = slurm.SlurmJobs

    def make(array: JobArray, out: Path) -> slurm.SlurmJobs:
        started.append(original(array, out, cluster="local"))
        return started[-1]

    with monkeypatch.context() as patch:
        patch.setattr(slurm, "SlurmJobs", make)
        yield started
    for job in (job for jobs in started for job in jobs._jobs):
        assert job.result() == 0, job.stderr()
        # The controller, which would be one of SLURM's processes.
        job._process.wait()
