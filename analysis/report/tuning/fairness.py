"""Whether the architectures of a section were tuned under the same rules, and trained alike after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.formatting import format_count, format_percent, join_names, pluralize, printable
from analysis.grouping import Row, Section, format_option, labels
from analysis.report.fairness import (
    MACHINE,
    RULES,
    STEPS,
    Rule,
    broken,
    configured,
    grouped,
    reaches,
    sizes,
    steps,
    used_seeds,
)
from analysis.report.tuning.search_space import Domain, said, searched
from workbench.study_files import Study

OWN = ("name", "task", "architecture", "options", "source", "space", "sampler_seed", "versions")
"""Settings that a study may have to itself: what it tunes, and where chance starts."""
CHOOSERS = ("sampler", "pruner")
GENERAL = ("optimization.", "embedding_size")
"""Beginnings of settings that every architecture has."""


def tuning_fairness(section: Section) -> tuple[bool, tuple[str, ...]]:
    """Whether all rules hold, of the search and of the runs after it, and the sentences that say so or name what
    differs."""
    rows, studies = section.rows, section.studies
    unlike = [*differing(studies), *missing(section)]
    free = {f"optimization.{name}" for name in names(studies)} | names(studies)
    rules: list[Rule] = [STEPS, *configured(rows, free), *RULES]
    faults = broken(rows, rules)
    sentences = [f"Not all architectures were tuned alike: {'; '.join(unlike)}." if unlike else alike(studies)]
    if faults:
        sentences.append(f"Not all rows were trained alike: {'; '.join(faults)}.")
    elif rows:
        sentences.append(
            f"The winners and the default configurations were then trained on fresh seeds ({used_seeds(rows[0])}), for "
            f"the same steps ({steps(rows[0])}), and only these runs are tested."
        )
    sentences += [*unequal(studies), *(widths(rows) if "hidden_size" in names(studies) else sizes(rows))]
    sentences += reaches(rows)
    if machines := broken(rows, MACHINE):
        sentences.append(f"Seconds a step cannot be compared: {'; '.join(machines)}.")
    return not (unlike or faults), tuple(sentences)


def names(studies: Sequence[Study]) -> set[str]:
    """What any of the studies chooses, fixed values among it, by its plain name."""
    return {plain(name) for study in studies for name in study.space}


def plain(name: str) -> str:
    """A parameter's name without what tells an option from a setting of the optimisation."""
    return name.removeprefix("optimization.").removeprefix("architecture.")


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings under one flat key each, those apart that a study has to itself."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if not above and key in OWN:
            continue
        found |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {above + key: value}
    return found


def differing(studies: Sequence[Study]) -> list[str]:
    """What should be the same in all studies and is not: `finished trials differ: lstm 40, gru 39`."""
    settings = [flat(study.settings) for study in studies]
    compared: dict[str, list[str]] = {
        "trials asked for": [format_count(study.asked) for study in studies],
        "finished trials": [format_count(len(study.finished)) for study in studies],
        "objectives": [" and ".join(study.objectives) for study in studies],
    }
    for key in sorted({key for each in settings for key in each} - {"objectives"}):
        compared[printable(key.replace("_", " ").replace(".", " "))] = [
            printable(format_option(each.get(key)))[:24] for each in settings
        ]
    return [
        f"{name}: {', '.join(grouped(dict(zip(labels(studies), values, strict=True))))}"
        for name, values in compared.items()
        if len(set(values)) > 1
    ]


def missing(section: Section) -> list[str]:
    """Who was not tuned, whose study is not done, and whose winner was not trained yet."""
    untuned = [row.label for row in section.rows if row.role is None]
    named = list(zip(section.studies, labels(section.studies), strict=True))
    short = [(study, name) for study, name in named if len(study.finished) < study.asked]
    found = {row.experiment.identity for row in section.rows}
    faults = [f"not tuned: {', '.join(untuned)}"] if untuned else []
    if short:
        each = [f"{name} {len(study.finished)} of {study.asked}" for study, name in short]
        faults.append(f"trials not finished: {', '.join(each)}")
    for what, key in (("winner", "winner_identity"), ("default configuration", "default_identity")):
        lacking = [name for study, name in named if getattr(study, key) not in found]
        if lacking:
            faults.append(f"without runs of the {what} on fresh seeds: {', '.join(lacking)}")
    return faults


def alike(studies: Sequence[Study]) -> str:
    """What all studies had in common."""
    first, settings = studies[0], flat(studies[0].settings)
    several = len(studies) > 1
    parts = [f"{pluralize(len(first.finished), 'finished trial')}{' each' if several else ''}"]
    if "budget.steps" in settings:
        parts.append(f"{pluralize(settings['budget.steps'], 'step')} a trial")
    parts += [f"{'the same ' if several else ''}{key} ({settings[key]})" for key in CHOOSERS if key in settings]
    who = "All architectures were" if several else f"{printable(first.architecture)} was"
    return f"{who} tuned with {join_names(parts)}, by the loss on the validation set only."


def unequal(studies: Sequence[Study]) -> list[str]:
    """Settings that every architecture has, and that were not searched in the same range everywhere."""
    common = {key for study in studies for key in flat(study.settings) if key.startswith(GENERAL)}
    of_study: list[dict[str, Domain]] = [{plain(each.name): each for each in searched(study)} for study in studies]
    parts = []
    for name in sorted({name for found in of_study for name in found}):
        if f"optimization.{name}" not in common and name not in ("embedding_size", "hidden_size"):
            continue
        ranges = [said(found[name]) if name in found else "not searched" for found in of_study]
        if len(set(ranges)) > 1:
            parts.append(f"{printable(name)}: {', '.join(grouped(dict(zip(labels(studies), ranges, strict=True))))}")
    return [f"Not searched in the same range everywhere: {'; '.join(parts)}."] if parts else []


def widths(rows: Sequence[Row]) -> list[str]:
    """How far sizes are apart where they were searched for."""
    given = [parameter for row in rows for parameter in row.results("parameters")]
    if not given:
        return []
    spread = 100 * (max(given) - min(given)) / max(1, min(given))
    ends = f"{format_count(min(given))} to {format_count(max(given))}"
    apart = f"parameters from {ends}, a spread of {format_percent(spread)}"
    return [f"The hidden size was searched for, so widths differ by design; {apart}."]
