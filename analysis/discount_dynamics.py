"""How a model discounts its past: what its units keep and write over time, how long that lasts, whether they freeze,
and what a hierarchy attends to.

The formulas and their sources are in `analysis/measures`, each in the file of its name.
"""

import sys

from analysis import alone
from analysis.discount import copies, gated
from analysis.discount.chapter import chapter
from analysis.discount.gathered import Gathered
from analysis.discount.maps import Maps
from analysis.discount.sequences import probed_task, traces
from analysis.findings import Findings, NotAvailableError
from analysis.measures.episodes import Layout
from analysis.measures.gates import gates
from analysis.settings import Settings
from analysis.subjects import Subject
from workbench.tasks.multicopy import MultiCopy


def measure(subject: Subject, settings: Settings) -> Findings:
    """Gates and attention maps of the model on test sequences of its task.

    Raises:
        NotAvailableError: if it has neither.
    """
    task, encoder = probed_task(subject, settings), subject.model.encoder
    layout, reason = None, "only on multicopy does something go out of use"
    if isinstance(task, MultiCopy):
        layout, reason = Layout(items=task.items, gap=task.gap), "there is no second episode"
        layout = layout if task.copies > 1 else None
    found, maps = Gathered(steps=task.steps, layout=layout), Maps(task.steps, encoder.causal)
    for trace, lengths in traces(subject, task, settings.sequences):
        if (of_part := gates(trace)) is not None:
            found.add(of_part, lengths)
        if trace.maps:
            maps.add(trace.maps, lengths)
    parts = []
    if found.per_unit:
        parts.append(gated.findings(found))
        if found.layout is not None:
            parts.append(copies.findings(found.episodes, found.layout))
    if maps.sizes:
        parts.append(maps.findings())
    if not parts:
        raise NotAvailableError(f"{subject.name} has neither gates that keep and write nor attention maps")
    missing = {} if found.per_unit else {"retention": f"{subject.name} has no gates that keep and write"}
    if not maps.sizes:
        missing["attention_maps"] = f"{subject.name} is no hierarchy of attention"
    if found.per_unit and found.layout is None:
        missing["dropped_after_use"] = reason
    return Findings(
        numbers={name: value for part in parts for name, value in part.numbers.items()},
        curves={name: value for part in parts for name, value in part.curves.items()},
        grids={name: value for part in parts for name, value in part.grids.items()},
        words={name: value for part in parts for name, value in part.words.items()},
        missing={**missing, **{name: value for part in parts for name, value in part.missing.items()}},
    )


__all__ = ["chapter", "measure"]

if __name__ == "__main__":
    sys.exit(alone.main("discount_dynamics"))
