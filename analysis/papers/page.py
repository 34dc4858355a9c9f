"""The page of a table: what was published, what came out here, how far they agree, and in what setting."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.figures import learning_curves
from analysis.formatting import ABSENT, format_count, format_interval, format_number, format_percent, pluralize
from analysis.formatting import format_range as spanned
from analysis.grouping import Section, sections
from analysis.papers.agreement import RULE, agreement, ordering, reasons, verdict
from analysis.papers.markdown import code, plain, table
from analysis.papers.preset import Preset, Scale, load
from analysis.papers.settings_table import reductions, settings_table
from analysis.papers.status import runs_status
from analysis.papers.tables import ComparisonTable, TableRow, published_variants, tables
from analysis.published import published_for
from analysis.statistics import Mean, mean_interval
from analysis.style import save_svg
from workbench.files import write_json, write_text
from workbench.results import Run

FIGURES = "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPage:
    """A page that was written."""

    path: Path
    verdict: str


def write(preset: Preset, scale: Scale, out: Path, pages: Path, seeds: int | None = None) -> WrittenPage:
    """Writes the preset's page, its figures below `pages/figures`, and what the index needs as JSON.

    Args:
        preset: the table.
        scale: the paper's setting, or the small one.
        out: the folder of results.
        pages: the folder of pages.
        seeds: of each, where not as the preset has them.

    Raises:
        UserError: if a run in `out` was written by something else.
    """
    parts = [load(name, preset.numerics) for name in preset.of] or [preset]
    experiments = [experiment for part in parts for experiment in part.experiments(scale, seeds)]
    found = runs_status(out, experiments)
    name = preset.page(scale)
    (pages / FIGURES).mkdir(parents=True, exist_ok=True)
    figures = list(draw_figures(sections(found.runs), pages, name))
    made = [] if preset.of else tables(preset, scale, experiments, found.runs)
    said = "learning curves" if preset.of else verdict(made, scale == "full")
    said += "" if found.complete or not found.runs else ", so far"
    page = environment().get_template("page.md.j2").render(
        name=code(preset.name),
        title=plain(preset.title),
        scale=scale,
        standing=found,
        numerics=[plain(each) for each in describe_numerics(preset)],
        percent=format_percent(100 * found.share),
        shrunk=[] if preset.of else [plain(reductions(preset))],
        verdict=plain(said),
        results=[format_result(each, scale) for each in made],
        rule=RULE,
        figures=figures,
        budget=budget(found.runs),
        machines=[plain(each) for each in machines(found.runs)],
        settings=[] if preset.of else [settings_table(preset, scale, seeds)],
        unlike=[plain(each) for each in preset.unlike],
        reasons=[plain(each) for each in reasons(preset, scale, made)],
        others=[plain(each) for each in other_presets(preset)],
        command=command(preset, scale, seeds),
    )  # fmt: skip
    write_text(pages / f"{name}.md", page.rstrip() + "\n")
    write_json(
        pages / f"{name}.json",
        {
            "preset": preset.name,
            "scale": scale,
            "runs": {"finished": len(found.runs), "asked": len(experiments)},
            "share": round(found.share, 4),
            "verdict": said,
            "machines": machines(found.runs),
            "seconds": round(sum(run.timing.get("seconds", 0.0) for run in found.runs)),
        },
    )
    return WrittenPage(path=pages / f"{name}.md", verdict=said)


def environment() -> Environment:
    """The templates. What they are given is Markdown already."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw_figures(found: Sequence[Section], pages: Path, name: str) -> Iterator[str]:
    """Writes the learning curves of each section; yields each figure as Markdown."""
    for section in found:
        drawn = learning_curves.panels(section)
        if not drawn:
            continue
        figure = f"{name}-{section.anchor}"
        save_svg(learning_curves.draw(section, drawn), pages / FIGURES, figure)
        shown = f"![{plain(learning_curves.described(section, drawn))}]({FIGURES}/{figure}.svg)"
        yield f"{shown}\n\n{plain(section.title)}. {learning_curves.caption(drawn)}"


def budget(runs: Sequence[Run]) -> str:
    """What each architecture was given, and what it took."""
    lines = []
    for section in sections(runs):
        for row in section.rows:
            seconds = mean_interval(run.timing.get("seconds", math.nan) for run in row.runs)
            lines.append(
                [
                    plain(row.label),
                    plain(section.title),
                    spanned(row.results("parameters")),
                    spanned(row.results("steps")),
                    format_count(row.experiment.budget.steps),
                    format_count(row.experiment.budget.batch_size),
                    format_count(len(row.runs)),
                    format_count(row.diverged),
                    format_number(seconds.mean),
                ]
            )
    headings = ("architecture", "task", "parameters", "steps made", "of", "batch", "seeds", "diverged", "s a run")
    return table(headings, lines, left=2) if lines else "Nothing is finished yet."


def machines(runs: Sequence[Run]) -> list[str]:
    """The machines that trained, one in a line each."""
    told = {
        f"{run.timing.get('processor', 'unknown')} ({run.timing.get('device', 'unknown')}, "
        f"{pluralize(run.timing.get('threads', 1), 'thread')} a run, PyTorch {run.timing.get('torch', 'unknown')})"
        for run in runs
    }
    return sorted(told)


def other_presets(preset: Preset) -> Iterator[str]:
    """What further sources have of the same variant of the task."""
    for part in [] if preset.of else published_variants(preset):
        for entry in published_for(part):
            if entry.source not in preset.sources:
                figures = ", ".join(f"{name} {figure}" for name, figure in entry.figures.items())
                yield f"{entry.source}, {entry.measure}: {figures} ({entry.setting})."


def command(preset: Preset, scale: Scale, seeds: int | None) -> str:
    """The command that makes the page."""
    options = "".join(f" --{name} {value}" for name, value in preset.numerics.unusual.items())
    return code(f"workbench reproduce {preset.name} --scale {scale}{f' --seeds {seeds}' if seeds else ''}{options}")


def describe_numerics(preset: Preset) -> Iterator[str]:
    """In sentences, what the runs are computed in where that is not as usual."""
    unusual = preset.numerics.unusual
    if "precision" in unusual:
        yield "Computed in mixed precision, products in bfloat16; the usual page is in float32."
    if "draw" in unusual:
        yield "Training data that has to be drawn is drawn on the device that trains."


def format_result(made: ComparisonTable, scale: Scale) -> str:
    """One table: theirs, ours, and at the paper's scale whether they agree."""
    heading = f"### {plain(', '.join(part for part in (str(made.measure), made.variant) if part))}"
    headings = ["architecture", "published", "ours", "seeds"]
    full = scale == "full"
    lines = [row_cells(line, made, full) for line in made.lines]
    trivial = trivial_value(made)
    if trivial is not None:
        lines.append(["trivial baseline", "", format_number(trivial), "", *[""] * full])
    shown = table([*headings, *["agrees?"] * full], lines)
    baseline = "" if trivial is not None else trivial_steps(made)
    source, setting = "Nothing is published of this.", ""
    if made.source is not None:
        of = f" ({made.published_variant})" if made.published_variant != made.variant else ""
        source, setting = f"Published: {made.source.source}{of}. ", f"{made.source.setting}."
    order = ordering(made)
    return "\n\n".join(
        part for part in (heading, shown, plain(baseline), plain(source + setting), plain(order)) if part
    )


def row_cells(line: TableRow, made: ComparisonTable, full: bool) -> list[str]:
    """A line of a table."""
    ours = line.ours
    share = f"{len(ours.values)} of {ours.seeds}" if ours.seeds else "0"
    if ours.diverged:
        share += f" ({ours.diverged} diverged)"
    if not ours.values and ours.seeds > ours.diverged and made.measure.counts_steps:
        value = f"> {format_count(ours.budget)}"
    else:
        value = format_steps(ours.mean) if made.measure.counts_steps else format_interval(ours.mean)
    published = ABSENT if line.published is None else str(line.published)
    told = [plain(agreement(line, made))] if full else []
    return [plain(line.architecture), plain(published), plain(value), share, *told]


def format_steps(mean: Mean) -> str:
    """A mean number of steps with its interval: whole numbers."""
    if mean.n == 0:
        return ABSENT
    return format_count(mean.mean) + ("" if mean.half is None else f" ± {format_count(mean.half)}")


def trivial_value(made: ComparisonTable) -> float | None:
    """What the best answer without memory has, where it is a loss or follows from one."""
    if made.trivial_loss is None:
        return None
    bits = made.trivial_loss / math.log(2)
    return {"test/loss": made.trivial_loss, "test/bits_per_character": bits}.get(made.measure.text)


def trivial_steps(made: ComparisonTable) -> str:
    """The trivial baseline of a table that counts something else than losses."""
    if made.trivial_loss is None:
        return ""
    loss = f"The best answer without memory has a loss of {format_number(made.trivial_loss)}"
    goal = made.measure.goal
    if goal is not None and goal.criterion.metric == "loss" and not goal.criterion.met(made.trivial_loss):
        return f"Trivial baseline: never. {loss}."
    return f"Trivial baseline: {loss[0].lower()}{loss[1:]}."
