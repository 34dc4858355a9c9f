import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.measures.decay_fits import Law
from analysis.measures.lyapunov import state_jacobians
from analysis.probes import gradient_decay
from analysis.probes.gradient_decay import batch_of, half_life, interval_curve, longest, read
from analysis.probes.models import LoadedModel, untrained_model
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from architectures.rda import AveragingLayer
from tests.analysis.report_runs import experiment

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = ProbeSettings(sequences=6, directions=16)


def subject(
    architecture: str, trained: bool = False, hidden_size: int = 4, length: int = 60, **options: object
) -> LoadedModel:
    made = experiment(architecture, task_options={"length": length}, hidden_size=hidden_size, options=options, seed=3)
    return replace(untrained_model(made), trained=trained)


def value(findings: ProbeResult, name: str) -> float:
    found = findings.metrics[name].value
    assert found is not None
    return found


def test_a_diagonal_recurrence_has_its_half_life_everywhere():
    half_life = 12.0
    eigenvalue = 0.5 ** (1 / half_life)
    probed = subject("tests.analysis.toy_encoders:Diagonal", trained=True, fastest=eigenvalue, slowest=eigenvalue)
    found = gradient_decay.measure(probed, SETTINGS)
    for name in ("gradient", "start_gradient", "first_step"):
        assert found.labels[f"{name}_law"] == "exponential"
        assert value(found, f"{name}_half_life") == pytest.approx(half_life, rel=1e-4)
        number = found.metrics[f"{name}_half_life"]
        assert number.low is not None
        assert number.high is not None
        assert number.low <= half_life * 1.0001
        assert number.high >= half_life * 0.9999
    assert value(found, "lyapunov") == pytest.approx(math.log(eigenvalue), abs=1e-6)
    assert value(found, "state_jacobian") == pytest.approx(eigenvalue, abs=1e-6)
    norms = found.curves["state_jacobian"]
    np.testing.assert_allclose(norms.array(), norms.array("x") * math.log10(eigenvalue), atol=1e-5)
    assert found.curves["path_length"].y[-1] == 60
    assert not found.unavailable
    assert ProbeResult.from_dict(found.to_dict()).labels == found.labels


def test_the_state_of_a_lag_before_is_the_product_of_the_jacobians_in_order():
    probed = subject("lstm", length=30)
    with torch.no_grad():
        for parameter in probed.model.parameters():
            parameter.mul_(2)
    found = gradient_decay.measure(probed, SETTINGS).curves["state_jacobian"]
    x = read(probed.model, batch_of(probed, SETTINGS))[:4]
    # 29 steps can be looked at: the first is taken from the start.
    product = torch.eye(8, dtype=torch.float64).expand(4, -1, -1)
    expected = {}
    for lag, J in enumerate(torch.cat(list(state_jacobians(probed.model.encoder, x, skip=1))).double(), 1):
        product = J @ product
        expected[lag] = torch.linalg.matrix_norm(product, ord=2).mean().log10().item()
    assert len(expected) == 29
    np.testing.assert_allclose(found.array(), [expected[int(lag)] for lag in found.x], atol=1e-4)


def test_the_state_is_looked_at_within_every_sequence():
    x = torch.arange(40.0).reshape(5, 8, 1)
    assert longest(x, None).tolist() == x[:4].tolist()
    kept = longest(x, torch.tensor([3, 8, 6, 5, 7]))
    assert kept.tolist() == x[[1, 4, 2, 3], :5].tolist()


def test_an_average_of_constant_attention_does_not_fall_with_the_lag_but_as_more_is_read():
    probed = subject("rwa", length=400)
    layer = next(part for part in probed.model.modules() if isinstance(part, AveragingLayer))
    with torch.no_grad():
        layer.weight_h.zero_()
        # No attention by the input either; small features keep the outer tanh linear.
        layer.weight_x[8:].zero_()
        layer.weight_x[:4] *= 0.01
        layer.bias_g.fill_(1.0)
        layer.weight_x[4:8].zero_()
    found = gradient_decay.measure(probed, SETTINGS)
    assert found.labels["gradient_law"] == "no fall"
    assert value(found, "gradient_exponent") == pytest.approx(0, abs=1e-4)
    assert found.labels["first_step_law"] == "power law"
    assert value(found, "first_step_exponent") == pytest.approx(-1, abs=0.01)
    # r keeps 1 - 1 / t at step t, and so does l.
    steps = np.arange(400 - 128, 400) + 1
    assert value(found, "lyapunov") == pytest.approx(np.log(1 - 1 / steps).mean(), rel=1e-3)


def test_a_tcn_is_fitted_within_its_reach_and_has_no_state():
    found = gradient_decay.measure(subject("tcn", kernel_size=3, num_layers=3), SETTINGS)
    reach = 1 + 2 * 2 * 7
    assert value(found, "gradient_fitted_to") <= reach - 1
    curve = found.curves["gradient"]
    assert all((y is None) == (x >= reach) for x, y in zip(curve.x, curve.y, strict=True))
    assert found.curves["path_length"].x[-1] == reach - 1
    assert f"{reach} steps" in found.unavailable["state"]
    assert "finite" in found.unavailable["first_step"]


def test_what_cannot_be_asked_of_a_bidirectional_encoder_is_missing():
    found = gradient_decay.measure(subject("han-bidirectional"), SETTINGS)
    assert "not causal" in found.unavailable["state"]
    assert "not causal" in found.unavailable["first_step"]
    assert "gradient_half_life" in found.metrics


def test_a_foreign_encoder_costs_what_it_lacks():
    found = gradient_decay.measure(subject("tests.analysis.toy_encoders:Silent"), SETTINGS)
    assert found.unavailable["path_length"] == "NotImplementedError: no path"
    assert "untrained" in found.unavailable["start_gradient"]
    assert found.labels["gradient_law"] == "exponential"
    grown = gradient_decay.measure(subject("tests.analysis.toy_encoders:Growing"), SETTINGS)
    assert "grows" in grown.unavailable["state"]


def test_sequences_of_different_lengths_and_symbols():
    made = experiment("gru", task="classify-length", task_options={"length": 40}, hidden_size=4)
    found = gradient_decay.measure(untrained_model(made), SETTINGS)
    assert found.metrics["gradient_half_life"].value is not None
    # The shortest of the sequences that are probed bounds what may be read of all.
    assert 30 <= found.curves["first_step"].x[-1] <= 40
    symbols = gradient_decay.measure(
        untrained_model(experiment("gru", task="copy", task_options={"length": 20})), SETTINGS
    )
    assert "loss_gradient" in symbols.curves


def test_the_model_is_left_as_it_was_and_the_same_is_found_again():
    probed = subject("lstm", trained=True)
    before, state = probed.weights, torch.get_rng_state()
    first = gradient_decay.measure(probed, SETTINGS)
    assert probed.weights == before
    assert not probed.model.training
    assert all(parameter.grad is None for parameter in probed.model.parameters())
    torch.set_rng_state(state)
    assert gradient_decay.measure(probed, SETTINGS).to_dict() == first.to_dict()


def test_nothing_at_all_is_not_available(monkeypatch):
    def nothing(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        raise NotAvailableError("nothing")

    monkeypatch.setattr(gradient_decay, "PARTS", {"gradient": nothing})
    with pytest.raises(NotAvailableError, match="gradient: nothing"):
        gradient_decay.measure(subject("lstm"), SETTINGS)


def test_the_interval_of_a_half_life_is_that_of_the_rate_turned_round():
    law = Law(rate=0.1, low=0.05, high=0.2, intercept=0, fall=1, aic=0, r2=1)
    found = half_life(law, "")
    assert (found.low, found.value, found.high) == pytest.approx(
        (math.log(2) / 0.2, math.log(2) / 0.1, math.log(2) / 0.05)
    )
    assert not found.censored
    open_end = half_life(replace(law, low=-0.01), "")
    assert open_end.low == pytest.approx(math.log(2) / 0.2)
    assert (open_end.high, open_end.censored) == (None, True)
    assert half_life(replace(law, rate=-0.1), "").value is None


def test_a_curve_is_the_logarithm_of_the_mean_with_students_interval():
    norms = np.array([[1.0, 0.0, np.nan], [3.0, 0.0, 2.0]])
    curve = interval_curve(norms, np.arange(3), against="steps", what="")
    np.testing.assert_allclose(curve.array(), [math.log10(2), math.nan, math.log10(2)], rtol=1e-5)
    # The standard error of 1 and 3 is 1, half of the mean; Student's quantile for one degree of freedom is 12.706.
    assert curve.high is not None
    assert curve.high[0] == pytest.approx(math.log10(2) + 12.706 / 2 / math.log(10), rel=1e-4)
