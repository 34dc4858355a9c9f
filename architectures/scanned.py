"""Recurrent layers whose gates see the input alone, so that all steps are one linear recurrence."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from architectures.initialisation import xavier_
from architectures.kernels import linear_scan
from architectures.limits import check_flag, quote
from architectures.recurrent import RecurrentLayer, has_hooks
from architectures.trace import Trace

Content = Literal["linear", "positive"]


def check_content(content: str) -> None:
    """Raises a ValueError for anything but linear or positive."""
    if content not in get_args(Content):
        raise ValueError(f"content must be linear or positive, not {quote(content)}")


class ScannedLayer(RecurrentLayer):
    """A layer h_t = retention_t h_{t-1} + write_t n_t, whose state is (h,).

    A subclass names its gates, and computes the two shares from them. Weights are stored for [gates | n].
    """

    gates: tuple[str, ...]
    """The letters of the gates, in the order in which their weights are stored."""

    def __init__(self, input_size: int, hidden_size: int, content: Content, learn_initial_state: bool) -> None:
        super().__init__()
        check_flag(learn_initial_state=learn_initial_state)
        check_content(content)
        self.hidden_size, self.content = hidden_size, content
        maps = len(self.gates) + 1
        self.weight_x = nn.Parameter(torch.empty(maps * hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(maps * hidden_size))
        xavier_(self.weight_x, input_size, hidden_size)
        self.initial = nn.ParameterList([torch.zeros(hidden_size)]) if learn_initial_state else None

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the learned initial state, or zeros."""
        h = x.new_zeros(x.shape[0], self.hidden_size) if self.initial is None else self.initial[0].expand(len(x), -1)
        return self.state_class(h)  # type: ignore[no-any-return]

    def biases(self) -> dict[str, Tensor]:
        """Returns the biases of the gates by their letters, to be filled."""
        return dict(zip(self.gates, self.bias.detach().split(self.hidden_size)[:-1], strict=True))

    @abstractmethod
    def shares(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Returns retention and write from the gates' sums, (batch, time, units) each."""

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all steps at once."""
        *sums, n = self._sums(x)
        retention, write = self.shares(tuple(sums))
        return self._scan(x, state, retention, write * self._content_of(n))

    def trace(self, x: Tensor, state: tuple[Tensor, ...]) -> Trace:
        """Returns a trace with retention and write, the content n, and the gates by their letters."""
        if has_hooks(self):
            # Pruning computes the weights in one, which only a call of the layer runs.
            self(x, state)
        *sums, n = self._sums(x)
        (retention, write), content = self.shares(tuple(sums)), self._content_of(n)
        y, _ = self._scan(x, state, retention, write * content)
        gates: Mapping[str, Any] = zip(self.gates, (value.sigmoid() for value in sums), strict=True)  # type: ignore[assignment]
        return Trace(y=y, retention=retention, write=write, content=content, gates=dict(gates))

    def _sums(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the sums of the gates and of n; in single precision at least, in which a gate can be almost 1."""
        sums = linear(x, self.weight_x, self.bias)
        sums = sums if sums.dtype == torch.float64 else sums.float()
        parts: tuple[Tensor, ...] = sums.split(self.hidden_size, dim=2)
        return parts

    def _content_of(self, n: Tensor) -> Tensor:
        return n if self.content == "linear" else torch.where(n >= 0, n + 0.5, n.sigmoid())

    def _scan(
        self, x: Tensor, state: tuple[Tensor, ...], retention: Tensor, written: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        y = linear_scan(retention, written, state[0])
        if not torch.is_autocast_enabled(x.device.type):
            y = y.to(x.dtype)
        # A copy, so that the state does not hold on to all steps.
        return y, self.state_class(y[:, -1].clone())
