"""The line that says what a data set was taken for, before anything is trained."""

import numpy as np

from workbench.data.own.answers import Answers
from workbench.data.own.array_files import describe_range
from workbench.data.own.options import BY_FRACTION, BY_TIME, GIVEN, DataOptions, Speaker
from workbench.data.own.raw_data import PARTS, RawData
from workbench.data.own.splits import Examples

SCALES = {
    "standard": "scaled by the training part's mean and standard deviation",
    "minmax": "scaled by the training part's least and greatest values",
    "none": "not scaled",
}


def describe(
    raw: RawData,
    answers: Answers,
    parts: dict[str, Examples],
    options: DataOptions,
    horizon: int,
    features: list[str],
    symbols: int | None,
    trivial_answer: str,
    speaker: Speaker,
) -> str:
    """Returns what a data set was taken for, in one line.

    Example:
        mydata.csv: 1,200 sequences of 40 to 96 steps, 3 features, 5 classes at the end; split 80/10/10 by fraction,
        seed 0; scaled by the training part's mean and standard deviation
    """
    what = "series" if raw.is_series else "sequence" if raw.count == 1 else "sequences"
    inputs = (
        f"{len(features):,} feature{'s' if len(features) > 1 else ''}" if symbols is None else f"{symbols:,} symbols"
    )
    read = (
        f"{raw.count:,} {what} of {describe_range(raw.lengths)} steps, {inputs}, {describe_answers(answers, horizon)}"
    )
    clauses = [read]
    if options.window is not None:
        clauses.append(f"windows of {options.window} steps")
    clauses.append(describe_split(raw, parts, options))
    if options.scale is not None:
        clauses.append(SCALES[options.scale])
    if answers.kind == "forecast":
        clauses.append(f"the best answer without memory: {trivial_answer}")
    clauses += raw.notes
    return f"{speaker.name}: {'; '.join(clauses)}"


def describe_answers(answers: Answers, horizon: int) -> str:
    """Returns what is to be answered, as in `5 classes at the end`."""
    where = "at the end" if answers.at == "end" else "at every step"
    if answers.kind == "class":
        return f"{len(answers.classes):,} classes {where}"
    names = ", ".join(answers.names[:3]) + (", ..." if len(answers.names) > 3 else "")
    if answers.kind == "forecast":
        when = "the next value" if horizon == 1 else f"the value {horizon} steps ahead"
        return f"{when} of {names} {where}"
    count = len(answers.names)
    return f"{'a number' if count == 1 else f'{count} numbers'}{f' ({names})' if names != 'y' else ''} {where}"


def describe_split(raw: RawData, parts: dict[str, Examples], options: DataOptions) -> str:
    """Returns how the data is split, as in `split 80/10/10 by fraction, seed 0`."""
    if options.split in (BY_FRACTION, BY_TIME):
        assert options.validation is not None
        assert options.test is not None
        shares = (1 - options.validation - options.test, options.validation, options.test)
        text = f"split {'/'.join(f'{100 * share:.3g}' for share in shares)} by {options.split}"
        return f"{text}, seed {options.split_seed}" if options.split == BY_FRACTION else text
    counts = "/".join(
        f"{len(np.unique(parts[part].sequences)) if not raw.is_series else len(parts[part]):,}" for part in PARTS
    )
    by = "as the file is split" if options.split == GIVEN else f"by {options.split}"
    taken = f", validation from training by seed {options.split_seed}" if options.split_seed is not None else ""
    return f"split {by}: {counts}{taken}"
