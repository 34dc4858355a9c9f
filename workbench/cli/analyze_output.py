"""Terminal output of `workbench analyze`: the metrics that the report ranks by."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.cli.output import align_columns

if TYPE_CHECKING:
    from analysis.probes.records import ProbeRecord
    from analysis.probes.runner import ProbeJob


def result_table(jobs: "Sequence[ProbeJob]", records: "Sequence[Mapping[str, ProbeRecord]]") -> str:
    """Returns a table with a line for each model and a column for each ranked metric that some of them have."""
    from analysis.formatting import ABSENT, AT_LEAST, HIDDEN_UNITS, format_plain
    from analysis.probes.progress import model_labels
    from analysis.report.ranking import QUESTIONS

    rows = []
    for label, by_probe in zip(model_labels(jobs), records, strict=True):
        cells = {}
        for question in QUESTIONS:
            record = by_probe.get(question.probe)
            if record is not None and record.result is not None and question.metric in record.result.metrics:
                metric = record.result.metrics[question.metric]
                unit = "" if metric.unit in HIDDEN_UNITS else metric.unit
                bound = AT_LEAST if metric.censored else ""
                cells[question.quantity, unit] = ABSENT if metric.value is None else bound + format_plain(metric.value)
        rows.append((label, cells))
    columns = list(dict.fromkeys(column for _, cells in rows for column in cells))
    table = [["", *(quantity for quantity, _ in columns)], ["", *(unit for _, unit in columns)]]
    table += [[label, *(cells.get(column, ABSENT) for column in columns)] for label, cells in rows]
    return align_columns(table)
