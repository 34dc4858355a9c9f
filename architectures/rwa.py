"""The recurrent weighted average."""

from architectures.rda import AveragingLayer
from architectures.recurrent import RecurrentEncoder, stack_layers


class RWA(RecurrentEncoder):
    """A running average over the whole past of features z_t, weighted by attention a_t.

        z_t = u_t tanh(g_t)        a_t = exp(W_a [x_t, h_{t-1}])        h_t = tanh(sum_i z_i a_i / sum_i a_i)

    u and g are those of the RDA, of which this is the case without a discount. The initial state h_0 = tanh(s) is
    learned, as its authors have it; their code (jostmey/rwa) draws the first s from N(0, 1), here it is 0. Source:
    Ostmeyer and Cowell 2017, arXiv 1703.01253; RDA paper, section 3.

    Args:
        input_size: features a step.
        hidden_size: units a layer.
        num_layers: layers, each reading the one below.
        dropout: rate between layers.
        learn_initial_state: whether h_0 = tanh(s) is learned, or 0.
        zoneout: rate at which units of r hold their value for a step (Krueger et al. 2017).
    """

    compiled = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        learn_initial_state: bool = True,
        zoneout: float = 0.0,
    ) -> None:
        layers = stack_layers(
            AveragingLayer,
            input_size,
            hidden_size,
            num_layers,
            attention="exp",
            hidden_tanh=True,
            output_tanh=False,
            discounted=False,
            learn_initial_state=learn_initial_state,
        )
        super().__init__(input_size, layers, hidden_size, dropout, zoneout)
