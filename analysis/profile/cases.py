"""Benchmark cases: an encoder, or the baseline, with a batch to run it on."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import architectures
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Workload
from architectures.kernels.dispatch import BACKEND_VARIABLE
from architectures.option_values import read_values, write_values
from architectures.recurrent import lacks_bfloat16
from architectures.registry import load_encoder_class
from workbench.config import Precision
from workbench.custom_parts import user_errors
from workbench.devices import MatmulPrecision, autocast, matmul_precision
from workbench.memory_needs import NUMBER, refuse_beyond
from workbench.model import count_trainable_parameters

BASELINE = "torch.nn.LSTM"
"""Name of the baseline, PyTorch's own LSTM."""
SEED = 0
"""Seed of weights and inputs, on which times do not depend."""


class PlainLSTM(nn.LSTM):
    """`torch.nn.LSTM`, in float32 where its processor has no LSTM of bfloat16; tables say the type of the output."""

    def forward(self, *inputs: Any) -> Any:
        """Returns the outputs and the last state of what `torch.nn.LSTM` takes: x, or x and a state."""
        x: Tensor = inputs[0]
        if x.device.type == "cpu" and lacks_bfloat16(self, x):
            with torch.autocast("cpu", enabled=False):
                return super().forward(*inputs)
        return super().forward(*inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkCase:
    """One architecture at one length, as plain values that can be passed to another process."""

    name: str
    """`BASELINE`, or the name of an architecture."""
    time: int
    """Steps of a sequence."""
    batch: int
    """Sequences in a batch."""
    input_size: int
    hidden_size: int
    device: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the architecture."""
    precision: Precision = "float32"
    matmul_precision: MatmulPrecision = "highest"
    backend: str | None = None
    """Backend of the recurrences; by default the one that the environment selects."""

    def build(self) -> nn.Module:
        """Returns the module, on its device and in training mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            module = self.make_module()
        return module.to(self.device).train()

    def make_module(self) -> nn.Module:
        """Returns the module, on PyTorch's default device."""
        if self.name == BASELINE:
            return PlainLSTM(self.input_size, self.hidden_size, batch_first=True)
        return architectures.build(self.name, self.input_size, **self.options)

    def inputs(self, batch: int | None = None) -> Tensor:
        """Returns noise as data, (batch, time, input_size), without a gradient."""
        shape = (batch or self.batch, self.time, self.input_size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(SEED)).to(self.device)

    def workloads(self, module: nn.Module) -> tuple[Workload, Workload]:
        """Returns what is timed.

        Returns:
            A forward pass as in evaluation, without a graph; and a forward and backward pass as in training, from a
            fixed gradient of all outputs to the gradients of all parameters.
        """
        x = self.inputs()
        y = self.output(module)
        gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(SEED + 1)).to(y)

        def forward() -> None:
            with self.numerics(), torch.no_grad(), autocast(self.precision, self.device):
                module(x)

        def train() -> None:
            with self.numerics():
                with autocast(self.precision, self.device):
                    y = module(x)[0]
                torch.autograd.backward(y, gradient)

        return Workload(run=forward), Workload(run=train, prepare=lambda: module.zero_grad(set_to_none=True))

    def output(self, module: nn.Module) -> Tensor:
        """Returns the output in evaluation, (batch, time, units)."""
        with self.numerics(), torch.no_grad(), autocast(self.precision, self.device):
            y: Tensor = module(self.inputs())[0]
        return y

    @contextmanager
    def numerics(self) -> Iterator[None]:
        """Applies the precision of products, and the backend if one is named."""
        before = os.environ.get(BACKEND_VARIABLE)
        if self.backend is not None:
            os.environ[BACKEND_VARIABLE] = self.backend
        try:
            with matmul_precision(self.matmul_precision):
                yield
        finally:
            if self.backend is not None:
                os.environ.pop(BACKEND_VARIABLE)
                os.environ.update({} if before is None else {BACKEND_VARIABLE: before})


def check_memory(case: BenchmarkCase) -> None:
    """Refuses a case whose weights, gradients and data are more than the machine has memory for.

    Raises:
        UserError: that says how much it needs.
    """
    try:
        with torch.device("meta"):
            module = case.make_module()
    except NotImplementedError:
        # The constructor of a custom one that reads values.
        return
    numbers = case.batch * case.time * (case.input_size + getattr(module, "output_size", case.hidden_size))
    needs = {
        f"the weights and their gradients (hidden_size {case.hidden_size})": 2 * count_trainable_parameters(module),
        f"a batch ({case.batch:,} sequences of {case.time:,} steps)": numbers,
    }
    refuse_beyond({name: NUMBER * count for name, count in needs.items()}, case.name, case.device)


def build_cases(settings: ProfileSettings, time: int, device: str) -> list[BenchmarkCase]:
    """Returns the baseline, then each architecture; those with a finite reach cover the length, as in a comparison.

    Raises:
        UserError: if a name or an option is unknown, or an architecture cannot be built.
    """
    sizes: dict[str, Any] = {"time": time, "batch": settings.batch_size, "input_size": settings.input_size}
    sizes |= {"hidden_size": settings.hidden_size, "device": device}
    sizes |= {"precision": settings.precision, "matmul_precision": settings.matmul_precision}
    cases = [BenchmarkCase(name=BASELINE, **sizes)]
    check_memory(cases[0])
    for name in settings.architectures:
        with user_errors(f"architecture {name}"):
            accepted = architectures.options(name)
            constructor = load_encoder_class(name).__init__
            defaults = {key: parameter.default for key, parameter in accepted.items()}
            # Half of the steps are a source, where there is one.
            widths = {"hidden_size": settings.hidden_size, "reach": time, "source": max(1, time // 2)}
            values = {key: value for key, value in widths.items() if key in accepted}
            values |= read_values(settings.architecture.get(name, {}), constructor, defaults)
            case = BenchmarkCase(name=name, options=write_values(values, constructor, defaults), **sizes)
            check_memory(case)
            case.build()
        cases.append(case)
    return cases
