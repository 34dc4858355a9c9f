"""The page of a table: what was published, what came out here, how far they agree, and in what setting."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import curves
from analysis.formats import count, number, percent, plural
from analysis.formats import span as spanned
from analysis.groups import Section, sections
from analysis.published import published_for
from analysis.statistics import mean_interval
from analysis.style import save_svg
from papers.columns import result
from papers.judge import RULE, verdict
from papers.markdown import code, plain, table
from papers.preset import Preset, Scale, load
from papers.progress import standing
from papers.reasons import reasons
from papers.setting import settings_table, shrunk
from papers.table import published_variants, tables
from workbench.files import write_json, write_text
from workbench.results import Run

FIGURES = "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A page that was written."""

    path: Path
    verdict: str


def write(preset: Preset, scale: Scale, out: Path, pages: Path, seeds: int | None = None) -> Made:
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
    found = standing(out, experiments)
    name = preset.page(scale)
    (pages / FIGURES).mkdir(parents=True, exist_ok=True)
    figures = list(draw(sections(found.runs), pages, name))
    made = [] if preset.of else tables(preset, scale, experiments, found.runs)
    said = "learning curves" if preset.of else verdict(made, scale == "full")
    said += "" if found.complete or not found.runs else ", so far"
    page = environment().get_template("page.md.j2").render(
        name=code(preset.name),
        title=plain(preset.title),
        scale=scale,
        standing=found,
        numerics=[plain(each) for each in computed(preset)],
        percent=percent(100 * found.share),
        shrunk=[] if preset.of else [plain(shrunk(preset))],
        verdict=plain(said),
        results=[result(each, scale) for each in made],
        rule=RULE,
        figures=figures,
        budget=budget(found.runs),
        machines=[plain(each) for each in machines(found.runs)],
        settings=[] if preset.of else [settings_table(preset, scale, seeds)],
        unlike=[plain(each) for each in preset.unlike],
        reasons=[plain(each) for each in reasons(preset, scale, made)],
        others=[plain(each) for each in others(preset)],
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
    return Made(path=pages / f"{name}.md", verdict=said)


def environment() -> Environment:
    """The templates. What they are given is Markdown already."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw(found: Sequence[Section], pages: Path, name: str) -> Iterator[str]:
    """Writes the learning curves of each section; yields each figure as Markdown."""
    for section in found:
        drawn = curves.panels(section)
        if not drawn:
            continue
        figure = f"{name}-{section.anchor}"
        save_svg(curves.draw(section, drawn), pages / FIGURES, figure)
        shown = f"![{plain(curves.described(section, drawn))}]({FIGURES}/{figure}.svg)"
        yield f"{shown}\n\n{plain(section.title)}. {curves.caption(drawn)}"


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
                    count(row.experiment.budget.steps),
                    count(row.experiment.budget.batch_size),
                    count(len(row.runs)),
                    count(row.diverged),
                    number(seconds.mean),
                ]
            )
    headings = ("architecture", "task", "parameters", "steps made", "of", "batch", "seeds", "diverged", "s a run")
    return table(headings, lines, left=2) if lines else "Nothing is finished yet."


def machines(runs: Sequence[Run]) -> list[str]:
    """The machines that trained, one in a line each."""
    told = {
        f"{run.timing.get('processor', 'unknown')} ({run.timing.get('device', 'unknown')}, "
        f"{plural(run.timing.get('threads', 1), 'thread')} a run, PyTorch {run.timing.get('torch', 'unknown')})"
        for run in runs
    }
    return sorted(told)


def others(preset: Preset) -> Iterator[str]:
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


def computed(preset: Preset) -> Iterator[str]:
    """In sentences, what the runs are computed in where that is not as usual."""
    unusual = preset.numerics.unusual
    if "precision" in unusual:
        yield "Computed in mixed precision, products in bfloat16; the usual page is in float32."
    if "draw" in unusual:
        yield "Training data that has to be drawn is drawn on the device that trains."
