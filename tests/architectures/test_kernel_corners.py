"""The recurrence of the averages where the papers' form of it overflows, divides by 0 or underflows."""

import pytest
import torch
from torch import Tensor

from architectures.kernels import START, Attention, Backend, average, native, states
from tests.architectures.cases import close, noise


@pytest.fixture(params=["eager", "compiled"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Each backend that there is, in turn the one that calls get."""
    if request.param == "compiled" and (reason := native.failure()):
        pytest.skip(reason)
    monkeypatch.setenv("WORKBENCH_BACKEND", request.param)
    chosen: Backend = request.param
    return chosen


def fed_directly(
    columns: Tensor, attention: Attention = "exp", r: Tensor | None = None, l: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """r, l and the columns [u | g | p | q] (batch, time, 4 units), fed as they are and without recurrence, so that
    their gradients are those of u, g, p and q."""
    columns = columns.clone().requires_grad_()
    units = columns.shape[2] // 4
    operands = (
        columns,
        torch.eye(4 * units, dtype=columns.dtype),
        columns.new_zeros(4 * units),
        columns.new_zeros(units, 3 * units),
        columns.new_zeros(len(columns), units) if r is None else r,
        columns.new_full((len(columns), units), START) if l is None else l,
    )
    # With the identity for f_h and f_o, what is put out is r.
    averages, last, log = average(*operands, attention=attention, hidden_tanh=False, output_tanh=False)
    with torch.no_grad():
        again, logs = states(*operands, attention=attention, hidden_tanh=False)
    assert torch.equal(again, averages)
    assert torch.equal(averages[:, -1], last)
    assert torch.equal(logs[:, -1], log)
    return averages, logs, columns


def test_gradients_of_log_attention_cancel_over_time() -> None:
    """A constant added to every alpha multiplies n and d alike: nothing that depends on r alone can change by it. From
    a carried state the constant goes to l_0 too."""
    columns = noise(3, 15, 8)
    r, _, fed = fed_directly(columns)
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), fed)
    assert grad[..., 4:6].abs().min() > 0
    close(grad[..., 4:6].sum(1), torch.zeros(3, 2, dtype=torch.float64), 1e-13)
    l_0 = noise(3, 2, seed=2).requires_grad_()
    r, _, fed = fed_directly(columns, l=l_0, r=noise(3, 2, seed=3))
    grad, of_l = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), (fed, l_0))
    assert of_l.abs().min() > 1e-6
    close(grad[..., 4:6].sum(1), -of_l, 1e-13)


def test_large_attention_over_many_steps_stays_finite() -> None:
    """p up to 500 either way over 20,000 steps in single precision, where exp(p) itself overflows from 88 on: r stays
    between the smallest and the largest z so far."""
    time = 20_000
    columns = noise(1, time, 8, dtype=torch.float32)
    columns[..., 4:6] = 1000 * torch.rand(1, time, 2, generator=torch.Generator().manual_seed(1)) - 500
    columns[0, -1, 4:6] = 500.0
    r, l, fed = fed_directly(columns)
    z = columns[..., :2] * columns[..., 2:4].tanh()
    assert (r <= z.cummax(1).values + 1e-6).all()
    assert (r >= z.cummin(1).values - 1e-6).all()
    assert (l >= columns[..., 4:6]).all()
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1, dtype=torch.float32)).sum(), fed)
    assert grad.isfinite().all()
    assert torch.count_nonzero(grad) > time / 10


def test_a_relu_closed_since_the_start_holds_the_initial_value() -> None:
    """d = 0: r is its initial value, which gets the whole gradient; nothing is NaN."""
    columns = noise(2, 6, 8)
    columns[..., 4:6] = -columns[..., 4:6].abs()
    s = noise(2, 2, seed=4).requires_grad_()
    r, l, fed = fed_directly(columns, attention="relu", r=s)
    assert torch.equal(r, s.unsqueeze(1).expand_as(r))
    assert (l < -1e29).all()
    probe = noise(*r.shape, seed=1)
    grad, of_s = torch.autograd.grad((r * probe).sum(), (fed, s))
    assert torch.count_nonzero(grad) == 0
    assert not grad.isnan().any()
    close(of_s, probe.sum(1), 1e-14)


def test_a_relu_closed_later_holds_while_its_denominator_fades() -> None:
    """r stays, l falls by log gamma a step, and the closed steps have no gradient but through gamma."""
    columns = noise(2, 9, 8)
    open_, closed = columns[:, :3, 4:6], columns[:, 3:, 4:6]
    open_.abs_()
    closed.abs_().neg_()
    r, l, fed = fed_directly(columns, attention="relu")
    assert torch.equal(r[:, 3:], r[:, 2:3].expand(2, 6, 2))
    falls = torch.nn.functional.logsigmoid(columns[:, 3:, 6:8]).cumsum(1)
    close(l[:, 3:], l[:, 2:3] + falls, 1e-13)
    (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1)).sum(), fed)
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
        r, l, fed = fed_directly(columns, attention=attention)
        (grad,) = torch.autograd.grad((r * noise(*r.shape, seed=1, dtype=dtype)).sum(), fed)
        outcomes.append((r.detach(), l.detach(), grad))
    assert outcomes[0][0].std() > 0.1
    close(outcomes[0], outcomes[1], torch.finfo(dtype).eps)


@pytest.mark.parametrize("attention", ["exp", "sigmoid", "softplus", "relu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_is_never_hidden(attention: Attention, dtype: torch.dtype) -> None:
    """A NaN, whatever its bits, in u, g, p or q of one unit spoils that unit's average, in p and q its denominator too,
    and nothing beside it: a training that diverges has to show it."""
    kind, payload = (torch.int32, 0x7FC0_1234) if dtype == torch.float32 else (torch.int64, 0x7FF8_0000_0000_1234)
    for place in range(8):
        bias = torch.zeros(8, dtype=dtype)
        bias.view(kind)[place] = payload
        r, _, _ = average(
            noise(2, 6, 8, dtype=dtype),
            torch.eye(8, dtype=dtype),
            bias,
            bias.new_zeros(2, 6),
            bias.new_zeros(2, 2),
            bias.new_full((2, 2), START),
            attention=attention,
            hidden_tanh=False,
            output_tanh=False,
        )
        # From the second step on h is NaN, and 0 weights do not take it away again.
        assert r[:, 0, place % 2].isnan().all()
        assert not r[:, 0, 1 - place % 2].isnan().any()
        assert r[:, 1:].isnan().all()
        one, _, of_one = average(
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
