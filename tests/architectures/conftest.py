"""Fixtures for the tests of the architectures."""

from collections.abc import Iterator

import pytest
import torch

from tests.architectures.cases import fill_uninitialized_memory


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Runs with one thread: steps this small lose more to synchronisation than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Fills memory from `torch.empty` with NaN, so that reading unwritten memory shows."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    with fill_uninitialized_memory(True):
        yield
    torch.use_deterministic_algorithms(deterministic)
