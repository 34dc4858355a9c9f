"""Compiles the Triton kernels for GPUs that are not there, and prints what each takes, a line of JSON a kernel.

Runs in a process of its own: where Triton interprets kernels, it does not compile them.
"""

import json
import re
import subprocess
import sys
import tempfile
from typing import Any

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from architectures.kernels.triton_backward import backward
from architectures.kernels.triton_forward import forward
from architectures.kernels.triton_passes import Precision, registers, tiles

NUMBERS = {"time", "batch", "units", "hidden_row", "averages_row"}


def compiled(
    kernel: Any, units: int, gates: int, precision: Precision, capability: int, shared: int, options: dict[str, Any]
) -> Any:
    """A kernel for a GPU of this capability (80: A100, 90: H100), as PyTorch's tensors would have it compiled."""
    constants = options | {"DISCOUNTED": gates == 3} | tiles(units, gates, precision, shared)
    asked = {name: constants.pop(name, None) for name in ("num_warps", "maxnreg")}
    operand = {"bf16": "*bf16", "fp16": "*fp16"}.get(precision, "*fp32")
    names = list(kernel.arg_names)

    def kind(name: str) -> str:
        if name in constants:
            return "constexpr"
        if name in NUMBERS or name.endswith(("_row", "_step")):
            return "i32"
        return operand if name == "weight" else "*fp32"

    kinds = {name: kind(name) for name in names}
    # h lies beside the input, and without tanh r is h: where it begins, and how far apart its rows are, is any number.
    beside = {"hidden", "hidden_row"} | (set() if constants["HIDDEN_TANH"] else {"averages", "averages_row"})
    dense = {"units", "averages_row"} | {name for name in names if name.startswith("of_")}
    known = {name for name in names if kinds[name].startswith("*")} | (dense if units % 16 == 0 else set())
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name in names if name in known - beside}
    source = ASTSource(kernel, kinds, {(names.index(name),): value for name, value in constants.items()}, aligned)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=asked)


def taken(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of its stack, where what they have no room for lies."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    registers, stack = re.findall(r"\b(?:REG|STACK):(\d+)", told)
    return {"registers": int(registers), "stack": int(stack)}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        common = {name: asked[name] for name in ("ATTENTION", "HIDDEN_TANH")}
        sizes = asked["units"], asked["gates"], asked["precision"], asked["capability"], asked["shared"]
        both = (
            (forward, {"KEEP": True, "ALL_LOGS": False}),
            (backward, {"OF_H": True, "OF_R": True, "OF_L": True, "maxnreg": registers(asked["units"])}),
        )
        for kernel, options in both:
            made = compiled(kernel, *sizes, common | options)
            ptx = made.asm["ptx"]
            told = {
                "kernel": kernel.__name__,
                "shared": made.metadata.shared,
                "matrix_units": len(re.findall(r"\bw?g?mma\.", ptx)),
                # Those of ours: the compiler's own, for its moves between layouts, come later.
                "barriers": len(re.findall(r"\b(?:gpu|ttg)\.(?:local_)?barrier\b", made.asm["ttgir"])),
                "copies_ahead": made.asm["ttgir"].count("async_copy_global_to_local"),
                **taken(made.asm["cubin"]),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
