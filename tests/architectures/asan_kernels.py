"""The compiled kernels under AddressSanitizer, on 400 seeded shapes.

    make test-asan

The kernels write to memory by addresses that they compute themselves, and a write beside it may go unnoticed. Here they
are built with a check of every access (`-fsanitize=address`), in a folder of their own, through `CXXFLAGS`, which
`native_build.py` adds to its options. The check's library has to be loaded before Python's own, so this process starts
another one with `LD_PRELOAD`, which runs the shapes and is ended, with a report, at the first access beside a block.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from architectures.kernels import linear_scan, native, native_build
from architectures.kernels.convolution import TAPS, short_convolution
from architectures.kernels.native import Cell

SHAPES = 400
SEED = 0
BLOCKS: dict[Cell, tuple[int, int, int]] = {
    "rwa": (3, 2, 2),
    "rda": (4, 3, 2),
    "slstm": (4, 4, 3),
    "gru": (4, 3, 1),
    "rnn": (1, 1, 1),
    "lstm": (4, 4, 2),
    "lstm-3": (3, 3, 2),
    "lstm-peephole": (4, 4, 5),
    "lstm-peephole-3": (3, 3, 5),
}
"""For each cell the blocks of columns in weight_x and in weight_h, and the tensors of its state."""
NUMBERS: dict[Cell, tuple[int, ...]] = {
    **dict.fromkeys(("rwa", "rda"), (0, 1, 2, 3)),
    "slstm": (0, 1),
    **dict.fromkeys(("lstm", "lstm-peephole"), (7,)),
    **dict.fromkeys(("lstm-3", "lstm-peephole-3"), (0, 1, 3, 5, 6, 10, 14)),
}
"""For a cell that has options, the choices of the first: attention functions, or the LSTM's parts."""
FLAGS = "-fsanitize=address -fno-omit-frame-pointer -g -O1"
RUNTIMES = ("libasan.so", "libclang_rt.asan-x86_64.so", "libclang_rt.asan-aarch64.so")
"""AddressSanitizer's library, as GCC and as Clang call it."""
CHILD = "--child"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes and options of one run of a kernel."""

    cell: Cell
    dtype: torch.dtype
    batch: int
    time: int
    inputs: int
    units: int
    threads: int
    options: tuple[int, bool, bool]
    strided: bool
    """Whether operands are slices of larger tensors, transposed."""


def draw_shapes(count: int, seed: int) -> Iterator[Shape]:
    """Yields seeded shapes; units and rows lie around the widths of vectors and tiles more often than elsewhere."""
    rng = random.Random(seed)
    for _ in range(count):
        cell = rng.choice(list(BLOCKS))
        numbers = NUMBERS.get(cell)
        yield Shape(
            cell=cell,
            dtype=rng.choice([torch.float32, torch.float64]),
            batch=rng.choice([1, 2, 3, 7, 8, 9, 12, 13, rng.randint(1, 40)]),
            time=rng.choice([1, 2, rng.randint(1, 20)]),
            inputs=rng.choice([1, 2, 3, 16, rng.randint(1, 40)]),
            units=rng.choice([1, 7, 8, 9, 15, 16, 17, 31, 32, 33, rng.randint(1, 80)]),
            threads=rng.choice([1, 2, 5]),
            options=(rng.choice(numbers), rng.random() < 0.5, rng.random() < 0.5) if numbers else native.NO_OPTIONS,
            strided=rng.random() < 0.5,
        )


def run_shape(shape: Shape, seed: int) -> None:
    """Runs a kernel forward, backward with each set of gradients that may arrive, and without gradients.

    Raises:
        AssertionError: if a result has the wrong shape, or without gradients differs from that with them.
    """
    x_blocks, h_blocks, states = BLOCKS[shape.cell]
    generator = torch.Generator().manual_seed(seed)

    def operand(*sizes: int) -> Tensor:
        if not shape.strided:
            return torch.randn(sizes, dtype=shape.dtype, generator=generator)
        larger = torch.randn([size + 2 for size in reversed(sizes)], dtype=shape.dtype, generator=generator)
        return larger.permute(*reversed(range(len(sizes))))[tuple(slice(1, 1 + size) for size in sizes)]

    operands = (
        operand(shape.batch, shape.time, shape.inputs),
        operand(shape.inputs, x_blocks * shape.units),
        operand(x_blocks * shape.units),
        operand(shape.units, h_blocks * shape.units) / shape.units**0.5,
        operand(states, shape.batch, shape.units),
    )
    torch.set_num_threads(shape.threads)
    expected, _ = native.run_cell(shape.cell, *operands, options=shape.options)
    torch.ops.sequence_workbench.run(shape.cell, *operands, *shape.options, False, True)
    x, weight_x, bias, weight_h, start = (value.detach().requires_grad_() for value in operands)
    leaves = (x, weight_x, bias, weight_h, start)
    y, last = native.run_cell(shape.cell, *leaves, options=shape.options)
    assert torch.equal(y, expected), shape
    of_y = operand(shape.batch, shape.time, shape.units)
    for loss in ((y * of_y).sum(), last.sum(), y.sum() + last.sum()):
        grads = torch.autograd.grad(loss, leaves, retain_graph=True)
        assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves], shape
    torch.autograd.grad(y.sum(), leaves[1:])
    run_scan(operand(shape.batch, shape.time, 2 * shape.units), operand(shape.batch, 2 * shape.units), shape)
    run_convolution(
        operand(shape.batch, shape.time, shape.units),
        operand(shape.batch, TAPS - 1, shape.units),
        operand(TAPS, shape.units),
        shape,
    )


def run_scan(b: Tensor, start: Tensor, shape: Shape) -> None:
    """Runs the linear recurrence, real and complex, with factors of every step and with constant ones."""
    for factors in (b.sigmoid(), b[0, 0].sigmoid()):
        for is_complex in (False, True):
            leaves = [value.detach().requires_grad_() for value in (factors, b, start)]
            h = linear_scan(leaves[0], leaves[1], leaves[2], is_complex=is_complex, backend="compiled")
            grads = torch.autograd.grad(h.square().sum(), leaves)
            assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves], shape


def run_convolution(x: Tensor, past: Tensor, weight: Tensor, shape: Shape) -> None:
    """Runs the convolution, with and without a bias."""
    for bias in (None, weight[0]):
        leaves = [value.detach().requires_grad_() for value in (x, past, weight)]
        y = short_convolution(leaves[0], leaves[1], leaves[2], bias, backend="compiled")
        grads = torch.autograd.grad(y.square().sum(), leaves)
        assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves], shape


def run_child() -> None:
    """Runs all shapes, in the process that has AddressSanitizer loaded."""
    if (reason := native.unavailable_reason()) is not None:
        raise SystemExit(f"the kernels cannot be built with AddressSanitizer: {reason}")
    library = native_build.find_or_build_library()
    if b"__asan_report" not in library.read_bytes():
        raise SystemExit(f"{library} was built without AddressSanitizer: nothing would be checked")
    for seed, shape in enumerate(draw_shapes(SHAPES, SEED)):
        run_shape(shape, seed)
    print(f"{SHAPES} shapes without an access beside a block of memory")


def find_runtime(compiler: str) -> list[str]:
    """Returns the libraries to load first: AddressSanitizer's, and C++'s, whose exceptions it has to find.

    Raises:
        SystemExit: if the compiler has no AddressSanitizer.
    """
    found = []
    for names in (RUNTIMES, ("libstdc++.so.6",)):
        # A compiler prints the name itself if it has no such file.
        paths = (native_build.run_compiler([compiler, f"-print-file-name={name}"]).strip() for name in names)
        found += [path for path in paths if Path(path).is_absolute()][:1]
    if not found or "asan" not in found[0]:
        raise SystemExit(f"{compiler} has no AddressSanitizer; install it (libasan), or name another compiler with CXX")
    return found


def main() -> int:
    """Builds the kernels with AddressSanitizer, runs all shapes in another process, and returns its exit status."""
    compiler = native_build.find_compiler()
    cache = tempfile.mkdtemp(prefix="workbench-asan-")
    try:
        environment = {
            **os.environ,
            "LD_PRELOAD": " ".join(find_runtime(compiler)),
            # Python and PyTorch keep memory to their end on purpose.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=1",
            "CXXFLAGS": f"{os.environ.get('CXXFLAGS', '')} {FLAGS}",
            native_build.CACHE_VARIABLE: cache,
        }
        return subprocess.run([sys.executable, "-m", __spec__.name, CHILD], env=environment).returncode
    finally:
        shutil.rmtree(cache, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == [CHILD]:
        run_child()
    else:
        sys.exit(main())
