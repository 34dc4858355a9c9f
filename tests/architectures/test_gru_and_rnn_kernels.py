"""The compiled GRU and RNN against PyTorch's own."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from architectures.gru import GRULayer
from architectures.kernels import native
from architectures.recurrent import TorchLayer
from architectures.rnn import RNNLayer
from tests.architectures.cases import close, noise

LAYERS: dict[str, type[TorchLayer]] = {"gru": GRULayer, "rnn": RNNLayer}
Outcome = tuple[Tensor, Tensor, tuple[Tensor, ...]]
named = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture(autouse=True)
def there_is_a_compiler() -> None:
    if reason := native.failure():
        pytest.skip(reason)


def layer(name: str, units: int, inputs: int = 3, dtype: torch.dtype = torch.float64) -> TorchLayer:
    """A layer with noise for weights and biases."""
    made = LAYERS[name](inputs, units, False)  # type: ignore[call-arg]
    with torch.no_grad():
        for seed, parameter in enumerate(made.parameters()):
            parameter.copy_(noise(*parameter.shape, seed=seed) / (units**0.5 if parameter.ndim == 2 else 4))
    return made.to(dtype)


def outcome(
    made: TorchLayer, x: Tensor, h: Tensor, backend: Literal["compiled", "eager"], monkeypatch: pytest.MonkeyPatch
) -> Outcome:
    """What is put out, the last h, and the gradients of x, h and every parameter."""
    monkeypatch.setenv("WORKBENCH_BACKEND", backend)
    y, (last,) = made(x, (h,))
    score = (y * noise(*y.shape, seed=7).to(y)).sum() + (last * noise(*last.shape, seed=8).to(y)).sum()
    return y.detach(), last.detach(), torch.autograd.grad(score, [x, h, *made.parameters()])


@named
@pytest.mark.parametrize(
    ("batch", "time", "units"), [(1, 1, 1), (3, 1, 7), (1, 12, 7), (3, 12, 250), (29, 5, 33), (5, 40, 64)]
)
def test_values_and_gradients_are_those_of_pytorch(
    name: str, batch: int, time: int, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision to 1e-10, in single precision to 1e-6 of their norm."""
    x, h = noise(batch, time, 3, seed=9), noise(batch, units, seed=10)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-6)):
        made = layer(name, units, dtype=dtype)
        u, s = x.to(dtype).requires_grad_(), h.to(dtype).requires_grad_()
        fast, own = outcome(made, u, s, "compiled", monkeypatch), outcome(made, u, s, "eager", monkeypatch)
        for mine, theirs in zip((*fast[:2], *fast[2]), (*own[:2], *own[2]), strict=True):
            assert float((mine - theirs).norm()) <= tolerance * max(float(theirs.norm()), 1e-30)


@named
def test_gradients_are_those_of_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With respect to the input, the initial state and every parameter."""
    monkeypatch.setenv("WORKBENCH_BACKEND", "compiled")
    made = layer(name, 3)
    inputs = (noise(2, 4, 3, seed=9).requires_grad_(), noise(2, 3, seed=10).requires_grad_())

    def run(x: Tensor, h: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        y, (last,) = made(x, (h,))
        return y, last

    assert torch.autograd.gradcheck(run, (*inputs, *made.parameters()))


@named
def test_pytorch_serves_what_the_kernel_does_not_take(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under autocast and in half precision, as without a kernel; and its own backend by name."""
    made = layer(name, 4, dtype=torch.float32)
    x, h = noise(2, 5, 3).float(), torch.zeros(2, 4)
    called: list[str] = []
    own = type(made.core).forward

    def watched(*arguments: object, **options: object) -> object:
        called.append(name)
        return own(*arguments, **options)

    monkeypatch.setattr(type(made.core), "forward", watched)
    monkeypatch.setenv("WORKBENCH_BACKEND", "auto")
    expected, _ = made(x, (h,))
    assert not called
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(made(x, (h,))[0].float(), expected, 0.05)
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    close(made(x, (h,))[0], expected, 1e-6)
    assert called == [name, name]


@named
def test_operands_that_do_not_fit_are_refused(name: str) -> None:
    """In a message, where PyTorch's own would refuse them too; the loops trust their sizes."""
    made, x = layer(name, 4), noise(2, 5, 3)
    with pytest.raises(ValueError, match="the state must be of shape"):
        made(x, (torch.zeros(3, 4, dtype=torch.float64),))
    with pytest.raises(ValueError, match="the state must be of shape"):
        made(x, (torch.zeros(2, 5, dtype=torch.float64),))
    with pytest.raises(TypeError, match="must be"):
        made(x, (torch.zeros(2, 4),))
