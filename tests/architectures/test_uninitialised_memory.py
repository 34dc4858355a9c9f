"""What lies in memory before it is written has no part in any number.

PyTorch fills new memory with NaN where algorithms have to be deterministic, so that whatever reads it shows.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import architectures
from tests.architectures.cases import DEFAULT_CASES, Case, noise, parametrize_cases


@pytest.fixture
def new_memory_is_nan() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.usefixtures("new_memory_is_nan")
@parametrize_cases(DEFAULT_CASES)
def test_no_number_is_read_before_it_is_written(case: Case) -> None:
    """In half precision, too, where products on a processor with AMX read on behind the end of a row."""
    for dtype in (torch.float32, torch.bfloat16):
        # Sizes at which rows end within a tile; heads of all kinds divide 18.
        torch.manual_seed(0)
        width = {"hidden_size": 18} if "hidden_size" in case.options else {}
        encoder = architectures.build(case.name, 16, **{**case.options, **width}).to(dtype)
        x = noise(60, 5, 16, dtype=dtype).requires_grad_()
        y, _ = encoder(x)
        y.float().square().sum().backward()
        for value in (y, x.grad, *(parameter.grad for parameter in encoder.parameters())):
            assert value is None or (isinstance(value, Tensor) and value.isfinite().all()), dtype
