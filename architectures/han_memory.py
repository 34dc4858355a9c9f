"""Attention to a memory that chooses what it keeps: what is new, or blocks that grow with their age."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from architectures.base import Encoder, check_dropout, eval_mode, state_dtype, typed_children
from architectures.block_memory import Level, count_steps, read_blocks, visible_entries
from architectures.heads import RMSNorm, choose_heads
from architectures.limits import check_flag, check_layers, check_whole, check_width, quote
from architectures.novelty import Memory, Written, fill, read, write
from architectures.residual_attention import ResidualAttention, init_attention_, project_input
from architectures.state import LevelState, MemoryState, State, StateSpec, TensorSpec, check_tree, find_mismatch
from architectures.trace import Trace

Kind = Literal["novelty", "blocks"]

MAX_BLOCK = 2**16


class HANMemory(Encoder):
    """Attention to a memory of the whole past, of bounded size or nearly.

        novelty: a vector like a stored one is not stored, but counted on it (`architectures.novelty`)
        blocks:  the older the past, the larger the blocks that it is kept in (`architectures.block_memory`)

    What is judged is the vector that enters a layer. A layer is pre-normalised attention, then a feed-forward network,
    each with a residual connection. The number of a slot tells the order of what is stored in it, by a learned address
    beside its key; without addresses a memory of novelty has no order at all.

    Source: Culurciello 2018, "The fall of RNN / LSTM", on what follows from hierarchical attention: to store only what
    is new (not "vectors too similar to previously stored ones"), in a memory of bounded size. The gate's form is this
    project's.

    Args:
        input_size: features a step.
        hidden_size: size of the vectors of every layer.
        memory: novelty or blocks.
        slots: vectors that a memory of novelty stores at most.
        threshold: cosine from which on two vectors are alike; above 1, none are.
        addresses: whether the number of a slot is part of its key.
        block_size: steps of a block, k, and blocks of a larger one, in a memory of blocks.
        num_layers: layers, each with a memory of its own.
        num_heads: attention heads; by default the largest divisor of `hidden_size` up to 4 that leaves each head at
            least two components.
        dropout: rate behind attention and feed-forward network.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        memory: Kind = "novelty",
        slots: int = 64,
        threshold: float = 0.9,
        addresses: bool = True,
        block_size: int = 10,
        num_layers: int = 1,
        num_heads: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size)
        check_width(hidden_size=hidden_size, slots=slots)
        check_layers(num_layers=num_layers)
        check_flag(addresses=addresses)
        check_dropout(dropout=dropout)
        check_whole("block_size", block_size, least=2, most=MAX_BLOCK, why="the past would hardly be divided")
        if memory not in get_args(Kind):
            raise ValueError(f"memory must be novelty or blocks, not {quote(memory)}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise TypeError(f"threshold must be a number, not {quote(threshold)}")
        if not -1 <= threshold <= 2:
            raise ValueError(f"threshold must lie between -1 and 2, as a cosine or above all, not {quote(threshold)}")
        num_heads = choose_heads(hidden_size, num_heads)
        self.memory, self.slots, self.block, self.output_size = memory, slots, block_size, hidden_size
        self.project = nn.Linear(input_size, hidden_size)
        layers: list[ResidualAttention] = [
            NoveltyLayer(hidden_size, num_heads, slots, float(threshold), addresses, dropout)
            if memory == "novelty"
            else BlockLayer(hidden_size, num_heads, block_size, dropout)
            for _ in range(num_layers)
        ]
        self.layers, self.norm = nn.ModuleList(layers), RMSNorm(hidden_size)
        init_attention_(self)

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs the layers one upon another, each from its own memory."""
        c, new_states = project_input(self.project, self.norm, x), []
        for layer, layer_state in zip(self.layers, self._layer_states(state), strict=True):
            c, new_state = layer(c, layer_state)
            new_states.append(new_state)
        return self.norm(c), tuple(new_states)

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with the input of the first layer, then the output of each, in `levels`.

        A memory of novelty also has, of its last layer, the slot that each step went to (`owner`), whether it was
        stored (`new`), how many slots are filled (`stored`), and the counts of all (`counts`).
        """
        x = self.prepare(x, lengths, state)
        gates: dict[str, Tensor] | None = None
        with eval_mode(self):
            vectors = [project_input(self.project, self.norm, x)]
            for layer, layer_state in zip(self.layers, self._layer_states(state), strict=True):
                if isinstance(layer, NoveltyLayer):
                    written = layer.write(vectors[-1], layer_state)
                    kind = vectors[-1].dtype
                    gates = {
                        "owner": written.owner.unsqueeze(2).to(kind),
                        "new": written.new.unsqueeze(2).to(kind),
                        "stored": (written.counts > 0).sum(2, keepdim=True).to(kind),
                        "counts": written.counts,
                    }
                vectors.append(layer(vectors[-1], layer_state)[0])
            y = self.norm(vectors[-1])
        return Trace(y=y, gates=gates, levels=tuple(vectors))

    def path_length(self, lag: int) -> int:
        """Returns one hop a layer, whatever the lag: a query reads what is stored at once."""
        self.check_lag(lag)
        return len(self.layers)

    def state_size(self, time: int) -> int:
        """Returns the size of all memories: of novelty always the same, of blocks about k log_k(time) entries."""
        size = self.output_size
        if self.memory == "novelty":
            return len(self.layers) * self.slots * (3 * size + 2)
        return len(self.layers) * 2 * size * sum(end - start for start, end in visible_entries(time, self.block))

    def state_spec(self, x: Tensor) -> StateSpec | None:
        """Returns what a state for a batch like x has to be; of a memory of blocks that depends on the steps so far."""
        if self.memory == "blocks":
            return None
        size, heads = self.output_size, self._heads
        shapes = (self.slots, size + 1), (self.slots, heads, size // heads), (self.slots, heads, size // heads)
        sizes = (*shapes, (self.slots,))
        parts = (TensorSpec(sizes=(len(x), *each), dtype=state_dtype(x), device=x.device) for each in sizes)
        return (MemoryState(*parts),) * len(self.layers)

    def _check_state(self, x: Tensor, state: State) -> None:
        """Raises an error for a state of another encoder; one of blocks has the entries of some number of steps."""
        super()._check_state(x, state)
        if self.memory == "novelty":
            return
        check_tree(state)
        wrong = "the state is not one of this encoder and batch"
        layers = state if isinstance(state, tuple) else ()
        shapes = [[_entries(level) for level in layer] if isinstance(layer, tuple) else None for layer in layers]
        entries = shapes[0] if shapes else None
        if len(layers) != len(self.layers) or not entries or None in entries or any(each != entries for each in shapes):
            raise ValueError(f"{wrong}: it has not the same levels of keys and values in {len(self.layers)} layers")
        counts = [count for count in entries if count is not None]
        if counts != [end - start for start, end in visible_entries(count_steps(counts, self.block), self.block)]:
            raise ValueError(f"{wrong}: its levels hold {counts} entries")
        heads, kind = self._heads, state_dtype(x)
        sizes = [(len(x), count, heads, self.output_size // heads) for count in counts]
        specs = (TensorSpec(sizes=each, dtype=kind, device=x.device) for each in sizes)
        spec: StateSpec = (tuple(LevelState(one, one) for one in specs),) * len(layers)
        if (mismatch := find_mismatch(state, spec)) is not None:
            raise ValueError(f"{wrong}: {mismatch}")

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the kind of memory, the layers, and dropout."""
        return {
            "memory": ["novelty", "blocks"],
            "num_layers": {"low": 1, "high": 2},
            "dropout": {"low": 0.0, "high": 0.5},
        }

    @property
    def _heads(self) -> int:
        return typed_children(self.layers, ResidualAttention)[0].heads

    def _layer_states(self, state: State) -> tuple[State, ...]:
        return state if isinstance(state, tuple) else (None,) * len(self.layers)


class NoveltyLayer(ResidualAttention):
    """A layer with a memory of novelty: (batch, time, size) -> the same shape."""

    def __init__(self, size: int, heads: int, slots: int, threshold: float, addresses: bool, dropout: float) -> None:
        super().__init__(size, heads, dropout, bias=False)
        self.slots, self.threshold = slots, threshold
        self.address = nn.Parameter(torch.randn(slots, heads, size // heads)) if addresses else None

    def forward(self, c: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the layer's output, and the memory after the last step."""
        q, k, v = self.project_qkv(c)
        before, written = self.memory_before(c, state), self.write(c, state)
        keys, values = (
            fill(before.keys.to(k.dtype), k, written.place),
            fill(before.values.to(v.dtype), v, written.place),
        )
        attended, _ = read(q, keys, values, written.counts.to(q.dtype), self.address)
        after = MemoryState(written.directions, keys, values, written.counts[:, -1].clone())
        return self.add_residuals(c, attended), after

    def write(self, c: Tensor, state: State) -> Written:
        """Returns where the steps of c go."""
        before = self.memory_before(c, state)
        return write(c, before.directions.to(c.dtype), before.counts.to(c.dtype), self.threshold)

    def memory_before(self, c: Tensor, state: State) -> Memory:
        """Returns a state as a memory, or an empty one."""
        if isinstance(state, tuple):
            return Memory(*state)  # type: ignore[arg-type]
        batch, size = len(c), c.shape[2]
        stored = c.new_zeros(batch, self.slots, self.heads, size // self.heads)
        return Memory(c.new_zeros(batch, self.slots, size + 1), stored, stored, c.new_zeros(batch, self.slots))


class BlockLayer(ResidualAttention):
    """A layer with a memory of blocks: (batch, time, size) -> the same shape."""

    def __init__(self, size: int, heads: int, block: int, dropout: float) -> None:
        super().__init__(size, heads, dropout)
        self.block = block

    def forward(self, c: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the layer's output, and the levels of the memory after the last step."""
        q, k, v = self.project_qkv(c)
        past: list[Level] = [tuple(level) for level in state] if isinstance(state, tuple) else []  # type: ignore[arg-type]
        attended, levels = read_blocks(q, (k, v), past, self.block)
        return self.add_residuals(c, attended), tuple(LevelState(*level) for level in levels)


def _entries(level: State) -> int | None:
    """Returns the entries of a level of a state; `None` if it is none."""
    if not isinstance(level, tuple) or len(level) != 2 or not isinstance(level[0], Tensor) or level[0].ndim != 4:
        return None
    return level[0].shape[1]
