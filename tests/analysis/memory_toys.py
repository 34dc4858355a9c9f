"""Encoders whose memory is known, and models built around them."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from analysis.probes.models import LoadedModel, untrained_model
from architectures.base import Encoder
from architectures.state import State
from architectures.trace import Trace
from workbench.config import Experiment
from workbench.resolve import resolve_architecture, resolve_task


class ToyEncoder(Encoder):
    """The least that a custom encoder has to have."""

    output_size: int

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        raise NotImplementedError("toys leave no trace")

    def path_length(self, lag: int) -> int:
        return 1

    def state_size(self, time: int) -> int:
        return 1


class DelayLine(ToyEncoder):
    """Outputs the first feature of the last `length` steps."""

    def __init__(self, input_size: int, length: int) -> None:
        super().__init__(input_size)
        self.output_size = self.length = length

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        return pad(x[:, :, 0], (self.length - 1, 0)).unfold(1, self.length, 1).flip(2), None

    @property
    def receptive_field(self) -> int:
        return self.length


class LimitedMemory(ToyEncoder):
    """Solves `copy` for symbols at most `memory` steps ago; for older ones, answers with the first symbol.

    Args:
        input_size: of the one-hot symbols.
        memory: steps.
        longest: steps of the longest sequence that it accepts.
    """

    def __init__(self, input_size: int, memory: int, longest: int = 10**9) -> None:
        super().__init__(input_size)
        self.output_size, self.memory, self.longest = input_size - 1, memory, longest

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        if x.shape[1] > self.longest:
            raise ValueError(f"{x.shape[1]} steps are more than my {self.longest} positions")
        symbols, categories = x.argmax(2), self.input_size - 2
        mark = (symbols == categories + 1).int().argmax(1, keepdim=True)
        item = torch.arange(x.shape[1]) - mark - 1
        items = (symbols < categories).sum(1, keepdim=True)
        due = (item >= 0) & (item < items)
        right = symbols.gather(1, item.clamp(min=0)).clamp(max=categories)
        recalled = torch.where(mark + 1 <= self.memory, right, torch.zeros_like(right))
        answer = torch.where(due, recalled, torch.full_like(recalled, categories))
        return 9.0 * one_hot(answer, self.output_size).float() + 0 * x[:, :, :1], None


def toy_model(
    task: str, options: dict[str, Any], encoder: Encoder | None = None, *, name: str = "gru", trained: bool = True
) -> LoadedModel:
    """Returns a model of an architecture, or one whose encoder is replaced and whose readout is the identity."""
    resolved, built = resolve_task(task, options)
    architecture = resolve_architecture(name, {}, built, hidden_size=8)
    loaded = untrained_model(Experiment(task=resolved, architecture=architecture))
    if encoder is not None:
        loaded.model.encoder = encoder
        loaded.model.readout = nn.Linear(encoder.output_size, built.output_size)
        nn.init.eye_(loaded.model.readout.weight)
        nn.init.zeros_(loaded.model.readout.bias)
    return replace(loaded, trained=trained)


def model_with_memory(memory: int, longest: int = 10**9) -> LoadedModel:
    """Returns a model that copies what lies so many steps back at most, and takes no more than `longest` steps."""
    return toy_model("copy", {"length": 60, "items": 5, "categories": 4}, LimitedMemory(6, memory, longest))
