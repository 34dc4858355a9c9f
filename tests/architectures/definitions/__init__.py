"""Reference implementations of the architectures: loops written from the papers' formulas.

They compute one step, tap, head or lag at a time. Each takes the encoder's parameters by name, x (batch, time,
input_size), its options and the lengths of the sequences, and returns y (batch, time, hidden_size). Nothing else of the
encoder is used, so that gradients with respect to its parameters can be compared too.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from tests.architectures.definitions.act import act
from tests.architectures.definitions.attention import fox, transformer
from tests.architectures.definitions.averaging import rda, rwa
from tests.architectures.definitions.gru import gru
from tests.architectures.definitions.han import han
from tests.architectures.definitions.han_bidirectional import han_bidirectional
from tests.architectures.definitions.han_memory import han_memory
from tests.architectures.definitions.linear import gated_deltanet, linear_attention, mamba2, mlstm, retnet
from tests.architectures.definitions.lstm import lstm
from tests.architectures.definitions.lstm_relatives import depth_gated_lstm, grid_lstm, layernorm_lstm, mi_lstm
from tests.architectures.definitions.mut import mut
from tests.architectures.definitions.nested import bidirectional, rnn_attention
from tests.architectures.definitions.ntm import ntm
from tests.architectures.definitions.recurrent_relatives import clockwork_rnn, mrnn, rhn
from tests.architectures.definitions.rnn import rnn
from tests.architectures.definitions.scanned import mingru, minlstm, slstm
from tests.architectures.definitions.seq2seq import seq2seq
from tests.architectures.definitions.state_spaces import lru, s4d
from tests.architectures.definitions.tcn import tcn

Definition = Callable[[Mapping[str, Tensor], Tensor, Mapping[str, Any], list[int]], Tensor]

DEFINITIONS: Mapping[str, Definition] = {
    "rnn": rnn,
    "lstm": lstm,
    "lstm-peephole": partial(lstm, peepholes=True),
    "lstm-coupled": partial(lstm, coupled=True),
    "lstm-layernorm": layernorm_lstm,
    "lstm-mi": mi_lstm,
    "depth-gated-lstm": depth_gated_lstm,
    "grid-lstm": grid_lstm,
    "gru": gru,
    "mut1": partial(mut, variant=1),
    "mut2": partial(mut, variant=2),
    "mut3": partial(mut, variant=3),
    "rhn": rhn,
    "mrnn": mrnn,
    "clockwork-rnn": clockwork_rnn,
    "rwa": rwa,
    "rda": rda,
    "rda-exp-tanh": partial(rda, attention="exp", hidden="identity", output="tanh"),
    "rda-sigmoid-id": partial(rda, attention="sigmoid", hidden="identity", output="identity"),
    "slstm": slstm,
    "mingru": mingru,
    "minlstm": minlstm,
    "lru": lru,
    "s4d": s4d,
    "rnn-attention": rnn_attention,
    "act": act,
    "ntm": ntm,
    "bidirectional": bidirectional,
    "seq2seq": seq2seq,
    "seq2seq-fixed": partial(seq2seq, attention="none"),
    "tcn": tcn,
    "han": han,
    "han-memory": han_memory,
    "han-bidirectional": han_bidirectional,
    "transformer": transformer,
    "fox": fox,
    "linear-attention": linear_attention,
    "retnet": retnet,
    "mlstm": mlstm,
    "mamba2": mamba2,
    "gated-deltanet": gated_deltanet,
}
