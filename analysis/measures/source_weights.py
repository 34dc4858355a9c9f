"""Weights of single steps of the input in what an output reads, and how they agree with a known source."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.measures.attention_maps import attention_rollout, entropy
from architectures import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How the weights of some answers agree with the steps that are asked for, each (answers,)."""

    strongest: Tensor
    """True where the step with the largest weight is the one that is asked for."""
    near: Tensor
    """The same, or where it is the step before that or after it: what an encoder puts out there has seen it too."""
    weight: Tensor
    """Weight of the step that is asked for, as a share of all weights."""
    entropy: Tensor
    """Entropy of the weights as shares, in nats."""
    sequence: Tensor
    """Number of the sequence of each answer."""


def source_weights(trace: Trace, causal: bool) -> Tensor | None:
    """Returns the weight of every step of the input at every step, (batch, time, steps); `None` if nothing weighs them.

    Those of an attention to a source, of which the other steps have none; or those of a causal hierarchy, across all of
    its levels (attention rollout).

    Args:
        trace: of an encoder.
        causal: whether it is.
    """
    if trace.alignment is not None:
        return trace.alignment.detach()
    if trace.maps is None or not causal:
        return None
    batch, time = trace.y.shape[:2]
    weights = trace.y.new_zeros(batch, time, time)
    for at in range(time):
        weights[:, at, : at + 1] = attention_rollout(trace.maps, at).detach().flip(1)
    return weights


def agreement(weights: Tensor, source: Tensor, asked: Tensor) -> Agreement:
    """Returns how weights agree with the steps that are asked for.

    Args:
        weights: (batch, time, steps), not negative.
        source: (batch, time) the step that is asked for at each step.
        asked: (batch, time) true at the steps that ask.
    """
    sequence, step = asked.nonzero(as_tuple=True)
    rows, true = weights[sequence, step], source[sequence, step]
    best = rows.argmax(1)
    shares = rows / rows.sum(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    return Agreement(
        strongest=best == true,
        near=(best - true).abs() <= 1,
        weight=shares.gather(1, true.unsqueeze(1)).squeeze(1),
        entropy=entropy(shares),
        sequence=sequence,
    )
