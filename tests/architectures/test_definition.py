"""Law 5: every encoder equals its definition from the paper, in values and in gradients."""

import pytest
import torch

import architectures
from architectures.kernels.naive import naive_discounted_average
from tests.architectures.cases import (
    CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    gradients,
    make_encoder,
    noise,
    parametrize_cases,
)
from tests.architectures.definitions import DEFINITIONS
from tests.architectures.definitions.averaging import activations, scalar_loop
from tests.architectures.definitions.common import strip_prefix


def test_every_name_has_a_case_and_a_definition() -> None:
    """An architecture that is registered has to be tested."""
    assert {case.name for case in CASES if not case.is_variant} == set(architectures.names())
    assert set(DEFINITIONS) == set(architectures.names())
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("time", [1, 21])
@parametrize_cases(CASES)
def test_encoder_is_its_definition(case: Case, time: int) -> None:
    """The outputs, and their gradients with respect to the input and every parameter."""
    encoder, x = make_encoder(case), noise(2, time, INPUT_SIZE).requires_grad_()
    lengths = [time, (time + 1) // 2]
    valid = torch.arange(time) < torch.tensor(lengths).unsqueeze(1)
    y, _ = encoder(x, lengths=torch.tensor(lengths))
    expected = DEFINITIONS[case.name](dict(encoder.named_parameters()), x, case.options, lengths)
    if case.causal:
        valid = torch.ones_like(valid)
    assert_close(y[valid], expected[valid])
    probe = noise(*y.shape, seed=1) * valid.unsqueeze(2)
    assert_close(gradients((y * probe).sum(), encoder, x), gradients((expected * probe).sum(), encoder, x))


@parametrize_cases(case for case in CASES if case.name.startswith(("rwa", "rda")) and "num_layers" not in case.options)
def test_the_averages_are_a_loop_over_single_numbers(case: Case) -> None:
    """The naive recurrence is itself written with tensors, so one written without them confirms it."""
    encoder, x = make_encoder(case), noise(2, 9, INPUT_SIZE)
    fixed = {
        "rwa": {"attention": "exp", "hidden": "tanh", "output": "identity"},
        "rda": {},
        "rda-exp-tanh": {"attention": "exp", "hidden": "identity", "output": "tanh"},
        "rda-sigmoid-id": {"attention": "sigmoid", "hidden": "identity", "output": "identity"},
    }[case.name]
    attention, hidden, output = activations({**case.options, **fixed})
    layer = strip_prefix(dict(encoder.named_parameters()), "layers.0.")
    by_tensors = DEFINITIONS[case.name](dict(encoder.named_parameters()), x, case.options, [9, 9])
    for row in range(2):
        by_numbers = torch.tensor(scalar_loop(layer, x[row].tolist(), attention, hidden, output), dtype=torch.float64)
        assert_close(by_tensors[row].detach(), by_numbers)
        assert_close(encoder(x)[0][row].detach(), by_numbers)


def test_the_naive_average_holds_the_start_while_a_relu_is_closed() -> None:
    """With d_t = 0 the average is s, not 0 / 0."""
    x, s = noise(2, 4, 4).abs(), noise(2, 1, seed=1)
    weight = torch.eye(4, dtype=torch.float64) * torch.tensor([1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    recurrent = torch.zeros(1, 3, dtype=torch.float64)
    r = naive_discounted_average(
        x, weight, torch.zeros(4, dtype=torch.float64), recurrent, s, attention="relu", hidden_tanh=False
    )
    assert torch.equal(r, s.unsqueeze(1).expand(2, 4, 1))
