"""Fixtures for all tests: data sets without downloads, and Triton's interpreter if there is no GPU."""

import os

import pytest
import torch

from tests import fork_server, idx_files, text_files
from tests.other_device import other_device  # noqa: F401
from workbench import process_pool

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores: with more threads, these and the processes they start wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

if not torch.cuda.is_available():
    # Triton reads it when it is imported, which PyTorch may do at any time.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """A folder of data with MNIST's files and a text, all of noise, in place of the user's."""
    folder = tmp_path_factory.mktemp("data")
    idx_files.write(folder / "mnist")
    text_files.write(folder / "text" / "enwik8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True, scope="session")
def _forked_pools(data_folder):
    """Processes of pools are forked from a server, which saves each of them the imports."""
    with fork_server.forked_pools():
        yield


@pytest.fixture
def spawned_pools(monkeypatch):
    """Processes of pools are spawned, as they are outside of tests."""
    monkeypatch.setattr(process_pool, "start_process", fork_server.SPAWN_PROCESS)
