"""Tests of what users of PyTorch do to modules: it has its usual effect on every architecture."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from architectures import Encoder
from tests.architectures.cases import (
    DEFAULT_CASES,
    INPUT_SIZE,
    Case,
    assert_close,
    make_encoder,
    noise,
    parametrize_cases,
)
from tests.architectures.kinds import ONE_OF_EACH_KIND

EVERY_NAME = parametrize_cases(DEFAULT_CASES)
X = noise(2, 4, INPUT_SIZE)


def weights_of(encoder: Encoder) -> Iterator[tuple[nn.Module, str]]:
    """Yields every matrix of weights, as the module that has it and its name there."""
    for module in list(encoder.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.ndim >= 2:
                yield module, name


def mask_of(weight: Tensor) -> Tensor:
    """Returns a mask that keeps every other weight."""
    return (torch.arange(weight.numel()) % 2).view_as(weight).to(weight)


class Scale(nn.Module):
    """A parametrization: weights times the mask, and 2."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * mask_of(weight) * weight


def change_by_parametrization(encoder: Encoder) -> float:
    for module, name in weights_of(encoder):
        parametrize.register_parametrization(module, name, Scale())
    return 2.0


def change_by_pruning(encoder: Encoder) -> float:
    for module, name in weights_of(encoder):
        prune.custom_from_mask(module, name, mask_of(getattr(module, name)))
    return 1.0


@pytest.mark.parametrize("change", [change_by_parametrization, change_by_pruning])
@EVERY_NAME
def test_changed_weights_are_those_that_compute(case: Case, change: Callable[[Encoder], float]) -> None:
    """Outputs, traces and steps of training are those of weights changed in place, after a step of the optimiser too,
    which PyTorch's own recurrent layers are only if they are called."""
    encoder, expected = make_encoder(case), make_encoder(case)
    factor = change(encoder)
    masks = [(parameter, factor * mask_of(parameter)) for parameter in expected.parameters() if parameter.ndim >= 2]
    optimisers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (encoder, expected)]
    for _ in range(2):
        # In the copy, the weights that take part are made before each step from those that are trained.
        trained = [parameter.detach().clone() for parameter, _ in masks]
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)
        y, wanted = encoder(X)[0], expected(X)[0]
        assert_close(y, wanted)
        assert_close(encoder.trace(X).y, wanted)
        for optimiser, output in zip(optimisers, (y, wanted), strict=True):
            optimiser.zero_grad()
            output.square().sum().backward()
        with torch.no_grad():
            for (parameter, mask), before in zip(masks, trained, strict=True):
                assert parameter.grad is not None
                parameter.grad.mul_(mask)
                parameter.copy_(before)
        for optimiser in optimisers:
            optimiser.step()


@pytest.mark.parametrize("by_hook", [False, True], ids=["parametrization", "hook"])
@EVERY_NAME
def test_weight_norm_changes_no_output(case: Case, by_hook: bool) -> None:
    """PyTorch's newer one is a parametrization, the older one a hook. Twice: the hook computes the weights anew."""
    encoder, (expected, _) = make_encoder(case), make_encoder(case)(X)
    for module, name in weights_of(encoder):
        if by_hook:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                nn.utils.weight_norm(module, name)
        else:
            parametrizations.weight_norm(module, name)
    for _ in range(2):
        y, _ = encoder(X)
        assert_close(y, expected)
        y.sum().backward()
    assert_close(encoder.trace(X).y, expected)


@EVERY_NAME
def test_hooks_of_every_part_run(case: Case) -> None:
    """Those of containers and of parametrizations excepted, which are never called."""
    encoder, seen = make_encoder(case), set()
    for module in encoder.modules():
        module.register_forward_hook(lambda module, *_: seen.add(module))
    encoder(X)
    containers = (nn.ModuleList, nn.ModuleDict, nn.ParameterList)
    assert [module for module in encoder.modules() if module not in seen and not isinstance(module, containers)] == []


@EVERY_NAME
def test_copies_and_pickles_compute_the_same(case: Case) -> None:
    """After a call, too. PyTorch pickles no parametrized module, as the TCN's convolutions are, and says what to do."""
    encoder = make_encoder(case)
    expected, _ = encoder(X)
    assert torch.equal(copy.deepcopy(encoder)(X)[0], expected)
    if case.name == "tcn":
        with pytest.raises(RuntimeError, match="only supported through state_dict"):
            pickle.dumps(encoder)
    else:
        assert torch.equal(pickle.loads(pickle.dumps(encoder))(X)[0], expected)
    other = make_encoder(case, fresh=True)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(X)[0], expected)


@EVERY_NAME
def test_functional_calls_compute_with_the_given_weights(case: Case) -> None:
    encoder, fresh = make_encoder(case), make_encoder(case, fresh=True)
    y, _ = torch.func.functional_call(fresh, dict(encoder.named_parameters()), (X,))
    assert_close(y, encoder(X)[0])


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=() if case.name in ONE_OF_EACH_KIND else pytest.mark.slow)
        for case in DEFAULT_CASES
    ],
)
def test_exported_programs_compute_the_same(case: Case) -> None:
    """Saved and loaded, for other input, and with nothing in them that PyTorch does not have itself."""
    encoder, other, file = make_encoder(case).eval(), noise(2, 3, INPUT_SIZE, seed=5), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*_flat_weights")  # of PyTorch's own recurrent layers
        program = torch.export.export(encoder, (X[:, :3],))
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file)
    y, state = loaded.module()(other)
    expected = encoder(other)
    assert_close(y, expected[0])
    assert_close(state, expected[1])
    calls = {str(node.target) for node in loaded.graph.nodes if node.op == "call_function"}
    assert not any("workbench" in call for call in calls)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=() if case.name in ONE_OF_EACH_KIND else pytest.mark.slow)
        for case in DEFAULT_CASES
        if case.causal
    ],
)
def test_recorded_calls_compute_the_same(case: Case) -> None:
    """By `torch.jit.trace`, which cannot record the state that a bidirectional encoder does not have."""
    encoder, other = make_encoder(case).eval(), noise(2, 4, INPUT_SIZE, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated, and that sizes are constants
        recorded = torch.jit.trace(encoder, (X,))
    assert_close(recorded(other)[0], encoder(other)[0])
