"""Recurrent layers that PyTorch runs one step after another, for architectures that it has no layer of."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from architectures.initialisation import xavier_
from architectures.limits import check_flag
from architectures.recurrent import RecurrentLayer, has_hooks
from architectures.trace import Trace

Seen = Mapping[str, Tensor]
"""Quantities of a step by name, each (batch, units)."""


class StepwiseLayer(RecurrentLayer):
    """A layer whose step is a method of its own; PyTorch derives the gradient.

    A subclass sets `state_class`, whose first tensor is the output, and implements `step` and `make_trace`. What needs
    no earlier step, the products of the input, is computed at once by `before_steps`.
    """

    def __init__(self, input_size: int, hidden_size: int, learn_initial_state: bool) -> None:
        super().__init__()
        check_flag(learn_initial_state=learn_initial_state)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.initial = (
            nn.ParameterList(torch.zeros(hidden_size) for _ in range(self.num_learned)) if learn_initial_state else None
        )

    @property
    def num_learned(self) -> int:
        """The number of tensors of the state that may be learned, which come first: by default all."""
        return self.num_states

    def add_weights(self, inputs: int, recurrent: int, biases: int | None = None) -> None:
        """Adds `weight_x` of that many matrices of the input, `weight_h` of the recurrence, and `bias`.

        They start as the RDA paper has it (section 6.1): Xavier weights, each matrix with the fan of its whole gate,
        and zero biases.
        """
        units, fan_in = self.hidden_size, self.input_size + self.hidden_size
        self.weight_x = nn.Parameter(torch.empty(inputs * units, self.input_size))
        self.weight_h = nn.Parameter(torch.empty(recurrent * units, units))
        self.bias = nn.Parameter(torch.zeros((inputs if biases is None else biases) * units))
        xavier_(self.weight_x, fan_in, units)
        xavier_(self.weight_h, fan_in, units)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the learned initial state, or zeros."""
        if self.initial is None:
            zeros = (x.new_zeros(x.shape[0], self.hidden_size) for _ in range(self.num_states))
            return self.state_class(*zeros)  # type: ignore[no-any-return]
        return self.state_class(*(value.expand(x.shape[0], -1) for value in self.initial))  # type: ignore[no-any-return]

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns what all steps need of x (batch, time, features): by default its products, a tensor for each gate."""
        products: tuple[Tensor, ...] = linear(x, self.weight_x, self.bias).split(self.hidden_size, dim=2)
        return products

    def weights(self) -> Any:
        """Returns what every step multiplies with: by default the recurrent weights, transposed.

        Once for a sequence, as they may be computed by a parametrization.
        """
        return self.weight_h.t()

    @abstractmethod
    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns the state after a step, a plain tuple, and the step's quantities for the trace.

        Args:
            given: of `before_steps`, the parts of this step, (batch, units) each.
            state: before the step.
            weights: what `weights` returned.
        """

    @abstractmethod
    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns the trace, from the outputs and the quantities of all steps, (batch, time, units) each."""

    def run(
        self, x: Tensor, state: tuple[Tensor, ...], traced: bool = False
    ) -> Iterator[tuple[tuple[Tensor, ...], Seen]]:
        """Yields what `step` returns for each step.

        Args:
            x: the input.
            state: before the first step.
            traced: whether the quantities of the steps are read.
        """
        weights, state = self.weights(), tuple(state)
        # One operation for all steps, whose gradient is one, too; that of a slice would be as large as the whole.
        for given in zip(*(part.unbind(1) for part in self.before_steps(x)), strict=True):
            after, seen = self.step(given, state, weights)
            state = after[: self.num_states]
            yield after, seen

    def make_output(self, states: list[tuple[Tensor, ...]]) -> Tensor:
        """Returns the output, (batch, time, units), from what every step returned: by default the first of it."""
        return torch.stack([state[0] for state in states], dim=1)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps."""
        states = [after for after, _ in self.run(x, state)]
        return self.make_output(states), self.state_class(*states[-1][: self.num_states])

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace of what every step has seen."""
        if has_hooks(self):
            # Pruning computes the weights in one, which only a call of the layer runs.
            self(x, state)
        states, all_seen = zip(*self.run(x, state, traced=True), strict=True)
        stacked = {name: torch.stack([seen[name] for seen in all_seen], dim=1) for name in all_seen[0]}
        return self.make_trace(self.make_output(list(states)), stacked)
