"""How a model's gradient decays with the lag: of its last output, of its loss, of its first step, and of its state.

The formulas and their sources are in `analysis/measures`: gradients, decay_fits, lyapunov.
"""

import math

import numpy as np
import torch
from torch import Tensor

from analysis.measures.decay_fits import Fits, Law, fit
from analysis.measures.gradients import lag_gradients, loss_gradients
from analysis.measures.lyapunov import LyapunovExponents, state_jacobians, state_width
from analysis.probes.base import CPU, Part, full_length, run_measures, thinned, with_steps
from analysis.probes.models import LoadedModel
from analysis.probes.result import Curve, Metric, NotAvailableError, ProbeResult
from analysis.probes.settings import ProbeSettings
from analysis.statistics import half_width, mean_interval
from workbench.model import Model
from workbench.seeding import seed_of, seeded
from workbench.tasks import Batch


def decay(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """g(lag) = E || d(v . y_T) / d x_{T - lag} || at the end of training."""
    return _decay(subject, settings, "gradient", "the last output's gradient")


def decay_at_start(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """The same before the first step of training, on the same sequences and probe vectors."""
    if not subject.trained:
        raise NotAvailableError("the model is untrained itself")
    before = subject.untrained()
    before.model.to(subject.model.device)
    return _decay(before, settings, "start_gradient", "the last output's gradient before training")


def loss_decay(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """|| d L / d x_{T - lag} ||, L being the task's own loss of each sequence."""
    batch = batch_of(subject, settings)
    norms = loss_gradients(subject.model, subject.task, batch).numpy()
    if not np.nansum(norms):
        raise NotAvailableError("the loss has no gradient with respect to the input, or one lost to single precision")
    shown = thinned(norms.shape[-1])
    curve = interval_curve(norms[:, shown], shown, against="steps", what="the loss's gradient at a lag from the end")
    return ProbeResult(curves={"loss_gradient": curve})


def decay_of_first_step(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """E || d(v . y_n) / d x_1 || against the number n of steps read: what is left of the first step as more is read.

    A gated unit that forgets at a constant rate has the same decay here as against the lag. An average has not: at its
    end, all steps weigh alike, but each weighs 1 / n.
    """
    encoder = subject.model.encoder
    refuse_acausal(subject, "it is not causal: with more to read, every output is another one")
    if encoder.receptive_field is not None:
        raise NotAvailableError("its reach is finite: it carries nothing of a step but reads it again, by its lag")
    batch = batch_of(subject, settings)
    x = read(subject.model, batch)[: max(2, settings.sequences // 2)]
    whole = x.shape[1] if batch.lengths is None else int(batch.lengths.min())
    lengths = np.unique(np.round(whole / RATIO ** np.arange(int(np.log(whole) / np.log(RATIO)) + 1)).astype(int))
    # The same probe vectors at every length, so that what differs is the length.
    key = ("first step", settings.seed)
    norms = [
        lag_gradients(encoder, x[:, :length], directions(settings), seeded(CPU, *key))[..., -1].numpy()
        for length in lengths
    ]
    return fitted_curve(
        np.stack(norms, axis=-1),
        lengths,
        np.arange(len(lengths)),
        "first_step",
        settings,
        against="steps",
        what="the first step's gradient as more is read",
    )


def state(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """|| d s_{t + lag} / d s_t || and the leading Lyapunov exponents over the last steps of some test sequences."""
    encoder = subject.model.encoder
    refuse_acausal(subject, "it is not causal, and carries no state")
    if encoder.receptive_field is not None:
        raise NotAvailableError(
            f"it keeps what it has read of its last {encoder.receptive_field:,} steps, and no state beside that"
        )
    batch = batch_of(subject, settings)
    x = longest(read(subject.model, batch), batch.lengths)
    try:
        width = state_width(encoder, x)
    except ValueError as error:
        raise NotAvailableError(str(error)) from None
    steps = min(STEPS + SETTLING, x.shape[1] - 1, NUMBERS // (len(x) * width * width))
    settling = min(SETTLING, steps // 4)
    if steps < 4:
        raise NotAvailableError(f"Jacobians of a state of {width:,} numbers over {x.shape[1]:,} steps are not measured")
    generator = seeded(CPU, "lyapunov", settings.seed)
    start = torch.randn(len(x), width, min(EXPONENTS, width), generator=generator, dtype=torch.float64)
    exponents = LyapunovExponents(torch.linalg.qr(start)[0].to(x.device), settling=settling)
    wanted = set(np.geomspace(1, steps, NORMS).round().astype(int).tolist())
    product, lag, norms, single = None, 0, {}, []
    for chunk in state_jacobians(encoder, x, skip=x.shape[1] - steps):
        single.append(torch.linalg.matrix_norm(chunk[::EVERY].double(), ord=2))
        for J in chunk.double():
            exponents.step(J)
            product, lag = J if product is None else J @ product, lag + 1
            if lag in wanted:
                norms[lag] = torch.linalg.matrix_norm(product, ord=2).cpu().numpy()
    spectrum = exponents.exponents.cpu().numpy()
    what = f"leading Lyapunov exponents of the state over {steps - settling} steps"
    numbers = {
        "lyapunov": _mean(
            spectrum[:, 0], "nats a step", what.replace("leading", "largest").replace("exponents", "exponent")
        ),
        "state_jacobian": _mean(
            torch.cat(single).mean(0).cpu().numpy(),
            "1",
            "mean spectral norm of the Jacobian of one step, on the full state",
        ),
        "state_width": Metric(value=width, unit="1", what="numbers that a sequence's state has"),
    }
    lags = np.array(sorted(norms))
    means = [mean_interval(column) for column in spectrum.T]
    curves = {
        "state_jacobian": interval_curve(
            np.stack([norms[each] for each in lags], axis=1),
            lags,
            against="steps",
            what="spectral norm of the Jacobian of the state by the state of a lag before",
        ),
        "lyapunov_spectrum": Curve.of(
            np.arange(len(means)) + 1,
            [each.mean for each in means],
            low=[each.low for each in means],
            high=[each.high for each in means],
            x_unit="exponent",
            y_unit="nats a step",
            what=what,
        ),
    }
    return ProbeResult(metrics=numbers, curves=curves)


def path(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """The hops that information from a lag makes on its way to the output."""
    encoder = subject.model.encoder
    time = settings.length or subject.task.steps
    reach = time if encoder.receptive_field is None else min(time, encoder.receptive_field)
    lags = thinned(reach)
    hops = [encoder.path_length(int(lag)) for lag in lags]
    what = "hops from the input at a lag to the output"
    return ProbeResult(
        metrics={"hops": Metric(value=hops[-1], unit="hops", what=f"{what}, at the largest lag")},
        curves={"path_length": Curve.of(lags, hops, x_unit="steps", y_unit="hops", what=what)},
    )


PARTS: dict[str, Part] = {
    "gradient": decay,
    "start_gradient": decay_at_start,
    "loss_gradient": loss_decay,
    "first_step": decay_of_first_step,
    "state": state,
    "path_length": path,
}


def measure(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
    """All of these, as far as the model lets itself be measured.

    Raises:
        NotAvailableError: if none of them can be had.
    """
    return run_measures(PARTS, subject, settings)


NO_FALL, NEITHER = "no fall", "neither"
"""What is said where no law is named."""
EXPLAINED = 0.8
"""Share of the variance of log g that a law has to explain to be named."""


def batch_of(subject: LoadedModel, settings: ProbeSettings) -> Batch:
    """The test sequences that are probed, none much shorter than the others, on the model's device."""
    batch = full_length(with_steps(subject.task, settings.length), settings.sequences)
    return batch.to(subject.model.device)


def read(model: Model, batch: Batch) -> Tensor:
    """What the encoder reads, (batch, time, features)."""
    with torch.no_grad():
        return model.features(batch.x)


def directions(settings: ProbeSettings) -> int:
    """Probe vectors for each sequence: as each sequence has its own, a few make many."""
    return max(2, settings.directions // 8)


def fitted_curve(
    norms: np.ndarray,
    lags: np.ndarray,
    shown: np.ndarray,
    name: str,
    settings: ProbeSettings,
    *,
    against: str,
    what: str,
) -> ProbeResult:
    """The mean norm against the lag, both laws fitted to it, and which describes it better.

    Args:
        norms: (samples, sequences, lags); NaN where a sequence has none.
        lags: (lags,) what the laws are fitted against.
        shown: the lags that the curve has, by their places.
        name: of the curve; the numbers have it in front.
        against: what a lag is counted in.
        what: half a sentence on what falls.
    """
    curves = {name: interval_curve(norms.mean(0)[:, shown], lags[shown], against=against, what=what)}
    fits = fit(norms, lags, np.random.default_rng(seed_of(name, settings.seed)))
    if fits is None:
        reason = "the gradient is zero, or lost to single precision, at all but a few lags"
        return ProbeResult(curves=curves, unavailable={f"{name}_law": reason})
    numbers = {
        f"{name}_half_life": half_life(fits.exponential, f"steps in which {what} halves, by the exponential fit"),
        f"{name}_exponent": exponent(fits.power, f"exponent of the power law fitted to {what}"),
        f"{name}_r2": Metric(
            value=fits.best.r2, unit="share", what="of the variance of its logarithm, what the better law explains"
        ),
        f"{name}_aic_margin": Metric(
            value=fits.margin, unit="1", what="by how much the better law's AIC is smaller; below 2, they are even"
        ),
        f"{name}_fitted_to": Metric(
            value=fits.farthest, unit="steps", what="the largest lag that the laws are fitted to"
        ),
    }
    return ProbeResult(metrics=numbers, curves=curves, labels={f"{name}_law": law_of(fits)})


def law_of(fits: Fits) -> str:
    """`exponential`, `power law`, `no fall`, or `neither` where even the better law says little."""
    if not fits.falls:
        return NO_FALL
    return fits.better if fits.best.r2 >= EXPLAINED else NEITHER


def half_life(law: Law, what: str) -> Metric:
    """log 2 / rate; none where nothing falls, and no upper end where the interval reaches a rate of 0."""
    if not law.rate > 0:
        return Metric(value=None, unit="steps", what=what)
    low, high = (math.log(2) / rate if rate > 0 else None for rate in (law.high, law.low))
    return Metric(value=math.log(2) / law.rate, low=low, high=high, unit="steps", what=what, censored=law.low <= 0)


def exponent(law: Law, what: str) -> Metric:
    """The exponent, negative where g falls."""
    known = np.isfinite(law.low)
    low, high = (-law.high, -law.low) if known else (None, None)
    return Metric(value=-law.rate, low=low, high=high, unit="1", what=what)


def interval_curve(sequences: np.ndarray, lags: np.ndarray, *, against: str, what: str) -> Curve:
    """The logarithm of the mean over sequences, with Student's interval; the mean over seeds is then a geometric one,
    which no seed of a far larger gradient rules alone. Zeros are missing.

    Args:
        sequences: (sequences, lags).
    """
    count = np.isfinite(sequences).sum(0)
    mean = np.divide(np.nansum(sequences.astype(float), axis=0), count, out=np.zeros(len(lags)), where=count > 0)
    log = np.log10(mean, out=np.full(len(lags), np.nan), where=mean > 0)
    half = None
    if len(sequences) > 1:
        # The interval of the mean, relative to it: to first order that of its logarithm.
        relative = np.divide(sequences, mean, out=np.full(sequences.shape, np.nan), where=mean > 0)
        half = half_width(relative) / np.log(10)
    return Curve.of(
        lags,
        log,
        low=None if half is None else log - half,
        high=None if half is None else log + half,
        x_unit=against,
        y_unit="log10 of the norm",
        what=what,
    )


def refuse_acausal(subject: LoadedModel, why: str) -> None:
    """Raises NotAvailableError for a model that reads what comes later."""
    if not subject.model.encoder.causal:
        raise NotAvailableError(why)


RATIO = 1.6
"""Of a sequence length to the next shorter one that the gradient of the first step is measured at."""


def _decay(subject: LoadedModel, settings: ProbeSettings, name: str, what: str) -> ProbeResult:
    batch = batch_of(subject, settings)
    norms = lag_gradients(
        subject.model.encoder,
        read(subject.model, batch),
        directions(settings),
        seeded(CPU, "gradient decay", settings.seed),
        batch.lengths,
    ).numpy()
    time = norms.shape[-1]
    return fitted_curve(norms, np.arange(time), thinned(time), name, settings, against="steps", what=what)


SEQUENCES, STEPS, SETTLING, EXPONENTS = 4, 128, 16, 8
"""Sequences whose states are looked at, their last steps, those of them in which Q turns to its place, and how many of
the leading exponents are followed."""
NUMBERS = 1 << 24
"""The numbers that all Jacobians together may have: a wider state is looked at for fewer steps."""
NORMS = 14
"""Lags, evenly spaced on a logarithmic axis, at which a product of Jacobians is measured."""
EVERY = 8
"""Of so many steps, the Jacobian of one is measured by itself."""


def longest(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The longest sequences, all cut to the shortest of them: what lies behind a sequence's end is no part of it."""
    if lengths is None:
        return x[:SEQUENCES]
    chosen = lengths.argsort(descending=True, stable=True)[:SEQUENCES]
    return x[chosen.to(x.device), : int(lengths[chosen].min())]


def _mean(values: np.ndarray, unit: str, what: str) -> Metric:
    found = mean_interval(values)
    low, high = (None, None) if found.half is None else (found.low, found.high)
    return Metric(value=found.mean, low=low, high=high, unit=unit, what=what)
