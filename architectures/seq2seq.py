"""Encoder and decoder, with attention to the source or with one fixed vector of it."""

from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from architectures.alignment import Alignment, Attention
from architectures.base import Encoder, eval_mode, state_dtype, typed_children
from architectures.bidirectional import Bidirectional
from architectures.initialisation import xavier_
from architectures.limits import check_flag, check_steps, quote
from architectures.nesting import build_base
from architectures.recurrent import RecurrentEncoder, RecurrentLayer
from architectures.registry import options
from architectures.state import SourceState, State, StateSpec, TensorSpec, check_tree, find_mismatch
from architectures.trace import Trace
from architectures.zoneout import HIDDEN


class Seq2Seq(Encoder):
    """An encoder that reads the first steps of a sequence, the source, and a decoder that reads the others.

        h_1 .. h_S = encoder(x_1 .. x_S)        s_0 = tanh(W_s h<-_1 + b)
        c_i = sum_j a_ij h_j                    s_i = decoder([x_{S+i}, c_i], s_{i-1})        y_{S+i} = [s_i, c_i]

    with the weights a_i of `architectures.alignment`, which see s_{i-1}; without attention, c is [h->_S, h<-_1] at
    every step. Over the source y is 0. So the whole is causal although the encoder may read the source from both ends:
    until the source has ended, the state is the source so far. An encoder in one direction starts the decoder with its
    last output. s is the hidden part of the decoder's upper layer.

    Sources: Cho et al. 2014, arXiv 1406.1078, section 2.2, and Sutskever et al. 2014, arXiv 1409.3215, without
    attention; Bahdanau et al. 2015, arXiv 1409.0473, section 3 and appendix A. Their decoder is `base` gru with
    `base_options` {"reset": "before"}.

    Args:
        input_size: features a step.
        hidden_size: units of the decoder, and of each direction of the encoder.
        source: steps of the source, S; the others are the decoder's.
        attention: additive, dot, local or hard; none for a fixed vector.
        base: name of the recurrent architecture that encoder and decoder are.
        bidirectional: whether the encoder reads the source from both ends.
        num_layers: layers of the encoder's directions and of the decoder; by default as many as `base` has itself.
        dropout: rate between layers.
        window: D of the local attention: 95 % of its weight lies within D steps of its center.
        base_options: other options of `base`, by name.
    """

    needs_dtype_of_weights = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        source: int = 1,
        attention: Attention = "additive",
        base: str = "gru",
        bidirectional: bool = True,
        num_layers: int | None = None,
        dropout: float = 0.0,
        window: int = 10,
        base_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(input_size)
        check_steps(source=source, window=window)
        check_flag(bidirectional=bidirectional)
        if attention not in get_args(Attention):
            raise ValueError(f"attention must be one of {', '.join(get_args(Attention))}, not {quote(attention)}")
        self.source, self.attends = source, attention != "none"
        common = (hidden_size, num_layers, dropout, 1)
        one_way = build_base(base, input_size, *common, base_options)
        if not isinstance(one_way, RecurrentEncoder):
            raise ValueError(f"base {quote(base)} is not recurrent, so it cannot start from the end of a source")
        self.encoder: Encoder = one_way
        if bidirectional:
            self.encoder = Bidirectional(input_size, hidden_size, base, num_layers, dropout, 1, base_options)
        self.bidirectional, units = bidirectional, self.encoder.output_size
        more = dict(base_options or {})
        if "learn_initial_state" in options(base):
            # It starts from the source.
            more["learn_initial_state"] = False
        decoder = build_base(base, input_size + units, *common, more)
        assert isinstance(decoder, RecurrentEncoder)
        self.decoder = decoder
        self.start = nn.Linear(hidden_size, len(decoder.layers) * hidden_size)
        xavier_(self.start.weight, hidden_size, hidden_size)
        nn.init.zeros_(self.start.bias)
        self.alignment = Alignment(attention, hidden_size, units, window) if self.attends else None
        self.output_size = hidden_size + units

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Reads what belongs to the source, then decodes the rest."""
        y, _, after = self._run(x, state)
        return y, after

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        """Returns a trace with the weights of the source's steps in `alignment`; they are 0 over the source itself."""
        x = self.prepare(x, lengths, state)
        with eval_mode(self):
            y, weights, _ = self._run(x, state)
        if not self.attends:
            return Trace(y=y)
        before = y.new_zeros(len(x), x.shape[1] - (0 if weights is None else weights.shape[1]), self.source)
        return Trace(y=y, alignment=before if weights is None else torch.cat([before, weights], dim=1))

    def path_length(self, lag: int) -> int:
        """Returns the fewest hops from the source, of which reading c is one; for a lag of 0 those of the decoder.

        With attention c is as near to every step of the source. Without it, c is made of the encoder's ends: of the
        steps of the source that lie `lag` steps back from some output, it is the one farthest from these ends that
        counts, in the middle if the encoder reads from both, else the first. How far the decoder has come adds nothing,
        as c is part of every output. An input of the decoder itself takes the hops of `base`, more and more with the
        lag.
        """
        self.check_lag(lag)
        if lag == 0:
            return self.decoder.path_length(0)
        farthest = 0 if self.attends else (self.source - 1) // (2 if self.bidirectional else 1)
        return 1 + self.encoder.path_length(min(lag - 1, farthest))

    def state_size(self, time: int) -> int:
        """Returns the size of the source so far; once it has ended, of the encoder's outputs and the decoder's state.

        Without attention one vector stands for the outputs.
        """
        if time < self.source:
            return time * self.input_size
        return self._vectors * self.encoder.output_size + self.decoder.state_size(time)

    @classmethod
    def search_space(cls, time: int) -> dict[str, Any]:
        """Returns the number of layers, as many as the base has itself or two, and whether the encoder goes both ways.

        The attention is what is compared, so it is left out.
        """
        return {"num_layers": [None, 2], "bidirectional": [True, False]}

    @property
    def _vectors(self) -> int:
        """The number of the encoder's outputs that the decoder keeps."""
        return self.source if self.attends else 1

    def _check_state(self, x: Tensor, state: State) -> None:
        """Raises an error for a state that is neither one within the source nor one behind it."""
        check_tree(state)
        mismatch = find_mismatch(state, self._state_spec(x, within=isinstance(state, tuple) and len(state) == 1))
        if mismatch is not None:
            raise ValueError(f"the state is not one of this encoder and batch: {mismatch}")

    def _state_spec(self, x: Tensor, within: bool) -> StateSpec:
        count = range(1, self.source) if within else self._vectors
        size = self.input_size if within else self.encoder.output_size
        vectors = TensorSpec(sizes=(len(x), count, size), dtype=state_dtype(x), device=x.device)
        layers = () if within else self.decoder.state_spec(x)
        assert isinstance(layers, tuple)
        return (SourceState(vectors), *layers)

    def _run(self, x: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Returns y, the weights of the steps behind the source (`None` if there are none), and the state."""
        if isinstance(state, tuple) and len(state) > 1:
            outputs, layers = state[0][0], state[1:]  # type: ignore[index]
            assert isinstance(outputs, Tensor)
            y, weights, after = self._decode(x, outputs, layers)
            return y, weights, (SourceState(outputs.clone()), *after)
        past = x[:, :0] if state is None else state[0][0]  # type: ignore[index]
        assert isinstance(past, Tensor)
        missing = self.source - past.shape[1]
        source = torch.cat([past, x[:, :missing].to(past.dtype)], dim=1)
        within = min(missing, x.shape[1])
        if source.shape[1] < self.source:
            return self._nothing(x, x.shape[1]), None, (SourceState(source),)
        outputs, layers = self._read_source(source)
        if within == x.shape[1]:
            return self._nothing(outputs, within), None, (SourceState(outputs), *layers)
        y, weights, after = self._decode(x[:, within:], outputs, layers)
        return torch.cat([self._nothing(y, within), y], dim=1), weights, (SourceState(outputs), *after)

    def _nothing(self, like: Tensor, steps: int) -> Tensor:
        return like.new_zeros(len(like), steps, self.output_size)

    def _read_source(self, source: Tensor) -> tuple[Tensor, tuple[State, ...]]:
        """Returns the encoder's outputs that are kept, (batch, S or 1, size), and the decoder's first state."""
        outputs, _ = self.encoder(source)
        units = outputs.shape[2] // 2 if self.bidirectional else outputs.shape[2]
        ends = outputs[:, 0, -units:] if self.bidirectional else outputs[:, -1]
        if not self.attends:
            last = outputs[:, -1, :units]
            outputs = (torch.cat([last, ends], dim=1) if self.bidirectional else last.clone()).unsqueeze(1)
        layers = typed_children(self.decoder.layers, RecurrentLayer)
        starts = self.start(ends).tanh().chunk(len(layers), dim=1)
        return outputs, tuple(self._first_state(*pair, source) for pair in zip(layers, starts, strict=True))

    def _first_state(self, layer: RecurrentLayer, start: Tensor, source: Tensor) -> State:
        parts = layer.initial_state(source)
        names = layer.state_class._fields
        chosen = (
            start.to(part.dtype).clone() if name in HIDDEN else part for name, part in zip(names, parts, strict=True)
        )
        first: State = layer.state_class(*chosen)
        return first

    def _decode(
        self, x: Tensor, outputs: Tensor, layers: tuple[State, ...]
    ) -> tuple[Tensor, Tensor | None, tuple[State, ...]]:
        """Returns y and the weights of the steps of x, all behind the source, and the decoder's last state."""
        state: State = layers
        if self.alignment is None:
            context = outputs.expand(-1, x.shape[1], -1)
            s, state = self.decoder(torch.cat([x, context.to(x.dtype)], dim=2), state)
            assert isinstance(state, tuple)
            return torch.cat([s, context.to(s.dtype)], dim=2), None, state
        keys = self.alignment.keys(outputs)
        ys, weights = [], []
        for x_i in x.unbind(1):
            weight = self.alignment(state[-1][0], keys)  # type: ignore[index]
            context = (weight.unsqueeze(1) @ outputs.to(weight.dtype)).squeeze(1)
            s, state = self.decoder(torch.cat([x_i, context.to(x_i.dtype)], dim=1).unsqueeze(1), state)
            ys.append(torch.cat([s.squeeze(1), context.to(s.dtype)], dim=1))
            weights.append(weight)
        assert isinstance(state, tuple)
        return torch.stack(ys, dim=1), torch.stack(weights, dim=1), state
