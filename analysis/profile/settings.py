"""Settings of a profile, validated."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import architectures
from architectures.limits import MAX_STEPS, quote
from workbench.config import MAX_THREADS, Precision
from workbench.devices import MatmulPrecision
from workbench.errors import UserError
from workbench.flat_config import check_names
from workbench.validation import check_choice, check_int, check_size

Device = Literal["auto", "cpu", "cuda"]
MAX_LENGTHS = 100
"""Most lengths of a profile."""
MAX_REPEATS = 100_000
"""Most rounds of a measurement."""
MemoryPolicy = Literal["kept", "returned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettings:
    """The architectures and sizes to measure, and the device to measure them on.

    Args:
        architectures: names, separated by commas; by default, the whole catalogue.
        lengths: steps of a sequence; several are separated by commas.
        batch_size: sequences in a batch.
        hidden_size: units of every architecture, unless its own options differ.
        input_size: features per step.
        repeats: rounds, each of which times everything once; intervals need six or more.
        threads: CPU threads.
        device: auto uses a GPU if there is one.
        precision: float32, or bf16 for PyTorch's autocast to bfloat16.
        matmul_precision: PyTorch's precision of float32 products; except at highest, cuDNN uses TF32 too.
        memory: on a CPU, whether freed memory is kept for the next step, as in training, or returned to the system.
    """

    architectures: tuple[str, ...] = architectures.names()
    lengths: tuple[int, ...] = (200,)
    batch_size: int = 20
    hidden_size: int = 64
    input_size: int = 2
    repeats: int = 10
    threads: int = 2
    device: Device = "auto"
    precision: Precision = "float32"
    matmul_precision: MatmulPrecision = "highest"
    memory: MemoryPolicy = "kept"
    architecture: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of single architectures, by name."""

    def __post_init__(self) -> None:
        check_names("architecture", self.architectures, self.architecture, "profiled")
        if not isinstance(self.lengths, list | tuple):
            raise UserError(f"lengths must be a list of whole numbers, not {quote(self.lengths)}")
        if not self.lengths:
            raise UserError("name at least one length: --lengths 200,1000")
        if len(self.lengths) > MAX_LENGTHS:
            raise UserError(f"a profile has at most {MAX_LENGTHS} lengths, not {len(self.lengths)}")
        for length in self.lengths:
            check_size("lengths", length, most=MAX_STEPS)
            if self.lengths.count(length) > 1:
                raise UserError(f"length {length} is named {self.lengths.count(length)} times; once is enough")
        for name in ("batch_size", "hidden_size", "input_size"):
            check_size(name, getattr(self, name))
        check_int("repeats", self.repeats, least=1, most=MAX_REPEATS, why="a median needs no more rounds")
        check_int("threads", self.threads, least=1, most=MAX_THREADS)
        check_choice("device", self.device, Device)
        check_choice("precision", self.precision, Precision)
        check_choice("matmul_precision", self.matmul_precision, MatmulPrecision)
        check_choice("memory", self.memory, MemoryPolicy)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON can hold."""
        return dataclasses.asdict(self)
