"""Gradient decay: how gradients of the last output, the loss and the state fall with the lag.

The formulas and their sources are in `analysis/measures`: gradients, decay_fits, decay_laws, lyapunov.
"""

import numpy as np
import torch
from torch import Tensor

from analysis.measures.gradients import by_lag, gradient_passes, gradients_by_lag
from analysis.measures.lyapunov import LyapunovExponents, state_jacobians, state_width
from analysis.probes.base import Measure, lags_for_curve, longest_test_sequences, run_measures, with_steps
from analysis.probes.decay_metrics import fitted_curve, log_mean_curve
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import mean_interval
from architectures.base import eval_mode
from workbench.model import Model
from workbench.seeding import CPU, make_generator
from workbench.tasks import Batch, Task

REVISION = 3
"""Raised whenever the same settings come to give other numbers. 2: laws of two parts, and a test of their fit. 3: the
hops of clockwork networks, RHNs and encoders with one fixed vector."""
LENGTH_RATIO = 1.6
"""Ratio of the lengths at which the gradient of the first step is measured."""
STATE_SEQUENCES = 4
"""Sequences whose states are differentiated."""
STATE_STEPS, BURN_IN = 128, 16
"""Last steps over which states are differentiated, and steps before them in which the Lyapunov exponents converge."""
NUM_EXPONENTS = 8
"""Leading Lyapunov exponents that are measured."""
MAX_JACOBIAN_ELEMENTS = 1 << 24
"""Elements that all Jacobians together may have: wider states are differentiated over fewer steps."""
NUM_JACOBIAN_LAGS = 14
"""Lags, evenly spaced on a logarithmic axis, at which the norm of a product of Jacobians is measured."""
JACOBIAN_INTERVAL = 8
"""Every so many steps, the norm of the Jacobian of a single step is measured."""


def measure(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures everything in `MEASURES` that is available for the model.

    Raises:
        NotAvailableError: if nothing is.
    """
    return run_measures(MEASURES, loaded, settings)


def measure_output_gradient(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures g(lag) = E || d(v . y_T) / d x_{T - lag} || at the end of training."""
    return _measure_output_gradient(loaded, settings, "gradient", "the last output's gradient")


def measure_initial_gradient(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the same before the first step of training, on the same sequences and probe vectors."""
    if not loaded.trained:
        raise NotAvailableError("the model is untrained itself")
    untrained = loaded.untrained()
    untrained.model.to(loaded.model.device)
    return _measure_output_gradient(untrained, settings, "start_gradient", "the last output's gradient before training")


def measure_loss_gradient(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures || d L / d x_{T - lag} ||, where L is the task's own loss of each sequence."""
    norms = loss_gradients_by_lag(loaded.model, loaded.task, probed_batch(loaded, settings)).numpy()
    if not np.nansum(norms):
        raise NotAvailableError("the loss has no gradient with respect to the input, or one lost to single precision")
    lags = lags_for_curve(norms.shape[-1])
    curve = log_mean_curve(norms[:, lags], lags, what="the loss's gradient at a lag from the end")
    return ProbeResult(curves={"loss_gradient": curve})


def measure_first_step_gradient(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures E || d(v . y_n) / d x_1 || against the number n of steps read.

    It says what is left of the first step as more is read. A gated unit that forgets at a constant rate has the same
    decay here as against the lag. An average does not: at its end, all steps weigh the same, but each weighs 1 / n.
    """
    encoder = loaded.model.encoder
    require_causal(loaded, "it is not causal: every output changes when more is read")
    if encoder.receptive_field is not None:
        raise NotAvailableError("its reach is finite: it does not carry a step along, but reads it again at its lag")
    batch = probed_batch(loaded, settings)
    x = encoder_input(loaded.model, batch)[: max(2, settings.sequences // 2)]
    longest = x.shape[1] if batch.lengths is None else int(batch.lengths.min())
    powers = np.arange(int(np.log(longest) / np.log(LENGTH_RATIO)) + 1)
    lengths = np.unique(np.round(longest / LENGTH_RATIO**powers).astype(int))
    norms = []
    for length in lengths:
        # The same probe vectors at every length, so that only the length differs.
        generator = make_generator(CPU, "first step", settings.seed)
        by_length = gradients_by_lag(encoder, x[:, :length], directions_per_sequence(settings), generator)
        norms.append(by_length[..., -1].numpy())
    return fitted_curve(
        np.stack(norms, axis=-1),
        lengths,
        np.arange(len(lengths)),
        "first_step",
        settings,
        what="the first step's gradient as more is read",
    )


def measure_state(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures || d s_{t + lag} / d s_t || and the leading Lyapunov exponents over the last steps of some sequences."""
    encoder = loaded.model.encoder
    require_causal(loaded, "it is not causal, and carries no state")
    if encoder.receptive_field is not None:
        raise NotAvailableError(
            f"it keeps what it has read of its last {encoder.receptive_field:,} steps, and no other state"
        )
    batch = probed_batch(loaded, settings)
    x = longest_sequences(encoder_input(loaded.model, batch), batch.lengths)
    try:
        width = state_width(encoder, x)
    except ValueError as error:
        raise NotAvailableError(str(error)) from None
    steps = min(STATE_STEPS + BURN_IN, x.shape[1] - 1, MAX_JACOBIAN_ELEMENTS // (len(x) * width * width))
    if steps < 4:
        raise NotAvailableError(f"Jacobians of a state of {width:,} numbers over {x.shape[1]:,} steps are not measured")
    burn_in = min(BURN_IN, steps // 4)
    generator = make_generator(CPU, "lyapunov", settings.seed)
    start = torch.randn(len(x), width, min(NUM_EXPONENTS, width), generator=generator, dtype=torch.float64)
    exponents = LyapunovExponents(torch.linalg.qr(start)[0].to(x.device), burn_in=burn_in)
    measured_lags = set(np.geomspace(1, steps, NUM_JACOBIAN_LAGS).round().astype(int).tolist())
    product, lag, norms, single_step_norms = None, 0, {}, []
    for chunk in state_jacobians(encoder, x, skip=x.shape[1] - steps):
        single_step_norms.append(torch.linalg.matrix_norm(chunk[::JACOBIAN_INTERVAL].double(), ord=2))
        for J in chunk.double():
            exponents.step(J)
            product, lag = J if product is None else J @ product, lag + 1
            if lag in measured_lags:
                norms[lag] = torch.linalg.matrix_norm(product, ord=2).cpu().numpy()
    spectrum = exponents.exponents.cpu().numpy()
    over = f"of the state over {steps - burn_in} steps"
    metrics = {
        "lyapunov": _mean_metric(spectrum[:, 0], "nats a step", f"largest Lyapunov exponent {over}"),
        "state_jacobian": _mean_metric(
            torch.cat(single_step_norms).mean(0).cpu().numpy(),
            "1",
            "mean spectral norm of the Jacobian of one step, on the full state",
        ),
        "state_width": Metric(value=width, unit="1", what="numbers that a sequence's state has"),
    }
    lags = np.array(sorted(norms))
    means = [mean_interval(column) for column in spectrum.T]
    curves = {
        "state_jacobian": log_mean_curve(
            np.stack([norms[lag] for lag in lags], axis=1),
            lags,
            what="spectral norm of the Jacobian of the state by the state of a lag before",
        ),
        "lyapunov_spectrum": Curve.from_arrays(
            np.arange(len(means)) + 1,
            [mean.mean for mean in means],
            low=[mean.low for mean in means],
            high=[mean.high for mean in means],
            x_unit="exponent",
            y_unit="nats a step",
            what=f"leading Lyapunov exponents {over}",
        ),
    }
    return ProbeResult(metrics=metrics, curves=curves)


def measure_path_length(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """Measures the hops that information from a lag makes on its way to the output."""
    encoder = loaded.model.encoder
    time = settings.length or loaded.task.steps
    reach = time if encoder.receptive_field is None else min(time, encoder.receptive_field)
    lags = lags_for_curve(reach)
    hops = [encoder.path_length(int(lag)) for lag in lags]
    what = "hops from the input at a lag to the output"
    metrics = {"hops": Metric(value=hops[-1], unit="hops", what=f"{what}, at the largest lag")}
    through_average = encoder.average_path_length(int(lags[-1]))
    if through_average is not None:
        which = "the same through the running average of the past, which passes on at once what it holds"
        metrics["hops_through_average"] = Metric(value=through_average, unit="hops", what=which)
    return ProbeResult(
        metrics=metrics,
        curves={"path_length": Curve.from_arrays(lags, hops, x_unit="steps", y_unit="hops", what=what)},
    )


MEASURES: dict[str, Measure] = {
    "gradient": measure_output_gradient,
    "start_gradient": measure_initial_gradient,
    "loss_gradient": measure_loss_gradient,
    "first_step": measure_first_step_gradient,
    "state": measure_state,
    "path_length": measure_path_length,
}


def loss_gradients_by_lag(model: Model, task: Task, batch: Batch) -> Tensor:
    """Returns the norms || d L / d x_{T - lag} || of each sequence's own loss.

    x is what the encoder reads: the features, or the symbols' one-hot or embedded vectors. A loss that is a mean over
    the batch is multiplied by the batch's size, so the norms do not depend on it.

    Returns:
        (batch, time), by lag from the last valid step; NaN for lags from before a sequence's start.
    """
    count, time = batch.x.shape[:2]
    ends = torch.full((count,), time) if batch.lengths is None else batch.lengths.cpu()
    norms = []
    for places in gradient_passes(model.encoder, count, time):
        part = batch[places]
        x = model.features(part.x, part.lengths).detach().requires_grad_()
        with torch.enable_grad(), eval_mode(model), torch.backends.cudnn.flags(enabled=False):
            y, _ = model.encoder(x, None, part.lengths)
            if not model.readout_every:
                last = time - 1 if part.lengths is None else part.lengths - 1
                y = y[torch.arange(len(y), device=y.device), last]
            (gradient,) = torch.autograd.grad(task.loss(model.readout(y), part), x)
        norms.append(len(part.x) * gradient.norm(dim=2).cpu())
    return by_lag(torch.cat(norms), ends)


def probed_batch(loaded: LoadedModel, settings: ProbeSettings) -> Batch:
    """Returns the test sequences to probe, all of about the same length, on the model's device."""
    batch = longest_test_sequences(with_steps(loaded.task, settings.length), settings.sequences)
    return batch.to(loaded.model.device)


def encoder_input(model: Model, batch: Batch) -> Tensor:
    """Returns what the encoder reads, (batch, time, features)."""
    with torch.no_grad():
        return model.features(batch.x, batch.lengths)


def directions_per_sequence(settings: ProbeSettings) -> int:
    """Returns the number of probe vectors for each sequence; a few are enough, as each sequence has its own."""
    return max(2, settings.directions // 8)


def require_causal(loaded: LoadedModel, reason: str) -> None:
    """Raises NotAvailableError for a model that is not causal."""
    if not loaded.model.encoder.causal:
        raise NotAvailableError(reason)


def longest_sequences(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns the longest sequences, all cut to the shortest of them, so that none has padding."""
    if lengths is None:
        return x[:STATE_SEQUENCES]
    chosen = lengths.argsort(descending=True, stable=True)[:STATE_SEQUENCES]
    return x[chosen.to(x.device), : int(lengths[chosen].min())]


def _measure_output_gradient(loaded: LoadedModel, settings: ProbeSettings, name: str, what: str) -> ProbeResult:
    batch = probed_batch(loaded, settings)
    norms = gradients_by_lag(
        loaded.model.encoder,
        encoder_input(loaded.model, batch),
        directions_per_sequence(settings),
        make_generator(CPU, "gradient decay", settings.seed),
        batch.lengths,
    ).numpy()
    time = norms.shape[-1]
    return fitted_curve(norms, np.arange(time), lags_for_curve(time), name, settings, what=what)


def _mean_metric(values: np.ndarray, unit: str, what: str) -> Metric:
    mean = mean_interval(values)
    low, high = (None, None) if mean.half_width is None else (mean.low, mean.high)
    return Metric(value=mean.mean, low=low, high=high, unit=unit, what=what)
