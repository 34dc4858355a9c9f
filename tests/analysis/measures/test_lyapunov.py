"""State Jacobians and Lyapunov exponents, against known spectra and single steps."""

import pytest
import torch

import architectures
from analysis.measures import lyapunov
from analysis.measures.lyapunov import LyapunovExponents, state_jacobians, state_width
from architectures.state import iter_tensors
from tests.analysis.toy_encoders import Diagonal, GrowingState

pytestmark = pytest.mark.usefixtures("one_thread")


def orthonormal(n: int, k: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    columns: torch.Tensor = torch.linalg.qr(torch.randn(batch, n, k, generator=generator, dtype=torch.float64))[0]
    return columns


@pytest.mark.parametrize("every", [1, 3])
def test_a_random_period_3_system_has_the_exponents_of_its_product(every):
    generator = torch.Generator().manual_seed(1)
    a, b, c = torch.randn(3, 6, 6, generator=generator, dtype=torch.float64)

    def exponents_of_product(product: torch.Tensor) -> torch.Tensor:
        moduli: torch.Tensor = torch.linalg.eigvals(product).abs()
        return moduli.log().sort(descending=True).values / 3

    expected, reverse = exponents_of_product(c @ b @ a), exponents_of_product(a @ b @ c)
    assert not torch.allclose(expected, reverse, atol=0.01)
    exponents = LyapunovExponents(orthonormal(6, 6), qr_every=every, burn_in=90 // every)
    for step in range(1590):
        exponents.step((a, b, c)[step % 3][None])
    # Complex pairs turn, so that their means settle with one over the periods, of which there are 500.
    torch.testing.assert_close(exponents.exponents[0], expected, rtol=0, atol=5e-3)


def test_the_leading_exponents_are_those_of_the_full_spectrum():
    generator = torch.Generator().manual_seed(2)
    matrices = torch.randn(50, 2, 5, 5, generator=generator, dtype=torch.float64)
    full, some = LyapunovExponents(orthonormal(5, 5, 2)), LyapunovExponents(orthonormal(5, 5, 2)[..., :2])
    for J in matrices:
        full.step(J)
        some.step(J)
    torch.testing.assert_close(some.exponents, full.exponents[:, :2])
    # All together are the mean log volume, whatever the matrices.
    volume = matrices.det().abs().log().mean(0)
    torch.testing.assert_close(full.exponents.sum(1), volume)


def test_a_diagonal_recurrence_has_the_logarithms_of_its_eigenvalues():
    encoder, x = Diagonal(1, hidden_size=4, fastest=0.4, slowest=0.97), torch.randn(2, 200, 1)
    exponents = LyapunovExponents(orthonormal(4, 4, 2), burn_in=100)
    for chunk in state_jacobians(encoder, x, skip=1):
        for J in chunk:
            exponents.step(J)
    expected = encoder.decay.detach().double().log().flip(0).expand(2, -1)
    torch.testing.assert_close(exponents.exponents, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "rwa", "rda", "rda-sigmoid-id"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_jacobians_are_those_of_single_steps_on_the_full_state(name, num_layers, monkeypatch):
    torch.manual_seed(0)
    encoder, x = architectures.build(name, 3, hidden_size=4, num_layers=num_layers), torch.randn(2, 7, 3)
    monkeypatch.setattr(lyapunov, "MAX_ELEMENTS", 1000)
    jacobians = torch.cat(list(state_jacobians(encoder, x, skip=2)))
    width = state_width(encoder, x)
    assert jacobians.shape == (5, 2, width, width)
    assert width == encoder.state_size(7)
    for t, row in ((2, 0), (6, 1)):
        _, before = encoder(x[row : row + 1, :t])
        leaves = [value.detach() for value in iter_tensors(before)]

        def step(flat: torch.Tensor, t: int = t, row: int = row, leaves: list[torch.Tensor] = leaves) -> torch.Tensor:
            parts = iter(flat.split([value.numel() for value in leaves]))
            of_layer = len(leaves) // num_layers
            state = tuple(tuple(next(parts).view_as(leaves[0]) for _ in range(of_layer)) for _ in range(num_layers))
            _, after = encoder(x[row : row + 1, t : t + 1], state)
            return torch.cat([value.flatten() for value in iter_tensors(after)])

        flat = torch.cat([value.flatten() for value in leaves])
        expected = torch.autograd.functional.jacobian(step, flat)
        torch.testing.assert_close(jacobians[t - 2, row], expected, rtol=1e-4, atol=1e-6)


def test_a_state_that_grows_is_refused():
    with pytest.raises(ValueError, match="grows"):
        state_width(GrowingState(1), torch.zeros(1, 3, 1))


def test_no_state_is_refused(monkeypatch):
    encoder = Diagonal(1)
    monkeypatch.setattr(encoder, "encode", lambda x, state, lengths: (x, None))
    with pytest.raises(ValueError, match="no state"):
        state_width(encoder, torch.zeros(1, 3, 1))


def test_the_encoder_is_left_as_it_was():
    encoder = architectures.build("gru", 2, hidden_size=3).train()
    list(state_jacobians(encoder, torch.randn(1, 4, 2), skip=1))
    assert encoder.training
    assert all(parameter.grad is None for parameter in encoder.parameters())
