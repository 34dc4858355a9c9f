"""How variants of a task and configurations of an architecture are named, and told from each other."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from analysis.formatting import make_printable
from workbench.config import Experiment, Part
from workbench.custom_parts import is_custom, split_revision
from workbench.results import Run
from workbench.study_files import Study
from workbench.tasks.file_names import title_options

MIN_HASH_DIGITS = 7
"""Digits of a hash in titles and labels; more if hashes begin alike."""


def make_anchors(titles: Mapping[str, str]) -> dict[str, str]:
    """Returns an anchor for each key: its title in lower-case letters, digits and hyphens, with a hash if ambiguous."""
    slugs = {key: re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "task" for key, title in titles.items()}
    return {
        key: f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:6]}" if list(slugs.values()).count(slug) > 1 else slug
        for key, slug in slugs.items()
    }


def variant_key(task: str, options: Mapping[str, Any], source: str | None = None) -> str:
    """Returns a key of a variant of a task: JSON, so that the number 1 and the text "1" are two options.

    Args:
        task: its name.
        options: all of its options.
        source: hash of its code and data, as in `Part`.
    """
    return json.dumps([task, options, *([] if source is None else [source])], sort_keys=True)


def variant_titles(tasks: Iterable[Part]) -> dict[str, str]:
    """Returns the title of each variant, by its key.

    Variants of the same name and options are told apart by hashes of the code or the data, whichever differ.

    Example: `text, file=book.txt, length=50, data a1b2c3d`
    """
    same_title: dict[str, dict[str, Part]] = defaultdict(dict)
    for task in tasks:
        same_title[task_title(task.name, task.options)][variant_key(task.name, task.options, task.source)] = task
    titles = {}
    for title, variants in same_title.items():
        revisions, codes, data = zip(*(split_source(task) for task in variants.values()), strict=True)
        hidden = name_hidden_options(list(variants.values()))
        differences = (hidden, name_revisions(revisions), name_hashes("code", codes), name_hashes("data", data))
        for key, *texts in zip(variants, *differences, strict=True):
            titles[key] = "".join([title, *texts])
    return titles


def variant_anchors(tasks: Mapping[str, Part], titles: Mapping[str, str]) -> dict[str, str]:
    """Returns the anchor of each variant, by its key: the task's name, and what tells it from others of that name.

    Args:
        tasks: the variants, by their keys.
        titles: their titles, by their keys.
    """
    without_source = {key: variant_key(task.name, task.options) for key, task in tasks.items()}
    counts = Counter(without_source.values())
    # A hash in an anchor is one of the name and options, as ever, unless the source tells two variants apart.
    hashed = {key: key if counts[plain] > 1 else plain for key, plain in without_source.items()}
    short = short_titles(tasks, titles)
    anchors = make_anchors({hashed[key]: short[key] for key in tasks})
    return {key: anchors[hashed[key]] for key in tasks}


def short_titles(tasks: Mapping[str, Part], titles: Mapping[str, str]) -> dict[str, str]:
    """Returns the title of each variant, by its key, without the options that all variants of its task share.

    Args:
        tasks: the variants, by their keys.
        titles: their titles, by their keys.
    """
    short = {}
    for key, task in tasks.items():
        same_name = [other.options for other in tasks.values() if other.name == task.name]
        differing = {
            name: value
            for name, value in task.options.items()
            if len({json.dumps(options.get(name)) for options in same_name}) > 1
        }
        hashes = titles[key].removeprefix(task_title(task.name, task.options))
        short[key] = task_title(task.name, differing) + hashes
    return short


def study_task(study: Study) -> Part:
    """Returns the task of a study, with the source that it was made with."""
    settings = study.settings.get("task")
    source = settings.get("source") if isinstance(settings, Mapping) else None
    return Part(name=study.task, options=study.task_options, source=source)


def split_source(task: Part) -> tuple[str | None, str | None, str | None]:
    """Returns a task's revision, and the hashes of its code and of its data; `None` for what is the same everywhere."""
    revision, hashes = split_revision(task.source)
    if hashes is None or not is_custom(task.name):
        return revision, None, hashes
    code, _, data = hashes.partition("-")
    return revision, code, data or None


def name_hidden_options(tasks: Sequence[Part]) -> list[str]:
    """Returns a text such as `, split=time` for each task of one title: the options that differ and are not in it."""
    shown = {key for task in tasks for key in title_options(task.name, task.options)}
    keys = sorted({key for task in tasks for key in task.options} - shown)
    differing = [key for key in keys if len({json.dumps(task.options.get(key)) for task in tasks}) > 1]
    return [
        make_printable("".join(f", {key}={format_option(task.options.get(key))}" for key in differing))
        for task in tasks
    ]


def name_revisions(revisions: Sequence[str | None]) -> list[str]:
    """Returns a text such as `, revision 2` for each revision, none for the first; all are empty unless they differ."""
    differ = len(set(revisions)) > 1
    return [f", {revision}" if differ and revision is not None else "" for revision in revisions]


def name_hashes(what: str, hashes: Sequence[str | None]) -> list[str]:
    """Returns a text such as `, data a1b2c3d` for each hash, empty for `None`; all are empty unless hashes differ."""
    distinct = set(hashes)
    if len(distinct) < 2:
        return [""] * len(hashes)
    digits = next(
        digits
        for digits in count(MIN_HASH_DIGITS)
        if len({text and text[:digits] for text in distinct}) == len(distinct)
    )
    return ["" if text is None else make_printable(f", {what} {text[:digits]}") for text in hashes]


def task_title(name: str, options: Mapping[str, Any]) -> str:
    """Returns the heading of a section: a task with its options.

    Example:
        >>> task_title("addition", {"length": 100})
        'addition, length=100'
    """
    shown = title_options(name, options)
    return make_printable(", ".join([name, *(f"{key}={format_option(value)}" for key, value in shown.items())]))


def format_option(value: Any) -> str:
    """Formats the value of an option: strings unchanged, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten_config(experiment: Experiment) -> dict[str, Any]:
    """Returns the configuration, except for the seed, with one flat key for each value: `budget.steps`, ..."""
    flat: dict[str, Any] = {}

    def walk(values: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(experiment.to_dict(), "")
    del flat["seed"]
    return flat


def describe_differences(groups: Sequence[tuple[Run, ...]]) -> list[str]:
    """Returns, for each configuration of one architecture, what tells it from the others: settings, then its code.

    Example: ` (hidden_size=100), code a1b2c3d`

    Args:
        groups: the runs of each configuration, on one variant of a task.
    """
    experiments = [runs[0].experiment for runs in groups]
    configs = [flatten_config(experiment) for experiment in experiments]
    for config in configs:
        del config["architecture.source"]
    sources = [split_revision(experiment.architecture.source) for experiment in experiments]
    revisions = name_revisions([revision for revision, _ in sources])
    codes = name_hashes("code", [code for _, code in sources])
    return [
        describe_difference(config, configs) + revision + code
        for config, revision, code in zip(configs, revisions, codes, strict=True)
    ]


def describe_difference(config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> str:
    """Returns the values of a configuration that differ among several: ` (hidden_size=100)`, or nothing."""
    keys = sorted({key for other in configs for key in other})
    differing = [key for key in keys if len({json.dumps(other.get(key)) for other in configs}) > 1]
    parts = [f"{key.rpartition('.')[2]}={format_option(config[key])[:16]}" for key in differing if key in config]
    return make_printable(f" ({', '.join(parts)})") if parts else ""


def natural_sort_key(text: str) -> list[tuple[float, str]]:
    """Returns a sort key that compares numbers by value: `length=100` is between `length=20` and `length=1000`."""
    parts = re.split(r"([0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?)", text)
    return [(float(part), "") if index % 2 else (0.0, part) for index, part in enumerate(parts)]


def study_labels(studies: Sequence[Study]) -> list[str]:
    """Returns a label for each study: its architecture, or its own name if several tuned the same architecture."""
    names = [study.architecture for study in studies]
    return [
        make_printable(study.name if names.count(study.architecture) > 1 else study.architecture) for study in studies
    ]


def identity_columns(experiment: Experiment) -> dict[str, Any]:
    """Returns the columns of a table that identify a run; the sources tell changed code or data from what it was."""
    return {
        "task": experiment.task.name,
        "task_options": json.dumps(dict(experiment.task.options), sort_keys=True),
        "architecture": experiment.architecture.name,
        "architecture_options": json.dumps(dict(experiment.architecture.options), sort_keys=True),
        "identity": experiment.identity,
        "seed": experiment.seed,
        "task_source": experiment.task.source,
        "architecture_source": experiment.architecture.source,
    }
