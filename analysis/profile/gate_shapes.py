"""Matrices, state and saved numbers of each recurrent layer, from which the cost of its step follows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from architectures.clockwork_rnn import ClockworkLayer
from architectures.depth_gated_lstm import DepthGatedLayer, FirstLayer
from architectures.grid_lstm import GridLayer
from architectures.gru import GRULayer
from architectures.gru_reset_before import ResetBeforeLayer
from architectures.lstm import LSTMLayer
from architectures.lstm_layernorm import LayerNormLSTMLayer
from architectures.lstm_mi import MultiplicativeLSTMLayer
from architectures.lstm_variants import FullGateRecurrenceLayer, LSTMVariantLayer
from architectures.mrnn import MRNNLayer
from architectures.mut import MUTLayer
from architectures.rda import AveragingLayer
from architectures.recurrent import RecurrentLayer
from architectures.rhn import RHNLayer
from architectures.rnn import RNNLayer
from architectures.scanned import ScannedLayer
from architectures.slstm import SLSTMLayer
from architectures.stepwise import StepwiseLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class GateShape:
    """Shape of a recurrence: its number of matrices, and of numbers that each unit holds.

    Of units that do not act at every step, the mean counts.
    """

    input_matrices: float
    """Matrices of H x I."""
    recurrent_matrices: float
    """Matrices of H x H."""
    state_numbers: float
    """Numbers per unit in the state."""
    saved_numbers: int
    """Numbers per unit and step that are saved for backward, beside the output."""


RNN_SHAPE = GateShape(input_matrices=1, recurrent_matrices=1, state_numbers=1, saved_numbers=0)
LSTM_SHAPE = GateShape(input_matrices=4, recurrent_matrices=4, state_numbers=2, saved_numbers=5)  # i f g o, c
GRU_SHAPE = GateShape(  # r z n, and what r resets
    input_matrices=3, recurrent_matrices=3, state_numbers=1, saved_numbers=4
)
RWA_SHAPE = GateShape(input_matrices=3, recurrent_matrices=2, state_numbers=2, saved_numbers=5)  # u g p, r l
RDA_SHAPE = GateShape(input_matrices=4, recurrent_matrices=3, state_numbers=2, saved_numbers=6)  # u g p q, r l

SAVED: Mapping[type[RecurrentLayer], Callable[[Any], int]] = {
    LSTMVariantLayer: lambda layer: len(layer.parts.maps) + 1,  # the maps, c
    FullGateRecurrenceLayer: lambda layer: 5,  # i f g o, c
    LayerNormLSTMLayer: lambda layer: 10,  # i f g o, their normalised products of h, c, normalised c
    MultiplicativeLSTMLayer: lambda layer: 9,  # i f g o, their products of h, c
    FirstLayer: lambda layer: 5,  # i f g o, c
    DepthGatedLayer: lambda layer: 6,  # i f g o d, c
    GridLayer: lambda layer: 10,  # twice i f g o, m
    ResetBeforeLayer: lambda layer: 3,  # r z n
    MUTLayer: lambda layer: 3,  # z r n
    MRNNLayer: lambda layer: 2,  # m, and what x multiplies
    RHNLayer: lambda layer: 3 * layer.depth - 1,  # a t of every highway layer, s between them
}
"""Numbers per unit and step that a step-wise layer needs for backward, beside its output."""


def layer_shape(layer: RecurrentLayer, time: int) -> GateShape | None:
    """Returns the shape of a layer of the catalogue, over sequences of `time` steps; `None` for another one."""
    kind = type(layer)
    if isinstance(layer, AveragingLayer):
        return RDA_SHAPE if layer.discounted else RWA_SHAPE
    if isinstance(layer, ClockworkLayer):
        return clockwork_shape(layer, time)
    if isinstance(layer, ScannedLayer):
        maps = len(layer.gates) + 1
        # The gates and n; the shares of h, of which one is 1 less the other.
        return GateShape(input_matrices=maps, recurrent_matrices=0, state_numbers=1, saved_numbers=maps + 1)
    if isinstance(layer, SLSTMLayer):
        # Those of units of other heads are 0, and are left out.
        return GateShape(
            input_matrices=4,
            recurrent_matrices=4 / layer.num_heads,
            state_numbers=3,
            saved_numbers=6,  # z i f o, r l
        )
    if isinstance(layer, StepwiseLayer) and kind in SAVED:
        units = layer.hidden_size
        recurrent = len(layer.weight_h) // units + (9 if isinstance(layer, FullGateRecurrenceLayer) else 0)
        return GateShape(
            input_matrices=len(layer.weight_x) // units + isinstance(layer, DepthGatedLayer),
            recurrent_matrices=recurrent,
            state_numbers=layer.num_states,
            saved_numbers=SAVED[kind](layer),
        )
    shapes: Mapping[type[RecurrentLayer], GateShape] = {RNNLayer: RNN_SHAPE, LSTMLayer: LSTM_SHAPE, GRULayer: GRU_SHAPE}
    return shapes.get(kind)


def clockwork_shape(layer: ClockworkLayer, time: int) -> GateShape:
    """Returns the mean shape of a clockwork layer: a module's products count as often as it acts."""
    units = layer.hidden_size
    acting = [-(-time // 2**g) / time for g in range(len(layer.sizes))]
    heard = [units - end + size for end, size in zip(layer.ends, layer.sizes, strict=True)]
    from_input = sum(share * size for share, size in zip(acting, layer.sizes, strict=True))
    from_state = sum(share * size * width for share, size, width in zip(acting, layer.sizes, heard, strict=True))
    return GateShape(
        input_matrices=from_input / units,
        recurrent_matrices=from_state / units**2,
        state_numbers=1 + 1 / units,
        saved_numbers=0,
    )
