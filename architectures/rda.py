"""Recurrent discounted attention."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from architectures.initialisation import chrono_, chrono_choices, xavier_
from architectures.kernels import (
    ATTENTIONS,
    INITIAL_LOG_DENOMINATOR,
    Attention,
    discounted_average,
    discounted_average_states,
)
from architectures.kernels.pointwise import log_attention
from architectures.limits import check_flag, quote
from architectures.recurrent import Activation, RecurrentEncoder, RecurrentLayer, has_hooks, is_tanh, stack_layers
from architectures.state import RDAState, RWAState
from architectures.trace import Trace


class RDA(RecurrentEncoder):
    """A running average of features z_t, weighted by attention a_t, whose past is discounted by gamma_t at every step.

        u_t = W_u x_t + b_u      g_t = W_g [x_t, h_{t-1}] + b_g           z_t = u_t tanh(g_t)
        a_t = f_a(W_a [x_t, h_{t-1}] + b_a)           gamma_t = sigmoid(W_gamma [x_t, h_{t-1}] + b_gamma)
        n_t = gamma_t n_{t-1} + z_t a_t      d_t = gamma_t d_{t-1} + a_t      h_t = f_h(n_t / d_t)      o_t = f_o(h_t)

    Source: Maginnis and Richemond 2017, section 5. The exponential attention has no b_a, which would multiply n and d
    alike and cancel. The discount's bias starts at 1.

    With `chrono` T, the discount's biases are drawn as log U(1, T - 1). This is in neither paper, but by analogy with
    the LSTM (Tallec and Ollivier 2018, arXiv 1804.11188): gamma retains as f does. The attention is not a gate, so it
    does not get the negative biases.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        attention: f_a; the paper found relu hard to train.
        hidden: f_h, through which the average feeds back.
        output: f_o, applied to the output.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, as f_h(s), or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
        zoneout: rate at which units of r hold their value for a step (Krueger et al. 2017).
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        attention: Attention = "exp",
        hidden: Activation = "identity",
        output: Activation = "tanh",
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
        zoneout: float = 0.0,
    ) -> None:
        layers = stack_layers(
            AveragingLayer,
            input_size,
            hidden_size,
            num_layers,
            attention=attention,
            hidden_tanh=is_tanh("hidden", hidden),
            output_tanh=is_tanh("output", output),
            discounted=True,
            learn_initial_state=learn_initial_state,
            chrono=chrono,
        )
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the paper's choices of functions, the options of every recurrent encoder, and chrono biases.

        The relu attention is left out, which the paper found hard to train.
        """
        return {
            "attention": ["exp", "sigmoid", "softplus"],
            "hidden": ["identity", "tanh"],
            "output": ["tanh", "identity"],
            **super().search_space(time),
            **chrono_choices(time),
        }


class AveragingLayer(RecurrentLayer):
    """A layer of the RDA or, without a discount, of the RWA; its state is (r, l) with r = n / d and l = log d.

    Weights are stored for [u | g | p | q] (inputs) and [g | p | q] (recurrence): p is the argument of f_a, and q, the
    discount's logit, is absent in the RWA.
    """

    averages = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        attention: Attention,
        hidden_tanh: bool,
        output_tanh: bool,
        discounted: bool,
        learn_initial_state: bool,
        chrono: int | None = None,
    ) -> None:
        super().__init__()
        check_flag(learn_initial_state=learn_initial_state)
        if attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {quote(attention)}")
        self.attention: Attention = attention
        self.hidden_tanh, self.output_tanh, self.discounted = hidden_tanh, output_tanh, discounted
        self.state_class = RDAState if discounted else RWAState
        gates = 3 if discounted else 2
        self.weight_x = nn.Parameter(torch.empty((1 + gates) * hidden_size, input_size))
        self.weight_h = nn.Parameter(torch.empty(gates * hidden_size, hidden_size))
        xavier_(self.weight_x[:hidden_size], input_size, hidden_size)
        xavier_(self.weight_x[hidden_size:], input_size + hidden_size, hidden_size)
        xavier_(self.weight_h, input_size + hidden_size, hidden_size)
        self.bias_u = nn.Parameter(torch.zeros(hidden_size))
        self.bias_g = nn.Parameter(torch.zeros(hidden_size))
        self.bias_a = None if attention == "exp" else nn.Parameter(torch.zeros(hidden_size))
        self.bias_gamma = nn.Parameter(torch.ones(hidden_size)) if discounted else None
        self.initial = nn.Parameter(torch.zeros(hidden_size)) if learn_initial_state else None
        if chrono is not None and self.bias_gamma is not None:
            chrono_(chrono, self.bias_gamma)

    @property
    def bias(self) -> Tensor:
        """The biases of [u | g | p | q], with 0 for b_a where it would cancel."""
        a = torch.zeros_like(self.bias_u) if self.bias_a is None else self.bias_a
        return torch.cat([self.bias_u, self.bias_g, a, *([] if self.bias_gamma is None else [self.bias_gamma])])

    def state_dtype(self, x: Tensor) -> torch.dtype | None:
        """Returns the type of r and l for a batch like x: float32 for float16, beyond which the l of the start lies."""
        return torch.float32 if x.dtype == torch.float16 else super().state_dtype(x)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns r = s and l = log d of an empty average."""
        # The s of h_0 = f_h(s) takes the place of r: the first weight w_1 is 1, so s never enters the average.
        dtype = torch.float32 if x.dtype == torch.float16 else x.dtype
        l = x.new_full((x.shape[0], len(self.bias_u)), INITIAL_LOG_DENOMINATOR, dtype=dtype)
        r = torch.zeros_like(l) if self.initial is None else self.initial.to(dtype).expand_as(l)
        return self.state_class(r, l)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps; returns o = f_o(f_h(r)) of every step, and the last r and l."""
        y, r, l = discounted_average(
            x,
            self.weight_x.t(),
            self.bias,
            self.weight_h.t(),
            *state,
            attention=self.attention,
            hidden_tanh=self.hidden_tanh,
            output_tanh=self.output_tanh,
        )
        return y, self.state_class(r, l)

    def output_of(self, state: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """Returns o = f_o(f_h(r)), (batch, 1, units)."""
        h = state[0].tanh() if self.hidden_tanh else state[0]
        return (h.tanh() if self.output_tanh else h).unsqueeze(1).to(y.dtype)

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace with write w and retention 1 - w = gamma_t d_{t-1} / d_t; `gates` holds u, g, r and l."""
        if has_hooks(self):
            # Pruning computes the weights in one, which only a call of the layer runs.
            self(x, state)
        r, l = discounted_average_states(
            x,
            self.weight_x.t(),
            self.bias,
            self.weight_h.t(),
            *state,
            attention=self.attention,
            hidden_tanh=self.hidden_tanh,
        )
        r_before = torch.cat([state[0].unsqueeze(1), r[:, :-1]], dim=1)
        l_before = torch.cat([state[1].unsqueeze(1), l[:, :-1]], dim=1)
        h = r.tanh() if self.hidden_tanh else r
        units = r.shape[2]
        operands: tuple[Tensor, ...] = (x, self.weight_x, self.bias, self.weight_h)
        if x.dtype == torch.float16:
            operands = tuple(value.to(r.dtype) for value in operands)
        x, weight_x, bias, weight_h = operands
        u, *from_x = linear(x, weight_x, bias).split(units, dim=2)
        h_before = r_before.tanh() if self.hidden_tanh else r_before
        from_h = linear(h_before, weight_h).split(units, dim=2)
        g, p, *q = (a + b for a, b in zip(from_x, from_h, strict=True))
        alpha = log_attention(p, self.attention)
        log_discount = logsigmoid(q[0]) if q else torch.zeros_like(p)
        return Trace(
            y=h.tanh() if self.output_tanh else h,
            retention=(l_before + log_discount - l).exp(),
            write=(alpha - l).exp(),
            content=u * g.tanh(),
            log_attention=alpha,
            log_discount=log_discount,
            gates={"u": u, "g": g, "r": r, "l": l},
        )
