"""What all tests of the architectures share."""

from collections.abc import Iterator

import pytest
import torch

from tests.architectures.cases import filled


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Steps this small lose more to the exchange between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Memory that `torch.empty` hands out holds NaN, so that what nobody wrote shows."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    with filled(True):
        yield
    torch.use_deterministic_algorithms(deterministic)
