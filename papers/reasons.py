"""Where ours and theirs disagree: what the runs themselves show of it."""

from collections.abc import Iterator, Sequence

from analysis.formats import count, listed, number, plural
from analysis.histories import finite
from papers.judge import agreement, pairs
from papers.preset import Preset, Scale
from papers.table import Line, Table
from workbench.results import Run

LATE = 0.2
"""The last part of a run, over which its loss is looked at: whether it still fell."""


def reasons(preset: Preset, scale: Scale, tables: Sequence[Table]) -> Iterator[str]:
    """A sentence for each line that disagrees, from its runs; then what the preset says of it."""
    for table in tables:
        turned = {name for pair in pairs(table) if pair.ours < 0 and pair.sure for name in (pair.better, pair.worse)}
        for line in table.lines:
            denied = scale == "full" and agreement(line, table).startswith("no")
            if line.runs and (denied or line.architecture in turned):
                where = f" ({table.variant})" if table.variant else ""
                yield f"{line.architecture}, {table.measure}{where}: {told(line)}"
    yield from preset.found.get(scale, ())


def told(line: Line) -> str:
    """What the seeds came to; where not all did, how far each got, and whether it had come to rest."""
    if line.ours.complete:
        each = listed([f"{value:.6g}" for value in line.ours.values])
        return f"{each} here; the source has one run."
    diverged = [run for run in line.runs if run.diverged]
    lost = [f"{plural(len(diverged), 'seed')} diverged"] if diverged else []
    return "; ".join([*lost, *(ending(run) for run in line.runs if not run.diverged)]) + "."


def ending(run: Run) -> str:
    """The lowest validation loss of a run, and how its last part went."""
    seed = f"seed {run.experiment.seed}"
    losses = finite(run, "val/loss")
    if losses is None or len(losses) < 2:
        return f"{seed} has no validation loss to follow"
    lowest = losses.to_numpy().argmin()
    step = count(float(losses.index.to_numpy()[lowest]))
    best = f"{seed} had its lowest validation loss, {number(losses.iloc[lowest])}, at step {step}"
    late = losses[losses.index >= losses.index[-1] - LATE * losses.index[-1]]
    if len(late) < 2 or late.iloc[0] <= 0:
        return best
    ratio = late.iloc[-1] / late.iloc[0]
    return f"{best}, and its last fifth took the loss to {number(ratio)} times what it was"
