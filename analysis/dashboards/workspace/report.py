"""W&B report of a comparison: its findings in sentences, and the panels that show them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from analysis.dashboards.mirror.record import COMPARISON_JOB_TYPE
from analysis.dashboards.workspace.content import Content, architecture_name
from analysis.dashboards.workspace.panels import Library, PanelFactory, load_library
from analysis.dashboards.workspace.runset import ARCHITECTURE, PHASE, group_colors, group_paths
from analysis.dashboards.workspace.sections import (
    COST_SECTION,
    REPORT_PAGE,
    cost_panels,
    learning_panels,
    order_probes,
    probe_panels,
    probe_title,
    sweep_panels,
)
from analysis.grouping import Section
from analysis.probes import aggregate
from analysis.report import ranking
from analysis.report.blocks import Text
from analysis.report.build import overview, report_title
from analysis.report.fairness import check_fairness
from analysis.report.summary import summary
from analysis.report.tuning.fairness import check_tuning_fairness

MAX_TITLE_LENGTH = 128
"""Characters that W&B allows in a title."""
GROUP_KEYS = (f"config.{ARCHITECTURE}", "run.Group")
"""Grouping of a grid, whose runs are of one task, or trials: the runs of a group differ in their seed alone."""


def wandb_title(content: Content) -> str:
    """Returns the title of the report, with the name of the folder."""
    return f"{report_title(content.sections, content.studies)}: {content.out.resolve().name}"[:MAX_TITLE_LENGTH]


def opening_sentence(content: Content) -> str:
    """Returns how many runs, probes and trials the report is based on."""
    return overview(content.sections, aggregate.load_probe_records(content.runs), content.studies)


def report_blocks(content: Content, *, entity: str, project: str) -> list[Any]:
    """Builds the blocks of the report; no account is needed.

    Args:
        content: of the folder of results.
        entity: of the runs.
        project: of the runs.
    """
    lib = load_library()
    wr = lib.reports
    blocks: list[Any] = [wr.P(text=opening_sentence(content)), wr.TableOfContents()]
    blocks += ranking_blocks(content, wr)
    for section in content.sections:
        blocks += task_blocks(content, section, lib, entity=entity, project=project)
    blocks += tuning_blocks(content, lib, entity=entity, project=project)
    blocks += figure_blocks(content, lib, entity=entity, project=project)
    return [*blocks, *files_blocks(content, wr)]


def ranking_blocks(content: Content, wr: Any) -> Iterator[Any]:
    """Yields the rankings of the architectures; nothing if no run was probed."""
    records = aggregate.load_probe_records(content.runs)
    if not records:
        return
    chapter = ranking.chapter(content.sections, aggregate.by_probe(content.sections, records))
    yield wr.H1(text=chapter.title)
    for block in chapter.blocks:
        # The legend explains marks that only tables have.
        if isinstance(block, Text) and block.sentences != ranking.RANK_LEGEND:
            if block.lead:
                yield wr.H3(text=block.lead)
            yield bullet_list(block.sentences, wr)


def task_blocks(content: Content, section: Section, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """Yields the summary, the fairness and the panels of one variant of a task."""
    wr = lib.reports
    yield wr.H1(text=section.title)
    yield bullet_list(summary(section), wr)
    fair, sentences = check_tuning_fairness(section) if section.studies else check_fairness(section)
    yield wr.CalloutBlock(text=f"Fairness{'' if fair else ' (not all were trained alike)'}. {' '.join(sentences)}")
    identities = {row.experiment.identity for row in section.rows}
    records = tuple(record for record in content.records if record.group in identities)
    task_content = replace(content, records=records, comparison=None, figures=())
    expr, name = lib.expr, section.rows[0].experiment.task.name
    filters = expr.And(expr.Metric("JobType").isin([name]), expr.Metric("Group").isin(sorted(identities)))
    factory, logged = PanelFactory(lib, len(group_paths(records))), task_content.logged
    for title, panels in (
        ("Learning", [*learning_panels(logged, factory)]),
        (COST_SECTION, [*cost_panels(logged, factory)]),
        *(
            (probe_title(probe), [*probe_panels(task_content, probe, factory)])
            for probe in order_probes(task_content.probes)
        ),
    ):
        if panels:
            yield wr.H2(text=title)
            grid_name = f"{section.title}: {title}"
            yield panel_grid(task_content, panels, filters, grid_name, lib, entity=entity, project=project)


def tuning_blocks(content: Content, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """Yields the panels of the trials of sweeps."""
    trials = tuple(record for record in content.records if record.summary.get(PHASE) == "trial")
    trial_content = replace(content, records=trials, comparison=None, figures=())
    if panels := [*sweep_panels(trial_content, PanelFactory(lib, len(group_paths(trials))))]:
        expr = lib.expr
        yield lib.reports.H1(text="Sweeps")
        filters = expr.And(expr.Summary(PHASE).isin(["trial"]), expr.Metric("JobType").isin(job_types(trial_content)))
        yield panel_grid(trial_content, panels, filters, "trials", lib, entity=entity, project=project)


def figure_blocks(content: Content, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """Yields the figures of the comparison's own report, and that report."""
    factory = PanelFactory(lib, 1)
    panels = [factory.media(figure.title, figure.name) for figure in content.figures]
    if REPORT_PAGE in content.logged:
        panels.append(factory.media("The report of the comparison, with every figure and interval", REPORT_PAGE))
    if panels:
        expr, wr = lib.expr, lib.reports
        yield wr.H1(text="Figures")
        filters = expr.And(expr.Metric("JobType").isin([COMPARISON_JOB_TYPE]))
        runs = wr.Runset(entity=entity, project=project, name="comparison", filters=filters)
        yield wr.PanelGrid(runsets=[runs], panels=panels)


def files_blocks(content: Content, wr: Any) -> Iterator[Any]:
    """Yields a note on the files that the report was made from."""
    yield wr.H1(text="Where the files are")
    yield wr.P(
        text=[
            "All numbers come from the files below ",
            wr.InlineCode(text=content.out.resolve().name.encode(errors="replace").decode()),
            ", the folder of results, where the runs were trained: runs/ has the configuration, the metrics and the "
            "weights of each run, report.html every figure with its intervals, comparison.csv a row a run.",
        ]
    )


def panel_grid(
    content: Content, panels: Sequence[Any], filters: Any, name: str, lib: Library, *, entity: str, project: str
) -> Any:
    """Returns panels over the runs that pass a filter, grouped and colored as in the workspace."""
    wr = lib.reports
    runs = wr.Runset(
        entity=entity,
        project=project,
        name=name,
        filters=filters,
        groupby=list(GROUP_KEYS),
        run_settings={
            record.id: wr.RunSettings(color=content.colors[architecture_name(record)]) for record in content.records
        },
    )
    return wr.PanelGrid(runsets=[runs], panels=list(panels), custom_run_colors=group_colors(content, name, lib))


def job_types(content: Content) -> list[str]:
    """Returns the job types of the records, which are their tasks."""
    return sorted({record.job_type for record in content.records})


def bullet_list(sentences: Sequence[str], wr: Any) -> Any:
    """Returns a bulleted list of sentences."""
    return wr.UnorderedList(items=list(sentences))
