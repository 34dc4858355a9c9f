"""Parts that an LSTM has or lacks: its gates, peepholes and activations."""

from dataclasses import dataclass, fields

from architectures.limits import check_flag


@dataclass(frozen=True, slots=True, kw_only=True)
class LSTMParts:
    """What an LSTM consists of; the defaults are the LSTM with a forget gate (Gers et al. 2000).

    Args:
        peepholes: whether i and f see c_{t-1}, and o sees c_t (Gers, Schraudolph and Schmidhuber 2002, section 3).
        coupled: whether i is 1 - f (Greff et al. 2015, section IV, CIFG).
        input_gate: false makes i 1 (NIG).
        forget_gate: false makes f 1 (NFG).
        output_gate: false makes o 1 (NOG).
        input_activation: false leaves the tanh of g out (NIAF).
        output_activation: false leaves the tanh of c out (NOAF).
        full_gate_recurrence: whether the gates see i, f and o of the step before, too (FGR).

    Raises:
        TypeError: if one is neither true nor false.
        ValueError: if two exclude each other.
    """

    peepholes: bool = False
    coupled: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: bool = True
    output_activation: bool = True
    full_gate_recurrence: bool = False

    def __post_init__(self) -> None:
        for item in fields(self):
            check_flag(**{item.name: getattr(self, item.name)})
        if self.coupled and not (self.input_gate and self.forget_gate):
            raise ValueError("coupled=true makes the input gate 1 - f: input_gate and forget_gate must stay true")
        if self.full_gate_recurrence and len(self.gates) < 3:
            raise ValueError("full_gate_recurrence=true needs an input, a forget and an output gate of their own")
        if self.peepholes and not self.gates:
            raise ValueError("peepholes=true needs a gate that sees the cell")

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that have weights, of i, f and o in this order."""
        present = {"i": self.input_gate and not self.coupled, "f": self.forget_gate, "o": self.output_gate}
        return tuple(gate for gate, there in present.items() if there)

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps of [x, h], in the order in which their weights are stored: the gates' and g, of i, f, g, o."""
        return tuple(name for name in ("i", "f", "g", "o") if name == "g" or name in self.gates)
