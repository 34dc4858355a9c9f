"""A memory of bounded size that stores what is new, and counts what is like something stored.

Each step brings a vector; its cosine with every stored one says how like they are. If none reaches the threshold, and
there is room, the vector is stored in the next slot; else it is counted on the stored one that is most like it. A slot
is filled once and never replaced. A query reads

    softmax_m(q_t . k_m + log n_tm) over the slots filled by step t

with the counts n: a vector that was counted weighs as much as if it had been stored, so that merging exact duplicates
is attention to the whole past, and with a threshold above 1 and room for all it is that in any case.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from architectures.recording import is_recording

OFFSET = 1e-6
"""One more component of every vector: vectors of 0 are then like each other, and other directions stay as they are."""


class Memory(NamedTuple):
    """What is stored: directions (batch, slots, size + 1), keys and values (batch, slots, heads, head size), counts."""

    directions: Tensor
    keys: Tensor
    values: Tensor
    counts: Tensor
    """(batch, slots), 0 for a slot that is empty."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where the steps of a batch have gone."""

    owner: Tensor
    """(batch, time) the slot that each step was stored in, or counted on."""
    new: Tensor
    """(batch, time) true where a step was stored."""
    place: Tensor
    """(batch, slots) the step that filled a slot; -1 for slots that were filled before, or are empty."""
    directions: Tensor
    """(batch, slots, size + 1) of all slots, after the last step."""
    counts: Tensor
    """(batch, time, slots) of all slots, after each step."""


def unit_directions(vectors: Tensor) -> Tensor:
    """Returns vectors (batch, time, size) at length 1, with one more component, without a gradient."""
    extended = pad(vectors.detach(), (0, 1), value=OFFSET)
    # In two steps: the squares of large numbers overflow.
    extended = extended / extended.abs().amax(2, keepdim=True)
    length: Tensor = extended.norm(dim=2, keepdim=True)
    return extended / length


@torch.no_grad()
def write(vectors: Tensor, directions: Tensor, counts: Tensor, threshold: float) -> Written:
    """Stores or counts the steps of a batch, one after another.

    Slots are filled in the order of time, so one pass over all steps is enough for each slot: it is filled by the first
    step behind the last slot's that none of the slots before is like. A pass that finds none changes nothing.

    Args:
        vectors: (batch, time, size).
        directions: (batch, slots, size + 1) of what is stored.
        counts: (batch, slots) of what is stored.
        threshold: cosine from which on vectors are alike.
    """
    u = unit_directions(vectors)
    batch, time, _ = u.shape
    slots = counts.shape[1]
    rows, steps = torch.arange(batch, device=u.device), torch.arange(time, device=u.device)
    directions, used = directions.clone(), (counts > 0).sum(1)
    likeness = (u @ directions.transpose(1, 2)).masked_fill((counts == 0).unsqueeze(1), -torch.inf)
    best, owner = likeness.max(2)
    place = torch.full((batch, slots), -1, dtype=torch.long, device=u.device)
    last = torch.full((batch, 1), -1, dtype=torch.long, device=u.device)
    # Recorded, the steps are those of any later call.
    for _ in range(slots if is_recording() else min(slots, time)):
        # An empty memory is like nothing, whatever the threshold.
        novel = ((best < threshold) | best.isneginf()) & (steps > last)
        found = novel.any(1) & (used < slots)
        if may_stop_early(u.device) and not found.any():
            break
        step = novel.long().argmax(1)
        slot = used.clamp(max=slots - 1)
        stored = torch.where(found.unsqueeze(1), u[rows, step], directions[rows, slot])
        directions[rows, slot] = stored
        place[rows, slot] = torch.where(found, step, place[rows, slot])
        alike = (u @ stored.unsqueeze(2)).squeeze(2)
        itself = steps == step.unsqueeze(1)
        closer = found.unsqueeze(1) & (steps >= step.unsqueeze(1)) & ((alike > best) | itself)
        best = torch.where(closer, torch.where(itself, torch.inf, alike), best)
        owner = torch.where(closer, slot.unsqueeze(1), owner)
        last = torch.where(found.unsqueeze(1), step.unsqueeze(1), last)
        used = used + found
    new = best.isposinf()
    counted = owner.unsqueeze(2) == torch.arange(slots, device=u.device)
    after = counts.unsqueeze(1) + counted.cumsum(1).to(counts.dtype)
    return Written(owner=owner, new=new, place=place, directions=directions, counts=after)


def may_stop_early(device: torch.device) -> bool:
    """Returns whether to ask if a slot was found: on the CPU alone, as a GPU would be waited for, pass by pass."""
    return device.type == "cpu" and not is_recording()


def read(q: Tensor, keys: Tensor, values: Tensor, counts: Tensor, address: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns what each step reads, and its weights.

    Args:
        q: (batch, time, heads, head size).
        keys: (batch, slots, heads, head size).
        values: as keys.
        counts: (batch, time, slots) after each step.
        address: (slots, heads, head size) added to the keys; `None` for nothing.

    Returns:
        (batch, time, heads, head size), and (batch, heads, time, slots).
    """
    if address is not None:
        keys = keys + address
    logits = torch.einsum("bthd,bmhd->bhtm", q, keys) * q.shape[3] ** -0.5
    weights = (logits + counts.log().unsqueeze(1)).softmax(3)
    return torch.einsum("bhtm,bmhd->bthd", weights, values), weights


def fill(stored: Tensor, given: Tensor, place: Tensor) -> Tensor:
    """Returns keys or values of all slots, (batch, slots, heads, head size): those of the steps that filled some.

    Args:
        stored: of the slots before.
        given: of the steps, (batch, time, heads, head size).
        place: as in `Written`.
    """
    chosen = place.clamp(min=0)[:, :, None, None].expand(-1, -1, *given.shape[2:])
    return torch.where((place >= 0)[:, :, None, None], given.gather(1, chosen), stored)
