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


@pytest.mark.parametrize("name", ["rhn", "tcn", "han", "transformer", "mamba2", "gated-deltanet"])
def test_transformations_give_the_gradients_of_those_that_are_written_by_hand(name):
    """Within `transformed`; elsewhere PyTorch says that it cannot."""
    encoder, x = encoders(name)[0], torch.randn(8, 70, 3, dtype=torch.float64)
    parameters = dict(encoder.named_parameters())

    def loss(given):
        return functional_call(encoder, given, (x,))[0].square().mean()

    with transformed():
        found = torch.func.grad(loss)(parameters)
    expected = torch.autograd.grad(loss(parameters), list(parameters.values()))
    for gradient, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", architectures.names())
def test_no_second_derivative_is_wrong_without_a_word(name, monkeypatch):
    """It is refused, or that of finite differences of the first one."""
    for limit in ("rms_norm.MIN_NUMEL", "dilated_convolution.MIN_STEPS", "dilated_convolution.MIN_ROWS"):
        monkeypatch.setattr(f"architectures.kernels.{limit}", 1)
    encoder, x = encoders(name)[0], torch.randn(8, 70, 3, dtype=torch.float64)
    direction = torch.randn_like(x)

    def slope(x, again):
        x = x.detach().requires_grad_()
        (first,) = torch.autograd.grad(encoder(x)[0].square().mean(), x, create_graph=again)
        return x, (first * direction).sum()

    try:
        at, value = slope(x, again=True)
        (second,) = torch.autograd.grad(value, at)
    except RuntimeError:
        return
    step = 1e-6 * direction
    differences = (slope(x + step, again=False)[1] - slope(x - step, again=False)[1]) / 2e-6
    torch.testing.assert_close((second * direction).sum(), differences, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", ["rhn", "tcn"])
def test_second_derivatives_are_there_within_transformed(name):
    encoder, x = encoders(name)[0], torch.randn(10, 100, 3, dtype=torch.float64, requires_grad=True)
    with transformed():
        (first,) = torch.autograd.grad(encoder(x)[0].square().mean(), x, create_graph=True)
        assert torch.autograd.grad(first.square().sum(), x)[0].any()
    with pytest.raises(RuntimeError, match=r"not with create_graph=True; within architectures\.recording"):
        torch.autograd.grad(encoder(x)[0].square().mean(), x, create_graph=True)
