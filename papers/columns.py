"""One table of a page: theirs, ours, and whether they agree."""

import math

from analysis.formats import ABSENT, count, interval, number
from analysis.statistics import Mean
from papers.judge import agreement, ordering
from papers.markdown import plain, table
from papers.preset import Scale
from papers.table import Line, Table


def result(made: Table, scale: Scale) -> str:
    """One table: theirs, ours, and at the paper's scale whether they agree."""
    heading = f"### {plain(', '.join(part for part in (str(made.measure), made.variant) if part))}"
    headings = ["architecture", "published", "ours", "seeds"]
    full = scale == "full"
    lines = [cells(line, made, full) for line in made.lines]
    trivial = trivial_value(made)
    if trivial is not None:
        lines.append(["trivial baseline", "", number(trivial), "", *[""] * full])
    shown = table([*headings, *["agrees?"] * full], lines)
    baseline = "" if trivial is not None else trivially(made)
    source, setting = "Nothing is published of this.", ""
    if made.source is not None:
        of = f" ({made.published_variant})" if made.published_variant != made.variant else ""
        source, setting = f"Published: {made.source.source}{of}. ", f"{made.source.setting}."
    order = ordering(made)
    return "\n\n".join(
        part for part in (heading, shown, plain(baseline), plain(source + setting), plain(order)) if part
    )


def cells(line: Line, made: Table, full: bool) -> list[str]:
    """A line of a table."""
    ours = line.ours
    share = f"{len(ours.values)} of {ours.seeds}" if ours.seeds else "0"
    if ours.diverged:
        share += f" ({ours.diverged} diverged)"
    if not ours.values and ours.seeds > ours.diverged and made.measure.counts_steps:
        value = f"> {count(ours.budget)}"
    else:
        value = steps(ours.mean) if made.measure.counts_steps else interval(ours.mean)
    published = ABSENT if line.published is None else str(line.published)
    told = [plain(agreement(line, made))] if full else []
    return [plain(line.architecture), plain(published), plain(value), share, *told]


def steps(mean: Mean) -> str:
    """A mean number of steps with its interval: whole numbers."""
    if mean.n == 0:
        return ABSENT
    return count(mean.mean) + ("" if mean.half is None else f" ± {count(mean.half)}")


def trivial_value(made: Table) -> float | None:
    """What the best answer without memory has, where it is a loss or follows from one."""
    if made.trivial_loss is None:
        return None
    bits = made.trivial_loss / math.log(2)
    return {"test/loss": made.trivial_loss, "test/bits_per_character": bits}.get(made.measure.text)


def trivially(made: Table) -> str:
    """The trivial baseline of a table that counts something else than losses."""
    if made.trivial_loss is None:
        return ""
    loss = f"The best answer without memory has a loss of {number(made.trivial_loss)}"
    goal = made.measure.goal
    if goal is not None and goal.criterion.metric == "loss" and not goal.criterion.met(made.trivial_loss):
        return f"Trivial baseline: never. {loss}."
    return f"Trivial baseline: {loss[0].lower()}{loss[1:]}."
