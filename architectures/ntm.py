"""The neural Turing machine: a recurrent architecture that reads and writes a memory of its own."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from architectures.base import Encoder, eval_mode
from architectures.initialisation import make_linear
from architectures.limits import check_flag, check_width, quote
from architectures.nesting import base_names, build_base
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.recurrent import RecurrentEncoder
from architectures.registry import options
from architectures.state import NTMState, State, StateSpec, TensorSpec
from architectures.trace import Trace

EMPTY = 1e-6
"""What every number of the memory is at the start (Collier and Beel 2018, section 3.3)."""
COSINE_EPSILON = 1e-8
LOG_EPSILON = 1e-12
"""Added to a weight before its logarithm is taken: slots far from where a head has been have weights of 0."""
SHIFTS = 3
"""Shifts that a head chooses from: by one slot back, none, and by one slot on."""


class NTM(Encoder):
    """A recurrent architecture with a memory M of N slots, which heads read and write by weights over its slots.

        h_t = base([x_t, r_{t-1}])
        M_t = M_{t-1} (1 - w e^T) + w a^T        of a head that writes: e in (0, 1), erased, and a, added
        r_t = w^T M_t                            of a head that reads
        y_t = [h_t, r_t]

    The weights w of every head follow from the ones before, by content and by place:

        c   = softmax_i(beta cos(k, M_i))        k a key, beta > 0
        w_g = g c + (1 - g) w_{t-1}              g in (0, 1)
        w_s = w_g * s                            a circular convolution with the shifts s, by -1, 0 or 1 slots
        w   = w_s^gamma / sum w_s^gamma          gamma >= 1

    with k, beta, g, s, gamma, e and a linear in h_t, but for what keeps them in their range. Heads write first, and by
    the memory as it was; several erase before any adds.

    Source: Graves, Wayne and Danihelka 2014, arXiv 1410.5401, section 3, with the recurrent controller of section 3.4;
    its slots and their size are those of the paper. The memory starts as in Collier and Beel 2018, arXiv 1807.08518:
    the same everywhere, while the controller, r and the first weights have starts that are learned. In the paper, other
    shifts than these are possible.

    Args:
        input_size: features a step.
        hidden_size: units of the controller.
        base: name of the recurrent architecture that is the controller.
        slots: N.
        slot_size: numbers of a slot.
        num_heads: heads that read, and as many that write.
        num_layers: layers of the controller; by default as many as `base` has itself.
        dropout: rate between its layers.
        learn_initial_state: whether the controller's start, r_0 and w_0 are learned, or 0, 0 and the first slot.
        base_options: other options of `base`, by name.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        base: str = "lstm",
        slots: int = 128,
        slot_size: int = 20,
        num_heads: int = 1,
        num_layers: int | None = None,
        dropout: float = 0.0,
        learn_initial_state: bool = True,
        base_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(input_size)
        check_width(slots=slots, slot_size=slot_size, num_heads=num_heads)
        check_flag(learn_initial_state=learn_initial_state)
        self.slots, self.slot_size, self.num_heads = slots, slot_size, num_heads
        read_size = num_heads * slot_size
        own = {} if base_options is None else base_options
        if learn_initial_state and isinstance(own, Mapping) and "learn_initial_state" in known_options(base):
            own = {"learn_initial_state": True, **own}
        controller = build_base(base, input_size + read_size, hidden_size, num_layers, dropout, 1, own)
        if not isinstance(controller, RecurrentEncoder):
            raise ValueError(f"base {quote(base)} is not recurrent, so it cannot be a controller")
        self.base, units = controller, controller.output_size
        self.addresses = make_linear(units, slot_size + SHIFTS + 3, maps=2 * num_heads, bias=True)
        self.erase_and_add = make_linear(units, slot_size, maps=2 * num_heads, bias=True)
        # Not the same for all slots: nothing would tell these apart, as long as their contents are the same, too.
        self.first_weights = nn.Parameter(torch.randn(2 * num_heads * slots)) if learn_initial_state else None
        self.first_read = nn.Parameter(torch.zeros(read_size)) if learn_initial_state else None
        self.output_size = units + read_size

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs all steps."""
        steps, after = self._run(x, state)
        return join_outputs(steps), after

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace whose units are the slots: what a slot keeps, 1 - w e on average over its numbers, and w.

        Of several heads that write, all erase, and their weights are summed. `gates` has the weights of every head that
        reads (`read`) and writes (`write`), (batch, time, heads slots), and what is erased (`e`) and added (`a`),
        (batch, time, heads slot_size).
        """
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            steps, _ = self._run(x, state)
        y = join_outputs(steps)
        e, a, write, read = (
            torch.stack([getattr(step, name) for step in steps], dim=1).to(y.dtype)
            for name in ("e", "a", "write_weights", "read_weights")
        )
        kept = (1 - write.unsqueeze(4) * e.unsqueeze(3)).prod(2).mean(3)
        gates = {name: part.flatten(2) for name, part in {"read": read, "write": write, "e": e, "a": a}.items()}
        return Trace(y=y, retention=kept, write=write.sum(2), gates=gates)

    def path_length(self, lag: int) -> int:
        """Returns the hops of the controller: what is written to the memory is kept there step by step, too."""
        return self.base.path_length(lag)

    def state_size(self, time: int) -> int:
        """Returns the size of the memory, of the weights of all heads, of what was read, and of the controller."""
        own = self.slots * self.slot_size + self.num_heads * (2 * self.slots + self.slot_size)
        return own + self.base.state_size(time)

    def state_spec(self, x: Tensor) -> StateSpec | None:
        """Returns what a state for a batch like x has to be: that of the memory, then those of the controller."""
        below, batch = self.base.state_spec(x), len(x)
        assert isinstance(below, tuple)
        weights = (batch, self.num_heads, self.slots)
        shapes = (batch, self.slots, self.slot_size), weights, weights, (batch, self.num_heads * self.slot_size)
        return (NTMState(*(TensorSpec(sizes=sizes, dtype=sum_dtype(x), device=x.device) for sizes in shapes)), *below)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the slots and the heads."""
        return {"slots": [32, 64, 128], "num_heads": [1, 2, 4]}

    def _run(self, x: Tensor, state: State) -> tuple[list["Step"], State]:
        """Returns what happens at every step of x, and the state after the last."""
        base_state: State
        if isinstance(state, tuple):
            start, base_state = state[0], state[1:]
            assert isinstance(start, tuple)
            memory, write_weights, read_weights, read = (at_least_single(part) for part in start)  # type: ignore[arg-type]
        else:
            (memory, write_weights, read_weights, read), base_state = self._start(x), None
        steps, lengths = [], lengths_of(memory)
        for x_t in x.unbind(1):
            h, base_state = self.base(torch.cat([x_t, read.to(x_t.dtype)], dim=1).unsqueeze(1), base_state)
            h = h.squeeze(1)
            addresses, e, a = self._commands(h)
            writing, reading = addresses.split(self.num_heads)
            with full_precision(h):
                write_weights = weigh(writing, memory, lengths, write_weights)
                memory = write(memory, write_weights, e, a)
                lengths = lengths_of(memory)
                read_weights = weigh(reading, memory, lengths, read_weights)
                read = (read_weights @ memory).flatten(1)
            steps.append(Step(h, read.to(h.dtype), write_weights, read_weights, e, a))
        assert isinstance(base_state, tuple)
        own = (memory, write_weights, read_weights, read)
        return steps, (NTMState(*own), *base_state)

    def _start(self, x: Tensor) -> NTMState:
        """Returns the memory, the weights and what was read before the first step."""
        batch, heads, kind = len(x), self.num_heads, torch.promote_types(x.dtype, torch.float32)
        memory = x.new_full((batch, self.slots, self.slot_size), EMPTY, dtype=kind)
        if self.first_weights is None or self.first_read is None:
            weights = x.new_zeros(batch, heads, self.slots, dtype=kind)
            weights[:, :, 0] = 1
            return NTMState(memory, weights, weights, x.new_zeros(batch, heads * self.slot_size, dtype=kind))
        learned = self.first_weights.to(kind).view(2, 1, heads, self.slots).softmax(3).expand(-1, batch, -1, -1)
        return NTMState(memory, learned[0], learned[1], self.first_read.to(kind).expand(batch, -1))

    def _commands(self, h: Tensor) -> tuple["Addresses", Tensor, Tensor]:
        """Returns the addresses of all heads, those that write first, and what these erase and add.

        Args:
            h: (batch, units).

        Returns:
            The addresses, then e and a, (batch, heads, slot_size).
        """
        raw = at_least_single(self.addresses(h)).view(len(h), 2 * self.num_heads, -1)
        e, a = at_least_single(self.erase_and_add(h)).view(len(h), 2, self.num_heads, -1).unbind(1)
        with full_precision(h):
            k, s, beta, gamma, g = raw.split([self.slot_size, SHIFTS, 1, 1, 1], dim=2)
            beta, gamma, g, s = softplus(beta), 1 + softplus(gamma), g.sigmoid(), s.softmax(2)
            return Addresses(k, k.norm(dim=2, keepdim=True), beta, g, s, gamma), e.sigmoid(), a


class Step(NamedTuple):
    """What happens at a step."""

    h: Tensor
    """(batch, units) output of the controller."""
    read: Tensor
    """(batch, heads slot_size) what is read."""
    write_weights: Tensor
    """(batch, heads, slots)."""
    read_weights: Tensor
    """(batch, heads, slots)."""
    e: Tensor
    """(batch, heads, slot_size) what is erased."""
    a: Tensor
    """(batch, heads, slot_size) what is added."""


class Addresses(NamedTuple):
    """What the weights of some heads follow from, (batch, heads, ...)."""

    k: Tensor
    """Keys, of a slot's size."""
    k_length: Tensor
    """Lengths of the keys."""
    beta: Tensor
    g: Tensor
    s: Tensor
    """Shares of the three shifts."""
    gamma: Tensor

    def split(self, heads: int) -> list["Addresses"]:
        """Returns the addresses of so many heads after so many."""
        return [Addresses(*parts) for parts in zip(*(part.split(heads, dim=1) for part in self), strict=True)]


def known_options(base: object) -> Collection[str]:
    """Returns the names of the options of a controller; none if there is no such architecture."""
    return options(base) if isinstance(base, str) and base in base_names() else ()


def join_outputs(steps: list[Step]) -> Tensor:
    """Returns [h_t, r_t] of all steps, (batch, time, units + heads slot_size)."""
    return torch.stack([torch.cat([step.h, step.read], dim=1) for step in steps], dim=1)


def lengths_of(memory: Tensor) -> Tensor:
    """Returns the lengths of the slots of a memory (batch, slots, slot_size): (batch, 1, slots)."""
    lengths: Tensor = memory.norm(dim=2)
    return lengths.unsqueeze(1)


def weigh(by: Addresses, memory: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
    """Returns the weights of some heads over the slots, (batch, heads, slots).

    Args:
        by: of these heads.
        memory: (batch, slots, slot_size).
        lengths: of its slots.
        before: their weights at the step before.
    """
    cosine = by.k @ memory.transpose(1, 2) / (by.k_length * lengths + COSINE_EPSILON)
    content = (by.beta * cosine).softmax(2)
    gated = by.g * content + (1 - by.g) * before
    back, none, on = by.s.split(1, dim=2)
    shifted = back * gated.roll(-1, 2) + none * gated + on * gated.roll(1, 2)
    sharpened: Tensor = (by.gamma * (shifted + LOG_EPSILON).log()).softmax(2)
    return sharpened


def write(memory: Tensor, weights: Tensor, e: Tensor, a: Tensor) -> Tensor:
    """Returns the memory after some heads have written to it.

    Args:
        memory: (batch, slots, slot_size).
        weights: of these heads, (batch, heads, slots).
        e: what they erase, (batch, heads, slot_size).
        a: what they add.
    """
    for head_weights, erased in zip(weights.unbind(1), e.unbind(1), strict=True):
        # M (1 - w e^T), with the fewest passes over what is as large as the memory.
        memory = memory.addcmul(head_weights.unsqueeze(2), memory * erased.unsqueeze(1), value=-1)
    return torch.baddbmm(memory, weights.transpose(1, 2), a)
