"""Tests of the neural Turing machine: heads that move, heads that find, and what a trace tells of the memory."""

from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures.ntm import Addresses, lengths_of, weigh
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise, state_leaf
from tests.architectures.definitions.ntm import run_sequence

SMALL = {"hidden_size": 5, "slots": 6, "slot_size": 4}


def ntm(**options: Any) -> Any:
    return make_encoder(Case(name="ntm", options={**SMALL, **options}))


def addresses(k: Tensor, **parts: float | list[float]) -> Addresses:
    """Returns the addresses of one head of one sequence."""
    chosen = {"beta": 1.0, "g": 0.0, "s": [0.0, 1.0, 0.0], "gamma": 1.0, **parts}
    beta, g, s, gamma = (torch.tensor(chosen[name]).double().view(1, 1, -1) for name in ("beta", "g", "s", "gamma"))
    k = k.view(1, 1, -1)
    return Addresses(k, k.norm(dim=2, keepdim=True), beta, g, s, gamma)


def test_a_head_that_shifts_goes_round() -> None:
    memory, start = noise(1, 5, 3), torch.eye(5).double()[0].view(1, 1, 5)
    lengths, k = lengths_of(memory), noise(3)
    for s, to in (([0.0, 0.0, 1.0], 1), ([1.0, 0.0, 0.0], -1), ([0.0, 1.0, 0.0], 0)):
        weights = start
        for step in range(1, 12):
            weights = weigh(addresses(k, s=s), memory, lengths, weights)
            assert int(weights.argmax()) == to * step % 5
            assert_close(weights.max(), torch.tensor(1.0).double(), 1e-9)


def test_a_head_that_looks_for_content_finds_it() -> None:
    """Whatever its length, and whatever the weights before."""
    memory = noise(1, 5, 3)
    for slot in range(5):
        by = addresses(0.01 * memory[0, slot], g=1.0, beta=1e4)
        weights = weigh(by, memory, lengths_of(memory), torch.full((1, 1, 5), 0.2).double())
        assert_close(weights[0, 0], torch.eye(5).double()[slot], 1e-9)


def test_what_is_blurred_is_sharpened() -> None:
    memory, before = noise(1, 4, 3), torch.tensor([[[0.0, 1.0, 0.0, 0.0]]]).double()
    blurred = [0.25, 0.5, 0.25]
    once, twice = (
        weigh(addresses(noise(3), s=blurred, gamma=gamma), memory, lengths_of(memory), before) for gamma in (1.0, 2.0)
    )
    assert_close(once[0, 0], torch.tensor([0.25, 0.5, 0.25, 0]).double(), 1e-9)
    assert_close(twice[0, 0], torch.tensor([1, 4, 1, 0]).double() / 6, 1e-9)


@pytest.mark.parametrize("heads", [1, 2])
def test_a_trace_tells_what_is_in_the_memory(heads: int) -> None:
    """Its weights, and what it says is erased and added, give the memory and what is read of it; in pieces, too."""
    encoder, x = ntm(num_heads=heads), noise(2, 9, INPUT_SIZE)
    trace, y = encoder.trace(x), encoder(x)[0]
    gates = {name: part.unflatten(2, (heads, -1)) for name, part in trace.gates.items()}
    memory = torch.full((2, 6, 4), 1e-6).double()
    for t in range(9):
        shares = [gates["write"][:, t, head, :, None] * gates["e"][:, t, head, None] for head in range(heads)]
        kept = torch.stack([1 - share for share in shares]).prod(0)
        assert_close(trace.retention[:, t], kept.mean(2))
        memory = memory * kept + (gates["write"][:, t, :, :, None] * gates["a"][:, t, :, None]).sum(1)
        assert_close((gates["read"][:, t] @ memory).flatten(1), y[:, t, 5:])
    assert_close(trace.write, gates["write"].sum(2))
    for name in ("read", "write"):
        assert_close(gates[name].sum(3), torch.ones(2, 9, heads).double(), 1e-9)
    assert_close(state_leaf(encoder(x)[1], 0, 0), memory)
    _, state = encoder(x[:, :4])
    resumed = encoder.trace(x[:, 4:], state)
    assert_close(resumed.gates, {name: part[:, 4:] for name, part in trace.gates.items()})
    # Against the definition, too.
    _, seen = run_sequence(dict(encoder.named_parameters()), x[1], {**SMALL, "num_heads": heads})
    assert_close(torch.stack([step["memory"] for step in seen])[-1], memory[1])
    read = torch.stack([torch.stack(step["weights"][heads:]) for step in seen])
    assert_close(gates["read"][1], read)


@pytest.mark.parametrize("base", ["rnn", "gru", "rda", "slstm", "clockwork-rnn", "grid-lstm"])
def test_any_recurrent_architecture_is_a_controller(base: str) -> None:
    """In pieces as in one call, and with a start that is learned."""
    encoder, x = ntm(base=base), noise(2, 8, INPUT_SIZE)
    y, _ = encoder(x)
    first, state = encoder(x[:, :3])
    assert_close(torch.cat([first, encoder(x[:, 3:], state)[0]], dim=1), y)
    assert any(name.startswith("base.layers.0.initial") for name, _ in encoder.named_parameters())
    fixed = ntm(base=base, learn_initial_state=False)
    assert not any("initial" in name or "first" in name for name, _ in fixed.named_parameters())


def test_the_controller_may_start_from_zeros_alone() -> None:
    encoder = ntm(base_options={"learn_initial_state": False})
    assert {name for name, _ in encoder.named_parameters() if "first" in name} == {"first_weights", "first_read"}
    assert not any("initial" in name for name, _ in encoder.named_parameters())


def test_a_memory_in_half_precision_goes_on_growing() -> None:
    """Its memory is a sum over many steps, so it is carried in single precision: 400 ones are 400."""
    encoder: Any = ntm(learn_initial_state=False).bfloat16()
    with torch.no_grad():
        encoder.erase_and_add.weight.zero_()
        encoder.erase_and_add.bias[:4], encoder.erase_and_add.bias[4:] = -1e4, 1
    _, state = encoder(noise(1, 400, INPUT_SIZE).bfloat16())
    memory = state_leaf(state, 0, 0)
    assert memory.dtype == torch.float32
    # Weights sum to 1, so every step adds 1 to each number of a slot, over all slots.
    torch.testing.assert_close(memory.sum(1), torch.full((1, 4), 400.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "tcn"}, "base 'tcn' is not recurrent"),
        ({"base": "ntm"}, "base 'ntm' is no causal architecture"),
        ({"base": "lstn"}, "base 'lstn' is no causal architecture of the catalogue; did you mean 'lstm'"),
        ({"base": ["lstm"]}, "base must be the name of an architecture"),
        ({"base_options": ["chrono"]}, "base_options must be a mapping"),
        ({"base_options": {"learn": True}}, "base_options has 'learn', which lstm has not"),
        ({"slots": 0}, "slots must be at least 1, not 0"),
        ({"slot_size": 1.5}, "slot_size must be a whole number"),
        ({"num_heads": 0}, "num_heads must be at least 1, not 0"),
        ({"learn_initial_state": 1}, "learn_initial_state must be true or false, not 1"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build("ntm", 2, **{"hidden_size": 4, **options})
