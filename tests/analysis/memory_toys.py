"""Encoders whose memory is known, and subjects with one inside."""

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


class Toy(Encoder):
    """What an encoder of one's own has at least."""

    output_size: int

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        raise NotImplementedError("toys leave no trace")

    def path_length(self, lag: int) -> int:
        return 1

    def state_size(self, time: int) -> int:
        return 1


class DelayLine(Toy):
    """Puts out the first feature of the last so many steps."""

    def __init__(self, input_size: int, length: int) -> None:
        super().__init__(input_size)
        self.output_size = self.length = length

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        return pad(x[:, :, 0], (self.length - 1, 0)).unfold(1, self.length, 1).flip(2), None

    @property
    def receptive_field(self) -> int:
        return self.length


class Listener(Toy):
    """On `copy`, says each symbol again when it is due, if that is at most so many steps ago; else the first symbol."""

    def __init__(self, input_size: int, memory: int, longest: int = 10**9) -> None:
        super().__init__(input_size)
        self.output_size, self.memory, self.longest = input_size - 1, memory, longest

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        if x.shape[1] > self.longest:
            raise ValueError(f"{x.shape[1]} steps are more than my {self.longest} positions")
        symbols, categories = x.argmax(2), self.input_size - 2
        mark = (symbols == categories + 1).int().argmax(1, keepdim=True)
        item = torch.arange(x.shape[1]) - mark - 1
        heard = (symbols < categories).sum(1, keepdim=True)
        due = (item >= 0) & (item < heard)
        known = symbols.gather(1, item.clamp(min=0)).clamp(max=categories)
        said = torch.where(mark + 1 <= self.memory, known, torch.zeros_like(known))
        answer = torch.where(due, said, torch.full_like(said, categories))
        return 9.0 * one_hot(answer, self.output_size).float() + 0 * x[:, :, :1], None


def subject(
    task: str, options: dict[str, Any], encoder: Encoder | None = None, *, name: str = "gru", trained: bool = True
) -> LoadedModel:
    """A subject with an encoder in the place of its own, whose outputs are the answers as far as there are as many."""
    part, made = resolve_task(task, options)
    architecture = resolve_architecture(name, {}, made, hidden_size=8)
    found = untrained_model(Experiment(task=part, architecture=architecture))
    if encoder is not None:
        found.model.encoder = encoder
        found.model.readout = nn.Linear(encoder.output_size, made.output_size)
        nn.init.eye_(found.model.readout.weight)
        nn.init.zeros_(found.model.readout.bias)
    return replace(found, trained=trained)
