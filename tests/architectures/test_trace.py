"""Law 8 for all: a trace shows what `forward` does, and leaves the encoder as it was."""

import torch

from architectures import Trace
from tests.architectures.cases import CASES, INPUT_SIZE, Case, close, make, noise, over


@over(CASES)
def test_trace_shows_what_forward_gives(case: Case) -> None:
    """The same outputs, from the start and from a carried state."""
    encoder, x = make(case), noise(2, 17, INPUT_SIZE)
    close(encoder.trace(x).y, encoder(x)[0])
    if case.causal:
        _, state = encoder(x[:, :6])
        close(encoder.trace(x[:, 6:], state).y, encoder(x)[0][:, 6:])


def has_dropout(case: Case) -> bool:
    """Recurrent encoders drop out between layers alone, so with one layer there is nothing to drop."""
    return case.field is not None or case.options.get("num_layers", 1) > 1


@over(case for case in CASES if has_dropout(case))
def test_trace_leaves_dropout_out_and_training_on(case: Case) -> None:
    """In training, `forward` drops out and a trace does not; afterwards the encoder still trains."""
    encoder, x = make(case, dropout=0.5), noise(2, 17, INPUT_SIZE)
    plain = make(case)(x)[0]
    assert encoder.training
    traced = encoder.trace(x)
    close(traced.y, plain)
    assert all(module.training for module in encoder.modules())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert (encoder(x)[0] - plain).abs().max() > 1e-3
    encoder.eval()
    close(encoder(x)[0], plain)
    encoder.trace(x)
    assert not any(module.training for module in encoder.modules())


@over(case for case in CASES if not case.extra)
def test_trace_leaves_every_part_in_its_own_mode(case: Case) -> None:
    """A part that someone has frozen stays frozen while the rest trains."""
    encoder = make(case)
    for index, module in enumerate(encoder.modules()):
        module.training = index % 2 == 0
    before = [module.training for module in encoder.modules()]
    encoder.trace(noise(2, 5, INPUT_SIZE))
    assert [module.training for module in encoder.modules()] == before


@over(CASES)
def test_a_trace_holds_what_the_architecture_has_and_nothing_else(case: Case) -> None:
    """Gates for the gated, log attention for the averages, maps for the hierarchy; `None` for the rest."""
    trace = make(case).trace(noise(2, 5, INPUT_SIZE))
    held = {name for name in Trace.__slots__ if getattr(trace, name) not in (None, ())}
    kind = case.name.split("-")[0]
    gated = {"retention", "write", "content"} if kind in ("lstm", "gru", "rwa", "rda") else set()
    logs = {"log_attention", "log_discount"} if kind in ("rwa", "rda") else set()
    own = {"tcn": {"levels"}, "han": {"levels", "maps"}}.get(kind, {"gates", "layers"})
    assert held == {"y"} | gated | logs | own
