"""Page of a preset: published and measured figures, their agreement, learning curves and settings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.figures import learning_curves
from analysis.formatting import (
    ABSENT,
    format_count,
    format_number,
    format_percent,
    format_range,
    pluralize,
)
from analysis.grouping import Section, build_sections
from analysis.papers.agreement import RULE, disagreement_reasons, verdict
from analysis.papers.cells import format_ours, trivial_value
from analysis.papers.claim_rules import describe_surprises
from analysis.papers.compressors import compressed_bits, predicted_bytes
from analysis.papers.equivalence import judge_figure
from analysis.papers.markdown import escape, inline_code, markdown_table
from analysis.papers.order import describe_order
from analysis.papers.page_data import dump_tables
from analysis.papers.preset_files import load_preset
from analysis.papers.rates_table import rates_table
from analysis.papers.settings_table import describe_reductions, settings_table
from analysis.papers.tables import ComparisonTable, TableRow, build_tables, describe_options, published_variants
from analysis.presets.preset import Preset, Scale
from analysis.presets.rates import load_progress
from analysis.presets.status import merge_status
from analysis.published_figures import find_published
from analysis.statistics import mean_interval
from analysis.style import save_svg
from workbench.files import write_json, write_text
from workbench.results import Run
from workbench.tasks.text import NextCharacter

FIGURES = "figures"
"""Name of the folder of figures in the folder of pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPage:
    """A page that was written."""

    path: Path
    verdict: str


def write_page(preset: Preset, scale: Scale, out: Path, pages: Path, seeds: int | None = None) -> WrittenPage:
    """Writes the page of a preset, its figures in `pages/figures`, and the JSON file that the index is made of.

    Args:
        preset: the preset.
        scale: the paper's setting, or the small one.
        out: the folder of results.
        pages: the folder of pages.
        seeds: number of seeds, if not that of the preset.

    Raises:
        UserError: if a run in `out` was written by something else.
    """
    progress = [
        load_progress(out, part, part.plan(scale, seeds))
        for part in ([load_preset(name, preset.numerics) for name in preset.of] or [preset])
    ]
    status = merge_status(part.status for part in progress)
    # Trials of rates are in the status, but not in the table.
    runs = [run for part in progress for run in part.runs]
    planned = [run for part in progress for run in part.planned]
    choices = [choice for part in progress for choice in part.choices]
    name = preset.page_name(scale)
    (pages / FIGURES).mkdir(parents=True, exist_ok=True)
    figures = list(draw_figures(build_sections(runs), pages, name))
    tables = [] if preset.of else build_tables(preset, scale, planned, runs, choices)
    summary = "learning curves" if preset.of else verdict(tables, scale == "full")
    summary += "" if status.complete or not status.runs else ", so far"
    page = template_environment().get_template("page.md.j2").render(
        name=inline_code(preset.name),
        title=escape(preset.title),
        scale=scale,
        # Presets of the bench's own have no source.
        paper=bool(preset.sources or preset.of),
        status=status,
        percent=format_percent(100 * status.progress),
        numerics=[escape(sentence) for sentence in describe_numerics(preset)],
        reductions=None if preset.of else escape(describe_reductions(preset, scale)),
        verdict=escape(summary),
        command=reproduce_command(preset, scale, seeds),
        surprises=[escape(sentence) for sentence in describe_surprises(preset.name, scale, tables)],
        tables=[format_table(table, scale) for table in tables],
        comparable=has_order(tables),
        lucky=any(row.ours.num_lucky for table in tables for row in table.rows),
        rule=RULE,
        figures=figures,
        reasons=[escape(sentence) for sentence in disagreement_reasons(preset, scale, tables)],
        other_sources=[escape(sentence) for sentence in other_sources(preset)],
        quoted=quoted_table(tables),
        compressors=compressor_table(status.runs),
        rates=rates_table(preset, scale, choices) if choices else None,
        budget=budget_table(runs),
        machines=[escape(machine) for machine in describe_machines(status.runs)],
        settings=None if preset.of else settings_table(preset, scale, seeds),
        deviations=[escape(sentence) for sentence in preset.unlike],
        history=[escape(sentence) for sentence in preset.history],
    )  # fmt: skip
    write_text(pages / f"{name}.md", page.rstrip() + "\n")
    write_json(
        pages / f"{name}.json",
        {
            "preset": preset.name,
            "scale": scale,
            "runs": {"finished": len(status.runs), "asked": len(status.experiments)},
            "share": round(status.progress, 4),
            "verdict": summary,
            "machines": describe_machines(status.runs),
            "seconds": round(sum(run.timing.get("seconds", 0.0) for run in status.runs)),
            "tables": dump_tables(tables),
        },
    )
    return WrittenPage(path=pages / f"{name}.md", verdict=summary)


@cache
def template_environment() -> Environment:
    """Returns the templates, without escaping, as all values are Markdown already; compiled once in a process."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw_figures(sections: Sequence[Section], pages: Path, name: str) -> Iterator[str]:
    """Writes the learning curves of each section, and yields each figure as Markdown."""
    for section in sections:
        histories = learning_curves.load_histories(section)
        if not histories:
            continue
        figure = f"{name}-{section.anchor}"
        save_svg(learning_curves.draw_learning_curves(section, histories), pages / FIGURES, figure)
        image = f"![{escape(learning_curves.alt_text(section, histories))}]({FIGURES}/{figure}.svg)"
        yield f"{image}\n\n{escape(section.title)}. {learning_curves.caption(histories, tuple(section.floors))}"


def has_order(tables: Sequence[ComparisonTable]) -> bool:
    """Returns whether there is an order that may be compared with a source's, printed or only plotted."""
    sourced = [table for table in tables if table.source is not None]
    return not sourced or any(table.same_task for table in sourced)


def format_table(table: ComparisonTable, scale: Scale) -> str:
    """Returns a comparison table as Markdown; only at the paper's scale it says whether figures agree."""
    heading = f"### {escape(', '.join(part for part in (str(table.metric), table.variant) if part))}"
    headings = ["architecture", "published", "ours", "seeds"]
    full = scale == "full"
    lines = [row_cells(row, table, full) for row in table.rows]
    trivial = trivial_value(table)
    if trivial is not None:
        lines.append(["trivial baseline", "", format_number(trivial), "", *[""] * full])
    body = markdown_table([*headings, *[f"agrees (factor {table.factor:g})?"] * full], lines)
    baseline = "" if trivial is not None else describe_trivial_loss(table)
    source = "Nothing is published of this."
    if table.source is not None:
        variant = f" ({table.published_variant})" if table.published_variant != table.variant else ""
        source = f"Published: {table.source.source}{variant}; {table.source.reference}. {table.source.setting}."
    order = describe_order(table)
    return "\n\n".join(part for part in (heading, body, escape(baseline), escape(source), escape(order)) if part)


def row_cells(row: TableRow, table: ComparisonTable, full: bool) -> list[str]:
    """Returns the cells of a row, with its agreement at the full scale."""
    ours = row.ours
    seeds = f"{len(ours.values)} of {ours.seeds}" if ours.seeds else "0"
    if ours.num_diverged:
        seeds += f" ({ours.num_diverged} diverged)"
    if ours.num_lucky:
        seeds += f" ({ours.num_lucky} with nothing learned, not counted)"
    value = format_ours(ours, table)
    published = ABSENT if row.published is None else str(row.published)
    agreement = [escape(str(judge_figure(row, table)))] if full else []
    return [escape(row.architecture), escape(published), escape(value), seeds, *agreement]


def describe_trivial_loss(table: ComparisonTable) -> str:
    """Returns a sentence on the trivial loss, for a table of another metric; nothing if the loss is unknown."""
    if table.trivial_loss is None:
        return ""
    loss = f"The best answer without memory has a loss of {format_number(table.trivial_loss)}"
    goal = table.metric.goal
    if goal is not None and goal.criterion.metric == "loss" and not goal.criterion.met(table.trivial_loss):
        return f"Trivial baseline: never. {loss}."
    return f"Trivial baseline: {loss[0].lower()}{loss[1:]}."


def other_sources(preset: Preset) -> Iterator[str]:
    """Yields a sentence on each further source that reports the same variant of the task."""
    for part in [] if preset.of else published_variants(preset):
        for entry in find_published(part):
            if entry.source not in preset.sources:
                figures = ", ".join(f"{name} {figure}" for name, figure in entry.figures.items())
                options = describe_options(entry.options)
                yield f"{entry.source}, {options}{', ' if options else ''}{entry.measure}: {figures} ({entry.setting})."


def quoted_table(tables: Sequence[ComparisonTable]) -> str | None:
    """Returns what a table's source quotes from others beside its own figures, as Markdown; `None` if it does not."""
    for table in tables:
        if table.source is not None and table.source.quoted:
            lines = [[escape(name), str(figure)] for name, figure in table.source.quoted.items()]
            return markdown_table(["model", escape(table.source.measure)], lines)
    return None


def compressor_table(runs: Sequence[Run]) -> str | None:
    """Returns what compressors reach on the text that runs were tested on, as Markdown; `None` if it is no text."""
    if not runs or runs[0].experiment.task.name != "text":
        return None
    experiment = runs[0].experiment
    task = NextCharacter(**experiment.task.options)
    tested = predicted_bytes(task, experiment.budget.evaluation_size)
    lines = [
        [name, format_number(alone), format_number(added)]
        for name, (alone, added) in compressed_bits(task.text, tested).items()
    ]
    return markdown_table(["compressor", "test text alone", "after the training text"], lines)


def budget_table(runs: Sequence[Run]) -> str:
    """Returns the budget of each architecture, and the steps and seconds it needed, as Markdown."""
    lines = []
    for section in build_sections(runs):
        for row in section.rows:
            seconds = mean_interval(run.timing.get("seconds", math.nan) for run in row.runs)
            lines.append(
                [
                    escape(row.label),
                    escape(section.title),
                    format_range(row.result_values("parameters")),
                    format_range(row.result_values("steps")),
                    format_count(row.experiment.budget.steps),
                    format_count(row.experiment.budget.batch_size),
                    format_count(len(row.runs)),
                    format_count(row.num_diverged),
                    format_number(seconds.mean),
                ]
            )
    headings = ("architecture", "task", "parameters", "steps made", "of", "batch", "seeds", "diverged", "s a run")
    return markdown_table(headings, lines, left=2) if lines else "Nothing is finished yet."


def describe_machines(runs: Sequence[Run]) -> list[str]:
    """Returns the machines that trained the runs, each once, in order of name."""
    machines = {
        f"{run.timing.get('processor', 'unknown')} ({run.timing.get('device', 'unknown')}, "
        f"{pluralize(run.timing.get('threads', 1), 'thread')} a run, PyTorch {run.timing.get('torch', 'unknown')})"
        for run in runs
    }
    return sorted(machines)


def describe_numerics(preset: Preset) -> Iterator[str]:
    """Yields a sentence on each part of the numerics that is not the usual one."""
    changed = preset.numerics.non_defaults
    if "precision" in changed:
        yield "Computed in mixed precision, products in bfloat16; the usual page is in float32."
    if "draw" in changed:
        yield "Training data that has to be drawn is drawn on the device that trains."


def reproduce_command(preset: Preset, scale: Scale, seeds: int | None) -> str:
    """Returns the command that writes the page, as Markdown."""
    command = f"workbench reproduce {preset.name} --scale {scale}"
    if seeds:
        command += f" --seeds {seeds}"
    options = "".join(f" --{name} {value}" for name, value in preset.numerics.non_defaults.items())
    return inline_code(command + options)
