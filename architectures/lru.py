"""The linear recurrent unit."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, glu, linear

from architectures.initialisation import make_linear
from architectures.kernels import linear_scan
from architectures.limits import check_width, quote
from architectures.parameter_rules import dynamics_rules
from architectures.precision import at_least_single, full_precision, sum_dtype
from architectures.residual import Mixer, ResidualEncoder, Seen
from architectures.state import LRUState, State, StateSpec, TensorSpec


class LRU(ResidualEncoder):
    """Blocks of a linear recurrence of complex states, each of which turns and fades at a rate of its own.

        x_t = lambda x_{t-1} + gamma B u_t       v_t = Re(C x_t) + D u_t       out = GLU(W gelu(v_t) + b)
        lambda = exp(-exp(nu) + i exp(theta)),   GLU([a, g]) = a sigmoid(g)

    What is kept does not depend on the input. Source: Orvieto et al. 2023, arXiv 2303.06349, sections 3.3 (lambda) and
    3.4 (gamma), figure 1 (the block), and the code of its appendix A. By lemma 3.2, lambda starts uniform in a ring
    between the radii r_min and r_max, up to the phase max_phase. gamma starts at sqrt(1 - |lambda|^2), so that states
    are of the size of what they read, and is learned. B and C are normal, with variances 1 / (2 H) and 1 / N for each
    part; D is normal.

    As the paper trains it, nu, theta and gamma have a share of the learning rate, and no weight decay. Code that
    follows the paper (NicolasZucchet/minimal-LRU) trains B in the same way; here B is trained like all other weights.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors between blocks, H.
        num_layers: blocks.
        num_states: complex states of a block, N; by default as many as `hidden_size`.
        r_min: least |lambda| at the start.
        r_max: largest |lambda| at the start.
        max_phase: largest angle by which a state turns in a step at the start; small ones for long sequences.
        dynamics_rate: share of the learning rate of nu, theta and gamma.
        feed: whether every block has a feed-forward network.
        dropout: rate behind the recurrence and the feed-forward network.
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        num_states: int | None = None,
        r_min: float = 0.9,
        r_max: float = 0.999,
        max_phase: float = 0.314,
        dynamics_rate: float = 0.5,
        feed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if num_states is not None:
            check_width(num_states=num_states)
        check_ring(r_min, r_max, max_phase)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            dropout,
            feed,
            lambda: LRUMixer(hidden_size, num_states or hidden_size, (r_min, r_max), max_phase, dynamics_rate),
        )
        self.num_states = num_states or hidden_size

    def path_length(self, lag: int) -> int:
        """Returns a hop for every step over which a state is carried, and one for each block."""
        self.check_lag(lag)
        return lag + len(self.blocks)


def check_ring(r_min: float, r_max: float, max_phase: float) -> None:
    """Raises an error unless 0 < r_min < r_max < 1 and 0 < max_phase <= 2 pi."""
    for name, value in (("r_min", r_min), ("r_max", r_max), ("max_phase", max_phase)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {quote(value)}")
    if not 0 < r_min < r_max < 1:
        raise ValueError(
            f"r_min and r_max must lie between 0 and 1, the first below the second, not at {quote(r_min)} and "
            f"{quote(r_max)}"
        )
    if not 0 < max_phase <= 2 * math.pi:
        raise ValueError(f"max_phase must be above 0 and at most 2 pi, not {quote(max_phase)}")


class ScaledLinear(nn.Linear):
    """A linear map whose outputs are scaled: in its weights, which are fewer than the outputs of all steps."""

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:  # type: ignore[override]
        """Returns scale (W x), for scale: (outputs,)."""
        return linear(x, self.weight * scale.unsqueeze(1))


class LRUMixer(Mixer):
    """The recurrence. Its state is x, as real and imaginary parts.

    `read` has the rows [Re B; Im B], and `write` the columns [Re C | -Im C].
    """

    def __init__(
        self, size: int, num_states: int, ring: tuple[float, float], max_phase: float, dynamics_rate: float
    ) -> None:
        super().__init__()
        self.num_states = num_states
        low, high = (radius**2 for radius in ring)
        # From 1 down to, but without, 0, whose logarithm there is not.
        squared_radius = low + (high - low) * (1 - torch.rand(num_states))
        self.nu = nn.Parameter((-0.5 * squared_radius.log()).log())
        self.theta = nn.Parameter((max_phase * (1 - torch.rand(num_states))).log())
        self.log_gamma = nn.Parameter(0.5 * (1 - squared_radius).log())
        self.read = ScaledLinear(size, 2 * num_states, bias=False)
        self.write = nn.Linear(2 * num_states, size, bias=False)
        nn.init.normal_(self.read.weight, std=(2 * size) ** -0.5)
        nn.init.normal_(self.write.weight, std=num_states**-0.5)
        self.skip = nn.Parameter(torch.randn(size))
        self.mix = make_linear(size, size, maps=2, bias=True)
        self.parameter_rules = dynamics_rules(dynamics_rate, "nu", "theta", "log_gamma")

    def forward(self, x: Tensor, state: State, seen: Seen | None = None) -> tuple[Tensor, State]:
        """Runs the recurrence.

        `seen` gets |lambda| and |gamma B| as retention and write of each state, and x_t as gates re and im.
        """
        gamma = at_least_single(self.log_gamma).exp()
        projected = self.read(x, gamma.to(self.log_gamma.dtype).repeat(2))
        with full_precision(x):
            radius, angle = (-at_least_single(self.nu).exp()).exp(), at_least_single(self.theta).exp()
            read = at_least_single(projected)
            start = read.new_zeros(len(x), 2 * self.num_states)
            if isinstance(state, tuple):
                start = torch.cat(state, dim=1).to(read)  # type: ignore[arg-type]
            states = linear_scan(torch.cat([radius * angle.cos(), radius * angle.sin()]), read, start, is_complex=True)
        v = torch.addcmul(self.write(states.to(projected.dtype)), self.skip, x)
        if seen is not None:
            re, im = states.chunk(2, dim=2)
            norms = self.read.weight.unflatten(0, (2, -1)).square().sum((0, 2)).sqrt()
            seen |= {
                "retention": radius.expand_as(re),
                "write": (gamma * norms).expand_as(re),
                "gates": {"re": re, "im": im},
            }
        # Copies, so that the state does not hold on to all steps.
        after = LRUState(*(part.clone() for part in states[:, -1].chunk(2, dim=1)))
        return glu(self.mix(gelu(v))), after

    def state_spec(self, x: Tensor) -> StateSpec:
        """Returns (batch, states), twice, in single precision at least."""
        part = TensorSpec(sizes=(x.shape[0], self.num_states), dtype=sum_dtype(x), device=x.device)
        return LRUState(part, part)

    def state_size(self, time: int) -> int:
        """Returns two numbers for each state."""
        return 2 * self.num_states
