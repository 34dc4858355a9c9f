"""Encoders that the property tests run over: every registered architecture, and variants with other options."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures import Encoder, State

INPUT_SIZE = 3

BIDIRECTIONAL = {"han-bidirectional", "bidirectional"}
"""The names that may look ahead, and so cannot resume from a state."""


STACKED = frozenset({"depth-gated-lstm", "grid-lstm"})
"""The names that have two layers by default."""
STEPWISE = STACKED | {
    *("lstm-layernorm", "lstm-mi", "mut1", "mut2", "mut3", "rhn", "mrnn", "clockwork-rnn"),
    *("act", "ntm", "seq2seq", "seq2seq-fixed"),
}
"""The names whose layers PyTorch runs step by step."""
ATTENTION = frozenset({"transformer", "fox"})
"""The names whose time grows with the square of the steps, and whose path is one hop a block."""
LINEAR = frozenset({"linear-attention", "retnet", "mlstm", "mamba2", "gated-deltanet"})
"""The names whose state is a matrix that is kept and written, and whose steps are computed in chunks."""
STATE_SPACES = frozenset({"lru", "s4d"})
"""The names whose states are complex, and are kept alike at every step."""
RESIDUAL = ATTENTION | LINEAR | STATE_SPACES
"""The names that are stacks of residual blocks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """An encoder under test: its name and options, and the properties that follow from them."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    field: int | None = None
    """The expected receptive field; `None` if unbounded."""
    is_variant: bool = True
    """Whether this is a variant of the architecture's default case."""

    @property
    def causal(self) -> bool:
        return self.name not in BIDIRECTIONAL and self.options.get("context") != "whole"

    @property
    def source(self) -> int:
        """The steps of a source, over which the output is 0."""
        return int(self.options.get("source", 0))

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training mode, so that laws about values hold in evaluation alone."""
        return self.options.get("attention") == "hard"

    @property
    def stepwise(self) -> bool:
        """Whether every step is a dozen calls of PyTorch, so that sequences of thousands of steps take seconds."""
        return self.name in STEPWISE or "reset" in self.options or "full_gate_recurrence" in self.options

    @property
    def id(self) -> str:
        chosen = (f"{key}={value}" for key, value in self.options.items() if key != "hidden_size")
        return " ".join([self.name, *chosen]) if self.is_variant else self.name


def _recurrent() -> Iterator[Case]:
    for name in ("rnn", "lstm", "lstm-peephole", "lstm-coupled", "gru", "rwa", "rda", "rda-exp-tanh", "rda-sigmoid-id"):
        yield Case(name=name, options={"hidden_size": 5}, is_variant=False)
    for name in ("slstm", "mingru", "minlstm"):
        yield Case(name=name, options={"hidden_size": 5}, is_variant=False)
        yield Case(name=name, options={"hidden_size": 4, "num_layers": 2, "learn_initial_state": True})
    yield Case(name="slstm", options={"hidden_size": 6, "num_heads": 3, "forget": "exp"})
    yield Case(name="mingru", options={"hidden_size": 5, "content": "positive"})
    yield Case(name="minlstm", options={"hidden_size": 5, "content": "positive"})
    for name in sorted(STEPWISE - STACKED - {"act", "ntm", "seq2seq", "seq2seq-fixed"}):
        yield Case(name=name, options={"hidden_size": 5}, is_variant=False)
    for name in sorted(STACKED):
        yield Case(name=name, options={"hidden_size": 4, "num_layers": 2}, is_variant=False)
    for name in ("mut1", "mut2", "rhn", "clockwork-rnn", "grid-lstm"):
        # Upper layers have as many inputs as units.
        yield Case(name=name, options={"hidden_size": 4, "num_layers": 3, "learn_initial_state": True})
    yield Case(name="gru", options={"hidden_size": 4, "num_layers": 2, "reset": "before", "learn_initial_state": True})
    yield Case(name="clockwork-rnn", options={"hidden_size": 7, "num_modules": 3})
    yield Case(
        name="lstm-peephole", options={"hidden_size": 4, "num_layers": 2, "coupled": True, "learn_initial_state": True}
    )
    yield Case(name="lstm", options={"hidden_size": 5, "forget_gate": False, "output_gate": False})
    yield Case(name="lstm", options={"hidden_size": 4, "full_gate_recurrence": True, "input_activation": False})
    for name in ("rnn", "lstm", "gru"):
        yield Case(name=name, options={"hidden_size": 5, "learn_initial_state": True})
        yield Case(name=name, options={"hidden_size": 4, "num_layers": 2, "learn_initial_state": True})
    yield Case(name="rwa", options={"hidden_size": 5, "learn_initial_state": False})
    yield Case(name="rwa", options={"hidden_size": 4, "num_layers": 2})
    yield Case(name="rda", options={"hidden_size": 4, "num_layers": 2, "attention": "softplus"})
    yield Case(name="rda", options={"hidden_size": 4, "num_layers": 2, "learn_initial_state": True})
    # Every attention with every output, and every activation of h with each of both: pairs, not all products.
    pairs = itertools.product(
        ("exp", "sigmoid", "softplus", "relu"), (("identity", True), ("tanh", True), ("tanh", False))
    )
    for (attention, (output, learned)), hidden in zip(pairs, itertools.cycle(("identity", "tanh"))):
        choice = {"attention": attention, "hidden": hidden, "output": output, "learn_initial_state": learned}
        yield Case(name="rda", options={"hidden_size": 5, **choice})


def _of_finite_reach() -> Iterator[Case]:
    # A width that differs from the input's needs a 1x1 convolution beside the first block; an equal one does not.
    yield Case(name="tcn", options={"hidden_size": 6, "kernel_size": 3, "reach": 10}, field=13, is_variant=False)
    yield Case(name="tcn", options={"hidden_size": INPUT_SIZE, "kernel_size": 2, "num_layers": 3}, field=15)
    yield Case(name="tcn", options={"hidden_size": INPUT_SIZE, "kernel_size": 4, "num_layers": 1}, field=7)
    yield Case(name="tcn", options={"hidden_size": 7, "kernel_size": 2, "num_layers": 2}, field=7)
    gated = {"block": "wavenet", "kernel_size": 2}
    yield Case(name="tcn", options={**gated, "hidden_size": 5, "reach": 9, "rounds": 2}, field=15)
    yield Case(name="tcn", options={**gated, "hidden_size": 4, "num_layers": 1}, field=2)
    yield Case(name="tcn", options={**gated, "hidden_size": 3, "kernel_size": 3, "num_layers": 2}, field=7)
    yield Case(name="tcn", options={"hidden_size": 4, "kernel_size": 2, "num_layers": 2, "rounds": 2}, field=13)
    # 10 steps are no power: the fewest windows that cover them are 2 levels of 4.
    yield Case(name="han", options={"hidden_size": 8, "num_heads": 2, "reach": 10}, field=16, is_variant=False)
    yield Case(name="han", options={"hidden_size": 6, "window": 3, "num_layers": 2}, field=9)
    yield Case(name="han", options={"hidden_size": 4, "window": 2, "num_layers": 4, "num_heads": 1}, field=16)
    yield Case(name="han", options={"hidden_size": 5, "window": 6, "num_layers": 1}, field=6)
    yield Case(name="han", options={"hidden_size": 4, "window": 1, "num_layers": 2, "num_heads": 2}, field=1)
    yield Case(name="han", options={"hidden_size": 8, "window": 3, "reach": 11}, field=27)
    # Heads of an odd size leave one component without a rotation.
    yield Case(name="han", options={"hidden_size": 6, "num_heads": 2, "num_layers": 3, "reach": 9}, field=27)
    yield Case(
        name="han-memory", options={"hidden_size": 8, "num_heads": 2, "slots": 6, "threshold": 0.5}, is_variant=False
    )
    yield Case(
        name="han-memory", options={"hidden_size": 6, "slots": 12, "threshold": 0.97, "num_layers": 2, "num_heads": 1}
    )
    yield Case(name="han-memory", options={"hidden_size": 4, "slots": 5, "threshold": 0.9, "addresses": False})
    yield Case(name="han-memory", options={"hidden_size": 6, "memory": "blocks", "block_size": 2, "num_layers": 2})
    yield Case(name="han-memory", options={"hidden_size": 8, "num_heads": 2, "memory": "blocks", "block_size": 3})
    yield Case(
        name="han-bidirectional", options={"hidden_size": 8, "num_heads": 2, "reach": 8}, field=9, is_variant=False
    )
    yield Case(name="han-bidirectional", options={"hidden_size": 6, "window": 2, "num_layers": 2}, field=4)
    yield Case(
        name="han-bidirectional", options={"hidden_size": 4, "window": 5, "num_layers": 1, "num_heads": 2}, field=5
    )


def _nested() -> Iterator[Case]:
    yield Case(name="rnn-attention", options={"hidden_size": 5}, is_variant=False)
    learned = {"learn_initial_state": True}
    yield Case(
        name="rnn-attention",
        options={"hidden_size": 4, "base": "gru", "num_layers": 2, "num_heads": 2, "base_options": learned},
    )
    yield Case(name="rnn-attention", options={"hidden_size": 4, "base": "rnn", "num_heads": 2, "context": "whole"})
    yield Case(name="act", options={"hidden_size": 5, "max_ponder": 3}, is_variant=False)
    yield Case(name="act", options={"hidden_size": 4, "max_ponder": 3, "base": "gru", "num_layers": 2})
    yield Case(name="ntm", options={"hidden_size": 5, "slots": 6, "slot_size": 4}, is_variant=False)
    more = {"num_heads": 2, "num_layers": 2, "base": "gru", "learn_initial_state": False}
    yield Case(name="ntm", options={"hidden_size": 4, "slots": 3, "slot_size": 5, **more})
    # Shifted by one, either way, is the same slot.
    yield Case(name="ntm", options={"hidden_size": 5, "slots": 2, "slot_size": 3, "base": "rnn"})
    yield Case(name="bidirectional", options={"hidden_size": 5}, is_variant=False)
    yield Case(
        name="bidirectional", options={"hidden_size": 4, "base": "rda", "base_options": {"attention": "sigmoid"}}
    )
    yield Case(name="seq2seq", options={"hidden_size": 5, "source": 2}, is_variant=False)
    yield Case(name="seq2seq-fixed", options={"hidden_size": 5, "source": 2}, is_variant=False)
    yield Case(name="seq2seq-fixed", options={"hidden_size": 4, "source": 6, "num_layers": 2})
    yield Case(
        name="seq2seq-fixed",
        options={"hidden_size": 4, "source": 3, "bidirectional": False, "base": "rnn"},
    )
    before = {"reset": "before"}
    yield Case(name="seq2seq", options={"hidden_size": 4, "source": 5, "base_options": before})
    yield Case(
        name="seq2seq", options={"hidden_size": 4, "source": 4, "attention": "dot", "num_layers": 2, "base": "lstm"}
    )
    yield Case(name="seq2seq", options={"hidden_size": 4, "source": 7, "attention": "local", "window": 3})
    yield Case(name="seq2seq", options={"hidden_size": 4, "source": 5, "attention": "hard", "bidirectional": False})


def _residual() -> Iterator[Case]:
    yield Case(name="transformer", options={"hidden_size": 6}, is_variant=False)
    # Heads of an odd size leave one component without a rotation.
    windows = {"hidden_size": 6, "num_layers": 2, "num_heads": 2, "window": 4, "feed": False}
    yield Case(name="transformer", options=windows, field=7)
    yield Case(name="fox", options={"hidden_size": 6}, is_variant=False)
    yield Case(name="fox", options={"hidden_size": 4, "num_layers": 2, "feed": False})
    yield Case(name="lru", options={"hidden_size": 6}, is_variant=False)
    yield Case(name="lru", options={"hidden_size": 4, "num_layers": 2, "num_states": 3, "feed": True})
    yield Case(name="s4d", options={"hidden_size": 5, "num_states": 6}, is_variant=False)
    yield Case(name="s4d", options={"hidden_size": 4, "num_layers": 2, "num_states": 2, "feed": True})
    for name in sorted(LINEAR):
        yield Case(name=name, options={"hidden_size": 8, "num_heads": 2}, is_variant=False)
        yield Case(name=name, options={"hidden_size": 6, "num_layers": 2, "feed": name in ("mamba2", "mlstm")})
    yield Case(name="gated-deltanet", options={"hidden_size": 8, "negative": True})


CASES = (*_recurrent(), *_nested(), *_of_finite_reach(), *_residual())
DEFAULT_CASES = tuple(case for case in CASES if not case.is_variant)


def parametrize_cases(cases: Iterable[Case], slow: Callable[[Case], bool] = lambda case: False) -> pytest.MarkDecorator:
    """Returns a mark that runs a test once for each case, its argument `case`."""
    chosen = [
        pytest.param(case, id=case.id, marks=pytest.mark.slow if case.is_variant and slow(case) else ())
        for case in cases
    ]
    return pytest.mark.parametrize("case", chosen)


def make_encoder(case: Case, *, dtype: torch.dtype = torch.float64, fresh: bool = False, **options: Any) -> Encoder:
    """Builds a case's encoder.

    Unless it is to be `fresh`, every parameter is moved away from its initial value, so that none is 0 or equal to
    another by accident.
    """
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(1)
        encoder = architectures.build(case.name, INPUT_SIZE, **{**case.options, **options}).double()
        if not fresh:
            with torch.no_grad():
                for parameter in encoder.parameters():
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder.to(dtype).train(not case.draws)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Returns standard normal numbers that are the same each time."""
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def gradients(loss: Tensor, encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """Returns the gradient with respect to x and to each parameter, by name; 0 for unused ones."""
    names = ["x", *(name for name, _ in encoder.named_parameters())]
    inputs = [x, *encoder.parameters()]
    if not loss.requires_grad:
        # Nothing but the steps of a source, over which the output is 0 whatever the input.
        return {name: torch.zeros_like(value) for name, value in zip(names, inputs, strict=True)}
    grads = torch.autograd.grad(loss, inputs, allow_unused=True)
    return {
        name: torch.zeros_like(value) if grad is None else grad
        for name, value, grad in zip(names, inputs, grads, strict=True)
    }


@contextmanager
def fill_uninitialized_memory(on: bool) -> Iterator[None]:
    """Sets whether deterministic algorithms fill memory from `torch.empty` with NaN."""
    switch: Any = torch.utils.deterministic
    before = switch.fill_uninitialized_memory
    switch.fill_uninitialized_memory = on
    try:
        yield
    finally:
        switch.fill_uninitialized_memory = before


def assert_close(actual: object, expected: object, tolerance: float = 1e-10) -> None:
    """Asserts that two tensors, or trees of them, agree to the tolerance, relative or absolute."""
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def state_leaf(state: State, *path: int) -> Tensor:
    """Returns the tensor at a path of a state's tree."""
    for index in path:
        assert isinstance(state, tuple)
        state = state[index]
    assert isinstance(state, Tensor)
    return state
