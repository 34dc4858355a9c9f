"""The report of a comparison for W&B: what was found in words, and the panels that show it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from analysis.dashboards.mirror.record import JOB
from analysis.dashboards.workspace.content import Content, architecture
from analysis.dashboards.workspace.panels import Library, Panels, library
from analysis.dashboards.workspace.runset import ARCHITECTURE, PHASE, group_colours, paths
from analysis.dashboards.workspace.sections import COST, PAGE, cost, learning, numbers, order_probes, sweeps, title_of
from analysis.grouping import Section
from analysis.probes import aggregate
from analysis.report import ranking
from analysis.report.blocks import Text
from analysis.report.build import overview, title
from analysis.report.fairness import fairness
from analysis.report.summary import summary
from analysis.report.tuning.fairness import tuning_fairness

LONGEST = 128
"""Characters of a title."""
GROUPS = (f"config.{ARCHITECTURE}", "run.Group")
"""A grid has runs of one task, or trials, alone; what is in a group differs in its seed."""


def headline(shown: Content) -> str:
    """The report's title."""
    return f"{title(shown.sections, shown.studies)}: {shown.out.resolve().name}"[:LONGEST]


def opening(shown: Content) -> str:
    """How much there is to go by."""
    return overview(shown.sections, aggregate.load_probe_records(shown.runs), shown.studies)


def blocks(shown: Content, *, entity: str, project: str) -> list[Any]:
    """The report's blocks; no account is needed to make them.

    Args:
        shown: what there is to show.
        entity: whose runs they are.
        project: the project of the runs.
    """
    lib = library()
    wr = lib.reports
    made: list[Any] = [wr.P(text=opening(shown)), wr.TableOfContents()]
    made += ranks(shown, wr)
    for section in shown.sections:
        made += task(shown, section, lib, entity=entity, project=project)
    made += tuning_blocks(shown, lib, entity=entity, project=project)
    made += pictures(shown, lib, entity=entity, project=project)
    return [*made, *files(shown, wr)]


def ranks(shown: Content, wr: Any) -> Iterator[Any]:
    """Who is best at what; nothing where nothing was probed."""
    known = aggregate.load_probe_records(shown.runs)
    if not known:
        return
    chapter = ranking.chapter(shown.sections, aggregate.by_probe(shown.sections, known))
    yield wr.H1(text=chapter.title)
    for block in chapter.blocks:
        # Only tables have the marks that the legend explains.
        if isinstance(block, Text) and block.sentences != ranking.LEGEND:
            if block.lead:
                yield wr.H3(text=block.lead)
            yield points(block.sentences, wr)


def task(shown: Content, section: Section, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """One variant of a task: what came of it, whether it was fair, and its panels."""
    wr = lib.reports
    yield wr.H1(text=section.title)
    yield points(summary(section), wr)
    fair, sentences = tuning_fairness(section) if section.studies else fairness(section)
    yield wr.CalloutBlock(text=f"Fairness{'' if fair else ' (not all were trained alike)'}. {' '.join(sentences)}")
    identities = {row.experiment.identity for row in section.rows}
    mine = replace(
        shown, records=tuple(record for record in shown.records if record.group in identities), whole=None, figures=()
    )
    expr, name = lib.expr, section.rows[0].experiment.task.name
    filters = expr.And(expr.Metric("JobType").isin([name]), expr.Metric("Group").isin(sorted(identities)))
    make, known = Panels(lib, len(paths(mine.records))), mine.logged
    for said, panels in (
        ("Learning", [*learning(known, make)]),
        (COST, [*cost(known, make)]),
        *((title_of(probe), [*numbers(mine, probe, make)]) for probe in order_probes(mine.probes)),
    ):
        if panels:
            yield wr.H2(text=said)
            yield grid(mine, panels, filters, f"{section.title}: {said}", lib, entity=entity, project=project)


def tuning_blocks(shown: Content, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """The trials of sweeps."""
    trials = tuple(record for record in shown.records if record.summary.get(PHASE) == "trial")
    mine = replace(shown, records=trials, whole=None, figures=())
    if panels := [*sweeps(mine, Panels(lib, len(paths(trials))))]:
        expr = lib.expr
        yield lib.reports.H1(text="Sweeps")
        filters = expr.And(expr.Summary(PHASE).isin(["trial"]), expr.Metric("JobType").isin(jobs(mine)))
        yield grid(mine, panels, filters, "trials", lib, entity=entity, project=project)


def pictures(shown: Content, lib: Library, *, entity: str, project: str) -> Iterator[Any]:
    """The figures of the comparison's own report, and that report."""
    make = Panels(lib, 1)
    panels = [make.media(each.title, each.name) for each in shown.figures]
    if PAGE in shown.logged:
        panels.append(make.media("The report of the comparison, with every figure and interval", PAGE))
    if panels:
        expr, wr = lib.expr, lib.reports
        yield wr.H1(text="Figures")
        runs = wr.Runset(
            entity=entity, project=project, name="comparison", filters=expr.And(expr.Metric("JobType").isin([JOB]))
        )
        yield wr.PanelGrid(runsets=[runs], panels=panels)


def files(shown: Content, wr: Any) -> Iterator[Any]:
    """Where everything is that this was made from."""
    yield wr.H1(text="Where the files are")
    yield wr.P(
        text=[
            "All numbers come from the files below ",
            wr.InlineCode(text=shown.out.resolve().name.encode(errors="replace").decode()),
            ", the folder of results, where the runs were trained: runs/ has the configuration, the metrics and the "
            "weights of each run, report.html every figure with its intervals, comparison.csv a row a run.",
        ]
    )


def grid(
    shown: Content, panels: Sequence[Any], filters: Any, name: str, lib: Library, *, entity: str, project: str
) -> Any:
    """Panels over the runs that a filter lets through, grouped and coloured as in the workspace."""
    wr = lib.reports
    runs = wr.Runset(
        entity=entity,
        project=project,
        name=name,
        filters=filters,
        groupby=list(GROUPS),
        run_settings={record.id: wr.RunSettings(color=shown.colours[architecture(record)]) for record in shown.records},
    )
    return wr.PanelGrid(runsets=[runs], panels=list(panels), custom_run_colors=group_colours(shown, name, lib))


def jobs(shown: Content) -> list[str]:
    """The tasks of the records, as W&B knows them."""
    return sorted({record.job_type for record in shown.records})


def points(sentences: Sequence[str], wr: Any) -> Any:
    """A list of sentences."""
    return wr.UnorderedList(items=list(sentences))
