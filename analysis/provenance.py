"""Where the numbers of a report come from: the configuration of each row, the machines, the versions."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

import yaml

from analysis.blocks import Block, Cell, Chapter, Column, Listing, Table, Text
from analysis.collected import Known
from analysis.fairness import used_seeds
from analysis.formats import ABSENT, count, number, plural, printable
from analysis.groups import Section

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "seaborn")


def configurations(sections: Sequence[Section]) -> Chapter:
    """The resolved configuration of each row, section by section."""
    blocks: list[Block] = []
    for section in sections:
        blocks.append(Text(sentences=(), lead=section.title))
        for row in section.rows:
            resolved = row.experiment.to_dict()
            del resolved["seed"]
            blocks.append(
                Listing(
                    title=f"{row.label}: {row.experiment.identity}, seeds {used_seeds(row)}",
                    text=yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=100),
                )
            )
    return Chapter(anchor="configurations", title="Configurations", blocks=tuple(blocks))


def machines(sections: Sequence[Section], known: Known) -> Chapter:
    """The machines and versions that the runs were made with, what their models were probed on, and the versions that
    the report was made with.

    Args:
        sections: of the report.
        known: what is known of the models that were probed.
    """
    timings = [run.timing for section in sections for run in section.runs]
    keys = ("processor", "device", "threads", "torch")
    made = Counter(tuple(printable(str(timing.get(key, ABSENT))) for key in keys) for timing in timings)
    seconds = Counter[tuple[str, ...]]()
    for timing in timings:
        seconds[tuple(printable(str(timing.get(key, ABSENT))) for key in keys)] += timing.get("seconds", 0)
    table = Table(
        caption="Machines that trained",
        columns=(
            Column(heading="processor", kind="prose"),
            *(Column(heading=key, kind="text") for key in keys[1:]),
            Column(heading="runs"),
            Column(heading="seconds"),
        ),
        lines=tuple(
            (*(Cell(text=value) for value in values), Cell(text=count(runs)), Cell(text=number(seconds[values])))
            for values, runs in sorted(made.items())
        ),
    )
    models = Counter(
        device
        for entries in known.values()
        for device in {printable(each.device) for each in entries.values() if each.findings is not None}
    )
    probed = ", ".join(f"{device} ({plural(amount, 'model')})" for device, amount in sorted(models.items()))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return Chapter(
        anchor="machines",
        title="Machines and versions",
        blocks=(
            table,
            *([Text(sentences=(f"{probed}.",), lead="Probed on")] if probed else []),
            Text(sentences=(f"{libraries}.",), lead="Report made with"),
        ),
    )
