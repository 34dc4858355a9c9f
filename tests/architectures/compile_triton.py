"""Compilation of the Triton kernels for GPUs that need not be present; prints each kernel's resources as a JSON line.

Runs in a process of its own, since Triton does not compile where it interprets kernels. Requests are JSON lines on
stdin.
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
from architectures.kernels.triton_passes import Precision, max_registers, tile_config

NUMBERS = {"time", "batch", "units", "hidden_row", "averages_row"}


def compile_kernel(
    kernel: Any, units: int, gates: int, precision: Precision, capability: int, shared: int, options: dict[str, Any]
) -> Any:
    """Compiles a kernel for a GPU of this capability (80: A100, 90: H100), as for a launch with PyTorch's tensors."""
    constants = options | {"DISCOUNTED": gates == 3} | tile_config(units, gates, precision, shared)
    launch_options = {name: constants.pop(name, None) for name in ("num_warps", "maxnreg")}
    operand = {"bf16": "*bf16", "fp16": "*fp16"}.get(precision, "*fp32")
    names = list(kernel.arg_names)

    def argument_type(name: str) -> str:
        if name in constants:
            return "constexpr"
        if name in NUMBERS or name.endswith(("_row", "_step")):
            return "i32"
        return operand if name == "weight" else "*fp32"

    types = {name: argument_type(name) for name in names}
    # h lies beside the input in memory, and without tanh r is h: its address and row stride are any numbers.
    unaligned = {"hidden", "hidden_row"} | (set() if constants["HIDDEN_TANH"] else {"averages", "averages_row"})
    dense = {"units", "averages_row"} | {name for name in names if name.startswith("of_")}
    candidates = {name for name in names if types[name].startswith("*")} | (dense if units % 16 == 0 else set())
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name in names if name in candidates - unaligned}
    source = ASTSource(kernel, types, {(names.index(name),): value for name, value in constants.items()}, aligned)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=launch_options)


def resource_usage(cubin: bytes) -> dict[str, int]:
    """Returns the registers of a thread, and the bytes of its stack, to which others are spilled."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    registers, stack = re.findall(r"\b(?:REG|STACK):(\d+)", output)
    return {"registers": int(registers), "stack": int(stack)}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        common = {name: request[name] for name in ("ATTENTION", "HIDDEN_TANH")}
        sizes = request["units"], request["gates"], request["precision"], request["capability"], request["shared"]
        kernels = (
            (forward, {"KEEP": True, "ALL_LOGS": False}),
            (backward, {"OF_H": True, "OF_R": True, "OF_L": True, "maxnreg": max_registers(request["units"])}),
        )
        for kernel, options in kernels:
            compiled_kernel = compile_kernel(kernel, *sizes, common | options)
            ptx = compiled_kernel.asm["ptx"]
            report = {
                "kernel": kernel.__name__,
                "shared": compiled_kernel.metadata.shared,
                "matrix_units": len(re.findall(r"\bw?g?mma\.", ptx)),
                # Only barriers of the kernel's source: the compiler adds its own, for moves between layouts, later.
                "barriers": len(re.findall(r"\b(?:gpu|ttg)\.(?:local_)?barrier\b", compiled_kernel.asm["ttgir"])),
                "copies_ahead": compiled_kernel.asm["ttgir"].count("async_copy_global_to_local"),
                **resource_usage(compiled_kernel.asm["cubin"]),
            }
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
