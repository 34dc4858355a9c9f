"""Tests of zoneout (Krueger et al. 2017): units that hold their values."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

import architectures
from architectures.nesting import NESTING
from architectures.state import iter_tensors
from tests.architectures.cases import (
    DEFAULT_CASES,
    INPUT_SIZE,
    RESIDUAL,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
)
from tests.architectures.definitions.gru import gates
from tests.architectures.definitions.lstm import lstm_step
from tests.architectures.test_trace_recurrent import accumulate

RATE, CELL_RATE = 0.3, 0.2
OTHER = NESTING | RESIDUAL | {"han-memory"}
RECURRENT = [case for case in DEFAULT_CASES if case.field is None and case.name not in OTHER]


def rates(case: Case) -> dict[str, Any]:
    cell = {"zoneout_cell": CELL_RATE} if "zoneout_cell" in architectures.options(case.name) else {}
    return {"zoneout": RATE, **cell}


def hold(old: Tensor, new: Tensor, rate: float = RATE) -> Tensor:
    return rate * old + (1 - rate) * new


@pytest.mark.parametrize("name", ["lstm", "lstm-peephole", "gru", "rda"])
def test_in_evaluation_a_step_is_the_mean_of_held_and_computed(name: str) -> None:
    """From the papers' formulas: of h and c, of h, and of the average r."""
    case = next(case for case in RECURRENT if case.name == name)
    encoder, x = make_encoder(case, **rates(case)).eval(), noise(2, 9, INPUT_SIZE)
    layer = {name.removeprefix("layers.0."): value for name, value in encoder.named_parameters()}
    h = c = torch.zeros(2, 5, dtype=torch.float64)
    l = torch.full_like(h, -torch.inf)
    y, _ = encoder(x)
    for t in range(9):
        if name == "gru":
            _, z, n = gates(layer, x[:, t], h)
            h = hold(h, z * h + (1 - z) * n)
        elif name == "rda":
            u, g, p, q = (x[:, t] @ layer["weight_x"].T).chunk(4, dim=1)
            of_h = (h @ layer["weight_h"].T).chunk(3, dim=1)
            z = (u + layer["bias_u"]) * torch.tanh(g + of_h[0] + layer["bias_g"])
            p, q = p + of_h[1], q + of_h[2] + layer["bias_gamma"]
            l = torch.logaddexp(l + logsigmoid(q), p)
            h = hold(h, h + (p - l).exp() * (z - h))
        else:
            new_h, new_c, *_ = lstm_step(layer, x[:, t], (h, c), {"peepholes": name == "lstm-peephole"})
            h, c = hold(h, new_h), hold(c, new_c, CELL_RATE)
        assert_close(y[:, t], h.tanh() if name == "rda" else h)


@parametrize_cases(RECURRENT)
def test_every_recurrent_architecture_has_it(case: Case) -> None:
    """In evaluation a sequence in pieces gives the same, and a trace shows what is kept and written. In training every
    parameter learns, and a rate of 0 changes no bit."""
    encoder, x = make_encoder(case, **rates(case)).eval(), noise(2, 11, INPUT_SIZE)
    y, state = encoder(x)
    first, carried = encoder(x[:, :4])
    rest, last = encoder(x[:, 4:], carried)
    assert_close(torch.cat([first, rest], dim=1), y)
    assert_close(tuple(iter_tensors(last)), tuple(iter_tensors(state)))
    plain, _ = make_encoder(case)(x)
    assert (y - plain).abs().max() > 1e-3
    assert torch.equal(make_encoder(case, zoneout=0.0)(x)[0], plain)
    trace = encoder.trace(x)
    assert_close(trace.y, y)
    if trace.retention is not None and case.name != "depth-gated-lstm":
        parts: Any = state[-1]
        place = next((name for name in ("c", "m") if hasattr(parts, name)), parts._fields[0])
        start = torch.zeros_like(parts[0])
        if "layers.0.initial" in dict(encoder.named_parameters()):
            start = encoder.get_parameter("layers.0.initial").detach().expand_as(start)
        assert_close(accumulate(trace, start)[:, -1], getattr(parts, place))
    encoder.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # The slowest of five clockwork modules hears itself from its second step on, the seventeenth.
        encoder(noise(16, 20, INPUT_SIZE))[0].square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_in_training_units_are_held_or_computed_at_the_rate() -> None:
    """Each exactly one of the two; and other ones at another time."""
    encoder: Any = architectures.build("rnn", INPUT_SIZE, hidden_size=50, zoneout=RATE)
    plain = architectures.build("rnn", INPUT_SIZE, hidden_size=50)
    plain.load_state_dict(encoder.state_dict())
    x, h, held = noise(40, 6, INPUT_SIZE, dtype=torch.float32), torch.zeros(40, 50), []
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        y, _ = encoder(x)
        for t in range(6):
            _, (computed,) = plain(x[:, t : t + 1], ((h,),))
            stays = y[:, t] == h
            assert torch.equal(y[:, t], torch.where(stays, h, computed[0]))
            h = y[:, t]
            held.append(stays)
        shares = torch.stack(held).float()
        # 12,000 draws: four standard deviations are 0.017.
        assert shares.mean().item() == pytest.approx(RATE, abs=0.017)
        assert not torch.equal(held[0], held[1])


@pytest.mark.parametrize("wrong", [1.0, -0.1])
def test_a_rate_is_no_less_than_0_and_below_1(wrong: float) -> None:
    for name, option in (("gru", "zoneout"), ("lstm-mi", "zoneout_cell")):
        with pytest.raises(ValueError, match=rf"{option} must lie in \[0, 1\)"):
            architectures.build(name, 2, hidden_size=3, **{option: wrong})


def test_a_network_without_a_cell_has_no_rate_for_it() -> None:
    with pytest.raises(ValueError, match="gru has no option 'zoneout_cell'"):
        architectures.build("gru", 2, hidden_size=3, zoneout_cell=0.1)
