"""Tests of the averages' recurrence where the papers' form overflows, divides by 0 or underflows."""

import pytest
import torch
from torch import Tensor

from architectures.kernels import (
    INITIAL_LOG_DENOMINATOR,
    Attention,
    Backend,
    discounted_average,
    discounted_average_states,
    native,
)
from tests.architectures.cases import assert_close, noise


@pytest.fixture(params=["eager", "compiled"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Selects each available backend in turn."""
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    monkeypatch.setenv("WORKBENCH_BACKEND", request.param)
    name: Backend = request.param
    return name


def average_of_columns(
    columns: Tensor, attention: Attention = "exp", r: Tensor | None = None, l: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the average on columns [u | g | p | q] (batch, time, 4 units), without recurrence, so that their gradients
    are those of u, g, p and q; returns r and l of every step, and the columns."""
    columns = columns.clone().requires_grad_()
    units = columns.shape[2] // 4
    operands = (
        columns,
        torch.eye(4 * units, dtype=columns.dtype),
        columns.new_zeros(4 * units),
        columns.new_zeros(units, 3 * units),
        columns.new_zeros(len(columns), units) if r is None else r,
        columns.new_full((len(columns), units), INITIAL_LOG_DENOMINATOR) if l is None else l,
    )
    # With the identity for f_h and f_o, the output is r.
    averages, last, log = discounted_average(*operands, attention=attention, hidden_tanh=False, output_tanh=False)
    with torch.no_grad():
        averages_again, logs = discounted_average_states(*operands, attention=attention, hidden_tanh=False)
    assert torch.equal(averages_again, averages)
    assert torch.equal(averages[:, -1], last)
    assert torch.equal(logs[:, -1], log)
    return averages, logs, columns


def test_gradients_of_log_attention_cancel_over_time() -> None:
    """A constant added to every alpha multiplies n and d alike: nothing that depends on r alone can change by it. From
    a carried state the constant goes to l_0 too."""
    columns = noise(3, 15, 8)
    r, _, columns_in = average_of_columns(columns)
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), columns_in)
    assert grad[..., 4:6].abs().min() > 0
    assert_close(grad[..., 4:6].sum(1), torch.zeros(3, 2, dtype=torch.float64), 1e-13)
    l_0 = noise(3, 2, seed=2).requires_grad_()
    r, _, columns_in = average_of_columns(columns, l=l_0, r=noise(3, 2, seed=3))
    grad, of_l = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), (columns_in, l_0))
    assert of_l.abs().min() > 1e-6
    assert_close(grad[..., 4:6].sum(1), -of_l, 1e-13)


def test_large_attention_over_many_steps_stays_finite() -> None:
    """p up to 500 either way over 20,000 steps in single precision, where exp(p) itself overflows from 88 on: r stays
    between the smallest and the largest z so far."""
    time = 20_000
    columns = noise(1, time, 8, dtype=torch.float32)
    columns[..., 4:6] = 1000 * torch.rand(1, time, 2, generator=torch.Generator().manual_seed(1)) - 500
    columns[0, -1, 4:6] = 500.0
    r, l, columns_in = average_of_columns(columns)
    z = columns[..., :2] * columns[..., 2:4].tanh()
    assert (r <= z.cummax(1).values + 1e-6).all()
    assert (r >= z.cummin(1).values - 1e-6).all()
    assert (l >= columns[..., 4:6]).all()
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1, dtype=torch.float32)).sum(), columns_in)
    assert grad.isfinite().all()
    assert torch.count_nonzero(grad) > time / 10


def test_a_relu_closed_since_the_start_holds_the_initial_value() -> None:
    """d = 0: r is its initial value, which gets the whole gradient; nothing is NaN."""
    columns = noise(2, 6, 8)
    columns[..., 4:6] = -columns[..., 4:6].abs()
    s = noise(2, 2, seed=4).requires_grad_()
    r, l, columns_in = average_of_columns(columns, attention="relu", r=s)
    assert torch.equal(r, s.unsqueeze(1).expand_as(r))
    assert (l < -1e29).all()
    probe = noise(*r.shape, seed=1)
    grad, of_s = torch.autograd.grad((r * probe).sum(), (columns_in, s))
    assert torch.count_nonzero(grad) == 0
    assert not grad.isnan().any()
    assert_close(of_s, probe.sum(1), 1e-14)


def test_a_relu_closed_later_holds_while_its_denominator_fades() -> None:
    """r stays, l falls by log gamma a step, and the closed steps have no gradient but through gamma."""
    columns = noise(2, 9, 8)
    open_, closed = columns[:, :3, 4:6], columns[:, 3:, 4:6]
    open_.abs_()
    closed.abs_().neg_()
    r, l, columns_in = average_of_columns(columns, attention="relu")
    assert torch.equal(r[:, 3:], r[:, 2:3].expand(2, 6, 2))
    falls = torch.nn.functional.logsigmoid(columns[:, 3:, 6:8]).cumsum(1)
    assert_close(l[:, 3:], l[:, 2:3] + falls, 1e-13)
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), columns_in)
    assert torch.count_nonzero(grad[:, 3:]) == 0
    assert not grad.isnan().any()
    assert torch.count_nonzero(grad[:, :3, 4:6]) > 0


@pytest.mark.parametrize(("dtype", "depth"), [(torch.float32, 120.0), (torch.float64, 800.0)])
def test_softplus_deep_in_its_tail_is_an_exponential(dtype: torch.dtype, depth: float) -> None:
    """Where softplus(p) underflows to 0 it attends as exp(p) does, in values and gradients."""
    columns = noise(2, 8, 8, dtype=dtype)
    columns[..., 4:6] -= depth
    assert torch.count_nonzero(torch.nn.functional.softplus(columns[..., 4:6])) == 0
    outcomes = []
    for attention in ("softplus", "exp"):
        r, l, columns_in = average_of_columns(columns, attention=attention)
        (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1, dtype=dtype)).sum(), columns_in)
        outcomes.append((r.detach(), l.detach(), grad))
    assert outcomes[0][0].std() > 0.1
    assert_close(outcomes[0], outcomes[1], torch.finfo(dtype).eps)


@pytest.mark.parametrize("attention", ["exp", "sigmoid", "softplus", "relu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_is_never_hidden(attention: Attention, dtype: torch.dtype) -> None:
    """A NaN, whatever its bits, in u, g, p or q of one unit makes that unit's average NaN, in p and q its denominator
    too, and no other unit: a training that diverges has to show it."""
    kind, payload = (torch.int32, 0x7FC0_1234) if dtype == torch.float32 else (torch.int64, 0x7FF8_0000_0000_1234)
    for place in range(8):
        bias = torch.zeros(8, dtype=dtype)
        bias.view(kind)[place] = payload
        r, _, _ = discounted_average(
            noise(2, 6, 8, dtype=dtype),
            torch.eye(8, dtype=dtype),
            bias,
            bias.new_zeros(2, 6),
            bias.new_zeros(2, 2),
            bias.new_full((2, 2), INITIAL_LOG_DENOMINATOR),
            attention=attention,
            hidden_tanh=False,
            output_tanh=False,
        )
        # From the second step on h is NaN, and weights of 0 do not remove it.
        assert r[:, 0, place % 2].isnan().all()
        assert not r[:, 0, 1 - place % 2].isnan().any()
        assert r[:, 1:].isnan().all()
        one, _, of_one = discounted_average(
            noise(2, 1, 8, dtype=dtype),
            torch.eye(8, dtype=dtype),
            bias,
            bias.new_zeros(2, 6),
            bias.new_zeros(2, 2),
            bias.new_zeros(2, 2),
            attention=attention,
            hidden_tanh=False,
            output_tanh=False,
        )
        assert one[..., place % 2].isnan().all()
        assert of_one[:, place % 2].isnan().all() == (place >= 4)
        assert not of_one[:, 1 - place % 2].isnan().any()
