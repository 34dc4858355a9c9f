"""What is timed: an encoder, or the baseline, with a batch to run it on."""

import os
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import architectures
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Workload
from architectures.kernels.dispatch import VARIABLE
from architectures.registry import load
from workbench.config import Precision
from workbench.devices import MatmulPrecision, autocast, matmul_precision
from workbench.resolve import coerce, plain, user_errors

BASELINE = "torch.nn.LSTM"
"""What everything is measured beside: PyTorch's own."""
SEED = 0
"""Of weights and inputs: no time depends on it, save by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkCase:
    """One architecture at one length. Plain values: it can be handed to another process."""

    name: str
    """`BASELINE`, or an architecture's."""
    time: int
    batch: int
    input_size: int
    hidden_size: int
    device: str
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "float32"
    matmul_precision: MatmulPrecision = "highest"
    backend: str | None = None
    """Of the recurrences, where it is not the environment's to choose."""

    def build(self) -> nn.Module:
        """The module, ready to learn."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            made: nn.Module = (
                nn.LSTM(self.input_size, self.hidden_size, batch_first=True)
                if self.name == BASELINE
                else architectures.build(self.name, self.input_size, **self.options)
            )
        return made.to(self.device).train()

    def inputs(self, batch: int | None = None) -> Tensor:
        """Noise, (batch, time, input_size): data, which needs no gradient."""
        shape = (batch or self.batch, self.time, self.input_size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(SEED)).to(self.device)

    def jobs(self, module: nn.Module) -> tuple[Workload, Workload]:
        """Forward as in evaluation, without a graph; and forward and backward as in training, from a fixed gradient of
        all outputs to those of all parameters."""
        x = self.inputs()
        y = self.put_out(module)
        gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(SEED + 1)).to(y)

        def forward() -> None:
            with self.arithmetic(), torch.no_grad(), autocast(self.precision, self.device):
                module(x)

        def learn() -> None:
            with self.arithmetic():
                with autocast(self.precision, self.device):
                    y = module(x)[0]
                torch.autograd.backward(y, gradient)

        return Workload(run=forward), Workload(run=learn, prepare=lambda: module.zero_grad(set_to_none=True))

    def put_out(self, module: nn.Module) -> Tensor:
        """What comes out in evaluation, (batch, time, units)."""
        with self.arithmetic(), torch.no_grad(), autocast(self.precision, self.device):
            y: Tensor = module(self.inputs())[0]
        return y

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Sets the precision of products, and the backend where one is named."""
        before = os.environ.get(VARIABLE)
        if self.backend is not None:
            os.environ[VARIABLE] = self.backend
        try:
            with matmul_precision(self.matmul_precision):
                yield
        finally:
            if self.backend is not None:
                os.environ.pop(VARIABLE)
                os.environ.update({} if before is None else {VARIABLE: before})


def cases(settings: ProfileSettings, time: int, device: str) -> list[BenchmarkCase]:
    """The baseline, then each architecture; those of finite reach cover the length, as in a comparison.

    Raises:
        UserError: if a name or an option is unknown, or one cannot be built.
    """
    return [*_cases(settings, time, device)]


def _cases(settings: ProfileSettings, time: int, device: str) -> Iterator[BenchmarkCase]:
    sizes = {"time": time, "batch": settings.batch_size, "input_size": settings.input_size, "device": device}
    sizes |= {"precision": settings.precision, "matmul_precision": settings.matmul_precision}
    yield BenchmarkCase(name=BASELINE, hidden_size=settings.hidden_size, **sizes)  # type: ignore[arg-type]
    for name in settings.architectures:
        with user_errors(f"architecture {name}"):
            known, kinds = architectures.options(name), typing.get_type_hints(load(name).__init__)
            chosen = {"hidden_size": settings.hidden_size, "reach": time}
            given = settings.architecture.get(name, {})
            options = {key: value for key, value in chosen.items() if key in known}
            options |= {key: coerce(value, kinds.get(key)) for key, value in given.items()}
            subject = BenchmarkCase(name=name, hidden_size=settings.hidden_size, options=plain(options), **sizes)  # type: ignore[arg-type]
            subject.build()
        yield subject
