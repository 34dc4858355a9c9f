"""Names, and what they build."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from architectures.base import Encoder
from architectures.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryEntry:
    """One architecture: where its class is, and what its name fixes."""

    path: str
    summary: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


CATALOGUE: Mapping[str, RegistryEntry] = {
    "rnn": RegistryEntry(path="architectures.rnn:RNN", summary="tanh recurrent network (Elman 1990)"),
    "lstm": RegistryEntry(
        path="architectures.lstm:LSTM", summary="long short-term memory with forget gate (Gers et al. 2000)"
    ),
    "gru": RegistryEntry(path="architectures.gru:GRU", summary="gated recurrent unit (Cho et al. 2014)"),
    "rwa": RegistryEntry(path="architectures.rwa:RWA", summary="recurrent weighted average (Ostmeyer and Cowell 2017)"),
    "rda": RegistryEntry(
        path="architectures.rda:RDA", summary="recurrent discounted attention (Maginnis and Richemond 2017)"
    ),
    "rda-exp-tanh": RegistryEntry(
        path="architectures.rda:RDA",
        summary="RDA with exponential attention and tanh output, the paper's first",
        fixed={"attention": "exp", "hidden": "identity", "output": "tanh"},
    ),
    "rda-sigmoid-id": RegistryEntry(
        path="architectures.rda:RDA",
        summary="RDA with sigmoid attention and identity output, the paper's second",
        fixed={"attention": "sigmoid", "hidden": "identity", "output": "identity"},
    ),
    "tcn": RegistryEntry(path="architectures.tcn:TCN", summary="temporal convolutional network (Bai et al. 2018)"),
    "han": RegistryEntry(
        path="architectures.han:HAN", summary="hierarchical attention encoder over sliding windows, causal"
    ),
    "han-bidirectional": RegistryEntry(
        path="architectures.han_bidirectional:BidirectionalHAN",
        summary="two hierarchical attention encoders, one from each end",
    ),
}


def names() -> tuple[str, ...]:
    """Every name of the catalogue. `build` knows dotted paths "package.module:Class" too."""
    return tuple(CATALOGUE)


def entry(name: str) -> RegistryEntry:
    """The catalogue's entry of that name, or one made for a dotted path.

    Raises:
        ValueError: if the name is unknown; the message names the nearest known ones.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if ":" in name:
        return RegistryEntry(path=name, summary="brought by the user")
    raise ValueError(
        f"unknown architecture {name!r} (one of your own is named package.module:Class){did_you_mean(name, CATALOGUE)}"
    )


def load(name: str) -> type[Encoder]:
    """The class behind a name.

    Raises:
        ValueError: if there is no such name, module or class, or the class does not keep the interface.
    """
    found: type[Encoder] = load_class(entry(name).path, "architecture", Encoder)
    return found


def options(name: str) -> dict[str, inspect.Parameter]:
    """The options that a name leaves open: its constructor's parameters save `input_size` and what the name fixes."""
    parameters = inspect.signature(load(name)).parameters
    gathered = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        key: parameter
        for key, parameter in parameters.items()
        if key != "input_size" and key not in entry(name).fixed and parameter.kind not in gathered
    }


def build(name: str, input_size: int, **given: Any) -> Encoder:
    """Builds an encoder, freshly initialised from torch's random generator.

    Args:
        name: one of `names()`, or a dotted path "package.module:Class" to a subclass of `Encoder`.
        input_size: the number of features a step.
        given: the architecture's options, such as `hidden_size`.

    Raises:
        ValueError, TypeError: if the name or an option is unknown, or a value cannot be.

    Example:
        >>> encoder = build("rda", input_size=2, hidden_size=250, attention="exp", output="tanh")
        >>> encoder.output_size
        250
    """
    known = options(name)
    for key in given:
        if key in entry(name).fixed:
            raise ValueError(f"{name} fixes {key}={entry(name).fixed[key]!r}; use rda to choose it")
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}{did_you_mean(key, known)}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in given:
            raise ValueError(f"{name} needs {key}=")
    return load(name)(input_size, **entry(name).fixed, **given)


def load_class(path: str, kind: str, base: Any) -> Any:
    """The class "package.module:Class", which has to be a complete subclass of `base`.

    Args:
        path: where the class is.
        kind: what it is to be, for messages: architecture or task.
        base: the interface.

    Raises:
        ValueError: if there is no such module or class, or it does not keep the interface.
    """
    module_name, _, class_name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(f"{module_name!r} is no module's name; one of your own is named package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(f"there is no module {module_name!r} for {kind} {path!r} on the path") from None
        raise ValueError(f"module {module_name!r} cannot be imported: it needs {error.name}") from error
    except Exception as error:
        raise ValueError(f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = {key for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
        public = sorted(classes - {base.__name__})
        raise ValueError(f"module {module_name!r} has no class {class_name!r}{did_you_mean(class_name, public)}")
    if not issubclass(found, base):
        interface = f"{base.__module__.removesuffix('.base')}.{base.__name__}"
        raise ValueError(f"{path!r} is no subclass of {interface}, so the bench cannot use it")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))  # type: ignore[attr-defined]
        raise ValueError(f"{path!r} cannot be built: it does not implement {missing}")
    return found
