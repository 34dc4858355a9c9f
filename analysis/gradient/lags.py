"""The gradient against the lag: of the last output after training and before it, of the loss, and of the first step."""

import numpy as np

from analysis.findings import Findings, NotAvailableError
from analysis.gradient.common import batch_of, described, directions, interval_curve, read, refuse_acausal
from analysis.measures.gradients import lag_gradients, loss_gradients
from analysis.memory.common import CPU, thinned
from analysis.settings import Settings
from analysis.subjects import Subject
from workbench.seeding import seeded

RATIO = 1.6
"""Of a sequence length to the next shorter one that the gradient of the first step is measured at."""


def decay(subject: Subject, settings: Settings) -> Findings:
    """g(lag) = E || d(v . y_T) / d x_{T - lag} || at the end of training."""
    return _decay(subject, settings, "gradient", "the last output's gradient")


def decay_at_start(subject: Subject, settings: Settings) -> Findings:
    """The same before the first step of training, on the same sequences and probe vectors."""
    if not subject.trained:
        raise NotAvailableError("the model is untrained itself")
    before = subject.untrained()
    before.model.to(subject.model.device)
    return _decay(before, settings, "start_gradient", "the last output's gradient before training")


def _decay(subject: Subject, settings: Settings, name: str, what: str) -> Findings:
    batch = batch_of(subject, settings)
    norms = lag_gradients(
        subject.model.encoder,
        read(subject.model, batch),
        directions(settings),
        seeded(CPU, "gradient decay", settings.seed),
        batch.lengths,
    ).numpy()
    time = norms.shape[-1]
    return described(norms, np.arange(time), thinned(time), name, settings, against="steps", what=what)


def loss_decay(subject: Subject, settings: Settings) -> Findings:
    """|| d L / d x_{T - lag} ||, L being the task's own loss of each sequence."""
    batch = batch_of(subject, settings)
    norms = loss_gradients(subject.model, subject.task, batch).numpy()
    if not np.nansum(norms):
        raise NotAvailableError("the loss has no gradient with respect to the input, or one lost to single precision")
    shown = thinned(norms.shape[-1])
    curve = interval_curve(norms[:, shown], shown, against="steps", what="the loss's gradient at a lag from the end")
    return Findings(curves={"loss_gradient": curve})


def decay_of_first_step(subject: Subject, settings: Settings) -> Findings:
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
    return described(
        np.stack(norms, axis=-1),
        lengths,
        np.arange(len(lengths)),
        "first_step",
        settings,
        against="steps",
        what="the first step's gradient as more is read",
    )
