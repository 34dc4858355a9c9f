import pytest
import torch

import architectures
from analysis.measures import gradients
from analysis.measures.gradients import by_lag, lag_gradients, loss_gradients
from tests.analysis.toy_encoders import Diagonal
from workbench.config import Part
from workbench.model import Model
from workbench.tasks import build

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_diagonal_recurrence_has_the_powers_of_its_eigenvalues():
    encoder = Diagonal(1, hidden_size=3, fastest=0.5, slowest=0.95)
    norms = lag_gradients(encoder, torch.randn(4, 20, 1), 5, seeded())
    v = torch.randn(5, 4, 3, generator=seeded())
    lags = torch.arange(20)[:, None]
    expected = (v[:, :, None] * encoder.decay.detach() ** lags).sum(3).abs()
    torch.testing.assert_close(norms, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "rwa", "rda", "han-bidirectional"])
def test_the_mean_square_is_the_squared_frobenius_norm_of_the_jacobian(name):
    torch.manual_seed(0)
    encoder, x = architectures.build(name, 2, hidden_size=4), torch.randn(1, 6, 2)
    (jacobian,) = torch.autograd.functional.jacobian(lambda given: encoder(given)[0][0, -1], (x,))
    expected = jacobian.square().sum((0, 1, 3)).flip(0)
    norms = lag_gradients(encoder, x.expand(100, -1, -1), 20, seeded())
    # A square of norms of Gaussian vectors of 4 numbers has at most twice its mean squared as variance: 2000 draws.
    torch.testing.assert_close(norms.square().mean((0, 1)), expected, rtol=0.15, atol=1e-9)


def test_a_tcn_has_no_gradient_beyond_its_reach():
    torch.manual_seed(0)
    encoder = architectures.build("tcn", 2, hidden_size=8, kernel_size=3, num_layers=2)
    reach = encoder.receptive_field
    assert reach == 13
    norms = lag_gradients(encoder, torch.randn(3, 40, 2), 4, seeded())
    assert (norms[..., reach - 1] > 0).any()
    assert (norms[..., reach:] == 0).all()


def test_padding_changes_nothing_and_lags_before_the_start_are_missing():
    torch.manual_seed(0)
    encoder, x = architectures.build("gru", 2, hidden_size=4), torch.randn(2, 9, 2)
    alone = lag_gradients(encoder, x[:, :5], 3, seeded())
    padded = lag_gradients(encoder, x, 3, seeded(), lengths=torch.tensor([5, 5]))
    torch.testing.assert_close(padded[..., :5], alone)
    assert padded[..., 5:].isnan().all()


def test_a_cut_batch_gives_the_same(monkeypatch):
    torch.manual_seed(0)
    encoder, x = architectures.build("rda", 2, hidden_size=4), torch.randn(5, 7, 2)
    whole = lag_gradients(encoder, x, 3, seeded())
    monkeypatch.setattr(gradients, "CELLS", 60)
    torch.testing.assert_close(lag_gradients(encoder, x, 3, seeded()), whole)


def test_the_encoder_is_left_as_it_was():
    encoder = architectures.build("lstm", 2, hidden_size=4, num_layers=2, dropout=0.5).train()
    before = torch.get_rng_state()
    first = lag_gradients(encoder, torch.ones(2, 5, 2), 2, seeded())
    assert encoder.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, lag_gradients(encoder, torch.ones(2, 5, 2), 2, seeded()))


@pytest.mark.parametrize(("name", "options"), [("copy", {"length": 5}), ("addition", {"length": 9})])
def test_the_loss_gradient_is_that_of_each_sequence_by_itself(name, options, monkeypatch):
    torch.manual_seed(0)
    task = build(name, **options)
    model = Model(task, Part(name="gru", options={"hidden_size": 4})).eval()
    batch = task.fixed("test", 6, torch.device("cpu"))
    monkeypatch.setattr(gradients, "CELLS", 4 * task.steps * max(4, task.input_size))
    found = loss_gradients(model, task, batch)
    for index in range(6):
        one = batch[index : index + 1]
        x = model.features(one.x).detach().requires_grad_()
        y, _ = model.encoder(x)
        answer = model.readout(y if task.readout == "every" else y[:, -1])
        (gradient,) = torch.autograd.grad(task.loss(answer, one), x)
        torch.testing.assert_close(found[index], gradient[0].norm(dim=1).flip(0), rtol=1e-4, atol=1e-8)


def test_by_lag_counts_from_each_sequences_end():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = by_lag(values, torch.tensor([3, 2]))
    assert found[0].tolist() == [3.0, 2.0, 1.0]
    assert found[1, :2].tolist() == [5.0, 4.0]
    assert found[1, 2].isnan()
