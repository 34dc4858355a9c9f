"""Two folders of results side by side: tables of what changed, for the terminal and as a self-contained page."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.comparison.intervals import Scale, loss_interval, loss_scale
from analysis.formatting import ABSENT, format_count, format_number, make_printable, pluralize
from analysis.grouping import Row
from analysis.report.blocks import Cell, Column, Table
from analysis.report.changes import (
    Change,
    Effect,
    Entry,
    FolderChanges,
    Setting,
    UnequalRun,
    seed_losses,
)
from analysis.statistics import mean_interval
from analysis.variant_names import format_option
from workbench.errors import UserError
from workbench.files import ensure_writable, write_text

TITLE = "What changed"
"""Beginning of a page's title, by which such a page is recognized."""
MIN_SEEDS = 4
"""With fewer seeds than this, an interval is an indication only."""
MACHINE_KEYS = ("processor", "device", "threads", "torch")
"""Entries of `timing.json` on which results and times may depend."""
SAME = "same"
"""In place of a ratio if every seed has the same loss in both."""
SHOWN_VALUE = 24
"""Characters of a setting's value that are shown."""


def default_page(base: Path, other: Path) -> Path:
    """Returns where the page goes unless an option says otherwise: beside the other folder's report."""
    name = re.sub(r"[^\w.-]+", "-", base.resolve().name).strip("-.") or "base"
    return other / f"report-against-{name}.html"


def check_page(page: Path, folders: Sequence[Path]) -> None:
    """Makes sure that a page can be written, and that nothing but an earlier such page is replaced.

    Raises:
        UserError: if it cannot, is the report of one of the folders, or is any other file.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {page}: name a page, which ends with .html")
    if page.resolve() in [(folder / "report.html").resolve() for folder in folders]:
        raise UserError(f"--out {page} is the report of one of the folders; name another page")
    if page.exists():
        text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
        if f"<title>{TITLE}" not in text:
            raise UserError(f"{page} is there and is not a page of this command; name another with --out FILE")
    ensure_writable(page.parent)


def write_page(page: Path, base: Path, other: Path, changes: FolderChanges) -> None:
    """Writes the page on what changed; it holds everything it needs, and all that comes from runs is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("side_by_side.html.j2").render(
        title=f"{TITLE} from {make_printable(base.resolve().name)} to {make_printable(other.resolve().name)}",
        overview=f"A, the base, is {make_printable(str(base))}; B is {make_printable(str(other))}.",
        summary=describe_changes(changes),
        tables=change_tables(changes),
        missing=describe_missing(changes),
        repeated=describe_repeated(changes),
        unequal=[describe_unequal(run) for run in changes.unequal],
    )
    write_text(page, text + "\n")


def change_tables(changes: FolderChanges) -> list[Table]:
    """Returns a table for each task that both folders have."""
    return [
        Table(
            caption=f"{task}: test loss as the geometric mean over seeds, and B relative to A with its 95 % interval",
            columns=(
                Column(heading="architecture", kind="text"),
                Column(heading="A", group="seeds"),
                Column(heading="B", group="seeds"),
                Column(heading="A", group="loss"),
                Column(heading="B", group="loss"),
                Column(heading="B / A", group="loss"),
                Column(heading="A", group="solved"),
                Column(heading="B", group="solved"),
                Column(heading="A", group="s a step"),
                Column(heading="B", group="s a step"),
                Column(heading="settings that changed", kind="prose"),
            ),
            rows=tuple(change_cells(change) for change in same_task),
        )
        for task, same_task in groupby(changes.changes, key=lambda change: change.after.task)
    ]


def change_cells(change: Change) -> tuple[Cell, ...]:
    """Returns the cells of a configuration that both folders have."""
    before, after = rows(change)
    scale = loss_scale([loss for row in (before, after) for loss in seed_losses(row.runs).values()])
    return (
        Cell(text=after.label, line_style=after.line_style),
        Cell(text=format_seed_count(before)),
        Cell(text=format_seed_count(after)),
        Cell(text=format_loss(before, scale)),
        Cell(text=format_loss(after, scale)),
        Cell(text=format_effect(change.effect), strong=change.effect is not None and change.effect.is_clear),
        Cell(text=format_solved(before)),
        Cell(text=format_solved(after)),
        Cell(text=format_seconds(before)),
        Cell(text=format_seconds(after)),
        Cell(text=", ".join(map(format_setting, change.settings)) or "none"),
    )


def text_tables(changes: FolderChanges) -> list[tuple[str, list[list[str]]]]:
    """Returns the tables for a terminal: the task of each, and its rows of cells, the headings first."""
    texts = []
    for (task, _), table in zip(
        groupby(changes.changes, key=lambda change: change.after.task), change_tables(changes), strict=True
    ):
        headings = [f"{column.group} {column.heading}".strip() for column in table.columns]
        headings[5] = "B / A"
        texts.append((task, [headings, *([cell.text for cell in row] for row in table.rows)]))
    return texts


def describe_changes(changes: FolderChanges) -> list[str]:
    """Returns sentences on all configurations that both folders have."""
    if not changes.changes:
        return ["No task is in both with the same options and the same architecture: there is nothing to compare."]
    effects = [change.effect for change in changes.changes if change.effect is not None]
    lower = sum(effect.is_clear and effect.value < effect.neutral for effect in effects)
    higher = sum(effect.is_clear and effect.value > effect.neutral for effect in effects)
    same = sum(not change.settings for change in changes.changes)
    sentences = [
        f"{pluralize(len(changes.changes), 'configuration')} in both, {same} of them with the same settings.",
        f"Test loss in B: lower for {lower}, higher for {higher}, and for {len(effects) - lower - higher} the interval "
        "does not tell.",
    ]
    if any(min(len(seed_losses(row.runs)) for row in rows(change)) < MIN_SEEDS for change in changes.changes):
        sentences.append(f"Where there are fewer than {MIN_SEEDS} seeds, this is indicative.")
    if machines([change.before for change in changes.changes]) != machines(
        [change.after for change in changes.changes]
    ):
        sentences.append("A and B were trained on different machines or versions: seconds a step may differ for that.")
    return sentences


def rows(change: Change) -> tuple[Row, Row]:
    """Returns the two rows of a change."""
    return change.before.row, change.after.row


def machines(entries: Sequence[Entry]) -> set[tuple[Any, ...]]:
    """Returns the machines that trained these configurations."""
    return {tuple(run.timing.get(key) for key in MACHINE_KEYS) for entry in entries for run in entry.row.runs}


def describe_missing(changes: FolderChanges) -> list[str]:
    """Returns a line for each folder and task with what the other folder does not have."""
    lines = []
    for folder, entries in (("A", changes.only_before), ("B", changes.only_after)):
        for task, same_task in groupby(entries, key=lambda entry: entry.task):
            lines.append(f"Only in {folder}: {task}: {', '.join(entry.row.label for entry in same_task)}")
    return lines


def describe_repeated(changes: FolderChanges) -> str:
    """Returns a sentence on the runs that both folders have."""
    if not changes.num_repeated:
        return "No run is in both with the same configuration and seed."
    runs = f"{pluralize(changes.num_repeated, 'run is', 'runs are')} in both with the same configuration and seed; "
    if not changes.unequal:
        return runs + ("its results are the same." if changes.num_repeated == 1 else "their results are the same.")
    return f"{runs}the results of {len(changes.unequal)} differ:"


def describe_unequal(run: UnequalRun) -> str:
    """Returns a line on two runs that should have the same results, and on how their machines differ."""
    keys = [key for key in MACHINE_KEYS if run.before.timing.get(key) != run.after.timing.get(key)]
    machine = [Setting(name=key, before=run.before.timing.get(key), after=run.after.timing.get(key)) for key in keys]
    reason = f"trained with another {', '.join(map(format_setting, machine))}" if machine else "on the same machine"
    return (
        f"{run.task}, {make_printable(run.before.experiment.architecture.name)}, seed {run.before.experiment.seed}: "
        f"{', '.join(map(format_setting, run.differences))} ({reason})"
    )


def format_seed_count(row: Row) -> str:
    """Returns the number of seeds, and how many of them diverged."""
    return format_count(len(row.runs)) + (f", {row.num_diverged} diverged" if row.num_diverged else "")


def format_loss(row: Row, scale: Scale) -> str:
    """Returns the mean test loss of the seeds that did not diverge: on a log scale, the geometric mean."""
    losses = list(seed_losses(row.runs).values())
    return format_number(loss_interval(losses, scale).mean) if losses else ABSENT


def format_effect(effect: Effect | None) -> str:
    """Returns a ratio, or a difference with its sign, with its interval."""
    if effect is None:
        return ABSENT
    if effect.low == effect.high == effect.neutral:
        return SAME
    sign = "+" if effect.scale == "linear" and effect.value >= 0 else ""
    text = f"{sign}{format_number(effect.value)}"
    if effect.low is None:
        return text
    return f"{text} [{format_number(effect.low)}, {format_number(effect.high)}]"


def format_solved(row: Row) -> str:
    """Returns how many seeds have solved the task, such as `2 of 3`, if it can be solved."""
    if all(criterion is None for criterion in row.result_values("criterion")):
        return ABSENT
    return f"{sum(step is not None for step in row.result_values('solved_at'))} of {len(row.runs)}"


def format_seconds(row: Row) -> str:
    """Returns the mean seconds a step over the runs that have a timing."""
    times = [run.timing.get("seconds_per_step") for run in row.runs]
    return format_number(mean_interval(time for time in times if time is not None).mean)


def format_setting(setting: Setting) -> str:
    """Returns a setting with both values, such as `learning_rate 0.005 → 0.001`, without the parts of its path."""
    is_source = setting.name.endswith(".source")
    name = setting.name.replace(".source", " code") if is_source else setting.name.rpartition(".")[2]
    return make_printable(f"{name} {format_value(setting.before)} → {format_value(setting.after)}")


def format_value(value: Any) -> str:
    """Returns the value of a setting or a result, cut off if it is long."""
    text = "none" if value is None else format_option(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[: SHOWN_VALUE - 1]}…"
