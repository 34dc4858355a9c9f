"""The registry of architectures: their names, options and construction."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from architectures.family import FAMILY, FamilyRow
from architectures.limits import quote
from architectures.option_values import read_values
from architectures.suggest import did_you_mean

if TYPE_CHECKING:
    from architectures.base import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """An architecture's class, by path, and the options that its name fixes."""

    path: str
    """The class, as "package.module:Class"."""
    summary: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    causal: bool = True
    """As in its class, which takes seconds to import. One that is not carries no state from step to step."""
    revision: int = 1
    """Raised whenever the same options come to mean other numbers, so that old results are not taken for new ones."""
    revision_when_nested: int = 1
    """Its revision when architectures that run another one came: theirs have never had an earlier one inside."""
    equations_since: int = 1
    """The first revision that computed what today's does; weights that an earlier one trained mean something else."""
    looks_ahead: Mapping[str, Any] = field(default_factory=dict)
    """Options with the values by which a causal architecture comes to read whole sequences."""
    later: Mapping[str, Any] = field(default_factory=dict)
    """Options that came after the first results, with the values that these stand for; configurations leave them out
    where they have them, so that results from before keep their identity."""
    family: FamilyRow | None = None
    """How it keeps and weighs its past, if it is a relative of the RDA."""


LSTM_PARTS: Mapping[str, Any] = {
    "peepholes": False,
    "coupled": False,
    "input_gate": True,
    "forget_gate": True,
    "output_gate": True,
    "input_activation": True,
    "output_activation": True,
    "full_gate_recurrence": False,
}
"""What the LSTM has without further options."""
ZONEOUT: Mapping[str, Any] = {"zoneout": 0.0}

ARCHITECTURES: Mapping[str, RegistryEntry] = {
    "rnn": RegistryEntry(path="architectures.rnn:RNN", summary="tanh recurrent network (Elman 1990)", later=ZONEOUT),
    "lstm": RegistryEntry(
        path="architectures.lstm:LSTM",
        summary="long short-term memory with forget gate (Gers et al. 2000)",
        later={**LSTM_PARTS, **ZONEOUT, "zoneout_cell": 0.0},
        family=FAMILY["lstm"],
    ),
    "lstm-peephole": RegistryEntry(
        path="architectures.lstm:LSTM",
        summary="LSTM whose gates see its cell (Gers et al. 2002)",
        fixed={"peepholes": True},
    ),
    "lstm-coupled": RegistryEntry(
        path="architectures.lstm:LSTM",
        summary="LSTM whose input gate is 1 - f (Greff et al. 2015)",
        fixed={"coupled": True},
    ),
    "lstm-layernorm": RegistryEntry(
        path="architectures.lstm_layernorm:LayerNormLSTM", summary="LSTM with layer normalisation (Ba et al. 2016)"
    ),
    "lstm-mi": RegistryEntry(
        path="architectures.lstm_mi:MultiplicativeLSTM", summary="LSTM with multiplicative integration (Wu et al. 2016)"
    ),
    "depth-gated-lstm": RegistryEntry(
        path="architectures.depth_gated_lstm:DepthGatedLSTM",
        summary="LSTMs whose cells a gate lets into the layer above (Yao et al. 2015)",
    ),
    "grid-lstm": RegistryEntry(
        path="architectures.grid_lstm:GridLSTM",
        summary="LSTM with a memory along depth, too (Kalchbrenner et al. 2016)",
        # Its output gates were outside the tanh.
        revision=2,
        equations_since=2,
    ),
    "gru": RegistryEntry(
        path="architectures.gru:GRU",
        summary="gated recurrent unit (Cho et al. 2014)",
        # The bias of its update gate started at 0.
        revision=2,
        revision_when_nested=2,
        later={"reset": "behind", **ZONEOUT},
        family=FAMILY["gru"],
    ),
    **{
        f"mut{variant}": RegistryEntry(
            path="architectures.mut:MUT",
            summary=f"MUT{variant}, a gated unit found by search (Jozefowicz et al. 2015)",
            fixed={"variant": variant},
        )
        for variant in (1, 2, 3)
    },
    "rhn": RegistryEntry(path="architectures.rhn:RHN", summary="recurrent highway network (Zilly et al. 2017)"),
    "mrnn": RegistryEntry(
        path="architectures.mrnn:MRNN", summary="multiplicative recurrent network (Sutskever et al. 2011)"
    ),
    "clockwork-rnn": RegistryEntry(
        path="architectures.clockwork_rnn:ClockworkRNN",
        summary="recurrent network in modules of different speed (Koutnik et al. 2014)",
    ),
    "rwa": RegistryEntry(
        path="architectures.rwa:RWA",
        summary="recurrent weighted average (Ostmeyer and Cowell 2017)",
        later=ZONEOUT,
        family=FAMILY["rwa"],
    ),
    "rda": RegistryEntry(
        path="architectures.rda:RDA",
        summary="recurrent discounted attention (Maginnis and Richemond 2017)",
        later=ZONEOUT,
        family=FAMILY["rda"],
    ),
    "rda-exp-tanh": RegistryEntry(
        path="architectures.rda:RDA",
        summary="RDA with exponential attention and tanh output, the paper's first",
        fixed={"attention": "exp", "hidden": "identity", "output": "tanh"},
        later=ZONEOUT,
    ),
    "rda-sigmoid-id": RegistryEntry(
        path="architectures.rda:RDA",
        summary="RDA with sigmoid attention and identity output, the paper's second",
        fixed={"attention": "sigmoid", "hidden": "identity", "output": "identity"},
        later=ZONEOUT,
    ),
    "slstm": RegistryEntry(
        path="architectures.slstm:SLSTM",
        summary="LSTM with exponential gates and a normaliser (Beck et al. 2024)",
        family=FAMILY["slstm"],
    ),
    "mingru": RegistryEntry(
        path="architectures.mingru:MinGRU",
        summary="GRU whose gate sees the input alone (Feng et al. 2024)",
        family=FAMILY["mingru"],
    ),
    "minlstm": RegistryEntry(
        path="architectures.minlstm:MinLSTM",
        summary="LSTM whose gates see the input alone (Feng et al. 2024)",
        family=FAMILY["minlstm"],
    ),
    "lru": RegistryEntry(
        path="architectures.lru:LRU",
        summary="linear recurrent unit with complex states (Orvieto et al. 2023)",
        family=FAMILY["lru"],
    ),
    "s4d": RegistryEntry(
        path="architectures.s4d:S4D",
        summary="diagonal state space model, S4D-Lin (Gu et al. 2022)",
        family=FAMILY["s4d"],
    ),
    "rnn-attention": RegistryEntry(
        path="architectures.rnn_attention:RNNAttention",
        summary="attention over the outputs of a recurrent encoder (Ostmeyer 2017; Feng et al. 2024)",
        looks_ahead={"context": "whole"},
        family=FAMILY["rnn-attention"],
    ),
    "act": RegistryEntry(
        path="architectures.act:ACT",
        summary="recurrent architecture that takes as many steps for an input as it needs (Graves 2016)",
    ),
    "ntm": RegistryEntry(
        path="architectures.ntm:NTM",
        summary="neural Turing machine: a recurrent architecture that reads and writes a memory (Graves et al. 2014)",
    ),
    "bidirectional": RegistryEntry(
        path="architectures.bidirectional:Bidirectional",
        summary="two recurrent encoders, one from each end (Schuster and Paliwal 1997)",
        causal=False,
    ),
    "seq2seq": RegistryEntry(
        path="architectures.seq2seq:Seq2Seq",
        summary="encoder and decoder, with attention to the source (Bahdanau et al. 2015)",
    ),
    "seq2seq-fixed": RegistryEntry(
        path="architectures.seq2seq:Seq2Seq",
        summary="encoder and decoder, with one fixed vector of the source (Cho et al. 2014; Sutskever et al. 2014)",
        fixed={"attention": "none"},
    ),
    "tcn": RegistryEntry(
        path="architectures.tcn:TCN",
        summary="temporal convolutional network (Bai et al. 2018)",
        # Its weights started as N(0, 0.01).
        revision=2,
        revision_when_nested=2,
        later={"block": "residual", "rounds": 1},
    ),
    "han": RegistryEntry(
        path="architectures.han:HAN", summary="hierarchical attention encoder over sliding windows, causal"
    ),
    "han-memory": RegistryEntry(
        path="architectures.han_memory:HANMemory",
        summary="attention to a memory that stores what is new, or blocks that grow with their age",
    ),
    "han-bidirectional": RegistryEntry(
        path="architectures.han_bidirectional:BidirectionalHAN",
        summary="two hierarchical attention encoders, one from each end",
        causal=False,
    ),
    "transformer": RegistryEntry(
        path="architectures.transformer:Transformer",
        summary="causal Transformer with rotary positions, over all steps or a window (Vaswani et al. 2017)",
        family=FAMILY["transformer"],
    ),
    "fox": RegistryEntry(
        path="architectures.transformer:FoX",
        summary="forgetting transformer: attention with forget gates (Lin et al. 2025)",
        family=FAMILY["fox"],
    ),
    "linear-attention": RegistryEntry(
        path="architectures.linear_attention:LinearAttention",
        summary="attention whose weights are products, so that its state is a sum (Katharopoulos et al. 2020)",
        family=FAMILY["linear-attention"],
    ),
    "retnet": RegistryEntry(
        path="architectures.retnet:RetNet",
        summary="linear attention with positions and constant discounts (Sun et al. 2023)",
        family=FAMILY["retnet"],
    ),
    "mlstm": RegistryEntry(
        path="architectures.mlstm:MLSTM",
        summary="LSTM with a matrix for a memory and exponential gates (Beck et al. 2024)",
        family=FAMILY["mlstm"],
    ),
    "mamba2": RegistryEntry(
        path="architectures.mamba2:Mamba2",
        summary="state space with steps that depend on the input (Dao and Gu 2024)",
        family=FAMILY["mamba2"],
    ),
    "gated-deltanet": RegistryEntry(
        path="architectures.gated_deltanet:GatedDeltaNet",
        summary="memory that forgets, and erases what it overwrites (Yang et al. 2024)",
        family=FAMILY["gated-deltanet"],
    ),
}


_defined: dict[tuple[str, str], type] = {}
"""Classes that no module has, by kind and name."""


def define(kind: str, name: str, cls: type) -> None:
    """Makes a class that no module has, such as one of a notebook's cell, known in this process under a name.

    Args:
        kind: what the class implements: architecture or task.
        name: that it is built by. It cannot be one of the catalogue, or a path.
        cls: the class, as `load_class` checks it.

    Raises:
        ValueError: if the name is taken by the catalogue.
    """
    if name in ARCHITECTURES or ":" in name:
        raise ValueError(f"{name!r} is an architecture of the catalogue; give the class another name")
    _defined[kind, name] = cls


def is_defined(kind: str, name: str) -> bool:
    """Returns whether a class was given this name by `define`."""
    return (kind, name) in _defined


def names() -> tuple[str, ...]:
    """Returns the names of all registered architectures. `build` also accepts paths "package.module:Class"."""
    return tuple(ARCHITECTURES)


def options(name: str) -> dict[str, inspect.Parameter]:
    """Returns the options of an architecture: its constructor's parameters except `input_size` and fixed ones."""
    parameters = inspect.signature(load_encoder_class(name)).parameters
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        key: parameter
        for key, parameter in parameters.items()
        if key != "input_size" and key not in get_entry(name).fixed and parameter.kind not in variadic
    }


def build(name: str, input_size: int, **kwargs: Any) -> "Encoder":
    """Builds an encoder, freshly initialised from torch's random generator.

    Args:
        name: one of `names()`, or the path "package.module:Class" of a subclass of `Encoder`.
        input_size: the number of features a step.
        kwargs: the architecture's options, such as `hidden_size`, also in their written form: a list for a tuple.

    Raises:
        ValueError, TypeError: if the name or an option is unknown, or a value is invalid.

    Example:
        >>> encoder = build("rda", input_size=2, hidden_size=250, attention="exp", output="tanh")
        >>> encoder.output_size
        250
    """
    parameters = options(name)
    fixed = get_entry(name).fixed
    for key in kwargs:
        if key in fixed:
            raise ValueError(f"{name} fixes {key}={fixed[key]!r}; use {_general_name(name)} to choose it")
        if key not in parameters:
            raise ValueError(f"{name} has no option {quote(key)}{did_you_mean(key, parameters)}")
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in kwargs:
            raise ValueError(f"{name} needs {key}=")
    encoder_class = load_encoder_class(name)
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    return encoder_class(input_size, **fixed, **read_values(kwargs, encoder_class.__init__, defaults))


def _general_name(name: str) -> str:
    """Returns the name of the same class that fixes nothing."""
    path = get_entry(name).path
    return next((other for other, entry in ARCHITECTURES.items() if entry.path == path and not entry.fixed), path)


def write_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an architecture's options as a configuration has them: without later ones that change nothing."""
    later = _later_of(name)
    return {key: value for key, value in options.items() if key not in later or value != later[key]}


def read_options(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an architecture's options from a configuration, the later ones included that it leaves out."""
    return {**written, **{key: value for key, value in _later_of(name).items() if key not in written}}


def _later_of(name: str) -> Mapping[str, Any]:
    return ARCHITECTURES[name].later if name in ARCHITECTURES else {}


def is_causal(name: str, options: Mapping[str, Any]) -> bool:
    """Returns whether an architecture with these options is causal; true for other code, of which it is not known."""
    entry = ARCHITECTURES.get(name)
    if entry is None:
        return True
    return entry.causal and not any(options.get(key) == value for key, value in entry.looks_ahead.items())


def get_entry(name: str) -> RegistryEntry:
    """Returns the registry's entry of that name, or a new one for a path "package.module:Class".

    Raises:
        ValueError: if the name is unknown; the message suggests similar ones.
    """
    if not isinstance(name, str):
        raise TypeError(f"an architecture is named by a text, not {quote(name)}")
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if ":" in name or is_defined("architecture", name):
        return RegistryEntry(path=name, summary="custom architecture")
    raise ValueError(
        f"unknown architecture {quote(name)} (a custom one is named package.module:Class)"
        f"{did_you_mean(name, ARCHITECTURES)}"
    )


def load_encoder_class(name: str) -> "type[Encoder]":
    """Imports and returns the class of an architecture.

    Raises:
        ValueError: if the name, its module or its class does not exist, or the class is not a complete `Encoder`.
    """
    # It imports torch.
    from architectures.base import Encoder

    encoder_class: type[Encoder] = load_class(get_entry(name).path, "architecture", Encoder)
    return encoder_class


def load_class(path: str, kind: str, base: Any) -> Any:
    """Imports and returns the class "package.module:Class", a complete subclass of `base`.

    Args:
        path: "package.module:Class", or a name that `define` gave.
        kind: what the class implements: architecture or task.
        base: the abstract base class.

    Raises:
        ValueError: if the module or class does not exist, or the class does not implement the interface.
    """
    if is_defined(kind, path):
        return _check_class(_defined[kind, path], path, kind, base)
    module_name, _, class_name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(f"{quote(module_name)} is not a module name; a custom {kind} is named package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(f"there is no module {quote(module_name)} for {kind} {quote(path)} on the path") from None
        raise ValueError(f"module {quote(module_name)} cannot be imported: it needs {error.name}") from error
    except Exception as error:
        raise ValueError(f"module {quote(module_name)} cannot be imported: {type(error).__name__}: {error}") from error
    candidate = getattr(module, class_name, None)
    if not inspect.isclass(candidate):
        classes = {key for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
        public = sorted(classes - {base.__name__})
        raise ValueError(
            f"module {quote(module_name)} has no class {quote(class_name)}{did_you_mean(class_name, public)}"
        )
    return _check_class(candidate, path, kind, base)


def _check_class(candidate: type, path: str, kind: str, base: Any) -> Any:
    if not issubclass(candidate, base):
        interface = f"{base.__module__.removesuffix('.base')}.{base.__name__}"
        raise ValueError(f"{quote(path)} is not a subclass of {interface}")
    if inspect.isabstract(candidate):
        missing = ", ".join(sorted(candidate.__abstractmethods__))  # type: ignore[attr-defined]
        raise ValueError(f"{quote(path)} cannot be built: it does not implement {missing}")
    return candidate
