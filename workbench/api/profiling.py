"""`workbench.profile`: what a step of an architecture costs on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import pandas as pd

from workbench.api.calls import api
from workbench.api.parts import ArchitectureLike, Options, name_parts, option_pairs
from workbench.config import Precision
from workbench.devices import MatmulPrecision
from workbench.malloc import keep_memory
from workbench.progress import ProgressBar


class ProfileKeywords(TypedDict, total=False):
    """What is measured, and where; `workbench profile --help` describes each of them."""

    batch_size: int
    hidden_size: int
    input_size: int
    repeats: int
    threads: int
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    matmul_precision: MatmulPrecision
    memory: Literal["kept", "returned"]


@api
def profile(
    architectures: ArchitectureLike | Sequence[ArchitectureLike] | None = None,
    lengths: int | Sequence[int] = 200,
    *,
    architecture_options: Mapping[Any, Options] | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    **settings: Unpack[ProfileKeywords],
) -> pd.DataFrame:
    """Times architectures beside `torch.nn.LSTM`, in turns, and counts what a step of them takes.

    Args:
        architectures: one or several, as in `compare`; by default the whole catalogue.
        lengths: steps of a sequence, one number or several.
        architecture_options: options by architecture.
        out: folder for profile.json, profile.csv and the roofline; by default none are written.
        progress: whether what is done is shown.
        settings: what is measured, such as `batch_size=20`, `repeats=10`.

    Returns:
        A row for each architecture and length, `torch.nn.LSTM` first: parameters, state, multiply-adds, bytes, peak
        memory, milliseconds with their intervals and ratios, as in profile.csv.

    Raises:
        UserError: if something is unknown or invalid, or an architecture fails.
    """
    from analysis.profile import output, profiler
    from analysis.profile.settings import ProfileSettings

    values: dict[str, Any] = {**settings, "lengths": (lengths,) if isinstance(lengths, int) else tuple(lengths)}
    if architectures is not None:
        parts = name_parts("architecture", architectures, option_pairs("architecture", architecture_options))
        values |= {"architectures": parts.names, "architecture": parts.options}
    chosen = ProfileSettings(**values)
    if out is not None:
        output.check_folder(Path(out))
    if chosen.memory == "kept":
        keep_memory()
    with ProgressBar("measurements", smoothing=0.05, quiet=not progress) as bar:

        def on_progress(stage: str, done: int, total: int) -> None:
            bar.update(done, total=total, status=stage, line=f"measuring: {stage}")

        measured = profiler.profile(chosen, progress=on_progress)
    if out is not None:
        output.write_profile(measured, Path(out))
    rows = [output.flatten_row(row) for row in measured.to_dict()["rows"]]
    return pd.DataFrame(rows).convert_dtypes()
