"""Law 8 for all architectures: a trace agrees with `forward`, and leaves the encoder unchanged."""

import torch

from architectures import Trace
from tests.architectures.cases import (
    ATTENTION,
    BIDIRECTIONAL,
    CASES,
    INPUT_SIZE,
    RESIDUAL,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
)


@parametrize_cases(CASES)
def test_trace_shows_what_forward_gives(case: Case) -> None:
    """The same outputs, from the start and from a carried state."""
    encoder, x = make_encoder(case), noise(2, 17, INPUT_SIZE)
    assert_close(encoder.trace(x).y, encoder(x)[0])
    if case.causal:
        _, state = encoder(x[:, :6])
        assert_close(encoder.trace(x[:, 6:], state).y, encoder(x)[0][:, 6:])


UNGATED = ("rnn", "mrnn")
"""Recurrent architectures in which nothing is kept and written by gates."""


def has_dropout(case: Case) -> bool:
    """Returns whether dropout has an effect: in recurrent encoders it acts only between layers."""
    return case.field is not None or case.name in RESIDUAL or case.options.get("num_layers", 1) > 1


@parametrize_cases(case for case in CASES if has_dropout(case))
def test_trace_leaves_dropout_out_and_training_on(case: Case) -> None:
    """In training mode `forward` has dropout and a trace has not; afterwards the encoder is still in training mode."""
    encoder, x = make_encoder(case, dropout=0.5), noise(2, 17, INPUT_SIZE)
    plain = make_encoder(case)(x)[0]
    assert encoder.training
    traced = encoder.trace(x)
    assert_close(traced.y, plain)
    assert all(module.training for module in encoder.modules())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert (encoder(x)[0] - plain).abs().max() > 1e-3
    encoder.eval()
    assert_close(encoder(x)[0], plain)
    encoder.trace(x)
    assert not any(module.training for module in encoder.modules())


@parametrize_cases(case for case in CASES if not case.is_variant)
def test_trace_leaves_every_part_in_its_own_mode(case: Case) -> None:
    """A part in evaluation mode stays so while the rest is in training mode."""
    encoder = make_encoder(case)
    for index, module in enumerate(encoder.modules()):
        module.training = index % 2 == 0
    before = [module.training for module in encoder.modules()]
    encoder.trace(noise(2, 5, INPUT_SIZE))
    assert [module.training for module in encoder.modules()] == before


@parametrize_cases(CASES)
def test_a_trace_holds_the_architectures_quantities_and_nothing_else(case: Case) -> None:
    """Gates for the gated, log attention for the averages, maps for the hierarchy; `None` for the rest."""
    trace = make_encoder(case).trace(noise(2, 5, INPUT_SIZE))
    held = {name for name in Trace.__slots__ if getattr(trace, name) not in (None, ())}
    kind = case.name.split("-")[0]
    gated = set() if case.field is not None or case.name in UNGATED else {"retention", "write", "content"}
    if case.name in BIDIRECTIONAL:
        # Influence runs both ways, so none is said.
        gated = set()
    if case.name in RESIDUAL:
        # What a head keeps is a matrix, or keys and values, so that there is no content of its own.
        gated = set() if case.name == "transformer" else {"retention", "write"}
    averaging = kind in ("rwa", "rda", "slstm", "fox", "mlstm") or case.name == "rnn-attention"
    logs = {"log_attention", "log_discount"} if averaging else set()
    residual = {"levels", "layers", "gates", *({"maps", "spacings"} if case.name in ATTENTION else ())}
    own = (
        residual
        if case.name in RESIDUAL
        else {"bidirectional": {"gates"}, "tcn": {"levels"}, "han": {"levels", "maps"}}.get(kind, {"gates", "layers"})
    )
    if case.name == "act":
        gated, own = set(), {"gates"}
    if case.name == "ntm":
        # What a slot holds is a vector.
        gated, own = {"retention", "write"}, {"gates"}
    if case.name == "han-memory":
        gated, own = set(), {"levels"} if case.options.get("memory") == "blocks" else {"levels", "gates"}
    if case.source:
        # Influence runs both ways through the source; without attention nothing inside has a name.
        gated, own = set(), set() if case.name == "seq2seq-fixed" else {"alignment"}
    assert held == {"y"} | gated | logs | own
