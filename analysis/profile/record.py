"""What a profile has found, and its plain form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analysis.profile.machine import Peak
from analysis.profile.settings import Settings
from analysis.profile.spread import Spread
from analysis.profile.work import Amount

KIND = "workbench profile"
"""What its file says of itself."""
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A pass over a batch of sequences."""

    amount: Amount | None
    """For a step of one sequence; `None` where it is not known."""
    seconds: tuple[float, ...]
    """By round."""
    taken: Spread
    """Seconds."""
    ratio: Spread
    """To the baseline's seconds of the same round."""

    def gflops(self, steps: int) -> float | None:
        """10^9 operations a second, over so many steps of all sequences together."""
        return None if self.amount is None else 2 * self.amount.multiply_adds * steps / self.taken.median / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One architecture at one length."""

    architecture: str
    options: Mapping[str, Any]
    length: int
    batch: int
    parameters: int
    state_size: int
    """Numbers that a sequence carries on from after so many steps."""
    counted: str | None
    """Where the amounts come from: formula, or PyTorch's counter."""
    forward: Timed
    forward_backward: Timed
    peak_memory: int | None
    """Bytes."""
    dtype: str
    """Of what is put out."""
    cudnn: Mapping[str, Any] | None = None
    """Of the baseline on a GPU: the algorithms, and what the persistent one misses."""

    @property
    def steps(self) -> int:
        """Of all sequences."""
        return self.length * self.batch

    @property
    def gflops(self) -> float | None:
        """10^9 operations a second, forward and backward."""
        return self.forward_backward.gflops(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All of it."""

    settings: Settings
    machine: Mapping[str, Any]
    peak: Peak
    memory_is: str
    """What `peak_memory` is."""
    rows: tuple[Row, ...]
    """By length, the baseline first."""

    def at(self, length: int) -> list[Row]:
        """The rows of one length."""
        return [row for row in self.rows if row.length == length]

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what JSON can hold."""
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "settings": self.settings.to_dict(),
            "peak": asdict(self.peak),
            "peak_memory_is": self.memory_is,
            "rows": [plain(row, self.peak) for row in self.rows],
        }


def plain(row: Row, peak: Peak) -> dict[str, Any]:
    """A row, with all that follows from it."""
    return {
        "architecture": row.architecture,
        "options": dict(row.options),
        "length": row.length,
        "batch_size": row.batch,
        "parameters": row.parameters,
        "state_size": row.state_size,
        "counted": row.counted,
        "forward": timed(row.forward, row, peak),
        "forward_backward": timed(row.forward_backward, row, peak),
        "peak_memory_bytes": row.peak_memory,
        "dtype": row.dtype,
        **({} if row.cudnn is None else {"cudnn": dict(row.cudnn)}),
    }


def timed(each: Timed, row: Row, peak: Peak) -> dict[str, Any]:
    """A pass, with all that follows from it; amounts for a step of one sequence, times for the batch."""
    gflops = each.gflops(row.steps)
    amount = each.amount
    return {
        "multiply_adds_a_step": None if amount is None else amount.multiply_adds,
        "bytes_a_step": None if amount is None else amount.bytes,
        "flop_a_byte": None if amount is None else amount.intensity,
        "milliseconds": milliseconds(each.taken, 1),
        "milliseconds_a_step": milliseconds(each.taken, row.length),
        "ratio_to_baseline": asdict(each.ratio),
        "gflops": gflops,
        "share_of_peak": None if gflops is None else gflops / peak.gflops,
        "seconds_by_round": list(each.seconds),
    }


def milliseconds(taken: Spread, parts: int) -> dict[str, float | None]:
    """A spread of seconds in milliseconds, of one of so many parts."""
    return {key: None if value is None else 1000 * value / parts for key, value in asdict(taken).items()}
