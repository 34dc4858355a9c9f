"""Models whose parameters are stacked and whose calls are transformed by `torch.func.vmap`."""

import warnings

import pytest
import torch
from torch.func import functional_call, vmap

import architectures
from architectures.kernels.scan import linear_scan
from architectures.recording import is_exporting, is_recording, is_transformed, transformed
from architectures.state import iter_tensors

WRITES = frozenset({"han-memory"})
"""The names that write into their tensors, which a transformation refuses."""


def encoders(name):
    built = []
    for seed in range(2):
        torch.manual_seed(seed)
        built.append(architectures.build(name, 3, hidden_size=8).double())
    return built


@pytest.mark.parametrize("name", architectures.names())
def test_a_stack_of_encoders_computes_what_each_does(name):
    pair = encoders(name)
    inputs = torch.randn(2, 3, 9, 3, dtype=torch.float64)
    lengths = torch.tensor([[9, 4, 1], [2, 9, 9]])
    tensors = {key: torch.stack([one.state_dict(keep_vars=True)[key] for one in pair]) for key in pair[0].state_dict()}

    def run(tensors, x, lengths):
        y, after = functional_call(pair[0], tensors, (x, None, lengths))
        return [y, *iter_tensors(after)]

    def compute():
        with transformed(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            return vmap(run, randomness="error")(tensors, inputs, lengths)

    if name in WRITES:
        with pytest.raises(RuntimeError, match="vmap"):
            compute()
        return
    y, *states = compute()
    weights = torch.randn_like(y)
    parameters = [[*one.parameters()] for one in pair]
    gradients = torch.autograd.grad((y * weights).sum(), [*parameters[0], *parameters[1]], allow_unused=True)
    for index, encoder in enumerate(pair):
        alone, after = encoder(inputs[index], None, lengths[index])
        for mine, other in zip([y, *states], [alone, *iter_tensors(after)], strict=True):
            torch.testing.assert_close(mine[index], other, rtol=1e-10, atol=1e-10)
        expected = torch.autograd.grad((alone * weights[index]).sum(), parameters[index], allow_unused=True)
        count = len(expected)
        for gradient, other in zip(gradients[index * count : (index + 1) * count], expected, strict=True):
            if gradient is None or other is None:
                assert all(value is None or not value.any() for value in (gradient, other))
            else:
                torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-9)


def test_a_transformed_scan_of_complex_numbers_is_that_of_the_loop():
    a, b, start = torch.rand(2, 7, 6).double(), torch.randn(2, 7, 6).double(), torch.randn(2, 6).double()
    expected = linear_scan(a, b, start, is_complex=True, backend="eager")
    with transformed():
        torch.testing.assert_close(linear_scan(a, b, start, is_complex=True), expected)


def test_only_what_is_within_is_transformed():
    assert (is_transformed(), is_recording(), is_exporting()) == (False, False, False)
    with transformed():
        with transformed():
            pass
        assert (is_transformed(), is_recording(), is_exporting()) == (True, True, False)
    assert not is_transformed()


def test_a_closed_relu_has_no_gradient_that_pytorch_finds():
    encoder = architectures.build("rda", 3, hidden_size=4, attention="relu")
    with transformed(), pytest.raises(NotImplementedError, match="relu"):
        encoder(torch.randn(2, 5, 3))
