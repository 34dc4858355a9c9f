"""Recording of the losses of five training steps of every architecture, with which a test compares.

    python -m tests.architectures.record_golden [NAME ...]

Without a name it records those of new architectures. Name others only where a change is meant to change their numbers,
and say so in the change.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

import architectures
from tests.architectures.cases import DEFAULT_CASES

GOLDEN = Path(__file__).with_name("golden.json")
BATCH, TIME, STEPS = 8, 16, 5


@contextmanager
def double_precision() -> Iterator[None]:
    """Makes double precision the default, also for random numbers: in single precision they differ between
    processors."""
    kind = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(kind)


def addition() -> tuple[Tensor, Tensor]:
    """Returns a batch of the addition task: numbers in [0, 1] beside two marks, and the sum of the marked numbers."""
    numbers, marks = torch.rand(BATCH, TIME), torch.zeros(BATCH, TIME)
    marks.scatter_(1, torch.rand(BATCH, TIME).argsort(1)[:, :2], 1.0)
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(1)


def losses(name: str) -> list[float]:
    """Returns the mean squared error before each of the steps of Adam."""
    options = next(case.options for case in DEFAULT_CASES if case.name == name)
    with double_precision():
        encoder = architectures.build(name, 2, **options)
        readout = nn.Linear(encoder.output_size, 1)
        optimiser = torch.optim.Adam([*encoder.parameters(), *readout.parameters()], lr=1e-2)
        recorded = []
        for _ in range(STEPS):
            x, target = addition()
            y, _ = encoder(x)
            loss = (readout(y[:, -1]).squeeze(1) - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            recorded.append(loss.item())
    return recorded


def main(chosen: Sequence[str]) -> None:
    """Records the losses of the architectures of these names, and of all that have none yet."""
    recorded: dict[str, list[float]] = json.loads(GOLDEN.read_text())
    names = architectures.names()
    losses_of = {name: losses(name) if name in chosen or name not in recorded else recorded[name] for name in names}
    GOLDEN.write_text(json.dumps(losses_of, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
