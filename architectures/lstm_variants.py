"""Layers of the LSTM's variants: with peepholes, and with parts left out (Greff et al. 2015, arXiv 1503.04069)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from architectures.initialisation import chrono_, xavier_
from architectures.kernels import run_compiled_cell
from architectures.kernels.native import LSTM_COUPLED, LSTM_FLAGS
from architectures.lstm_parts import LSTMParts
from architectures.recurrent import has_hooks
from architectures.state import FullGateState, LSTMState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace

PEEPHOLES = ("i", "f", "o")
"""The order of the peepholes."""


class LSTMVariantLayer(StepwiseLayer):
    """A layer of the LSTM with the parts that it is given; its state is (h, c).

    Weights are stored for the maps that there are, of [i | f | g | o]; a gate that is not there is 1.
    """

    state_class: Any = LSTMState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        parts: LSTMParts,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        self.parts = parts
        self.add_weights(len(parts.maps), len(parts.maps))
        biases = dict(zip(parts.maps, self.bias.detach().split(hidden_size), strict=True))
        if chrono is not None:
            if "f" not in biases:
                raise ValueError("chrono draws the biases of the forget gate, so forget_gate must stay true")
            chrono_(chrono, biases["f"], biases.get("i"))
        elif "f" in biases:
            nn.init.ones_(biases["f"])
        for gate in parts.gates if parts.peepholes else ():
            self.register_parameter(f"peephole_{gate}", nn.Parameter(torch.zeros(hidden_size)))

    def peepholes(self) -> dict[str, Tensor]:
        """Returns the peepholes by gate, as they are now; none without them."""
        return {gate: getattr(self, f"peephole_{gate}") for gate in self.parts.gates if self.parts.peepholes}

    def weights(self) -> Any:
        """Returns the recurrent weights, transposed, and the peepholes."""
        return self.weight_h.t(), self.peepholes()

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c), and i, f, g and o."""
        weight_h, peepholes = weights
        h, c = state
        return self.finish_step(self.add_products(given, h, weight_h), c, peepholes)

    def add_products(self, given: Sequence[Tensor], h: Tensor, weight_h: Tensor) -> dict[str, Tensor]:
        """Returns the sums of the maps, by name, from their products with x and the state h before."""
        products = (h @ weight_h).split(self.hidden_size, dim=1)
        return {name: a + b for name, a, b in zip(self.parts.maps, given, products, strict=True)}

    def finish_step(
        self, sums: dict[str, Tensor], c: Tensor, peepholes: dict[str, Tensor], entering: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c) after a step, and i, f, g and o.

        Args:
            sums: of the maps, by name.
            c: before the step.
            peepholes: by gate.
            entering: what c gets besides.
        """

        def gate(name: str, cell: Tensor) -> Tensor:
            if name not in sums:
                return torch.ones_like(c)
            return (sums[name] + peepholes[name] * cell if name in peepholes else sums[name]).sigmoid()

        f = gate("f", c)
        i = 1 - f if self.parts.coupled else gate("i", c)
        g = sums["g"].tanh() if self.parts.input_activation else sums["g"]
        c = f * c + i * g if entering is None else f * c + i * g + entering
        o = gate("o", c)
        h = o * (c.tanh() if self.parts.output_activation else c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with the gates i, f and o, 1 where one is not there; g is the content."""
        return Trace(
            y=y,
            retention=seen["f"],
            write=seen["i"],
            content=seen["g"],
            gates={gate: seen[gate] for gate in ("i", "f", "o")},
        )

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps, by a C++ kernel if it is to be used."""
        result = None if has_hooks(self) and not self._forward_pre_hooks else self.run_native(x, state)
        if result is None:
            return super().forward(x, state)
        # Copies, so that a carried state does not hold on to the peepholes beside it.
        return result[0], self.state_class(result[1][0].clone(), result[1][1].clone())

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Returns the outputs and the last state as the C++ kernel computes them; `None` where it is not to be used."""
        parts, units = self.parts, self.hidden_size
        # The kernel has sums for four maps or for three; what there is no gate for stays 0.
        missing = max(0, 3 - len(parts.maps)) * units
        weight_x: Tensor = self.weight_x
        weight_h: Tensor = self.weight_h
        bias: Tensor = self.bias
        if missing:
            weight_x = torch.cat([weight_x, weight_x.new_zeros(missing, weight_x.shape[1])])
            weight_h = torch.cat([weight_h, weight_h.new_zeros(missing, units)])
            bias = torch.cat([bias, bias.new_zeros(missing)])
        start = list(state)
        if parts.peepholes:
            peepholes = self.peepholes()
            # As they are the same for all sequences, their gradients are summed over the batch.
            start += [peepholes.get(gate, bias.new_zeros(units)).expand_as(state[1]) for gate in PEEPHOLES]
        flags = sum(LSTM_FLAGS[gate] for gate in parts.gates) + (LSTM_COUPLED if parts.coupled else 0)
        return run_compiled_cell(
            ("lstm-peephole" if parts.peepholes else "lstm") if len(parts.maps) == 4
            else ("lstm-peephole-3" if parts.peepholes else "lstm-3"),
            x,
            weight_x.t(),
            bias,
            weight_h.t(),
            torch.stack(start),
            (flags, parts.input_activation, parts.output_activation),
        )  # fmt: skip


class FullGateRecurrenceLayer(LSTMVariantLayer):
    """A layer of the LSTM whose gates see i, f and o of the step before; its state is (h, c, i, f, o).

    The weights of the nine maps from gate to gate are stored as those of [i | f | o] to [i | f | o].
    """

    state_class = FullGateState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        parts: LSTMParts,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, parts, learn_initial_state, chrono)
        self.weight_gates = nn.Parameter(torch.empty(3 * hidden_size, 3 * hidden_size))
        xavier_(self.weight_gates, input_size + hidden_size, hidden_size)

    def weights(self) -> Any:
        """Returns the recurrent weights, transposed, the peepholes, and the weights from gate to gate."""
        return *super().weights(), self.weight_gates

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (h, c, i, f, o), and i, f, g and o."""
        weight_h, peepholes, weight_gates = weights
        h, c, *gates = state
        sums = self.add_products(given, h, weight_h)
        among = linear(torch.cat(gates, dim=1), weight_gates).split(self.hidden_size, dim=1)
        for name, product in zip(PEEPHOLES, among, strict=True):
            sums[name] = sums[name] + product
        after, seen = self.finish_step(sums, c, peepholes)
        return (*after, seen["i"], seen["f"], seen["o"]), seen

    def run_native(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor] | None:
        """Returns `None`: there is no kernel for it."""
        return None
