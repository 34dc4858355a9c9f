"""Tests of the LRU and of S4D: how they start, sequences of many chunks, and wrong options."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures import ParameterRule
from architectures.parameter_rules import find_rules
from architectures.s4d import LARGEST_CHUNK, LEAST_CHUNK, choose_chunk
from architectures.state import iter_tensors
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, gradients, make_encoder, noise
from tests.architectures.definitions import DEFINITIONS

S4D = Case(name="s4d", options={"hidden_size": 3, "num_states": 4})


def test_chunks_leave_few_steps_over() -> None:
    """None where a length from 32 to 64 divides the sequence; a short one is a chunk of its own."""
    assert [choose_chunk(time) for time in (1, 31, 63, 64, 200, 1000)] == [1, 31, 63, 32, 40, 40]
    for time in (67, 131, 499, 1009):
        left = time % choose_chunk(time)
        assert left == min(time % length for length in range(LEAST_CHUNK, LARGEST_CHUNK + 1))


@pytest.mark.parametrize("time", [67, 160, 199])
def test_many_chunks_are_the_definition(time: int) -> None:
    """With steps left over, and without; values, gradients, and the state, from any cut."""
    encoder, x = make_encoder(S4D), noise(2, time, INPUT_SIZE).requires_grad_()
    y, state = encoder(x)
    expected = DEFINITIONS["s4d"](dict(encoder.named_parameters()), x, S4D.options, [time] * 2)
    assert_close(y, expected)
    probe = noise(*y.shape, seed=1)
    assert_close(gradients((y * probe).sum(), encoder, x), gradients((expected * probe).sum(), encoder, x))
    for cut in (1, 40, time - 33, time - 1):
        first, carried = encoder(x[:, :cut])
        rest, last = encoder(x[:, cut:], carried)
        assert_close(torch.cat([first, rest], dim=1), y)
        assert_close(tuple(iter_tensors(last)), tuple(iter_tensors(state)))


def test_no_later_step_changes_an_earlier_output_in_single_precision() -> None:
    """Not by a bit, as a Fourier transform would."""
    for name in ("lru", "s4d"):
        encoder = make_encoder(Case(name=name, options={"hidden_size": 4}), dtype=torch.float32)
        x = noise(1, 160, INPUT_SIZE, dtype=torch.float32).requires_grad_()
        y, _ = encoder(x)
        (felt,) = torch.autograd.grad(y[:, 77].sum(), x)
        assert torch.count_nonzero(felt[:, 78:]) == 0
        assert torch.count_nonzero(felt[:, :78]) > 0
        changed = torch.cat([x[:, :78], 100 * x[:, 78:]], dim=1)
        assert torch.equal(encoder(changed)[0][:, :78], y[:, :78])


def test_single_precision_is_near_double_over_long_sequences() -> None:
    for name in ("lru", "s4d"):
        case = Case(name=name, options={"hidden_size": 8})
        x = noise(1, 20_000, INPUT_SIZE)
        with torch.no_grad():
            double, _ = make_encoder(case, fresh=True)(x)
            single, _ = make_encoder(case, fresh=True, dtype=torch.float32)(x.float())
        assert (single - double).abs().max() < 1e-4 * double.abs().max()


def mixer_of(name: str, **options: Any) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = architectures.build(name, INPUT_SIZE, **options)
    start = "blocks.0.mixer."
    return {
        key.removeprefix(start): value.detach().double() for key, value in encoder.named_parameters() if start in key
    }


def test_the_lru_starts_in_its_ring() -> None:
    """Uniformly: a radius squared is uniform between the squares of the bounds, a phase up to the largest one. The
    variance of a state that reads noise is that of what it reads."""
    mixer = mixer_of("lru", hidden_size=16, num_states=4000, r_min=0.5, r_max=0.99, max_phase=1.5)
    radius, phase = (-mixer["nu"].exp()).exp(), mixer["theta"].exp()
    assert radius.min() > 0.4999
    assert radius.max() < 0.9901
    assert radius.square().mean().item() == pytest.approx((0.25 + 0.9801) / 2, rel=0.02)
    assert phase.max() <= 1.5001
    assert phase.mean().item() == pytest.approx(0.75, rel=0.03)
    assert_close(mixer["log_gamma"].exp().square(), 1 - radius.square(), 1e-4)
    assert mixer["read.weight"].std().item() == pytest.approx(32**-0.5, rel=0.02)
    assert mixer["write.weight"].std().item() == pytest.approx(4000**-0.5, rel=0.02)


def test_s4d_starts_with_its_rates_and_steps() -> None:
    """A_n = -1/2 + i pi n, and steps log-uniform from 0.001 to 0.1; C is complex with variance 1."""
    mixer = mixer_of("s4d", hidden_size=2000, num_states=6)
    assert_close(mixer["log_rate"].exp(), torch.full((2000, 3), 0.5, dtype=torch.float64), 1e-6)
    assert_close(mixer["frequency"], math.pi * torch.arange(3.0).double().expand(2000, 3), 1e-6)
    assert mixer["log_step"].min() >= math.log(0.001) - 1e-6
    assert mixer["log_step"].max() <= math.log(0.1) + 1e-6
    assert mixer["log_step"].mean().item() == pytest.approx(math.log(0.01), rel=0.02)
    assert mixer["write"].square().mean().item() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "rate", "slow"),
    [("lru", 0.5, {"nu", "theta", "log_gamma"}), ("s4d", 0.1, {"log_rate", "log_step", "frequency"})],
)
def test_what_sets_how_long_states_remember_is_trained_slowly(name: str, rate: float, slow: set[str]) -> None:
    rules = find_rules(architectures.build(name, 2, hidden_size=4, num_layers=2))
    assert {*rules.values()} == {ParameterRule(rate=rate, decay=False)}
    assert {*rules} == {f"blocks.{block}.mixer.{key}" for block in (0, 1) for key in slow}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lru", {"r_min": 0.9, "r_max": 0.5}, "r_min and r_max must lie between 0 and 1, the first below the second"),
        ("lru", {"r_max": 1.0}, "r_min and r_max must lie between 0 and 1"),
        ("lru", {"r_min": 0}, "r_min and r_max must lie between 0 and 1"),
        ("lru", {"max_phase": 7.0}, "max_phase must be above 0 and at most 2 pi, not 7.0"),
        ("lru", {"num_states": 0}, "num_states must be at least 1, not 0"),
        ("lru", {"dynamics_rate": 0}, "dynamics_rate: the share of the learning rate must be above 0, not 0"),
        ("s4d", {"num_states": 5}, "num_states must be even, as states are pairs of conjugates, not 5"),
        ("s4d", {"num_states": 0}, "num_states must be at least 2, not 0"),
        ("s4d", {"dynamics_rate": -1.0}, "dynamics_rate: the share of the learning rate must be above 0, not -1.0"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architectures.build(name, 2, hidden_size=4, **options)
