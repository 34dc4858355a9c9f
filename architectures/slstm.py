"""The sLSTM: an LSTM with exponential gates, whose cell is a running average."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from architectures.initialisation import chrono_, chrono_choices, xavier_
from architectures.kernels import INITIAL_LOG_DENOMINATOR, run_compiled_cell, run_compiled_cell_states
from architectures.limits import check_width, quote
from architectures.recurrent import RecurrentEncoder, has_hooks, stack_layers
from architectures.state import SLSTMState
from architectures.stepwise import Seen, StepwiseLayer
from architectures.trace import Trace

ForgetGate = Literal["sigmoid", "exp"]


class SLSTM(RecurrentEncoder):
    """The scalar LSTM of the xLSTM: exponential input gates, a normaliser, and memory mixing within heads.

        z_t = tanh(W_z [x_t, h_{t-1}] + b_z)       i_t = exp(W_i [x_t, h_{t-1}])
        f_t = sigmoid or exp(W_f [x_t, h_{t-1}] + b_f)      o_t = sigmoid(W_o [x_t, h_{t-1}] + b_o)
        c_t = f_t c_{t-1} + i_t z_t       n_t = f_t n_{t-1} + i_t       h_t = o_t c_t / n_t

    Source: Beck et al. 2024, arXiv 2405.04517, section 2.2, equations 8 to 17. c / n is the running average of the RDA
    with exponential attention, whose output gate is open and whose u is 1 (`architectures.rda`). It is computed as that
    is, from r = c / n and l = log n, which needs no stabiliser of its own. i has no bias, which would multiply c and n
    alike and cancel. The biases of f start at 1, the others at 0.

    With `chrono` T, the biases of f, a sigmoid, are drawn as log U(1, T - 1) (Tallec and Ollivier 2018, arXiv
    1804.11188).

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        forget: the function of the forget gate.
        num_heads: groups of units that hear each other's h, and not that of the others.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        zoneout: rate at which units of c / n and of h hold their value for a step (Krueger et al. 2017).
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget: ForgetGate = "sigmoid",
        num_heads: int = 1,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        zoneout: float = 0.0,
    ) -> None:
        if forget not in get_args(ForgetGate):
            raise ValueError(f"forget must be sigmoid or exp, not {quote(forget)}")
        if chrono is not None and forget == "exp":
            raise ValueError("chrono draws biases for a forget gate that is a sigmoid, so forget must stay sigmoid")
        layers = stack_layers(
            SLSTMLayer, input_size, hidden_size, num_layers, forget, num_heads, learn_initial_state, chrono
        )
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the options of every recurrent encoder, and chrono biases for spans of up to `time` steps."""
        return {**super().search_space(time), **chrono_choices(time)}


class SLSTMLayer(StepwiseLayer):
    """A layer of the sLSTM; its state is (r, l, h) with r = c / n and l = log n.

    Weights are stored for [z | i | f | o]; those of the recurrence, for every unit, for the units of its head alone.
    """

    state_class = SLSTMState
    averages = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget: ForgetGate,
        num_heads: int,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, learn_initial_state)
        check_width(num_heads=num_heads)
        if hidden_size % num_heads:
            raise ValueError(f"hidden_size {hidden_size} cannot be divided among {num_heads} heads")
        self.exp_forget, self.num_heads = forget == "exp", num_heads
        head_size = hidden_size // num_heads
        self.weight_x = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_h = nn.Parameter(torch.empty(4 * hidden_size, head_size))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))
        xavier_(self.weight_x, input_size + head_size, hidden_size)
        xavier_(self.weight_h, input_size + head_size, hidden_size)
        _, f, _ = self.bias.detach().split(hidden_size)
        if chrono is None:
            nn.init.ones_(f)
        else:
            chrono_(chrono, f)

    @property
    def num_learned(self) -> int:
        """One tensor may be learned: h_0, as the first weight of the average is 1."""
        return 1

    def state_dtype(self, x: Tensor) -> torch.dtype | None:
        """Returns the type of a state for a batch like x: float32 for float16, beyond which the l of the start lies."""
        return torch.float32 if x.dtype == torch.float16 else super().state_dtype(x)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns an empty average, and h_0."""
        dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
        r = x.new_zeros(x.shape[0], self.hidden_size, dtype=dtype)
        h = r if self.initial is None else self.initial[0].to(dtype).expand_as(r)
        return self.state_class(r, torch.full_like(r, INITIAL_LOG_DENOMINATOR), h)

    def full_bias(self) -> Tensor:
        """Returns the biases of [z | i | f | o], with 0 for that of i, which would cancel."""
        z, f, o = self.bias.split(self.hidden_size)
        return torch.cat([z, torch.zeros_like(z), f, o])

    def full_weight_h(self) -> Tensor:
        """Returns the recurrent weights, (4 units, units), with 0 between units of different heads."""
        heads, size = self.num_heads, self.hidden_size // self.num_heads
        if heads == 1:
            return self.weight_h
        within = torch.eye(heads, dtype=self.weight_h.dtype, device=self.weight_h.device).view(heads, 1, heads, 1)
        spread: Tensor = self.weight_h.view(4, heads, size, 1, size) * within
        return spread.reshape(4 * self.hidden_size, self.hidden_size)

    def before_steps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns what z, i, f and o get of x, biases included."""
        sums = linear(x, self.weight_x, self.full_bias())
        parts: tuple[Tensor, ...] = sums.split(self.hidden_size, dim=2)
        return parts

    def weights(self) -> Any:
        """Returns the recurrent weights, transposed."""
        return self.full_weight_h().t()

    def step(
        self, given: tuple[Tensor, ...], state: tuple[Tensor, ...], weights: Any
    ) -> tuple[tuple[Tensor, ...], Seen]:
        """Returns (r, l, h), and the gates with the shares of the average."""
        r, l, h = state
        of_h = (h.to(weights.dtype) @ weights).split(self.hidden_size, dim=1)
        g, p, q, o = (a + b for a, b in zip(given, of_h, strict=True))
        # Sums over time stay in the state's type.
        g, p, q, o = (value.to(r.dtype) for value in (g, p, q, o))
        log_f = q if self.exp_forget else logsigmoid(q)
        m = l + log_f
        delta = p - m
        w, z, o = delta.sigmoid(), g.tanh(), o.sigmoid()
        l = torch.maximum(m, p) - logsigmoid(delta.abs())
        r = torch.lerp(r, z, w)
        seen = {"retention": (-delta).sigmoid(), "write": w, "z": z, "p": p, "log_f": log_f, "o": o, "r": r, "l": l}
        return (r, l, o * r), seen

    def make_output(self, states: list[tuple[Tensor, ...]]) -> Tensor:
        """Returns h of every step."""
        return torch.stack([state[2] for state in states], dim=1)

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns h, (batch, 1, units)."""
        return state[2].unsqueeze(1).to(y.dtype)

    def make_trace(self, y: Tensor, seen: Seen) -> Trace:
        """Returns a trace with write w, retention 1 - w and content z; `gates` holds o, r and l."""
        return Trace(
            y=y,
            retention=seen["retention"],
            write=seen["write"],
            content=seen["z"],
            log_attention=seen["p"],
            log_discount=seen["log_f"],
            gates={name: seen[name] for name in ("o", "r", "l")},
        )

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace: of all steps at once where the C++ kernel tells their states, else step by step."""
        if has_hooks(self):
            # Pruning computes the weights in one, which only a call of the layer runs.
            self(x, state)
        states = run_compiled_cell_states("slstm", x, *self._operands(state))
        if states is None:
            return super().trace(x, state)
        r, l, h = states
        l_before, h_before = (
            torch.cat([start.unsqueeze(1), part[:, :-1]], dim=1) for start, part in zip(state[1:], (l, h), strict=True)
        )
        of_h = linear(h_before, self.full_weight_h()).split(self.hidden_size, dim=2)
        g, p, q, o = (a + b for a, b in zip(self.before_steps(x), of_h, strict=True))
        log_f = q if self.exp_forget else logsigmoid(q)
        shares = {"retention": (l_before + log_f - l).exp(), "write": (p - l).exp()}
        return self.make_trace(h, {**shares, "z": g.tanh(), "p": p, "log_f": log_f, "o": o.sigmoid(), "r": r, "l": l})

    def _operands(self, state: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """Returns what the C++ kernel takes beside x."""
        weights = self.weight_x.t(), self.full_bias(), self.full_weight_h().t()
        return *weights, torch.stack(tuple(state)), (int(self.exp_forget), False, False)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps, by a C++ kernel if it is to be used."""
        result = None
        if not has_hooks(self) or self._forward_pre_hooks:
            result = run_compiled_cell("slstm", x, *self._operands(state))
        if result is None:
            y, after = super().forward(x, state)
            return y.to(x.dtype) if not torch.is_autocast_enabled(x.device.type) else y, after
        # Copies, so that a state that keeps one part does not hold on to all.
        return result[0], self.state_class(*(part.clone() for part in result[1]))
