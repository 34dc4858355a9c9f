"""Encoders of known inner life, for probes of gates and attention."""

import math

import torch
from torch import Tensor

from analysis.probes.models import LoadedModel, untrained_model
from architectures.base import Encoder
from architectures.rda import AveragingLayer
from architectures.state import State
from architectures.trace import Trace
from tests.analysis.report_runs import experiment


class Toy(Encoder):
    """An encoder whose trace is what a test says; its output is 0."""

    def __init__(self, input_size: int, hidden_size: int = 4) -> None:
        super().__init__(input_size)
        self.output_size = hidden_size

    def encode(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        return x.new_zeros(*x.shape[:2], self.output_size), None

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        raise NotImplementedError

    def path_length(self, lag: int) -> int:
        return lag + 1

    def state_size(self, time: int) -> int:
        return 0


class Gated(Toy):
    """Keeps and writes what `gate` says, (time, units) each."""

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        f, i = (each.expand(len(x), -1, -1) for each in self.gate(x))
        return Trace(y=self.encode(x, None, None)[0], retention=f, write=i)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        ones = x.new_ones(x.shape[1], self.output_size)
        return 0.9 * ones, 0.5 * ones


class Purposeful(Gated):
    """On multicopy with 2 items and a gap of 1: holds through an episode, then drops 3/4 at one step."""

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f, i = torch.ones(x.shape[1], self.output_size), torch.full((x.shape[1], self.output_size), 0.1)
        f[6::6] = 0.25
        return f, i


class Uniform(Toy):
    """Two levels of windows of 4, all of whose entries weigh the same."""

    window = 4

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        maps = []
        for level in range(2):
            step = torch.arange(x.shape[1]).unsqueeze(1)
            there = step - self.window**level * torch.arange(self.window) >= 0
            weights = there / there.sum(1, keepdim=True)
            maps.append(weights.expand(len(x), 2, -1, -1))
        return Trace(y=self.encode(x, None, None)[0], maps=tuple(maps))


def subject(architecture: str, task: str = "addition", hidden_size: int = 4, **options: object) -> LoadedModel:
    """An untrained subject."""
    return untrained_model(experiment(architecture, task=task, task_options=options, hidden_size=hidden_size))


def still(found: LoadedModel, **biases: float) -> LoadedModel:
    """An RWA or RDA whose gates do not depend on anything: its weights are 0, but those of the features."""
    layer = found.model.encoder.get_submodule("layers.0")
    assert isinstance(layer, AveragingLayer)
    units = found.model.encoder.output_size
    with torch.no_grad():
        layer.weight_h.zero_()
        layer.weight_x[units:].zero_()
        for name, value in biases.items():
            layer.get_parameter(name).fill_(value)
    return found


def logit(share: float) -> float:
    """The argument at which a sigmoid is that share."""
    return math.log(share / (1 - share))
