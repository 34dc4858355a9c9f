"""Runs under the variables of launchers: one process each, with the same bits."""

import pytest

from tests.workbench.experiments import small
from tests.workbench.test_run import assert_same
from workbench.run import run
from workbench.run_folder import run_folder

LAUNCHERS = {
    "SLURM": {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_PROCID": "3", "SLURM_LOCALID": "3"},
    "torchrun": {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3", "MASTER_ADDR": "host", "MASTER_PORT": "1"},
    "MPI": {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "PMI_RANK": "2", "PMI_SIZE": "4"},
    "LSF": {"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/nowhere", "JSM_NAMESPACE_SIZE": "4", "JSM_NAMESPACE_RANK": "1"},
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launchers_variables_mean_nothing(launcher, tmp_path, monkeypatch):
    experiment = small("gru", steps=4)
    run(experiment, tmp_path / "alone")
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    finished = run(experiment, tmp_path / "launched")
    assert finished is not None
    assert_same(run_folder(tmp_path / "alone", experiment), run_folder(tmp_path / "launched", experiment))
