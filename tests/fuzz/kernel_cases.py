"""Operands of the compiled kernels, right and wrong, against the eager reference: values and gradients.

    python -m tests.fuzz.kernel_cases --seed 17                  one case
    python -m tests.fuzz.kernel_cases --first 0 --count 400      many, with what is wrong with any

A case is an encoder, a batch with strides of its own, perhaps lengths, a state, NaN or infinity in places, and perhaps
something that does not fit. Both backends refuse it with the same message, or both compute the same numbers.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

import architectures
from architectures import Encoder, State, map_state
from architectures.kernels import native
from architectures.kernels.dispatch import BACKEND_VARIABLE
from architectures.state import iter_tensors
from tests.fuzz.command_lines import add_seed_options

SCANNED = ("mingru", "minlstm")
NAMES = ("rnn", "gru", "rwa", "rda", "slstm", *SCANNED)
"""Architectures with compiled kernels."""
REFUSALS = (ValueError, TypeError)
MAX_MESSAGE = 300
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-4, torch.float16: 2e-3}
"""Share of the largest number, by which results may differ; some gradients are sums that all but cancel. For bfloat16
both backends are the same, except for a scan, which is computed in float32 and rounded, once in each layer: to 8 digits
of 2, times the layers. With two of them, both backends have been as far from double precision as from each other."""
WRONGS = (
    *(
        "numpy",
        "list",
        "nested",
        "sparse",
        "2-d",
        "4-d",
        "features",
        "empty batch",
        "empty time",
        "dtype",
        "whole numbers",
    ),
    *("state of another batch", "state of another width", "state of another type", "state of too many parts"),
    *("state in a list", "state of numbers", "lengths of another batch", "lengths with a point", "lengths too long"),
    *("lengths below 0", "lengths in a list", "complex", "flags"),
)
"""What may not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An encoder, and what it is called with."""

    seed: int
    name: str
    batch: int
    time: int
    inputs: int
    units: int
    dtype: torch.dtype
    layout: str
    """How x lies in memory."""
    lengths: bool
    state: bool
    threads: int
    odd: float | None = None
    """A number that is not finite, somewhere in x."""
    wrong: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def make_case(seed: int) -> Case:
    """Returns the case of a seed; sizes lie around the widths of vectors and tiles more often than elsewhere."""
    rng = Random(f"kernel {seed}")
    name = rng.choice(NAMES)
    options: dict[str, Any] = {"num_layers": rng.choice((1, 1, 1, 2)), "learn_initial_state": rng.random() < 0.3}
    if name == "rda":
        options |= {"attention": rng.choice(("exp", "sigmoid", "softplus", "relu"))}
        options |= {key: rng.choice(("tanh", "identity")) for key in ("hidden", "output")}
    return Case(
        seed=seed,
        name=name,
        batch=rng.choice((1, 2, 3, 7, 8, 9, 12, 13, rng.randint(1, 40))),
        time=rng.choice((1, 2, 5, rng.randint(1, 20))),
        inputs=rng.choice((1, 2, 3, 16, rng.randint(1, 40))),
        units=rng.choice((1, 7, 8, 9, 15, 16, 17, 31, 32, 33, rng.randint(1, 70))),
        dtype=rng.choice((torch.float32, torch.float32, torch.float64, torch.float64, torch.float16, torch.bfloat16)),
        layout=rng.choice(("plain", "transposed", "slice", "flipped", "expanded", "strided")),
        lengths=rng.random() < 0.3,
        state=rng.random() < 0.4,
        threads=rng.choice((1, 2, 5)),
        odd=rng.choice((float("inf"), float("-inf"), float("nan"))) if rng.random() < 0.25 else None,
        wrong=rng.choice(WRONGS) if rng.random() < 0.3 else None,
        options=options,
    )


def lay_out(x: Tensor, layout: str) -> Tensor:
    """Returns the same numbers, lying differently in memory."""
    match layout:
        case "transposed":
            return x.permute(2, 0, 1).contiguous().permute(1, 2, 0)
        case "slice":
            larger = x.new_zeros([size + 3 for size in x.shape])
            larger[1:-2, 1:-2, 1:-2] = x
            return larger[1:-2, 1:-2, 1:-2]
        case "flipped":
            return x.flip(1).contiguous().flip(1)
        case "expanded":
            return x[:1].expand_as(x)
        case "strided":
            wider = x.new_zeros(x.shape[0], 2 * x.shape[1], x.shape[2])
            wider[:, ::2] = x
            return wider[:, ::2]
    return x


def build_arguments(case: Case, encoder: Encoder) -> tuple[Any, State, Any]:
    """Returns x, the state and the lengths of a case."""
    generator = torch.Generator().manual_seed(case.seed)
    x = torch.randn(case.batch, case.time, case.inputs, generator=generator, dtype=torch.float64)
    if case.odd is not None:
        rng = Random(case.seed)
        x[rng.randrange(case.batch), rng.randrange(case.time), rng.randrange(case.inputs)] = case.odd
    x = lay_out(x.to(case.dtype), case.layout)
    state: State = None
    if case.state or (case.wrong or "").startswith("state"):
        with torch.no_grad():
            state = encoder(torch.ones(case.batch, 2, case.inputs, dtype=case.dtype))[1]
    lengths: Any = None
    if case.lengths or (case.wrong or "").startswith("lengths"):
        lengths = torch.randint(0, case.time + 1, (case.batch,), generator=generator)
    return spoil(case, x, state, lengths)


def spoil(case: Case, x: Tensor, state: State, lengths: Any) -> tuple[Any, Any, Any]:
    """Returns the arguments with what does not fit in them."""
    changed: Any = x
    match case.wrong:
        case "numpy":
            changed = np.zeros((case.batch, case.time, case.inputs), dtype=np.float32)
        case "list":
            changed = [[[0.0] * case.inputs] * case.time] * case.batch
        case "nested":
            changed = torch.nested.nested_tensor([row.clone() for row in x], layout=torch.jagged)
        case "sparse":
            changed = x.to_sparse()
        case "2-d":
            changed = x[0]
        case "4-d":
            changed = x[None]
        case "features":
            changed = torch.cat([x, x], dim=2)
        case "empty batch":
            changed = x[:0]
        case "empty time":
            changed = x[:, :0]
        case "dtype":
            changed = x.to(torch.float32 if case.dtype == torch.float64 else torch.float64)
        case "whole numbers":
            changed = x.nan_to_num(0, 0, 0).long()
        case "complex":
            changed = x.to(torch.complex64)
        case "flags":
            changed = x > 0
        case "state of another batch":
            state = map_state(lambda part: torch.cat([part, part]), state)
        case "state of another width":
            state = map_state(lambda part: torch.cat([part, part], dim=-1), state)
        case "state of another type":
            state = map_state(lambda part: part.to(torch.int32), state)
        case "state of too many parts":
            state = (*state, *state) if isinstance(state, tuple) else (state, state)
        case "state in a list":
            state = [state]  # type: ignore[assignment]
        case "state of numbers":
            state = (1.0, 2.0)  # type: ignore[assignment]
        case "lengths of another batch":
            lengths = torch.cat([lengths, lengths])
        case "lengths with a point":
            lengths = lengths.double()
        case "lengths too long":
            lengths = lengths + case.time + 1
        case "lengths below 0":
            lengths = lengths - case.time - 1
        case "lengths in a list":
            lengths = lengths.tolist()
    return changed, state, lengths


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Chooses the backend of the recurrences, by the environment."""
    before = os.environ.get(BACKEND_VARIABLE)
    os.environ[BACKEND_VARIABLE] = name
    try:
        yield
    finally:
        os.environ.pop(BACKEND_VARIABLE)
        os.environ.update({} if before is None else {BACKEND_VARIABLE: before})


def compute(case: Case, encoder: Encoder, x: Any, state: State, lengths: Any) -> list[Tensor] | str:
    """Returns the outputs, the state and the gradients; or the error that refused the arguments, as text.

    Raises:
        AssertionError: if the error is not of the kinds that refuse arguments, or not in one short line.
    """
    if isinstance(x, Tensor) and x.is_floating_point() and x.layout is torch.strided and not x.is_nested:
        x = x.detach().requires_grad_()
    for parameter in encoder.parameters():
        parameter.grad = None
    try:
        y, new_state = encoder(x, state, lengths)
    except REFUSALS as error:
        message = str(error)
        assert message.isprintable(), f"a message with control characters: {message!r}"
        assert 0 < len(message) <= MAX_MESSAGE, f"a message of {len(message)} characters: {message[:300]}"
        return f"{type(error).__name__}: {message}"
    loss = y.float().square().sum() + sum(part.clamp(min=-10).float().sum() for part in iter_tensors(new_state))
    loss.backward()
    grads = [x.grad, *(parameter.grad for parameter in encoder.parameters())]
    return [
        part.detach().double().nan_to_num(nan=float("nan"), posinf=float("inf"), neginf=float("-inf"))
        for part in (y, *iter_tensors(new_state), *(grad for grad in grads if grad is not None))
    ]


def run_case(case: Case) -> str | None:
    """Returns what is wrong with a case; `None` if nothing is."""
    torch.manual_seed(case.seed)
    encoder = architectures.build(case.name, case.inputs, hidden_size=case.units, **case.options).to(case.dtype)
    threads = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        arguments = build_arguments(case, encoder)
        results = []
        for name in ("auto", "eager"):
            with backend(name):
                results.append(compute(case, encoder, *arguments))
    except AssertionError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        torch.set_num_threads(threads)
    fast, reference = results
    if isinstance(fast, str) or isinstance(reference, str):
        if fast == reference:
            return None if case.wrong is not None else f"refused, though it is right: {fast}"
        said = [result if isinstance(result, str) else "accepted" for result in results]
        return f"compiled: {said[0]}; eager: {said[1]}"
    return compare(case, fast, reference)


def compare(case: Case, fast: Sequence[Tensor], reference: Sequence[Tensor]) -> str | None:
    """Returns where two results differ; `None` if they agree."""
    for index, (one, other) in enumerate(zip(fast, reference, strict=True)):
        if one.shape != other.shape:
            return f"result {index} is of shape {tuple(one.shape)}, not {tuple(other.shape)}"
        # Where an infinite input leaves the reference without a number, the kernel may still have one.
        finite = other.isfinite()
        if bool((finite & ~one.isfinite()).any()):
            count = int((finite & ~one.isfinite()).sum())
            return f"result {index} is not finite where the reference is, in {count} of {one.numel()} numbers"
        scale = max(1.0, float(other[finite].abs().max())) if bool(finite.any()) else 1.0
        difference = float((one[finite] - other[finite]).abs().max()) / scale if bool(finite.any()) else 0.0
        rounded = 2.0**-8 * case.options["num_layers"] if case.name in SCANNED else 0.0
        tolerance = TOLERANCE.get(case.dtype, rounded)
        if difference > tolerance:
            return f"result {index} differs by {difference:.2g} of its largest number, more than {tolerance:g}"
    return None


def find_faults(seeds: Sequence[int]) -> Iterator[str]:
    """Yields what is wrong with the cases of some seeds, with the command that repeats each."""
    for seed in seeds:
        case = make_case(seed)
        if (fault := run_case(case)) is not None:
            yield f"python -m tests.fuzz.kernel_cases --seed {seed}:\n{case}\n{fault}"


def run_fuzzer(arguments: Sequence[str] | None = None) -> int:
    """Runs cases, and prints what is wrong with them; returns 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kernel_cases")
    add_seed_options(parser)
    values = parser.parse_args(arguments)
    if (reason := native.unavailable_reason()) is not None:
        print(f"there are no compiled kernels here: {reason}")
        return 1
    if values.seed is not None:
        print(make_case(values.seed))
    seeds = range(values.first, values.first + values.count) if values.seed is None else [values.seed]
    faults = 0
    for fault in find_faults(seeds):
        faults += 1
        print(f"{fault}\n", flush=True)
    print(f"{len(seeds)} kernel cases, {faults} with faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(run_fuzzer())
