"""Fairness of tuning: rules that all studies of a section and the runs after them have to share."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.formatting import format_count, format_percent, join_names, make_printable, pluralize
from analysis.grouping import Row, Section
from analysis.report.fairness import (
    MACHINE_RULES,
    RUN_RULES,
    STEPS_RULE,
    broken_rules,
    describe_short_reach,
    describe_size_gap,
    describe_sizes,
    format_steps,
    format_used_seeds,
    format_values,
    setting_rules,
    size_gaps,
)
from analysis.report.tuning.measure import study_measure
from analysis.report.tuning.search_space import Domain, format_domain, searched_domains
from analysis.variant_names import format_option, study_labels
from workbench.study_files import Study

OWN_SETTINGS = ("name", "task", "architecture", "options", "source", "space", "sampler_seed", "versions")
"""Settings that may differ between studies: what is tuned, and the seed of the sampler."""
SEARCH_METHODS = ("sampler", "pruner")
COMMON_PREFIXES = ("optimization.", "embedding_size")
"""Prefixes of settings that every architecture has."""


def check_tuning_fairness(section: Section) -> tuple[bool, tuple[str, ...]]:
    """Checks that all architectures were tuned under the same rules, and then trained under the same rules.

    Returns:
        True if all rules hold, and the sentences that say so or name the differences.
    """
    rows, studies = section.rows, section.studies
    search_faults = [*setting_differences(studies), *describe_missing(section)]
    searched = parameter_names(studies)
    free = {f"optimization.{name}" for name in searched} | searched
    run_faults = broken_rules(rows, [STEPS_RULE, *setting_rules(rows, free), *RUN_RULES])
    sentences = []
    if search_faults:
        sentences.append(f"Not all architectures were tuned alike: {'; '.join(search_faults)}.")
    else:
        sentences.append(describe_common_settings(studies))
    if run_faults:
        sentences.append(f"Not all rows were trained alike: {'; '.join(run_faults)}.")
    elif rows:
        sentences.append(
            "The winners and the default configurations were then trained on fresh seeds "
            f"({format_used_seeds(rows[0])}), for the same steps ({format_steps(rows[0])}), and only these runs are "
            "tested."
        )
    sentences += describe_unequal_ranges(studies)
    sentences += describe_searched_widths(rows) if "hidden_size" in searched else describe_sizes(rows)
    gaps = size_gaps(rows) if rows and "hidden_size" not in searched else []
    sentences += [describe_size_gap(gap) for gap in gaps]
    sentences += describe_short_reach(rows)
    if machines := broken_rules(rows, MACHINE_RULES):
        sentences.append(f"Seconds a step cannot be compared: {'; '.join(machines)}.")
    return not (search_faults or run_faults or gaps), tuple(sentences)


def parameter_names(studies: Sequence[Study]) -> set[str]:
    """Returns the plain names of all parameters in the search spaces, including fixed ones."""
    return {plain_name(name) for study in studies for name in study.space}


def plain_name(name: str) -> str:
    """Returns the name of a parameter without the prefix of its group."""
    return name.removeprefix("optimization.").removeprefix("architecture.")


def flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens the nested settings of a study, without those that may differ between studies."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if not prefix and key in OWN_SETTINGS:
            continue
        flat |= flatten_settings(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def setting_differences(studies: Sequence[Study]) -> list[str]:
    """Returns a text for each setting that should be the same in all studies and is not.

    Example: `finished trials: lstm 40, gru 39`
    """
    settings = [flatten_settings(study.settings) for study in studies]
    values: dict[str, list[str]] = {
        "trials requested": [format_count(study.asked) for study in studies],
        "finished trials": [format_count(len(study.finished_trials)) for study in studies],
        "objectives": [" and ".join(study.objectives) for study in studies],
        "direction": [study.direction for study in studies],
        "trials enqueued by the user": [format_count(count_enqueued(study)) for study in studies],
    }
    for key in sorted({key for flat in settings for key in flat} - {"objectives", "direction"}):
        values[make_printable(key.replace("_", " ").replace(".", " "))] = [
            make_printable(format_option(flat.get(key)))[:24] for flat in settings
        ]
    names = study_labels(studies)
    return [
        f"{title}: {', '.join(format_values(dict(zip(names, of_studies, strict=True))))}"
        for title, of_studies in values.items()
        if len(set(of_studies)) > 1
    ]


def describe_missing(section: Section) -> list[str]:
    """Names rows that were not tuned, unfinished studies, and winners and defaults without runs on fresh seeds."""
    names = study_labels(section.studies)
    untuned = [row.label for row in section.rows if row.role is None]
    unfinished = [
        f"{name} {len(study.finished_trials)} of {study.asked}"
        for study, name in zip(section.studies, names, strict=True)
        if len(study.finished_trials) < study.asked
    ]
    identities = {row.experiment.identity for row in section.rows}
    faults = [f"not tuned: {', '.join(untuned)}"] if untuned else []
    if unfinished:
        faults.append(f"trials not finished: {', '.join(unfinished)}")
    for title, key in (("winner", "winner_identity"), ("default configuration", "default_identity")):
        without_runs = [
            name for study, name in zip(section.studies, names, strict=True) if getattr(study, key) not in identities
        ]
        if without_runs:
            faults.append(f"without runs of the {title} on fresh seeds: {', '.join(without_runs)}")
    return faults


def describe_common_settings(studies: Sequence[Study]) -> str:
    """States the settings that all studies share."""
    first, settings = studies[0], flatten_settings(studies[0].settings)
    several = len(studies) > 1
    parts = [f"{pluralize(len(first.finished_trials), 'finished trial')}{' each' if several else ''}"]
    if "budget.steps" in settings:
        parts.append(f"{pluralize(settings['budget.steps'], 'step')} a trial")
    parts += [
        f"{'the same ' if several else ''}{key} ({describe_method(key, settings)})"
        for key in SEARCH_METHODS
        if key in settings
    ]
    measure = study_measure(first)
    more = ", of which more is better" if measure.maximize else ""
    subject = "All architectures were" if several else f"{make_printable(first.architecture)} was"
    return f"{subject} tuned with {join_names(parts)}, by the {measure.words} on the validation set only{more}."


def describe_method(kind: str, settings: Mapping[str, Any]) -> str:
    """Returns the name of a sampler or a pruner with its options, such as `optuna.samplers.CmaEsSampler, seed 1`."""
    prefix = f"{kind}_options."
    options = [
        f"{make_printable(key.removeprefix(prefix))} {make_printable(format_option(value))}"
        for key, value in settings.items()
        if key.startswith(prefix)
    ]
    return ", ".join([make_printable(str(settings[kind])), *options])


def count_enqueued(study: Study) -> int:
    """Returns how many finished trials the user enqueued."""
    return sum(trial.enqueued for trial in study.finished_trials)


def describe_unequal_ranges(studies: Sequence[Study]) -> list[str]:
    """Names the settings of every architecture that were not searched in the same range in all studies."""
    common = {key for study in studies for key in flatten_settings(study.settings) if key.startswith(COMMON_PREFIXES)}
    domains: list[dict[str, Domain]] = [
        {plain_name(domain.name): domain for domain in searched_domains(study)} for study in studies
    ]
    names = study_labels(studies)
    parts = []
    for name in sorted({name for of_study in domains for name in of_study}):
        if f"optimization.{name}" not in common and name not in ("embedding_size", "hidden_size"):
            continue
        ranges = [format_domain(of_study[name]) if name in of_study else "not searched" for of_study in domains]
        if len(set(ranges)) > 1:
            values = format_values(dict(zip(names, ranges, strict=True)))
            parts.append(f"{make_printable(name)}: {', '.join(values)}")
    return [f"Not searched in the same range everywhere: {'; '.join(parts)}."] if parts else []


def describe_searched_widths(rows: Sequence[Row]) -> list[str]:
    """States how far the numbers of parameters are apart, if the hidden size was searched."""
    parameters = [count for row in rows for count in row.result_values("parameters")]
    if not parameters:
        return []
    smallest, largest = min(parameters), max(parameters)
    spread = format_percent(100 * (largest - smallest) / max(1, smallest))
    counts = f"parameters from {format_count(smallest)} to {format_count(largest)}, a spread of {spread}"
    return [f"The hidden size was searched for, so widths differ by design; {counts}."]
