"""The diagonal structured state space model."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, glu, pad

from architectures.initialisation import make_linear
from architectures.kernels import linear_scan
from architectures.limits import check_width
from architectures.parameter_rules import dynamics_rules
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.state import S4DState, State, StateSpec, TensorSpec

LEAST_CHUNK, LARGEST_CHUNK = 32, 64
"""Bounds of the steps whose outputs are one product of their inputs, beside what is carried from chunk to chunk."""
LEAST_STEP, LARGEST_STEP = 0.001, 0.1
"""Bounds of the steps dt at the start, log-uniform."""


class S4D(ResidualEncoder):
    """Blocks of a linear state space for each feature, with a diagonal of complex rates, read as a long convolution.

        x_l = A' x_{l-1} + B' u_l      v_l = 2 Re(C x_l) + D u_l      out = GLU(W gelu(v_l) + b)
        A' = exp(A dt)      B' = (A' - 1) / A      A_n = -1/2 + i pi n      GLU([a, g]) = a sigmoid(g)

    with n from 0 to N/2 - 1, as the other half of the states are their conjugates. Rates, steps dt, C and D are
    learned, for each feature. Source: Gu et al. 2022, arXiv 2206.11893, section 3 (zero-order hold, and the kernel) and
    section 4 (S4D-Lin). At the start dt is log-uniform from 0.001 to 0.1, and C and D are normal.

    Outputs are computed in chunks: what the inputs of a chunk give within it is one product with a Toeplitz matrix of
    the convolution's kernel, exactly 0 for later steps, which a Fourier transform would leak into; what is carried from
    chunk to chunk is a linear recurrence.

    As its authors train it, A and dt have a share of the learning rate, and no weight decay.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks.
        num_layers: blocks.
        num_states: states of a feature N, an even number.
        dynamics_rate: share of the learning rate of A and dt.
        feed: whether every block has a feed-forward network.
        dropout: rate behind the state space and the feed-forward network.
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_states: int = 64,
        dynamics_rate: float = 0.1,
        feed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        check_width(least=2, num_states=num_states)
        if num_states % 2:
            raise ValueError(f"num_states must be even, as states are pairs of conjugates, not {num_states}")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: S4DMixer(hidden_size, num_states // 2, dynamics_rate),
        )
        self.num_states = num_states

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which a state is carried, and one for each block."""
        self.check_lag(lag)
        return lag + len(self.blocks)


class S4DMixer(Mixer):
    """The state spaces of all features. Its state is x, as real and imaginary parts.

    `write` holds [Re C | Im C] for each feature.
    """

    def __init__(self, size: int, pairs: int, dynamics_rate: float) -> None:
        super().__init__()
        self.size, self.pairs = size, pairs
        low, high = math.log(LEAST_STEP), math.log(LARGEST_STEP)
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(size))
        self.log_rate = nn.Parameter(torch.full((size, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs, dtype=self.log_step.dtype).repeat(size, 1))
        self.write = nn.Parameter(torch.randn(size, 2 * pairs) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(size))
        self.mix = make_linear(size, size, maps=2, bias=True)
        self.parameter_rules = dynamics_rules(dynamics_rate, "log_step", "log_rate", "frequency")

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Runs the state spaces.

        `seen` gets, for each feature, |A'| and |B'| of the state that remembers longest as retention and write, and v
        as a gate.
        """
        with full_precision(x):
            u = at_least_single(x)
            tables = self._tables(choose_chunk(x.shape[1]))
            start = u.new_zeros(len(x), 2 * self.size * self.pairs)
            if isinstance(state, tuple):
                start = torch.cat([part.flatten(1) for part in state], dim=1).to(u)  # type: ignore[union-attr]
            read, states = self._convolve(u, tables, start)
            v = torch.addcmul(read, at_least_single(self.skip), u)
        if seen is not None:
            kept, slowest = tables.re[..., 1].hypot(tables.im[..., 1]).max(1, keepdim=True)
            added = tables.gain[0].hypot(tables.gain[1]).gather(1, slowest)
            seen |= {
                "retention": kept.squeeze(1).expand_as(v),
                "write": added.squeeze(1).expand_as(v),
                "gates": {"v": v},
            }
        parts = states.unflatten(1, (2, self.size, self.pairs)).unbind(1)
        # Copies, so that the state does not hold on to all chunks.
        return glu(self.mix(gelu(v.to(x.dtype)))), S4DState(*(part.clone() for part in parts))

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, features, states), twice, in single precision at least."""
        part = TensorSpec(sizes=(x.shape[0], self.size, self.pairs), dtype=sum_dtype(x), device=x.device)
        return S4DState(part, part)

    def state_size(self, time: int) -> int:
        """Returns two numbers for each complex state of each feature."""
        return 2 * self.size * self.pairs

    def _tables(self, length: int) -> "Tables":
        """Returns what a chunk of that length is multiplied with."""
        rate, frequency = at_least_single(self.log_rate).exp(), at_least_single(self.frequency)
        step = at_least_single(self.log_step).exp().unsqueeze(1)
        # Whole turns change nothing but the digits that are left for the rest.
        angle = frequency * step
        angle = (angle - 2 * math.pi * (angle / (2 * math.pi)).round().detach()).unsqueeze(2)
        lags = torch.arange(length + 1, dtype=rate.dtype, device=rate.device)
        size = (-(rate * step).unsqueeze(2) * lags).exp()
        re, im = size * (angle * lags).cos(), size * (angle * lags).sin()
        # (A' - 1) / A, with A = -rate + i frequency
        over, up, right = rate.square() + frequency.square(), im[..., 1], re[..., 1] - 1
        gain = (up * frequency - right * rate) / over, -(up * rate + right * frequency) / over
        c_re, c_im = (2 * at_least_single(self.write)).chunk(2, dim=1)
        kernel_re, kernel_im = c_re * gain[0] - c_im * gain[1], c_re * gain[1] + c_im * gain[0]
        both = torch.cat([re[..., :-1], im[..., :-1]], dim=1)
        kernel = (torch.cat([kernel_re, -kernel_im], dim=1).unsqueeze(1) @ both).squeeze(1)
        return Tables(
            re=re,
            im=im,
            gain=gain,
            # Row i has kernel[i - j] in column j.
            within=pad(kernel, (length - 1, 0)).unfold(1, length, 1).flip(2),
            into=torch.cat(_times(gain, (re[..., :-1], im[..., :-1])), dim=1).flip(2),
            out_of=torch.cat(_times((c_re, -c_im), (re[..., 1:], -im[..., 1:])), dim=1),
        )

    def _convolve(self, u: Tensor, tables: "Tables", start: Tensor) -> tuple[Tensor, Tensor]:
        """Returns 2 Re(C x) of every step, (batch, time, features), and x after the last, (batch, all states).

        Args:
            u: (batch, time, features).
            tables: for the length of a chunk.
            start: x before the first step, all real parts before all imaginary ones.
        """
        length = tables.within.shape[1]
        whole = u.shape[1] // length * length
        pieces = []
        for piece, chunk in ((u[:, :whole], length), (u[:, whole:], u.shape[1] - whole)):
            if not piece.shape[1]:
                continue
            folded = piece.unflatten(1, (-1, chunk)).permute(3, 0, 1, 2).flatten(1, 2)
            # (features, batch, chunks, [re | im]) -> (batch, chunks, [re | im] of all features)
            read = (folded @ tables.into[:, :, length - chunk :].mT).unflatten(1, (len(u), -1)).unflatten(3, (2, -1))
            factors = torch.cat([tables.re[..., chunk].flatten(), tables.im[..., chunk].flatten()])
            states = linear_scan(factors, read.permute(1, 2, 3, 0, 4).flatten(2), start, is_complex=True)
            before = torch.cat([start.unsqueeze(1), states[:, :-1]], dim=1)
            before = before.unflatten(2, (2, self.size, -1)).permute(3, 0, 1, 2, 4).flatten(3).flatten(1, 2)
            outputs = torch.baddbmm(folded @ tables.within[:, :chunk, :chunk].mT, before, tables.out_of[:, :, :chunk])
            pieces.append(outputs.unflatten(1, (len(u), -1)).permute(1, 2, 3, 0).flatten(1, 2))
            start = states[:, -1]
        return torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0], start


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What the state spaces of all features do over a chunk of L steps. Complex numbers are [real | imaginary]."""

    re: Tensor
    """(features, states, L + 1): the real part of A' to the power 0 .. L."""
    im: Tensor
    """The imaginary part."""
    gain: tuple[Tensor, Tensor]
    """B', (features, states): its real and its imaginary part."""
    within: Tensor
    """(features, L, L): from inputs to outputs of the chunk."""
    into: Tensor
    """(features, 2 states, L): from inputs to the state behind the chunk."""
    out_of: Tensor
    """(features, 2 states, L): from the state before the chunk to outputs."""


def choose_chunk(time: int) -> int:
    """Returns the length of chunks for sequences of `time` steps: the one that leaves the fewest steps over."""
    return min(time, min(range(LEAST_CHUNK, LARGEST_CHUNK + 1), key=lambda length: time % length))


def _times(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the product of complex numbers, (features, states) by (features, states, steps), in two parts."""
    (a_re, a_im), (b_re, b_im) = (part.unsqueeze(2) for part in a), b
    return a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re
