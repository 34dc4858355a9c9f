import pytest
import torch


@pytest.fixture
def one_thread():
    """Threads that wait for each other over small matrices take a hundred times as long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
