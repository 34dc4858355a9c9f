"""Tests of memories that choose what they keep: duplicates merged, the past covered once, streams without end."""

import math
import resource
from typing import Any

import pytest
import torch
from torch import Tensor

import architectures
from architectures.block_memory import count_steps, visible_entries
from architectures.han_memory import NoveltyLayer
from architectures.novelty import unit_directions, write
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise, state_leaf
from tests.architectures.definitions.han import rms_norm


def memory(**options: Any) -> Any:
    return make_encoder(Case(name="han-memory", options={"hidden_size": 8, "num_heads": 2, **options}))


def causal_attention(layer: Any, c: Tensor, addresses: Tensor | None = None) -> Tensor:
    """Returns what the layer would put out if it attended to every step so far, in one masked softmax."""
    q, k, v = (part.transpose(1, 2) for part in layer.project_qkv(c))
    if addresses is not None:
        k = k + addresses.transpose(1, 2)
    later = torch.ones(c.shape[1], c.shape[1], dtype=torch.bool).triu(1)
    logits = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).masked_fill(later, -torch.inf)
    y: Tensor = layer.add_residuals(c, (logits.softmax(3) @ v).transpose(1, 2))
    return y


@pytest.mark.parametrize("cuts", [(), (1,), (7, 8, 30), tuple(range(1, 50))])
def test_duplicates_merged_are_attention_to_all(cuts: tuple[int, ...]) -> None:
    """50 steps of 6 different vectors, in any order and at any cut."""
    encoder = memory(slots=6, threshold=0.9999, addresses=False)
    x = noise(3, 6, INPUT_SIZE)[:, torch.randint(6, (50,), generator=torch.Generator().manual_seed(0))]
    pieces, state = [], None
    for start, end in zip((0, *cuts), (*cuts, 50), strict=True):
        y, state = encoder(x[:, start:end], state)
        pieces.append(y)
    expected = causal_attention(encoder.layers[0], encoder.project(x))
    assert_close(torch.cat(pieces, dim=1), rms_norm(expected, encoder.norm.weight), 1e-12)


def test_room_for_all_is_causal_attention_with_numbered_steps() -> None:
    encoder = memory(slots=40, threshold=1.5)
    x = noise(2, 40, INPUT_SIZE)
    layer = encoder.layers[0]
    expected = causal_attention(layer, encoder.project(x), layer.address.unsqueeze(0))
    y = torch.cat([encoder(x[:, :13])[0], encoder(x[:, 13:], encoder(x[:, :13])[1])[0]], dim=1)
    assert_close(y, rms_norm(expected, encoder.norm.weight), 1e-12)


def written_one_by_one(vectors: Tensor, slots: int, threshold: float) -> tuple[list[int], list[bool]]:
    """Returns the slot of every step of one sequence, and whether it was stored there, by walking through it."""
    u = vectors / vectors.norm(dim=1, keepdim=True)
    stored: list[Tensor] = []
    owner: list[int] = []
    new: list[bool] = []
    for direction in u:
        alike = [float(direction @ other) for other in stored]
        is_new = not stored or (max(alike) < threshold and len(stored) < slots)
        owner.append(len(stored) if is_new else alike.index(max(alike)))
        new.append(is_new)
        if is_new:
            stored.append(direction)
    return owner, new


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.5, 0.9, 1.5])
@pytest.mark.parametrize("slots", [1, 3, 8, 100])
def test_one_pass_a_slot_is_the_walk_through_all_steps(threshold: float, slots: int) -> None:
    vectors = noise(4, 60, 3)
    written = write(vectors, vectors.new_zeros(4, slots, 4), vectors.new_zeros(4, slots), threshold)
    for row in range(4):
        owner, new = written_one_by_one(vectors[row], slots, threshold)
        assert written.owner[row].tolist() == owner
        assert written.new[row].tolist() == new
        counts = torch.nn.functional.one_hot(written.owner[row], slots).cumsum(0)
        assert torch.equal(written.counts[row], counts.double())


def test_vectors_of_zero_and_large_ones_have_directions() -> None:
    vectors = torch.tensor([[[0.0, 0.0], [3e38, -3e38], [1.0, -1.0], [1e-3, 0.0]]])
    u = unit_directions(vectors)
    assert u.isfinite().all()
    assert_close(u.norm(dim=2), torch.ones(1, 4), 1e-6)
    written = write(vectors, torch.zeros(1, 4, 3), torch.zeros(1, 4), 0.9)
    assert written.owner.tolist() == [[0, 1, 1, 2]]
    assert write(torch.zeros(1, 5, 2), torch.zeros(1, 4, 3), torch.zeros(1, 4), 0.9).new.sum() == 1


def test_a_trace_tells_what_was_stored_and_on_what_the_rest_counts() -> None:
    encoder = memory(slots=4, threshold=0.5)
    x, lengths = noise(2, 30, INPUT_SIZE), torch.tensor([30, 9])
    gates = encoder.trace(x, lengths=lengths).gates
    owner, new, stored, counts = (gates[name] for name in ("owner", "new", "stored", "counts"))
    assert torch.equal(new.cumsum(1), stored)
    assert torch.equal(counts.sum(2), torch.arange(1, 31).expand(2, -1).double())
    assert torch.equal((counts > 0).sum(2, keepdim=True).double(), stored)
    before = torch.cat([torch.zeros_like(counts[:, :1]), counts[:, :-1]], dim=1)
    assert torch.equal((counts - before).argmax(2, keepdim=True).double(), owner)
    assert torch.equal(new > 0, before.gather(2, owner.long()) == 0)
    # On the layer's own input, in pieces too.
    _, state = encoder(x[:, :11])
    assert torch.equal(encoder.trace(x[:, 11:], state).gates["counts"], counts[:, 11:])


@pytest.mark.parametrize("k", [2, 3, 4, 10])
def test_every_past_step_is_covered_once(k: int) -> None:
    """Levels follow one another without a gap, entries start at blocks, and no level has more than 2 k."""
    for time in range(1, 3001):
        levels, end = visible_entries(time, k), time
        for level, (start, behind) in enumerate(levels):
            assert behind * k**level == end
            assert start < behind <= start + 2 * k
            assert start % k == 0
            end = start * k**level
        assert end == 0
        assert count_steps([behind - start for start, behind in levels], k) == time
        assert len(levels) <= 1 + math.log(time + 1, k)


def test_a_constant_sequence_in_blocks_is_read_as_itself() -> None:
    """Entries weigh as many as their steps, so that a memory of blocks of equal vectors gives these back."""
    encoder = memory(memory="blocks", block_size=3)
    y = encoder(noise(1, 1, INPUT_SIZE).expand(-1, 200, -1))[0]
    assert_close(y, y[:, :1].expand_as(y), 1e-12)


@pytest.mark.parametrize("kind", ["novelty", "blocks"])
def test_a_long_stream_has_a_small_state(kind: str) -> None:
    """In pieces of any size, and as large as `state_size` says: after 20,000 steps less than a hundredth of them."""
    encoder = memory(memory=kind, block_size=4, slots=16)
    x = noise(1, 20_000, INPUT_SIZE)
    y, state = encoder(x[:, :19_000])
    for start, end in ((19_000, 19_001), (19_001, 19_500), (19_500, 20_000)):
        y, state = encoder(x[:, start:end], state)
    numbers = sum(part.numel() for part in architectures.state.iter_tensors(state))
    assert numbers == encoder.state_size(20_000)
    assert numbers < 20_000 * 2 * 8 / 100
    assert_close(y, encoder(x)[0][:, 19_500:], 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["novelty", "blocks"])
def test_a_million_steps_in_constant_memory(kind: str) -> None:
    """The state is as small as `state_size` says, on the way too, and the process stays as large as it was early on."""
    encoder = memory(memory=kind).float()
    state, sizes, peaks = None, [], []
    with torch.no_grad():
        for piece in range(1000):
            y, state = encoder(noise(1, 1000, INPUT_SIZE, seed=piece, dtype=torch.float32), state)
            sizes.append(sum(part.numel() for part in architectures.state.iter_tensors(state)))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert y.isfinite().all()
    assert sizes == [encoder.state_size(1000 * (piece + 1)) for piece in range(1000)]
    assert max(sizes) <= (64 * 26 if kind == "novelty" else 2 * 8 * 2 * 10 * 6)
    # KiB. Every step kept would be 60 MiB of keys and values.
    assert peaks[-1] - peaks[99] < 20 * 1024
    if kind == "novelty":
        # No step is lost: each is stored, or counted on what is.
        assert float(state_leaf(state, 0, 3).sum()) == 10**6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "all"}, "memory must be novelty or blocks, not 'all'"),
        ({"threshold": 3}, "threshold must lie between -1 and 2"),
        ({"threshold": True}, "threshold must be a number, not True"),
        ({"block_size": 1}, "block_size must be at least 2, not 1"),
        ({"slots": 0}, "slots must be at least 1, not 0"),
        ({"num_heads": 3}, "hidden_size 8 cannot be divided among 3 heads"),
        ({"addresses": 1}, "addresses must be true or false, not 1"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        architectures.build("han-memory", 2, **{"hidden_size": 8, **options})


def test_a_state_of_another_number_of_steps_is_refused() -> None:
    """Entries of levels that no number of steps has, layers that do not agree, and another kind's."""
    encoder, x = memory(memory="blocks", block_size=3, num_layers=2), noise(2, 30, INPUT_SIZE)
    _, state = encoder(x)
    cut = tuple((type(level)(level.keys[:, :1], level.values[:, :1]), *rest) for level, *rest in state)
    for wrong in (cut, (state[0], cut[1]), state[:1], memory()(x)[1], (state[0], state[0][0])):
        with pytest.raises(ValueError, match="the state is not one of this encoder and batch"):
            encoder(x, wrong)
    assert isinstance(memory().layers[0], NoveltyLayer)
