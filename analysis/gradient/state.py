"""The state of a recurrent model: its Jacobians and Lyapunov exponents, and the path length of every architecture."""

import numpy as np
import torch
from torch import Tensor

from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.gradient.common import batch_of, interval_curve, read, refuse_acausal
from analysis.measures.lyapunov import LyapunovExponents, state_jacobians, state_width
from analysis.memory.common import CPU, thinned
from analysis.settings import Settings
from analysis.statistics import mean_interval
from analysis.subjects import Subject
from workbench.seeding import seeded

SEQUENCES, STEPS, SETTLING, EXPONENTS = 4, 128, 16, 8
"""Sequences whose states are looked at, their last steps, those of them in which Q turns to its place, and how many of
the leading exponents are followed."""
NUMBERS = 1 << 24
"""The numbers that all Jacobians together may have: a wider state is looked at for fewer steps."""
NORMS = 14
"""Lags, evenly spaced on a logarithmic axis, at which a product of Jacobians is measured."""
EVERY = 8
"""Of so many steps, the Jacobian of one is measured by itself."""


def state(subject: Subject, settings: Settings) -> Findings:
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
        "state_width": Number(value=width, unit="1", what="numbers that a sequence's state has"),
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
    return Findings(numbers=numbers, curves=curves)


def longest(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The longest sequences, all cut to the shortest of them: what lies behind a sequence's end is no part of it."""
    if lengths is None:
        return x[:SEQUENCES]
    chosen = lengths.argsort(descending=True, stable=True)[:SEQUENCES]
    return x[chosen.to(x.device), : int(lengths[chosen].min())]


def path(subject: Subject, settings: Settings) -> Findings:
    """The hops that information from a lag makes on its way to the output."""
    encoder = subject.model.encoder
    time = settings.length or subject.task.steps
    reach = time if encoder.receptive_field is None else min(time, encoder.receptive_field)
    lags = thinned(reach)
    hops = [encoder.path_length(int(lag)) for lag in lags]
    what = "hops from the input at a lag to the output"
    return Findings(
        numbers={"hops": Number(value=hops[-1], unit="hops", what=f"{what}, at the largest lag")},
        curves={"path_length": Curve.of(lags, hops, x_unit="steps", y_unit="hops", what=what)},
    )


def _mean(values: np.ndarray, unit: str, what: str) -> Number:
    found = mean_interval(values)
    low, high = (None, None) if found.half is None else (found.low, found.high)
    return Number(value=found.mean, low=low, high=high, unit=unit, what=what)
