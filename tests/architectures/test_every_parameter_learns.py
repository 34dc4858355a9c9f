"""Law 7: every parameter has a gradient, and no memory is used before it is written."""

import pytest
import torch
from torch import Tensor

from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    Case,
    fill_uninitialized_memory,
    make_encoder,
    noise,
    parametrize_cases,
)


def num_maps(name: str, parameter: Tensor, case: Case) -> int:
    """Returns how many maps are stored side by side in a parameter of that name: each has to learn separately."""
    if case.field is None:
        # One for each row of units, of the gates that there are.
        return max(1, len(parameter) // int(case.options["hidden_size"]))
    # A window of one step leaves nothing to choose: its query and key have no effect.
    return 3 if "qkv" in name and case.options.get("window") != 1 else 1


@pytest.mark.usefixtures("poisoned")
@parametrize_cases(CASES)
def test_every_parameter_has_a_gradient(case: Case) -> None:
    """As built: after one backward pass of a random projection over a batch, each parameter, and each of the maps that
    a parameter holds, has a finite gradient with an entry other than 0. With memory poisoned, nothing in outputs or
    gradients is NaN."""
    encoder = make_encoder(case, fresh=True)
    x = noise(16, 23, INPUT_SIZE).requires_grad_()
    y, _ = encoder(x)
    assert y.isfinite().all()
    (y * noise(*y.shape, seed=1)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        for index, part in enumerate(parameter.grad.chunk(num_maps(name, parameter, case))):
            assert part.abs().max() > 1e-12, f"part {index} of {name} does not learn"


@pytest.mark.usefixtures("poisoned")
@parametrize_cases(CASES)
def test_no_parameter_is_left_unwritten(case: Case) -> None:
    """Fresh parameters and buffers hold numbers, in poisoned memory."""
    assert torch.empty(1000).isnan().all(), "memory is not poisoned, so the test would not see anything"
    encoder = make_encoder(case, fresh=True)
    values: list[tuple[str, Tensor]] = [*encoder.named_parameters(), *encoder.named_buffers()]
    assert values
    for name, value in values:
        assert value.isfinite().all(), name


@pytest.mark.usefixtures("poisoned")
@parametrize_cases(CASES)
def test_a_trace_reads_no_unwritten_memory(case: Case) -> None:
    """A trace in poisoned memory is the same as in ordinary memory, bit by bit."""
    encoder, x = make_encoder(case), noise(2, 9, INPUT_SIZE)
    poisoned = trace_tensors(encoder.trace(x))
    with fill_uninitialized_memory(False):
        ordinary = trace_tensors(encoder.trace(x))
    assert len(poisoned) == len(ordinary) > 0
    for value, ordinary_value in zip(poisoned, ordinary, strict=True):
        assert not value.isnan().any()
        assert torch.equal(value, ordinary_value)


def trace_tensors(trace: object) -> list[Tensor]:
    """Returns all tensors of a trace."""
    if isinstance(trace, Tensor):
        return [trace]
    if isinstance(trace, dict):
        return [tensor for value in trace.values() for tensor in trace_tensors(value)]
    if isinstance(trace, tuple):
        return [tensor for value in trace for tensor in trace_tensors(value)]
    if hasattr(trace, "__slots__"):
        return [tensor for name in trace.__slots__ for tensor in trace_tensors(getattr(trace, name))]
    return []
