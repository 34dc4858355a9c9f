import shutil
from pathlib import Path

import pytest
import torch

from tests.workbench.experiments import finish, small


@pytest.fixture
def one_thread():
    """Threads that wait for each other over small matrices take a hundred times as long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    for architecture in ("gru", "rnn"):
        finish(small(architecture, steps=3, log_every=2), out)
    return out


@pytest.fixture
def out(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "out"))
