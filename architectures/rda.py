"""Recurrent discounted attention."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from architectures.initialisation import chrono_, chrono_choices, xavier_
from architectures.kernels import ATTENTIONS, START, Attention, average, states
from architectures.kernels.pointwise import log_attention
from architectures.recurrent import Layer, Output, Recurrent, stacked, tanh_or_identity
from architectures.trace import Trace


class RDA(Recurrent):
    """A running average of features z_t weighted by attention a_t, whose past is discounted by gamma_t at every step
    (Maginnis and Richemond 2017, section 5):

        u_t = W_u x_t + b_u      g_t = W_g [x_t, h_{t-1}] + b_g           z_t = u_t tanh(g_t)
        a_t = f_a(W_a [x_t, h_{t-1}] + b_a)           gamma_t = sigmoid(W_gamma [x_t, h_{t-1}] + b_gamma)
        n_t = gamma_t n_{t-1} + z_t a_t      d_t = gamma_t d_{t-1} + a_t      h_t = f_h(n_t / d_t)      o_t = f_o(h_t)

    The exponential attention has no b_a: it multiplies n and d alike and cancels. The discount's bias starts at 1.

    With `chrono` T, the discount's biases are drawn as log U(1, T - 1). That is in neither paper, but by analogy with
    the LSTM (Tallec and Ollivier 2018, arXiv 1804.11188): gamma retains as f does. The attention is no gate, so no bias
    is made the negative.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        attention: f_a; the paper found relu hard to train.
        hidden: f_h, through which the average acts back.
        output: f_o, applied to what is put out.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 is learned, as f_h(s), or 0.
        chrono: longest span T, in steps, that units are to remember at the start.
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        attention: Attention = "exp",
        hidden: Output = "identity",
        output: Output = "tanh",
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        chrono: int | None = None,
    ) -> None:
        layers = stacked(
            AveragingLayer,
            input_size,
            hidden_size,
            num_layers,
            attention=attention,
            hidden_tanh=tanh_or_identity("hidden", hidden),
            output_tanh=tanh_or_identity("output", output),
            discounted=True,
            learn_initial_state=learn_initial_state,
            chrono=chrono,
        )
        super().__init__(input_size, layers, hidden_size, dropout)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """As every recurrent encoder, with chrono biases for spans up to the sequence's and the paper's choices of
        functions; relu is left out, which the paper found hard to train."""
        return {
            "attention": ["exp", "sigmoid", "softplus"],
            "hidden": ["identity", "tanh"],
            "output": ["tanh", "identity"],
            **super().search_space(time),
            **chrono_choices(time),
        }


class AveragingLayer(Layer):
    """One layer of the RDA or, without a discount, of the RWA; it carries r = n / d and l = log d."""

    carried = 2

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
        if attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {attention!r}")
        self.attention: Attention = attention
        self.hidden_tanh, self.output_tanh, self.discounted = hidden_tanh, output_tanh, discounted
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
        """The biases of [u | g | p | q], 0 for the one that cancels."""
        a = torch.zeros_like(self.bias_u) if self.bias_a is None else self.bias_a
        return torch.cat([self.bias_u, self.bias_g, a, *([] if self.bias_gamma is None else [self.bias_gamma])])

    def start(self, x: Tensor) -> tuple[Tensor, ...]:
        # The s of h_0 = f_h(s) stands in for r: the first weight is 1, so it never enters the average.
        l = x.new_full((x.shape[0], len(self.bias_u)), START)
        return torch.zeros_like(l) if self.initial is None else self.initial.expand_as(l), l

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        y, r, l = average(
            x,
            self.weight_x.t(),
            self.bias,
            self.weight_h.t(),
            *state,
            attention=self.attention,
            hidden_tanh=self.hidden_tanh,
            output_tanh=self.output_tanh,
        )
        return y, (r, l)

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """The write is w, the retention 1 - w = gamma_t d_{t-1} / d_t; `gates` holds u and g beside r and l."""
        r, l = states(
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
        u, *fed = linear(x, self.weight_x, self.bias).split(units, dim=2)
        back = linear(r_before.tanh() if self.hidden_tanh else r_before, self.weight_h).split(units, dim=2)
        g, p, *q = (a + b for a, b in zip(fed, back, strict=True))
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
