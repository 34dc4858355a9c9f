"""`workbench.wrap`: any module of PyTorch as an architecture."""

import copy
import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from architectures.base import Encoder
from architectures.wrapped import (
    RECURRENT,
    RECURRENT_OPTIONS,
    WrappedModule,
    draw_again,
    fixed_weights,
    wrap_class,
)
from workbench.api.calls import api
from workbench.custom_code import BUILT_IN
from workbench.custom_parts import user_errors
from workbench.errors import UserError
from workbench.source_text import collect_texts, is_plain

Weights = Literal["drawn", "given"]
INPUT = inspect.Parameter("input_size", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=int)


@api
def wrap(
    module: type[nn.Module] | nn.Module | Callable[..., nn.Module],
    *,
    name: str | None = None,
    causal: bool | None = None,
    receptive_field: int | None = None,
    weights: Weights = "drawn",
) -> type[WrappedModule]:
    """Returns an architecture around a module that maps (batch, time, features) to (batch, time, units).

    A class, or a function that makes a module, is called with the features of a step as its first argument, or as
    `input_size=`; every other argument is an option, and one called `hidden_size` is the comparison's width. A module
    itself is a pattern: each run trains a copy of it.

    PyTorch's `nn.RNN`, `nn.LSTM` and `nn.GRU` carry their state from call to call. Any other module starts anew at
    every call, and is not known to be causal unless `causal=True` says so; then the probes that stretch or stream a
    sequence leave it out. Probes of gates leave out every module.

    Args:
        module: a class, a function that makes a module, or a module.
        name: of the architecture, in folders and reports; by default that of the class or function.
        causal: whether an output depends on earlier steps alone; by default False, but for PyTorch's recurrent layers.
        receptive_field: steps that an output can depend on; by default unbounded.
        weights: of a module that is a pattern: drawn again for every seed, by `reset_parameters` of its layers; or
            given: every seed starts from those that it has.

    Returns:
        A class of `architectures.Encoder`: `wrap(nn.GRU)(input_size=3, hidden_size=8)` is an encoder.

    Raises:
        UserError: if it is no such thing, or has weights that cannot be drawn again.
    """
    if isinstance(module, nn.Module):
        parts = pattern(module, weights)
        kind: Any = type(module)
    elif callable(module):
        parts = factory(module)
        kind = module
    else:
        raise UserError(f"wrap takes a torch.nn.Module, its class, or a function that makes one, not {module!r}")
    make, signature, texts = parts
    recurrent = isinstance(kind, type) and issubclass(kind, RECURRENT)
    if causal is None:
        causal = recurrent and not (isinstance(module, nn.RNNBase) and module.bidirectional)
    label = name or kind.__name__
    if label == "<lambda>":
        raise UserError("a lambda has no name; give the architecture one: wrap(..., name='mine')")
    cls = wrap_class(
        label, make, signature, causal=causal, receptive_field=receptive_field, doc=f"{label} as an architecture."
    )
    cls.texts = {**texts, "receptive field": str(receptive_field)}
    return cls


Made = tuple[Callable[..., nn.Module], inspect.Signature, Mapping[str, str]]
"""What makes a module, its options, and the texts that say what it is."""


class Factory:
    """Makes modules of a class, or with a function.

    Args:
        function: the class or function.
        first: the name of the argument that takes the features of a step.
        fixed: further arguments.
    """

    def __init__(self, function: Callable[..., nn.Module], first: str, fixed: Mapping[str, Any]) -> None:
        self.function, self.first, self.fixed = function, first, fixed

    def __call__(self, input_size: int, **options: Any) -> nn.Module:
        """Returns a module."""
        return self.function(**{self.first: input_size}, **self.fixed, **options)


class Pattern:
    """Makes copies of a module.

    Args:
        module: the pattern.
        weights: as in `wrap`.
    """

    def __init__(self, module: nn.Module, weights: Weights) -> None:
        self.module, self.weights = module, weights

    def __call__(self, input_size: int) -> nn.Module:
        """Returns a copy, on the device that new modules are made on."""
        size = getattr(self.module, "input_size", input_size)
        if size != input_size:
            raise ValueError(f"the module takes {size} features a step, and the task has {input_size}")
        made = draw_again(self.module) if self.weights == "drawn" else copy.deepcopy(self.module)
        # Where only sizes are counted.
        return made.to("meta") if torch.empty(0).device.type == "meta" else made


def factory(function: Callable[..., nn.Module]) -> Made:
    """Returns what makes modules with a class or a function.

    Raises:
        UserError: if it has no argument for the features of a step.
    """
    if isinstance(function, type) and not issubclass(function, nn.Module):
        raise UserError(f"{function.__name__} is no torch.nn.Module, and no architectures.Encoder")
    if isinstance(function, type) and issubclass(function, RECURRENT) and function.__init__ in _CONSTRUCTORS:
        options = [
            inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=hint, default=default)
            for key, (hint, default) in RECURRENT_OPTIONS.items()
        ]
        signature = inspect.Signature([INPUT, *options])
        return Factory(function, "input_size", {"batch_first": True}), signature, code_texts(function)
    with user_errors(f"architecture {getattr(function, '__name__', function)}"):
        parameters = [
            each
            for each in inspect.signature(function).parameters.values()
            if each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        ]
    if not parameters:
        raise UserError(f"{function.__name__} takes no argument for the features of a step; give it input_size")
    first = next((each for each in parameters if each.name == "input_size"), parameters[0])
    fixed = {"batch_first": True} if any(each.name == "batch_first" for each in parameters) else {}
    options = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in parameters
        if each is not first and each.name not in fixed
    ]
    return Factory(function, first.name, fixed), inspect.Signature([INPUT, *options]), code_texts(function)


_CONSTRUCTORS = [layer.__init__ for layer in RECURRENT]


def pattern(module: nn.Module, weights: Weights) -> Made:
    """Returns what makes copies of a module.

    Raises:
        UserError: if its weights cannot be drawn again.
    """
    if isinstance(module, Encoder):
        raise UserError(f"{type(module).__name__} is an architecture already; give its class or its name")
    if weights not in ("drawn", "given"):
        raise UserError(f"weights are 'drawn' or 'given', not {weights!r}")
    if weights == "drawn" and (fixed := fixed_weights(module)):
        raise UserError(
            f"no reset_parameters() draws {fixed[0]} of {type(module).__name__} again, so all seeds would start from "
            "the same weights; give wrap the class, or weights='given'"
        )
    texts = {**structure_texts(module), "weights": weight_hash(module) if weights == "given" else "drawn"}
    for part in module.modules():
        texts |= code_texts(type(part))
    return Pattern(module, weights), inspect.Signature([INPUT]), texts


def structure_texts(module: nn.Module) -> dict[str, str]:
    """Returns what a module is built of: the classes, settings and shapes of all its parts, by name."""
    texts = {}
    for name, part in module.named_modules():
        settings = {key: value for key, value in vars(part).items() if not key.startswith("_") and is_plain(value)}
        settings.pop("training", None)
        shapes = {key: tuple(value.shape) for key, value in part.named_parameters(recurse=False)}
        kind = f"{type(part).__module__}.{type(part).__qualname__}"
        texts[f"part {name}"] = f"{kind} {sorted(settings.items())} {sorted(shapes.items())}"
    return texts


def weight_hash(module: nn.Module) -> str:
    """Returns a hash of all weights and buffers of a module."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def code_texts(thing: Any) -> dict[str, str]:
    """Returns the code of a class or function of the user's, with what it uses; the name of one of a library."""
    label = f"{thing.__module__}.{thing.__qualname__}"
    if thing.__module__.partition(".")[0] in BUILT_IN:
        return {label: "a library's"}
    texts = collect_texts(thing, thing.__module__)
    return {f"{label} {key}": text for key, text in texts.items()}
