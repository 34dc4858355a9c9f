"""Adaptive computation time: a recurrent architecture that takes as many steps for an input as it needs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from architectures.base import Encoder, eval_mode, padding_mask, typed_children
from architectures.initialisation import xavier_
from architectures.limits import check_steps, quote
from architectures.nesting import build_base
from architectures.recording import is_exporting, is_recording
from architectures.recurrent import RecurrentEncoder, RecurrentLayer
from architectures.state import NAMED_STATES, State, StateSpec, map_state
from architectures.trace import Trace

EPSILON = 0.01
"""What a halting probability of all micro-steps together may lack of 1, so that one micro-step can be enough."""
MAX_PONDER_COST = 1e6


class ACT(Encoder):
    """A recurrent architecture that ponders: several micro-steps for each step, whose outputs and states are averaged.

        s^1 = base([x_t, 1], s_{t-1})        s^n = base([x_t, 0], s^{n-1})        h^n = sigmoid(w . s^n + b)
        N = first n with h^1 + .. + h^n >= 1 - epsilon, at most `max_ponder`
        p^n = h^n for n < N        p^N = R = 1 - (h^1 + .. + h^{N-1})
        s_t = sum_n p^n s^n        y_t = sum_n p^n y^n        penalty = ponder_cost mean_t (N_t + R_t)

    The penalty is added to the loss in training (`Encoder.penalty`); its gradient is that of R, as N has none. b starts
    at 1, so that an untrained network ponders little. s is the hidden part of the upper layer in h, else all states.

    Whether all sequences of a batch have halted is asked at every micro-step but the last, so a GPU is waited for: what
    is saved by it, most of `max_ponder` micro-steps, is what adaptive computation time is for.

    Source: Graves 2016, arXiv 1603.08983, section 2, whose penalty is the sum of N + R over the steps. Here it is their
    mean, so that it does not grow with the sequence: `ponder_cost` is T times his tau for sequences of T steps.

    Args:
        input_size: features a step.
        hidden_size: units of what ponders.
        base: name of the recurrent architecture that ponders.
        ponder_cost: the weight of the penalty, T times the paper's tau.
        max_ponder: most micro-steps for a step.
        num_layers: layers; by default as many as `base` has itself.
        dropout: rate between layers.
        base_options: other options of `base`, by name.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        base: str = "lstm",
        ponder_cost: float = 0.001,
        max_ponder: int = 20,
        num_layers: int | None = None,
        dropout: float = 0.0,
        base_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(input_size)
        check_steps(max_ponder=max_ponder)
        if isinstance(ponder_cost, bool) or not isinstance(ponder_cost, int | float):
            raise TypeError(f"ponder_cost must be a number, not {quote(ponder_cost)}")
        if not 0 <= ponder_cost <= MAX_PONDER_COST:
            raise ValueError(f"ponder_cost must lie between 0 and {MAX_PONDER_COST:,.0f}, not {quote(ponder_cost)}")
        base_encoder = build_base(base, input_size + 1, hidden_size, num_layers, dropout, 1, base_options)
        if not isinstance(base_encoder, RecurrentEncoder):
            raise ValueError(f"base {quote(base)} is not recurrent, so it has no state that could ponder")
        if base == "clockwork-rnn":
            raise ValueError("base 'clockwork-rnn' counts its steps, and micro-steps are none")
        self.base, self.max_ponder, self.ponder_cost = base_encoder, max_ponder, float(ponder_cost)
        self.halt = nn.Linear(hidden_size, 1)
        xavier_(self.halt.weight, hidden_size, 1)
        nn.init.ones_(self.halt.bias)
        self.output_size = base_encoder.output_size

    def __getstate__(self) -> dict[str, Any]:
        """Returns what copies and pickles have: not the last call's penalty, which belongs to its graph."""
        return {**self.__dict__, "penalty": None}

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs all steps, and leaves the penalty in `penalty`."""
        y, ponder, after = self._run(x, state)
        if not is_exporting():
            self.penalty = self.ponder_cost * mean_of_valid(ponder, lengths)
        return y, after

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with N + R of every step, (batch, time, 1), as `ponder` in `gates`."""
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            y, ponder, _ = self._run(x, state)
        return Trace(y=y, gates={"ponder": ponder.unsqueeze(2)})

    def path_length(self, lag: int) -> int:
        """Returns the hops of what ponders, if it takes one micro-step for each step."""
        return self.base.path_length(lag)

    def average_path_length(self, lag: int) -> int | None:
        """Returns those through its average, if it carries one."""
        return self.base.average_path_length(lag)

    def state_size(self, time: int) -> int:
        """Returns the size of the state of what ponders."""
        return self.base.state_size(time)

    def state_spec(self, x: Tensor) -> StateSpec | None:
        """Returns what a state for a batch like x has to be."""
        return self.base.state_spec(x)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the weight of the penalty, whose best value depends on the task (section 3)."""
        return {"ponder_cost": {"low": 0.0001, "high": 0.1, "log": True}}

    def _run(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Returns y, N + R of every step, (batch, time), and the state after the last."""
        if state is None:
            layers = typed_children(self.base.layers, RecurrentLayer)
            state = tuple(layer.initial_state(x) for layer in layers)
        firsts, others = (pad(x, (0, 1), value=flag).split(1, dim=1) for flag in (1.0, 0.0))
        outputs, pondered = [], []
        for first, other in zip(firsts, others, strict=True):
            y, ponder, state = self._ponder(first, other, state)
            outputs.append(y)
            pondered.append(ponder)
        # A start that is learned is expanded; what is carried is not.
        return torch.cat(outputs, dim=1), torch.cat(pondered, dim=1), state

    def _ponder(self, first: Tensor, other: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Returns y (batch, 1, units), N + R (batch, 1), and the state after one step.

        All sequences of a batch take as many micro-steps as the one that takes most; those behind its own N weigh 0.

        Args:
            first: input of the first micro-step, (batch, 1, features + 1).
            other: input of the others.
            state: state after the step before.
        """
        # The sum of h^n for n < N, and N, so far.
        total = count = first.new_zeros(len(first), 1)
        running = torch.ones_like(total, dtype=torch.bool)
        y: Tensor | None = None
        average: State = None
        for micro in range(1, self.max_ponder + 1):
            output, state = self.base(other if y is not None else first, state)
            assert isinstance(state, tuple)
            weight = torch.where(running, 1 - total, 0)
            count = count + running
            if micro < self.max_ponder:
                halt = self.halt(state[-1][0]).sigmoid().to(total.dtype)  # type: ignore[index]
                reached = total + halt
                running = running & (reached < 1 - EPSILON)
                weight = torch.where(running, halt, weight)
                total = torch.where(running, reached, total)
            y = add_states(y, output, weight.unsqueeze(2))  # type: ignore[assignment]
            average = add_states(average, state, weight)
            if micro < self.max_ponder and not is_recording() and not running.any():
                break
        assert y is not None
        return y, count + 1 - total, average


def add_states(total: State, state: State, weight: Tensor) -> State:
    """Returns a weighted sum of states, of which one more is added.

    Args:
        total: the sum so far; `None` for nothing.
        state: a tree of tensors (batch, units).
        weight: (batch, 1).
    """
    if total is None:
        return map_state(lambda part: weight * part, state)
    if isinstance(total, Tensor):
        assert isinstance(state, Tensor)
        return total + weight * state
    assert isinstance(state, tuple)
    parts = tuple(add_states(old, new, weight) for old, new in zip(total, state, strict=True))
    named: State = type(total)(*parts) if isinstance(total, NAMED_STATES) else parts
    return named


def mean_of_valid(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns the mean of values (batch, time) over the steps within the lengths."""
    if lengths is None:
        return values.mean()
    valid = ~padding_mask(values, lengths)
    return (values * valid).sum() / valid.sum().clamp(min=1)
