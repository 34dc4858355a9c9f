"""The probe of gradient decay on encoders with a known decay."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.measures import gradients
from analysis.measures.decay_laws import Parameter
from analysis.measures.lyapunov import state_jacobians
from analysis.probes import gradient_decay
from analysis.probes.decay_metrics import fitted_curve, half_life_metric, log_mean_curve
from analysis.probes.gradient_decay import encoder_input, longest_sequences, loss_gradients_by_lag, probed_batch
from analysis.probes.models import LoadedModel, untrained_model
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.rda import AveragingLayer
from tests.analysis.report_runs import experiment
from workbench.config import Part
from workbench.model import Model
from workbench.tasks import build

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = ProbeSettings(sequences=6, directions=16)


def load_model(
    architecture: str, trained: bool = False, hidden_size: int = 4, length: int = 60, **options: object
) -> LoadedModel:
    settings = experiment(
        architecture, task_options={"length": length}, hidden_size=hidden_size, options=options, seed=3
    )
    return replace(untrained_model(settings), trained=trained)


def value(result: ProbeResult, name: str) -> float:
    number = result.metrics[name].value
    assert number is not None
    return number


def test_a_diagonal_recurrence_has_its_half_life_everywhere():
    half_life = 12.0
    eigenvalue = 0.5 ** (1 / half_life)
    loaded = load_model("tests.analysis.toy_encoders:Diagonal", trained=True, fastest=eigenvalue, slowest=eigenvalue)
    result = gradient_decay.measure(loaded, SETTINGS)
    for name in ("gradient", "start_gradient", "first_step"):
        assert result.labels[f"{name}_law"] == "exponential"
        assert result.labels[f"{name}_mean_law"] == "exponential"
        assert value(result, f"{name}_half_life") == pytest.approx(half_life, rel=1e-4)
        assert value(result, f"{name}_typical_half_life") == pytest.approx(half_life, rel=1e-4)
        metric = result.metrics[f"{name}_half_life"]
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= half_life * 1.0001
        assert metric.high >= half_life * 0.9999
    assert value(result, "lyapunov") == pytest.approx(math.log(eigenvalue), abs=1e-6)
    assert value(result, "state_jacobian") == pytest.approx(eigenvalue, abs=1e-6)
    norms = result.curves["state_jacobian"]
    np.testing.assert_allclose(norms.to_array(), norms.to_array("x") * math.log10(eigenvalue), atol=1e-5)
    assert result.curves["path_length"].y[-1] == 60
    assert not result.unavailable
    assert ProbeResult.from_dict(result.to_dict()).labels == result.labels


def test_two_rates_come_with_both_half_lives_and_the_share_of_the_slow_one():
    lags = np.arange(200)
    g = 0.75 * 0.5 ** (lags / 2) + 0.25 * 0.5 ** (lags / 50)
    noise = np.exp(0.02 * np.random.default_rng(0).standard_normal((2, 12, 200)))
    result = fitted_curve(g * noise, lags, lags, "gradient", SETTINGS, what="it")
    assert result.labels == {"gradient_law": "two rates", "gradient_mean_law": "two rates"}
    assert value(result, "gradient_fast_half_life") == pytest.approx(2, rel=0.05)
    assert value(result, "gradient_slow_half_life") == pytest.approx(50, rel=0.05)
    at_first = 0.25 * 0.5**0.02
    share = at_first / (at_first + 0.75 * 0.5**0.5)
    assert value(result, "gradient_slow_share") == pytest.approx(share, rel=0.05)
    assert value(result, "gradient_lack_of_fit") > 0.01
    assert value(result, "gradient_misfit") < 0.02


def test_the_state_of_a_lag_before_is_the_product_of_the_jacobians_in_order():
    loaded = load_model("lstm", length=30)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(2)
    curve = gradient_decay.measure(loaded, SETTINGS).curves["state_jacobian"]
    x = encoder_input(loaded.model, probed_batch(loaded, SETTINGS))[:4]
    # 29 steps can be looked at: the first is taken from the start.
    product = torch.eye(8, dtype=torch.float64).expand(4, -1, -1)
    expected = {}
    for lag, J in enumerate(torch.cat(list(state_jacobians(loaded.model.encoder, x, skip=1))).double(), 1):
        product = J @ product
        expected[lag] = torch.linalg.matrix_norm(product, ord=2).mean().log10().item()
    assert len(expected) == 29
    np.testing.assert_allclose(curve.to_array(), [expected[int(lag)] for lag in curve.x], atol=1e-4)


def test_the_state_is_looked_at_within_every_sequence():
    x = torch.arange(40.0).reshape(5, 8, 1)
    assert longest_sequences(x, None).tolist() == x[:4].tolist()
    cut = longest_sequences(x, torch.tensor([3, 8, 6, 5, 7]))
    assert cut.tolist() == x[[1, 4, 2, 3], :5].tolist()


def test_an_average_of_constant_attention_does_not_fall_with_the_lag_but_as_more_is_read():
    loaded = load_model("rwa", length=400)
    layer = next(part for part in loaded.model.modules() if isinstance(part, AveragingLayer))
    with torch.no_grad():
        layer.weight_h.zero_()
        # No attention by the input either; small features keep the outer tanh linear.
        layer.weight_x[8:].zero_()
        layer.weight_x[:4] *= 0.01
        layer.bias_g.fill_(1.0)
        layer.weight_x[4:8].zero_()
    result = gradient_decay.measure(loaded, SETTINGS)
    assert result.labels["gradient_law"] == "no fall"
    assert value(result, "gradient_exponent") == pytest.approx(0, abs=1e-4)
    assert result.labels["first_step_law"] == "power law"
    assert value(result, "first_step_exponent") == pytest.approx(-1, abs=0.01)
    # r keeps 1 - 1 / t at step t, and so does l.
    steps = np.arange(400 - 128, 400) + 1
    assert value(result, "lyapunov") == pytest.approx(np.log(1 - 1 / steps).mean(), rel=1e-3)
    # Through h in as many hops as steps, and through the average in one.
    assert (value(result, "hops"), value(result, "hops_through_average")) == (400, 1)


def test_a_tcn_is_fitted_within_its_reach_and_has_no_state():
    result = gradient_decay.measure(load_model("tcn", kernel_size=3, num_layers=3), SETTINGS)
    reach = 1 + 2 * 2 * 7
    assert value(result, "gradient_fitted_to") <= reach - 1
    curve = result.curves["gradient"]
    assert all((y is None) == (x >= reach) for x, y in zip(curve.x, curve.y, strict=True))
    assert result.curves["path_length"].x[-1] == reach - 1
    assert "hops_through_average" not in result.metrics
    assert f"{reach} steps" in result.unavailable["state"]
    assert "finite" in result.unavailable["first_step"]


def test_what_cannot_be_asked_of_a_bidirectional_encoder_is_missing():
    result = gradient_decay.measure(load_model("han-bidirectional"), SETTINGS)
    assert "not causal" in result.unavailable["state"]
    assert "not causal" in result.unavailable["first_step"]
    assert "gradient_half_life" in result.metrics


def test_a_foreign_encoder_costs_what_it_lacks():
    result = gradient_decay.measure(load_model("tests.analysis.toy_encoders:WithoutTrace"), SETTINGS)
    assert result.unavailable["path_length"] == "NotImplementedError: no path"
    assert "untrained" in result.unavailable["start_gradient"]
    assert result.labels["gradient_law"] == "exponential"
    growing = gradient_decay.measure(load_model("tests.analysis.toy_encoders:GrowingState"), SETTINGS)
    assert "grows" in growing.unavailable["state"]


def test_sequences_of_different_lengths_and_symbols():
    lengths = experiment("gru", task="classify-length", task_options={"length": 40}, hidden_size=4)
    result = gradient_decay.measure(untrained_model(lengths), SETTINGS)
    assert result.metrics["gradient_half_life"].value is not None
    # The shortest of the sequences that are probed bounds what may be read of all.
    assert 30 <= result.curves["first_step"].x[-1] <= 40
    symbols = gradient_decay.measure(
        untrained_model(experiment("gru", task="copy", task_options={"length": 20})), SETTINGS
    )
    assert "loss_gradient" in symbols.curves


def test_the_model_is_left_as_it_was_and_the_same_is_found_again():
    loaded = load_model("lstm", trained=True)
    before, state = loaded.weights_hash, torch.get_rng_state()
    first = gradient_decay.measure(loaded, SETTINGS)
    assert loaded.weights_hash == before
    assert not loaded.model.training
    assert all(parameter.grad is None for parameter in loaded.model.parameters())
    torch.set_rng_state(state)
    assert gradient_decay.measure(loaded, SETTINGS).to_dict() == first.to_dict()


def test_nothing_at_all_is_not_available(monkeypatch):
    def nothing(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        raise NotAvailableError("nothing")

    monkeypatch.setattr(gradient_decay, "MEASURES", {"gradient": nothing})
    with pytest.raises(NotAvailableError, match="gradient: nothing"):
        gradient_decay.measure(load_model("lstm"), SETTINGS)


def test_the_interval_of_a_half_life_is_that_of_the_rate_turned_round():
    rate = Parameter(value=0.1, low=0.05, high=0.2)
    metric = half_life_metric(rate, "")
    assert (metric.low, metric.value, metric.high) == pytest.approx(
        (math.log(2) / 0.2, math.log(2) / 0.1, math.log(2) / 0.05)
    )
    assert not metric.censored
    open_end = half_life_metric(replace(rate, low=-0.01), "")
    assert open_end.low == pytest.approx(math.log(2) / 0.2)
    assert (open_end.high, open_end.censored) == (None, True)
    assert half_life_metric(replace(rate, value=-0.1), "").value is None


def test_a_curve_is_the_logarithm_of_the_mean_with_students_interval():
    norms = np.array([[1.0, 0.0, np.nan], [3.0, 0.0, 2.0]])
    curve = log_mean_curve(norms, np.arange(3), what="")
    np.testing.assert_allclose(curve.to_array(), [math.log10(2), math.nan, math.log10(2)], rtol=1e-5)
    # The standard error of 1 and 3 is 1, half of the mean; Student's quantile for one degree of freedom is 12.706.
    assert curve.high is not None
    assert curve.high[0] == pytest.approx(math.log10(2) + 12.706 / 2 / math.log(10), rel=1e-4)


@pytest.mark.parametrize(("name", "options"), [("copy", {"length": 5}), ("addition", {"length": 9})])
def test_the_loss_gradient_is_that_of_each_sequence_by_itself(name, options, monkeypatch):
    torch.manual_seed(0)
    task = build(name, **options)
    model = Model(task, Part(name="gru", options={"hidden_size": 4})).eval()
    batch = task.fixed("test", 6, torch.device("cpu"))
    monkeypatch.setattr(gradients, "MAX_ELEMENTS", 4 * task.steps * max(4, task.input_size))
    norms = loss_gradients_by_lag(model, task, batch)
    for index in range(6):
        sequence = batch[index : index + 1]
        x = model.features(sequence.x).detach().requires_grad_()
        y, _ = model.encoder(x)
        answer = model.readout(y if task.readout == "every" else y[:, -1])
        (gradient,) = torch.autograd.grad(task.loss(answer, sequence), x)
        torch.testing.assert_close(norms[index], gradient[0].norm(dim=1).flip(0), rtol=1e-4, atol=1e-8)
