"""Fixtures: a folder of trained runs, and a single thread."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.workbench.experiments import finish, small


@pytest.fixture
def one_thread():
    """Limits torch to one thread: on a busy machine, several are a hundred times slower on small matrices."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished runs of two architectures, shared by the tests of a module."""
    out = tmp_path_factory.mktemp("trained")
    for architecture in ("gru", "rnn"):
        finish(small(architecture, steps=3, log_every=2), out)
    return out


@pytest.fixture
def out(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` for one test."""
    return Path(shutil.copytree(trained, tmp_path / "out"))
