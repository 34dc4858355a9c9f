"""Weights of single steps of the input in what an output reads, and how they agree with a known source."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

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
    first: Tensor
    """True where another step is asked for than at the answer before. An answer that asks for the same step again, such
    as the second word of a word's translation, may follow from the one before, so that nothing has to be looked at."""
    weight: Tensor
    """Weight of the step that is asked for, as a share of all weights."""
    entropy: Tensor
    """Entropy of the weights as shares, in nats."""
    sequence: Tensor
    """Number of the sequence of each answer."""


def source_weights(trace: Trace, causal: bool, asked: Tensor) -> Tensor | None:
    """Returns the weights of the input's steps at the steps that ask, (answers, steps); `None` if nothing weighs them.

    Those of an attention to a source, of which the other steps have none; or those of causal attention, through all of
    its levels or layers (attention rollout).

    Args:
        trace: of an encoder.
        causal: whether it is.
        asked: (batch, time) true at the steps that ask.
    """
    sequence, step = asked.nonzero(as_tuple=True)
    if trace.alignment is not None:
        return trace.alignment.detach()[sequence, step]
    if trace.maps is None or not causal:
        return None
    rows = trace.y.new_zeros(len(step), trace.y.shape[1])
    for at in step.unique().tolist():
        here = step == at
        rolled_out = attention_rollout(trace.maps, at, trace.spacings).detach().flip(1)
        rows[here, : at + 1] = rolled_out[sequence[here]].to(rows)
    return rows


def agreement(weights: Tensor, source: Tensor, asked: Tensor) -> Agreement:
    """Returns how weights agree with the steps that are asked for.

    Args:
        weights: (answers, steps) at the steps that ask, not negative.
        source: (batch, time) the step that is asked for at each step.
        asked: (batch, time) true at the steps that ask.
    """
    sequence, step = asked.nonzero(as_tuple=True)
    true, best = source[sequence, step], weights.argmax(1)
    first = torch.ones_like(true, dtype=torch.bool)
    first[1:] = (true[1:] != true[:-1]) | (sequence[1:] != sequence[:-1])
    shares = weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    return Agreement(
        strongest=best == true,
        near=(best - true).abs() <= 1,
        first=first,
        weight=shares.gather(1, true.unsqueeze(1)).squeeze(1),
        entropy=entropy(shares),
        sequence=sequence,
    )


def join_agreements(parts: Sequence[Agreement], starts: Sequence[int]) -> Agreement:
    """Returns what was found of a batch part by part; each part begins with the sequence of a number."""
    found = {field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Agreement)}
    found["sequence"] = torch.cat([part.sequence + start for part, start in zip(parts, starts, strict=True)])
    return Agreement(**found)
