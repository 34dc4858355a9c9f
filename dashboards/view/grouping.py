"""Runs, put together to what is compared."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.formats import printable
from analysis.groups import catalogue_order, sections
from analysis.naming import described, natural, variant_key
from dashboards.view.seen import Seen
from workbench.results import Run
from workbench.studies import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All runs on one variant of a task."""

    key: str
    title: str
    runs: tuple[Seen, ...]


def grouped(runs: Sequence[Seen]) -> tuple[Group, ...]:
    """Runs by task and its options, in the order of the report; within these by architecture and seed."""
    groups: dict[str, list[Seen]] = defaultdict(list)
    titles: dict[str, str] = {}
    for seen in runs:
        task = None if seen.experiment is None else seen.experiment.task
        key = seen.task if task is None else variant_key(task.name, task.options)
        titles[key] = printable(seen.task) if task is None else described(task.name, task.options)
        groups[key].append(seen)
    return tuple(
        Group(key=key, title=titles[key], runs=tuple(sorted(groups[key], key=order)))
        for key in sorted(groups, key=lambda key: (natural(titles[key]), key))
    )


def labels_of(runs: Iterable[Run], known: Sequence[Study]) -> dict[str | None, str]:
    """What each configuration is called in the report, by its identity."""
    found = sections(runs, known)
    return {row.experiment.identity: row.label for section in found for row in section.rows}


def order(seen: Seen) -> tuple[tuple[int, str], str, int]:
    """A sorting key: by architecture, in the catalogue's order, then by configuration and seed."""
    return catalogue_order(seen.architecture), seen.label, seen.seed


def once(runs: Sequence[Seen]) -> Iterator[Seen]:
    """The runs, those apart that are another folder's once more: as two seeds they would narrow an interval."""
    first: dict[tuple[str, int], Seen] = {}
    for seen in runs:
        key = None if seen.identity is None else (seen.identity, seen.seed)
        if key is None or key not in first or seen.folder is None:
            yield seen
            if key is not None:
                first[key] = seen
            continue
        said = f"holds the same run as {first[key].folder}; move one of them away"
        yield replace(seen, state="unreadable", said=said, experiment=None, identity=None)
