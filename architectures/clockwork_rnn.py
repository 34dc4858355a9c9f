"""The clockwork recurrent network."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from architectures.initialisation import xavier_
from architectures.limits import check_whole
from architectures.recording import is_recording
from architectures.recurrent import RecurrentEncoder, stack_layers
from architectures.state import ClockworkState, StateSpec, TensorSpec
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace

MAX_MODULES = 8
"""The most modules: the slowest then acts at every 128th step, and bfloat16 still counts them exactly."""


class ClockworkRNN(RecurrentEncoder):
    """A recurrent network in modules, of which the g-th acts at every 2^g-th step and holds its values between.

        h^g_t = tanh(W^g x_t + sum_{k >= g} U^{gk} h^k_{t-1} + b^g) if t mod 2^g = 0, else h^g_{t-1}

    with t = 0 at the first step. A module hears those that are as slow as itself or slower. Units are divided as evenly
    as possible, the faster modules having one more where it does not come out even. The step's number, modulo the
    slowest period, is part of the state: a sequence in pieces goes on where the clock stood. Source: Koutnik et al.
    2014, arXiv 1402.3511, section 3.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_modules: modules, with periods 1, 2, 4 and so on; at most one for each unit.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        zoneout: rate at which units of h hold their value for a step (Krueger et al. 2017).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_modules: int = 8,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        check_whole("num_modules", num_modules, most=MAX_MODULES, why="slower ones would hardly ever act")
        layers = stack_layers(ClockworkLayer, input_size, hidden_size, num_layers, num_modules, learn_initial_state)
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)
        self.periods: list[int] = [2**g for g in range(min(num_modules, hidden_size))]

    def path_length(self, lag: int) -> int:
        """Returns the fewest hops, those of an input at a step where the slowest module acts.

        They are one into the first layer, one whenever the slowest module acts again, and one for every layer above;
        between its steps a module holds what it has. An input that a faster module alone gets takes more hops: in a
        single layer one for every step, if only the fastest acts at its step.
        """
        self.check_lag(lag)
        return lag // self.periods[-1] + len(self.layers)

    def state_size(self, time: int) -> int:
        """Returns the units of all layers, and a clock for each."""
        return len(self.layers) * (self.output_size + 1)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of modules, and the options of every recurrent encoder."""
        return {"num_modules": {"low": 2, "high": MAX_MODULES}, **super().search_space(time)}


class ClockworkLayer(StepwiseLayer):
    """A layer of the clockwork network; its state is (h, clock), the clock (batch, 1) as a floating-point number.

    Units are in the order of their modules, the fastest first, so that those which act at a step come first.
    """

    state_class = ClockworkState

    def __init__(self, input_size: int, hidden_size: int, num_modules: int, learn_initial_state: bool) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        count = min(num_modules, hidden_size)
        self.sizes = [(hidden_size + count - 1 - g) // count for g in range(count)]
        self.ends = [sum(self.sizes[: g + 1]) for g in range(count)]
        self.period = 2 ** (count - 1)
        self.weight_x = nn.Parameter(torch.empty(hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        xavier_(self.weight_x, input_size + hidden_size, hidden_size)
        for g, size in enumerate(self.sizes):
            weight = nn.Parameter(torch.empty(size, hidden_size - self.ends[g] + size))
            xavier_(weight, input_size + hidden_size, hidden_size)
            self.register_parameter(f"weight_h{g}", weight)
        units = torch.cat([torch.full((size,), 2.0**g) for g, size in enumerate(self.sizes)])
        self.register_buffer("unit_periods", units, persistent=False)

    @property
    def num_learned(self) -> int:
        """The number of tensors of the state that may be learned: h."""
        return 1

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the learned h, or zeros, and a clock at 0."""
        h = x.new_zeros(len(x), self.hidden_size) if self.initial is None else self.initial[0].expand(len(x), -1)
        return ClockworkState(h, x.new_zeros(len(x), 1))

    def state_spec(self, x: Tensor, hidden_size: int) -> StateSpec:
        """Returns what a state for a batch like x has to be."""
        return ClockworkState(
            *(TensorSpec(sizes=(len(x), size), dtype=self.state_dtype(x), device=x.device) for size in (hidden_size, 1))
        )

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the product of x for all units together."""
        return (linear(x, self.weight_x, self.bias),)

    def weights(self) -> Any:
        """Returns the recurrent weights, transposed, of the units that act together, for each number of modules."""
        units = self.hidden_size
        rows = [getattr(self, f"weight_h{g}") for g in range(len(self.sizes))]
        whole = torch.cat([pad(row, (units - row.shape[1], 0)) for row in rows])
        return [whole[:end].t() for end in self.ends]

    def run(
        self, x: Tensor, state: tuple[Tensor, ...], traced: bool = False
    ) -> Iterator[tuple[tuple[Tensor, ...], Seen]]:
        """Runs all steps; those of which the clock is known compute the units alone that act."""
        weights, (h, clock) = self.weights(), state
        start = known_clock(clock)
        given = self.before_steps(x)[0].unbind(1)
        for index, from_x in enumerate(given):
            if start is None:
                on = (clock + index % self.period) % self.unit_periods == 0
                new = (from_x + h @ weights[-1]).tanh()
                h = torch.where(on, new, h)
                seen = {"on": on.to(h.dtype), "new": torch.where(on, new, 0)} if traced else {}
            else:
                place = count_acting(start + index, len(self.sizes)) - 1
                end = self.ends[place]
                new = (from_x[:, :end] + h @ weights[place]).tanh()
                h = torch.cat([new, h[:, end:]], dim=1) if end < self.hidden_size else new
                beyond = (0, self.hidden_size - end)
                seen = {"on": pad(torch.ones_like(new), beyond), "new": pad(new, beyond)} if traced else {}
            if index + 1 == len(given):
                clock = (clock + len(given) % self.period) % self.period
            yield (h, clock), seen

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Raises an error: what a step computes depends on its number, which `run` knows."""
        raise NotImplementedError

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace whose write is 1 for units that act, and 0 for those that hold, as `on` in `gates`.

        The content of a unit that holds is 0.
        """
        on = seen["on"]
        return Trace(y=y, retention=1 - on, write=on, content=seen["new"], gates={"on": on})


def known_clock(clock: Tensor) -> int | None:
    """Returns the number at which all clocks of a batch stand; `None` if they differ, or are not to be read.

    Reading a GPU's would make every call wait for it, and there a step costs its launches, not its products; a recorded
    program has no number yet.
    """
    if clock.device.type != "cpu" or is_recording():
        return None
    first, *others = set(clock.detach().flatten().tolist())
    return None if others else int(first)


def count_acting(step: int, modules: int) -> int:
    """Returns how many modules act at a step: one more than the zeros at the end of its binary number."""
    return modules if step == 0 else min(modules, (step & -step).bit_length())
