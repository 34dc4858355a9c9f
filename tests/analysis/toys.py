"""Encoders with known gates and attention maps, for tests of the probe of discount dynamics."""

import math

import torch
from torch import Tensor

from analysis.probes.models import LoadedModel, untrained_model
from architectures.base import Encoder
from architectures.rda import AveragingLayer
from architectures.state import State
from architectures.trace import Trace
from tests.analysis.report_runs import experiment


class ToyEncoder(Encoder):
    """An encoder whose output is 0; subclasses define its trace."""

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


class Gated(ToyEncoder):
    """Retains and writes as `gates` says; by default, forgets at a steady rate."""

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        retention, write = (values.expand(len(x), -1, -1) for values in self.gates(x))
        return Trace(y=self.encode(x, None, None)[0], retention=retention, write=write)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns retention and write, each (time, units)."""
        ones = x.new_ones(x.shape[1], self.output_size)
        return 0.9 * ones, 0.5 * ones


class Purposeful(Gated):
    """On multicopy with 2 items and a gap of 1: holds through an episode, then drops 3/4 at one step."""

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        retention = torch.ones(x.shape[1], self.output_size)
        retention[6::6] = 0.25
        return retention, torch.full_like(retention, 0.1)


class UniformAttention(ToyEncoder):
    """Two levels of windows of 4, all of whose entries have the same weight."""

    window = 4

    def trace(self, x: Tensor, state: State = None, lengths: Tensor | None = None) -> Trace:
        maps = []
        for level in range(2):
            steps = torch.arange(x.shape[1]).unsqueeze(1)
            valid = steps - self.window**level * torch.arange(self.window) >= 0
            weights = valid / valid.sum(1, keepdim=True)
            maps.append(weights.expand(len(x), 2, -1, -1))
        return Trace(y=self.encode(x, None, None)[0], maps=tuple(maps))


def load_untrained(architecture: str, task: str = "addition", hidden_size: int = 4, **options: object) -> LoadedModel:
    """Returns an untrained model; the options are those of the task."""
    return untrained_model(experiment(architecture, task=task, task_options=options, hidden_size=hidden_size))


def with_constant_gates(loaded: LoadedModel, **biases: float) -> LoadedModel:
    """Makes the gates of an RWA or RDA constant: all weights except those of the features become 0."""
    layer = loaded.model.encoder.get_submodule("layers.0")
    assert isinstance(layer, AveragingLayer)
    units = loaded.model.encoder.output_size
    with torch.no_grad():
        layer.weight_h.zero_()
        layer.weight_x[units:].zero_()
        for name, value in biases.items():
            layer.get_parameter(name).fill_(value)
    return loaded


def logit(share: float) -> float:
    """Returns the argument at which a sigmoid is that share."""
    return math.log(share / (1 - share))
